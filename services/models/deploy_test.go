package models_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
)

func TestNewDeploymentTakesTheDefaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir)
	ctx := as(deadline(t), "acme")
	v := r.mustRegister(t, ctx, "support", routing, "one")
	d := r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support"})
	want := &modelsv1.Policy{
		MaxError: 0.05, Confidence: 0.95, AuditRate: 0.05, ReviewSeconds: 30, Currency: "EUR",
		Uncertified: modelsv1.Uncertified_UNCERTIFIED_REVIEW, Record: modelsv1.RecordMode_RECORD_MODE_SYNC,
		InputRetention: commonv1.InputRetention_INPUT_RETENTION_FULL,
	}
	if diff := cmp.Diff(want, d.GetPolicy(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(v, d.GetChampion(), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if d.GetRevision() != 1 || !strings.HasPrefix(d.GetPolicyDigest(), "sha256:") || d.GetProject() != "acme" {
		t.Errorf("deployment is %v", d)
	}
	got, err := start(t, dir).GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, got.GetDeployment(), protocmp.Transform()); diff != "" {
		t.Errorf("after reopening: %s", diff)
	}
}

func TestEqualPoliciesHaveEqualDigests(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	r.mustRegister(t, ctx, "support", routing, "one")
	labels := map[string]float64{"a": 0.01, "b": 0.02}
	digests := map[string]string{}
	for name, p := range map[string]*modelsv1.Policy{
		"explicit":  {MaxError: 0.05, Confidence: 0.95, AuditRate: 0.1, ReviewSeconds: 30, Currency: "EUR", LabelMaxError: labels},
		"implicit":  {AuditRate: 0.1, LabelMaxError: labels},
		"stricter":  {MaxError: 0.04, AuditRate: 0.1, LabelMaxError: labels},
		"unaudited": {LabelMaxError: labels},
	} {
		d := r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: name, Model: "support", Policy: p})
		digests[name] = d.GetPolicyDigest()
		if d.GetPolicy().GetAuditRate() != p.GetAuditRate() {
			t.Errorf("%s: audit rate %v became %v", name, p.GetAuditRate(), d.GetPolicy().GetAuditRate())
		}
	}
	if digests["explicit"] != digests["implicit"] || digests["explicit"] == digests["stricter"] || digests["explicit"] == digests["unaudited"] {
		t.Errorf("digests are %v", digests)
	}
}

func TestBadPolicyIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	r.mustRegister(t, ctx, "support", routing, "one")
	r.mustRegister(t, ctx, "comments", moderation, "one")
	for name, p := range map[string]*modelsv1.Policy{
		"max_error too small":       {MaxError: 0.0001},
		"max_error too large":       {MaxError: 0.6},
		"confidence too small":      {Confidence: 0.4},
		"audit_rate":                {AuditRate: 1.5},
		"currency":                  {Currency: "eur"},
		"price":                     {ReviewerHourMicros: -1},
		"limit of unknown label":    {LabelMaxError: map[string]float64{"c": 0.05}},
		"limit out of range":        {LabelMaxError: map[string]float64{"a": 0}},
		"limit for moderation only": {RemoveMaxError: 0.05},
	} {
		_, err := r.Deploy(ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support", Policy: p})
		wantReason(t, name, err, "INVALID_ARGUMENT")
	}
	_, err := r.Deploy(ctx, &modelsv1.DeployRequest{
		Operation: moderation, Deployment: "comments", Model: "comments", Policy: &modelsv1.Policy{LabelMaxError: map[string]float64{"a": 0.05}},
	})
	wantReason(t, "label limits for moderation", err, "INVALID_ARGUMENT")
	if list, err := r.ListDeployments(ctx, &modelsv1.ListDeploymentsRequest{}); err != nil || len(list.GetDeployments()) != 0 {
		t.Errorf("deployments after refusals: %v, %v", list, err)
	}
}

func TestChangesHappenAtTheRevisionThatTheCallerHasSeen(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	r.mustRegister(t, ctx, "support", routing, "one")
	r.mustRegister(t, ctx, "support", routing, "two")
	deploy := func(version int32, expected int64) (*modelsv1.Deployment, error) {
		res, err := r.Deploy(ctx, &modelsv1.DeployRequest{
			Operation: routing, Deployment: "support", Model: "support", Version: version, ExpectedRevision: expected,
		})
		return res.GetDeployment(), err
	}
	for _, step := range []struct {
		name         string
		version      int32
		expected     int64
		wantRevision int64
		want         string
	}{
		{"no deployment yet", 1, 1, 0, "VERSION_CONFLICT"},
		{"first", 1, 0, 1, ""},
		{"first again", 1, 0, 1, ""},
		{"second", 2, 1, 2, ""},
		{"second again after a lost answer", 2, 1, 2, ""},
		{"back, from an old revision", 1, 1, 0, "VERSION_CONFLICT"},
		{"back", 1, 2, 3, ""},
		{"from the future", 2, 9, 0, "VERSION_CONFLICT"},
		{"no such version", 3, 0, 0, "VERSION_NOT_FOUND"},
	} {
		d, err := deploy(step.version, step.expected)
		wantReason(t, step.name, err, step.want)
		if err == nil && d.GetRevision() != step.wantRevision {
			t.Errorf("%s: revision %d, want %d", step.name, d.GetRevision(), step.wantRevision)
		}
	}
	_, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{
		Operation: routing, Deployment: "support", Policy: &modelsv1.Policy{}, ExpectedRevision: 1,
	})
	wantReason(t, "policy for an old revision", err, "VERSION_CONFLICT")
	_, err = r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: classification, Deployment: "support", Policy: &modelsv1.Policy{}})
	wantReason(t, "policy of no deployment", err, "DEPLOYMENT_NOT_FOUND")
	_, err = r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "support"})
	wantReason(t, "no policy", err, "INVALID_ARGUMENT")
	r.mustRegister(t, ctx, "other", classification, "one")
	_, err = r.Deploy(ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "other"})
	wantReason(t, "model of another operation", err, "OPERATION_MISMATCH")
	_, err = r.Deploy(ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "nobody"})
	wantReason(t, "no such model", err, "MODEL_NOT_FOUND")
}

