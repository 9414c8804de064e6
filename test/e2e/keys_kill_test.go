package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
)

// TestAKeyThatWasMadeIsToldAlsoAfterAKill makes API keys under idempotency keys and kills the server meanwhile. What was not answered is asked again: every call has made
// one key, and its secret is known to whoever asked.
func TestAKeyThatWasMadeIsToldAlsoAfterAKill(t *testing.T) {
	t.Parallel()
	kills := 6
	if testing.Short() {
		kills = 2
	}
	dir := filepath.Join(t.TempDir(), "data")
	var mu sync.Mutex
	secrets := map[string]string{} // by the name of the key; "" while nobody was answered
	make1 := func(ctx context.Context, c identityv1.IdentityServiceClient, name string) (string, error) {
		r, err := c.CreateKey(withKey(ctx, name), &identityv1.CreateKeyRequest{Name: name, Scopes: []string{"routing:decide"}})
		return r.GetSecret(), err
	}
	var n atomic.Int64
	for range kills {
		s := startIn(t, dir)
		client := identityv1.NewIdentityServiceClient(dial(t, s, s.Key))
		l := startLoad(t.Context(), 4, func(ctx context.Context, _ int) {
			name := fmt.Sprintf("key-%d", n.Add(1))
			mu.Lock()
			secrets[name] = ""
			mu.Unlock()
			if secret, err := make1(ctx, client, name); err == nil {
				mu.Lock()
				secrets[name] = secret
				mu.Unlock()
			}
			time.Sleep(5 * time.Millisecond)
		})
		eventually(t, "calls are answered", 20*time.Second, func() bool { return l.calls.Load() > 10 })
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		l.end()
	}
	s := startIn(t, dir)
	client := identityv1.NewIdentityServiceClient(dial(t, s, s.Key))
	made := map[string]int{}
	req := &identityv1.ListKeysRequest{Page: &commonv1.PageRequest{Size: 500}}
	list := func() {
		clear(made)
		for req.Page.Token = ""; ; {
			r, err := client.ListKeys(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range r.GetKeys() {
				made[k.GetName()]++
			}
			if req.Page.Token = r.GetPage().GetNextToken(); req.Page.Token == "" {
				return
			}
		}
	}
	list()
	unanswered, unknown := 0, 0
	for name, before := range secrets {
		secret, err := make1(t.Context(), client, name)
		if err != nil {
			t.Fatalf("repeat %s: %v", name, err)
		}
		if before == "" {
			unanswered++
			unknown += made[name]
		} else if secret != before {
			t.Errorf("%s has another secret when its call is repeated", name)
		}
		if _, err := identityv1.NewIdentityServiceClient(dial(t, s, secret)).GetCaller(t.Context(), &identityv1.GetCallerRequest{}); err != nil {
			t.Errorf("the secret of %s does not work: %v", name, err)
		}
	}
	list()
	for name := range secrets {
		if made[name] != 1 {
			t.Errorf("there are %d keys %s", made[name], name)
		}
	}
	t.Logf("%d kills, %d keys, %d calls unanswered, of which %d had made their key", kills, len(secrets), unanswered, unknown)
	if unanswered == 0 {
		t.Error("no kill met a call: this proves nothing")
	}
	stop(t, s)
}
