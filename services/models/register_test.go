package models_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/services/models"
)

// download returns the artifact of a version.
func (r *registry) download(tb testing.TB, project string, req *modelsv1.DownloadArtifactRequest, scopes ...string) ([]byte, error) {
	tb.Helper()
	stream, err := r.DownloadArtifact(as(tb.Context(), project, scopes...), req)
	if err != nil {
		return nil, err
	}
	var out []byte
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, m.GetChunk()...)
	}
}

func TestRegisteredVersionSurvivesReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := artifact(strings.Repeat("weights ", 100_000), "a", "b", "oos") // several pieces when it comes back
	s := spec("support", routing, b)
	r := start(t, dir)
	ctx := as(deadline(t), "acme")
	stream, err := r.RegisterVersion(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*modelsv1.RegisterVersionRequest{
		{Part: &modelsv1.RegisterVersionRequest_Spec{Spec: s}}, {Part: &modelsv1.RegisterVersionRequest_Chunk{Chunk: b}},
	} {
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	res, err := stream.CloseAndRecv()
	if err != nil || !res.GetCreated() {
		t.Fatalf("register: %v, %v", res, err)
	}
	want := &modelsv1.ModelVersion{
		Model: "support", Version: 1, Digest: digest(b), Operation: routing, Kind: "text-linear", Labels: []string{"a", "b", "oos"},
		OutOfScopeLabel: "oos", SizeBytes: int64(len(b)), Metrics: s.GetMetrics(), Lineage: s.GetLineage(),
		CreateTime: res.GetVersion().GetCreateTime(), Fingerprint: res.GetVersion().GetFingerprint(),
	}
	if len(want.GetFingerprint()) != 64 {
		t.Errorf("fingerprint is %q", want.GetFingerprint())
	}
	if diff := cmp.Diff(want, res.GetVersion(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}

	again := start(t, dir)
	got, err := again.GetVersion(ctx, &modelsv1.GetVersionRequest{Model: "support", Version: 1})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.GetVersion(), protocmp.Transform()); diff != "" || got.GetEvaluationJson() != s.GetEvaluationJson() {
		t.Errorf("after reopening: %s\nevaluation %q", diff, got.GetEvaluationJson())
	}
	back, err := again.download(t, "acme", &modelsv1.DownloadArtifactRequest{Model: "support", Version: 1})
	if err != nil || !bytes.Equal(back, b) {
		t.Errorf("artifact came back with %d bytes, %v", len(back), err)
	}
}

func TestRegisteringAgainReturnsTheSameVersion(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	b := artifact("one", "a", "b")
	var wg sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for range 6 { // at once, as impatient clients do
		wg.Go(func() {
			res, err := r.register(ctx, spec("support", routing, b), b)
			if err != nil || res.GetVersion().GetVersion() != 1 {
				t.Errorf("got %v, %v", res, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if res.GetCreated() {
				created++
			}
		})
	}
	wg.Wait()
	if created != 1 {
		t.Errorf("created %d times", created)
	}
	other := spec("support", routing, b)
	other.Lineage.Seed++
	res, err := r.register(ctx, other, b)
	if err != nil || res.GetVersion().GetVersion() != 2 || !res.GetCreated() {
		t.Errorf("the same artifact with another specification: %v, %v", res, err)
	}
}

func TestBadRegistrationIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir, func(c *models.Config) { c.MaxArtifactBytes = 1 << 10 })
	ctx := as(deadline(t), "acme")
	good := artifact("good", "a", "b")
	r.mustRegister(t, ctx, "taken", moderation, "x")
	for name, test := range map[string]struct {
		change func(s *modelsv1.VersionSpec)
		bytes  []byte
		want   string
	}{
		"artifact is damaged":         {bytes: []byte("not a model at all"), want: "ARTIFACT_INVALID"},
		"artifact is empty":           {bytes: []byte{}, want: "ARTIFACT_INVALID"},
		"artifact is another":         {func(s *modelsv1.VersionSpec) { s.Digest = digest([]byte("other")) }, good, "ARTIFACT_INVALID"},
		"artifact is too large":       {bytes: artifact(strings.Repeat("x", 2000), "a"), want: "REQUEST_TOO_LARGE"},
		"digest is a path":            {func(s *modelsv1.VersionSpec) { s.Digest = "sha256:../../../etc/passwd" }, good, "INVALID_ARGUMENT"},
		"model has another operation": {func(s *modelsv1.VersionSpec) { s.Model = "taken" }, good, "OPERATION_MISMATCH"},
		"no name":                     {func(s *modelsv1.VersionSpec) { s.Model = "" }, good, "INVALID_ARGUMENT"},
		"name is a path":              {func(s *modelsv1.VersionSpec) { s.Model = "../x" }, good, "INVALID_ARGUMENT"},
		"no operation":                {func(s *modelsv1.VersionSpec) { s.Operation = 0 }, good, "INVALID_ARGUMENT"},
		"unknown operation":           {func(s *modelsv1.VersionSpec) { s.Operation = 99 }, good, "INVALID_ARGUMENT"},
		"harmless label unknown":      {func(s *modelsv1.VersionSpec) { s.HarmlessLabels = []string{"c"} }, good, "INVALID_ARGUMENT"},
		"sample of unknown label":     {func(s *modelsv1.VersionSpec) { s.Samples = append(s.Samples, &modelsv1.CertificationSample{Side: "c"}) }, good, "INVALID_ARGUMENT"},
		"sample twice":                {func(s *modelsv1.VersionSpec) { s.Samples = append(s.Samples, sample("", 3)) }, good, "INVALID_ARGUMENT"},
		"sample of rows of its own":   {func(s *modelsv1.VersionSpec) { s.Samples = append(s.Samples, sample("a", 3)) }, good, "INVALID_ARGUMENT"},
		"sample without answers":      {func(s *modelsv1.VersionSpec) { s.Samples[0].Correct = nil }, good, "INVALID_ARGUMENT"},
		"score out of range":          {func(s *modelsv1.VersionSpec) { s.Samples[0].Scores[0] = 1.1 }, good, "INVALID_ARGUMENT"},
		"score is no number":          {func(s *modelsv1.VersionSpec) { s.Samples[0].Scores[0] = float32(math.NaN()) }, good, "INVALID_ARGUMENT"},
		"side of another operation":   {func(s *modelsv1.VersionSpec) { s.Operation = moderation }, good, "INVALID_ARGUMENT"},
	} {
		s := spec("support", routing, test.bytes)
		if test.change != nil {
			test.change(s)
		}
		_, err := r.register(ctx, s, test.bytes)
		wantReason(t, name, err, test.want)
		if err != nil && strings.Contains(err.Error(), dir) {
			t.Errorf("%s: the error shows where files lie: %v", name, err)
		}
	}
	if list, err := r.ListModels(ctx, &modelsv1.ListModelsRequest{}); err != nil || len(list.GetModels()) != 1 {
		t.Errorf("models after refusals: %v, %v", list, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "artifacts", "tmp")); err != nil || len(left) != 0 {
		t.Errorf("temporary files after refusals: %v, %v", left, err)
	}
}

func TestSpecificationComesOnceAndFirst(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	b := artifact("one", "a", "b")
	first := &modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Spec{Spec: spec("support", routing, b)}}
	chunk := &modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Chunk{Chunk: b}}
	for name, messages := range map[string][]*modelsv1.RegisterVersionRequest{
		"nothing": {}, "chunk only": {chunk}, "twice": {first, chunk, first}, "empty message": {{}},
	} {
		stream, err := r.RegisterVersion(as(deadline(t), "acme"))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if err := stream.Send(m); err != nil {
				break
			}
		}
		_, err = stream.CloseAndRecv()
		wantReason(t, name, err, "INVALID_ARGUMENT")
	}
}

