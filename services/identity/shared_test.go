package identity_test

import (
	"sync"
	"testing"
	"time"

	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	"github.com/switchyard-ai/switchyard/services/identity"
)

// eventually waits until a call with the key is answered with that reason; empty for success.
func (h *house) eventually(t *testing.T, what, key, want string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		_, err := h.GetCaller(with(t.Context(), key), &identityv1.GetCallerRequest{})
		if reason(err) == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: reason %q, want %q", what, reason(err), want)
		}
	}
}

// TestAnotherProcessFollowsKeys runs two services on the same database, as two processes do.
func TestAnotherProcessFollowsKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	here := start(t, dir)
	there := start(t, dir) // finds the development key when it starts
	there.eventually(t, "the development key", here.devKey, "")
	made := here.mustCreate(t, here.devKey, &identityv1.CreateKeyRequest{Name: "web", Scopes: []string{"*"}})
	there.eventually(t, "a new key", made.GetSecret(), "")
	if _, err := here.RevokeKey(with(t.Context(), here.devKey), &identityv1.RevokeKeyRequest{KeyId: made.GetKey().GetKeyId()}); err != nil {
		t.Fatal(err)
	}
	there.eventually(t, "a revoked key", made.GetSecret(), "KEY_REVOKED")

	project, err := there.CreateProject(with(t.Context(), here.devKey), &identityv1.CreateProjectRequest{Name: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	here.eventually(t, "the key of a new project", project.GetSecret(), "")
}

// TestQuotaHoldsOverProcesses lets two services on the same database make keys at once.
func TestQuotaHoldsOverProcesses(t *testing.T) {
	t.Parallel()
	const quota = 10
	dir := t.TempDir()
	limit := func(c *identity.Config) { c.MaxValidKeys = quota }
	here := start(t, dir, limit)
	there := start(t, dir, limit)
	var mu sync.Mutex
	var wg sync.WaitGroup
	made := 1 // the development key
	for _, h := range []*house{here, there} {
		for range 4 {
			wg.Go(func() {
				for range 4 {
					_, err := h.CreateKey(with(t.Context(), here.devKey), &identityv1.CreateKeyRequest{Name: "k", Scopes: []string{"*"}})
					mu.Lock()
					switch reason(err) {
					case "":
						made++
					case "QUOTA_EXCEEDED":
					default:
						t.Errorf("create: %v", err)
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if made != quota {
		t.Errorf("%d valid keys, the quota is %d", made, quota)
	}
}
