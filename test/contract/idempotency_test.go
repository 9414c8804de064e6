package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

func keyed(t *testing.T, key string) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), "idempotency-key", key)
}

func reason(err error) string { return fault.FromStatus(status.Convert(err)).ReasonName() }

func text(s string) *moderationv1.ModerateTextRequest {
	return &moderationv1.ModerateTextRequest{Deployment: "comments", Text: s}
}

func TestARepeatedCallIsAnsweredAlike(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t, func(c *app.Config) { c.Starter = true })
	conn := s.Dial(s.Key)
	moderation := moderationv1.NewModerationServiceClient(conn)

	first, err := moderation.ModerateText(keyed(t, "a"), text("win a prize"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := moderation.ModerateText(keyed(t, "a"), text("win a prize"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
		t.Errorf("the same key and request give another answer:\n%s", diff)
	}
	if _, err := moderation.ModerateText(keyed(t, "a"), text("another text")); reason(err) != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("the same key with another request: %v", err)
	}
	if _, err := moderation.BatchModerateText(keyed(t, "a"), &moderationv1.BatchModerateTextRequest{Deployment: "comments", Items: []*moderationv1.TextItem{{Text: "win a prize"}}}); reason(err) != "IDEMPOTENCY_KEY_REUSED" {
		t.Errorf("the same key with another method: %v", err)
	}
	if _, err := moderation.ModerateText(keyed(t, strings.Repeat("x", 129)), text("win a prize")); reason(err) != "INVALID_ARGUMENT" {
		t.Errorf("a key of 129 characters: %v", err)
	}
	other, err := moderation.ModerateText(keyed(t, "b"), text("win a prize"))
	if err != nil || other.GetDecision().GetDecisionId() == first.GetDecision().GetDecisionId() {
		t.Errorf("another key got the same decision (%v)", err)
	}

	// A failure is not kept: the call may succeed later.
	unknown := text("win a prize")
	unknown.Deployment = "nowhere"
	for range 2 {
		if _, err := moderation.ModerateText(keyed(t, "c"), unknown); reason(err) != "DEPLOYMENT_NOT_FOUND" {
			t.Errorf("a failed call: %v", err)
		}
	}

	// Another API key of the project is another caller.
	second, _ := testkit.NewKey(t, conn, "second", 0, "moderation:decide")
	foreign, err := moderationv1.NewModerationServiceClient(s.Dial(second)).ModerateText(keyed(t, "a"), text("my own text"))
	if err != nil || foreign.GetDecision().GetDecisionId() == first.GetDecision().GetDecisionId() {
		t.Errorf("a key is shared between callers (%v)", err)
	}
}

func TestIdsOfARepeatedBatchStayTheSameAndDistinct(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t, func(c *app.Config) { c.Starter = true })
	moderation := moderationv1.NewModerationServiceClient(s.Dial(s.Key))
	req := &moderationv1.BatchModerateTextRequest{Deployment: "comments"}
	for range 40 {
		req.Items = append(req.Items, &moderationv1.TextItem{Text: "the same text"})
	}
	first, err := moderation.BatchModerateText(keyed(t, "batch"), req)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, r := range first.GetResults() {
		ids[r.GetDecision().GetDecisionId()] = true
	}
	if len(ids) != len(req.GetItems()) {
		t.Errorf("%d items have %d ids", len(req.GetItems()), len(ids))
	}
	again, err := moderation.BatchModerateText(keyed(t, "batch"), req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
		t.Errorf("the batch got another answer:\n%s", diff)
	}
}

func TestCallsAtTheSameTimeMakeOneThing(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	identity := identityv1.NewIdentityServiceClient(s.Dial(s.Key))
	var mu sync.Mutex
	secrets := map[string]bool{}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			r, err := identity.CreateKey(keyed(t, "one"), &identityv1.CreateKeyRequest{Name: "shop", Scopes: []string{"moderation:decide"}})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			secrets[r.GetSecret()] = true
		})
	}
	wg.Wait()
	if len(secrets) != 1 {
		t.Errorf("16 calls with one key made %d API keys", len(secrets))
	}
	list, err := identity.ListKeys(keyed(t, "one"), &identityv1.ListKeysRequest{}) // reading is never answered from the store
	if err != nil {
		t.Fatal(err)
	}
	shops := 0 // besides the development key
	for _, k := range list.GetKeys() {
		if k.GetName() == "shop" {
			shops++
		}
	}
	if shops != 1 {
		t.Errorf("%d keys named shop exist", shops)
	}
}

func TestAnswersSurviveARestartAndAreSealed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	tables := dbtest.Config(t, filepath.Join(dir, "switchyard.db"))
	at := func(c *app.Config) { c.DataDir, c.DevKeyFile, c.DB = dir, dir+".key", tables }
	s := testkit.Start(t, at)
	req := &identityv1.CreateKeyRequest{Name: "shop", Scopes: []string{"moderation:decide"}}
	first, err := identityv1.NewIdentityServiceClient(s.Dial(s.Key)).CreateKey(keyed(t, "once"), req)
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	holds(t, dir, first.GetSecret())
	s = testkit.Start(t, at)
	again, err := identityv1.NewIdentityServiceClient(s.Dial(s.Key)).CreateKey(keyed(t, "once"), req)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again, protocmp.Transform()); diff != "" {
		t.Errorf("after a restart:\n%s", diff)
	}
}

func TestTheHeaderWorksOverREST(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t, func(c *app.Config) { c.Starter = true })
	post := func(key, body string) (int, map[string]any) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addresses.HTTP+"/v1/moderation/texts:moderate", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.Key)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		var out map[string]any
		data, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &out); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		return res.StatusCode, out
	}
	_, first := post("r", `{"deployment":"comments","text":"hello"}`)
	code, again := post("r", `{"text":"hello", "deployment":"comments"}`)
	if diff := cmp.Diff(first, again); diff != "" || code != http.StatusOK {
		t.Errorf("status %d:\n%s", code, diff)
	}
	if code, out := post("r", `{"deployment":"comments","text":"hello!"}`); code != http.StatusBadRequest || !strings.Contains(mustJSON(t, out), "IDEMPOTENCY_KEY_REUSED") {
		t.Errorf("another body: %d %v", code, out)
	}
	// gRPC and REST are two doors to one call.
	r, err := moderationv1.NewModerationServiceClient(s.Dial(s.Key)).ModerateText(keyed(t, "r"), text("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if id := first["decision"].(map[string]any)["decisionId"]; r.GetDecision().GetDecisionId() != id {
		t.Errorf("REST decided %v, gRPC %s", id, r.GetDecision().GetDecisionId())
	}
	if r.GetDecision().GetOutcome() == commonv1.Outcome_OUTCOME_UNSPECIFIED {
		t.Error("the replayed answer is empty")
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// holds fails the test when a file below dir holds the secret.
func holds(t *testing.T, dir, secret string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("%s holds the secret of an API key", filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