func TestConcurrentChangesAllCount(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := start(t, dir)
	ctx := as(deadline(t), "acme")
	r.mustRegister(t, ctx, "support", routing, "one")
	r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support"})
	const callers, each = 4, 5
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				p := &modelsv1.Policy{ReviewSeconds: float64(1 + i*each + j)} // each policy is another
				if _, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "support", Policy: p}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// The history holds every revision once, and who made it.
	raw, err := db.Open(ctx, dbtest.Config(t, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	var n, last int64
	err = raw.View(ctx, func(tx *db.Tx) error {
		_, err := tx.Get(`SELECT count(*), max(revision) FROM deployment_ledger WHERE actor = 'testkey'`, nil, &n, &last)
		return err
	})
	if err != nil || n != callers*each+1 || last != n {
		t.Errorf("history has %d changes up to revision %d, %v", n, last, err)
	}
}

func TestOtherProjectsDoNotExist(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	projects := []string{"acme", "umbrella"}
	for _, p := range projects {
		ctx := as(deadline(t), p)
		for i, op := range []commonv1.Operation{moderation, routing, classification} {
			name := fmt.Sprintf("%s-%d", p, i)
			r.mustRegister(t, ctx, name, op, p)
			r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: op, Deployment: name, Model: name})
		}
	}
	for i, mine := range projects {
		theirs := projects[1-i]
		ctx := as(deadline(t), mine)
		for i, op := range []commonv1.Operation{moderation, routing, classification} {
			name := fmt.Sprintf("%s-%d", theirs, i)
			calls := map[string]func() error{
				"MODEL_NOT_FOUND GetVersion": func() error {
					_, err := r.GetVersion(ctx, &modelsv1.GetVersionRequest{Model: name, Version: 1})
					return err
				},
				"MODEL_NOT_FOUND ListVersions": func() error {
					_, err := r.ListVersions(ctx, &modelsv1.ListVersionsRequest{Model: name})
					return err
				},
				"MODEL_NOT_FOUND Deploy": func() error {
					_, err := r.Deploy(ctx, &modelsv1.DeployRequest{Operation: op, Deployment: "new", Model: name})
					return err
				},
				"MODEL_NOT_FOUND DownloadArtifact": func() error {
					_, err := r.download(t, mine, &modelsv1.DownloadArtifactRequest{Model: name, Version: 1})
					return err
				},
				"SCOPE_MISSING DownloadArtifact of the other project": func() error {
					_, err := r.download(t, mine, &modelsv1.DownloadArtifactRequest{Model: name, Version: 1, Project: theirs})
					return err
				},
				"DEPLOYMENT_NOT_FOUND GetDeployment": func() error {
					_, err := r.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: op, Deployment: name})
					return err
				},
				"DEPLOYMENT_NOT_FOUND UpdatePolicy": func() error {
					_, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: op, Deployment: name, Policy: &modelsv1.Policy{}})
					return err
				},
			}
			for call, run := range calls {
				want, _, _ := strings.Cut(call, " ")
				wantReason(t, call, run(), want)
			}
		}
		models, err := r.ListModels(ctx, &modelsv1.ListModelsRequest{})
		if err != nil || len(models.GetModels()) != 3 {
			t.Errorf("%s lists %v, %v", mine, models, err)
		}
		deployments, err := r.ListDeployments(ctx, &modelsv1.ListDeploymentsRequest{})
		if err != nil || len(deployments.GetDeployments()) != 3 {
			t.Errorf("%s lists %v, %v", mine, deployments, err)
		}
		for _, d := range deployments.GetDeployments() {
			if d.GetProject() != mine {
				t.Errorf("%s sees %v", mine, d)
			}
		}
	}
	if _, err := r.download(t, "acme", &modelsv1.DownloadArtifactRequest{Model: "umbrella-1", Version: 1, Project: "umbrella"}, "platform:serve"); err != nil {
		t.Errorf("download for serving: %v", err)
	}
}

func TestCallWithoutCallerIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	_, err := r.ListModels(context.Background(), &modelsv1.ListModelsRequest{})
	wantReason(t, "no caller", err, "KEY_MISSING")
}