func TestQuotasHold(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir(), func(c *models.Config) { c.MaxModels, c.MaxVersions, c.MaxDeployments = 2, 2, 2 })
	ctx := as(deadline(t), "acme")
	b := artifact("third", "a", "b")
	for i := range 2 {
		name := fmt.Sprint("m", i)
		r.mustRegister(t, ctx, name, routing, "first")
		r.mustRegister(t, ctx, name, routing, "second")
		r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: name, Model: name})
	}
	_, err := r.register(ctx, spec("m2", routing, b), b)
	wantReason(t, "third model", err, "QUOTA_EXCEEDED")
	_, err = r.register(ctx, spec("m1", routing, b), b)
	wantReason(t, "third version", err, "QUOTA_EXCEEDED")
	_, err = r.Deploy(ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "d2", Model: "m1"})
	wantReason(t, "third deployment", err, "QUOTA_EXCEEDED")
	r.mustRegister(t, ctx, "m1", routing, "second")                        // exists already
	r.mustRegister(t, as(deadline(t), "umbrella"), "m2", routing, "first") // another project has quotas of its own
	r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "m1", Model: "m0"})
}

func TestListsPageThroughEverythingOnce(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	for i := range 7 {
		r.mustRegister(t, ctx, "many", routing, fmt.Sprint(i))
		r.mustRegister(t, ctx, fmt.Sprintf("m%d", i), classification, "x")
		r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: fmt.Sprintf("r%d", i), Model: "many"})
		r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: classification, Deployment: fmt.Sprintf("c%d", i), Model: "m0"})
	}
	page := func(token string) *commonv1.PageRequest { return &commonv1.PageRequest{Size: 3, Token: token} }
	for name, test := range map[string]struct {
		want string
		next func(token string) ([]string, string, error)
	}{
		"models": {"m0 m1 m2 m3 m4 m5 m6 many", func(token string) (out []string, _ string, _ error) {
			res, err := r.ListModels(ctx, &modelsv1.ListModelsRequest{Page: page(token)})
			for _, m := range res.GetModels() {
				out = append(out, m.GetName())
			}
			return out, res.GetPage().GetNextToken(), err
		}},
		"versions": {"7 6 5 4 3 2 1", func(token string) (out []string, _ string, _ error) {
			res, err := r.ListVersions(ctx, &modelsv1.ListVersionsRequest{Model: "many", Page: page(token)})
			for _, v := range res.GetVersions() {
				out = append(out, fmt.Sprint(v.GetVersion()))
			}
			return out, res.GetPage().GetNextToken(), err
		}},
		"deployments": {"r0 r1 r2 r3 r4 r5 r6 c0 c1 c2 c3 c4 c5 c6", func(token string) (out []string, _ string, _ error) {
			res, err := r.ListDeployments(ctx, &modelsv1.ListDeploymentsRequest{Page: page(token)})
			for _, d := range res.GetDeployments() {
				out = append(out, d.GetName())
			}
			return out, res.GetPage().GetNextToken(), err
		}},
		"deployments of classification": {"c0 c1 c2 c3 c4 c5 c6", func(token string) (out []string, _ string, _ error) {
			res, err := r.ListDeployments(ctx, &modelsv1.ListDeploymentsRequest{Operation: classification, Page: page(token)})
			for _, d := range res.GetDeployments() {
				out = append(out, d.GetName())
			}
			return out, res.GetPage().GetNextToken(), err
		}},
	} {
		var got []string
		token, pages := "", 0
		for {
			rows, next, err := test.next(token)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, pages = append(got, rows...), pages+1
			if token = next; token == "" {
				break
			}
		}
		if strings.Join(got, " ") != test.want || pages < 3 {
			t.Errorf("%s: %v in %d pages", name, got, pages)
		}
	}
	res, err := r.ListModels(ctx, &modelsv1.ListModelsRequest{Page: page("")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ListVersions(ctx, &modelsv1.ListVersionsRequest{Model: "many", Page: page(res.GetPage().GetNextToken())})
	wantReason(t, "token of another list", err, "INVALID_ARGUMENT")
}
