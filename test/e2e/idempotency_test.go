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

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/journal"
)

// TestARepeatedCallIsOneDecisionAlsoAfterAKill sends calls with idempotency keys, kills the server among them, and repeats every call afterwards: what
// was answered is answered alike, and no key has led to two decisions, also where the kill fell between the decision and its answer.
func TestARepeatedCallIsOneDecisionAlsoAfterAKill(t *testing.T) {
	t.Parallel()
	kills := 12
	if testing.Short() {
		kills = 3
	}
	dir := filepath.Join(t.TempDir(), "data")
	var mu sync.Mutex
	answered := map[string]string{} // key → decision id; "" while nobody was answered
	ask := func(ctx context.Context, client routingv1.RoutingServiceClient, key string) (string, error) {
		ctx = metadata.AppendToOutgoingContext(ctx, "idempotency-key", key)
		r, err := client.RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: "support", Body: "my printer does not work: " + key})
		return r.GetDecision().GetDecisionId(), err
	}
	var n atomic.Int64
	for range kills {
		s := startIn(t, dir)
		client := routingv1.NewRoutingServiceClient(dial(t, s, s.Key))
		l := startLoad(t.Context(), 8, func(ctx context.Context, _ int) {
			key := fmt.Sprintf("key-%d", n.Add(1))
			mu.Lock()
			answered[key] = ""
			mu.Unlock()
			if id, err := ask(ctx, client, key); err == nil {
				mu.Lock()
				answered[key] = id
				mu.Unlock()
			}
		})
		eventually(t, "calls are answered", 20*time.Second, func() bool { return l.calls.Load() > 20 })
		time.Sleep(time.Duration(10+rand.IntN(150)) * time.Millisecond) // where in its work the kill meets the server is left to chance
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		l.end()
	}

	s := startIn(t, dir)
	client := routingv1.NewRoutingServiceClient(dial(t, s, s.Key))
	unanswered := 0
	ids := map[string]string{}
	for key, before := range answered {
		id, err := ask(t.Context(), client, key)
		if err != nil {
			t.Fatalf("repeat %s: %v", key, err)
		}
		if before == "" {
			unanswered++
		} else if id != before {
			t.Errorf("%s was decided as %s and is %s when it is repeated", key, before, id)
		}
		ids[key] = id
	}
	stop(t, s)
	for key, made := range decisionsByKey(t, dir) {
		if len(made) != 1 || !made[ids[key]] {
			t.Errorf("%s has decisions %v, was answered %s", key, made, ids[key])
		}
	}
	t.Logf("%d kills, %d keys, %d of them unanswered before they were repeated", kills, len(answered), unanswered)
	if len(answered) == 0 || unanswered == 0 {
		t.Error("no kill met a call: this proves nothing")
	}
}

// decisionsByKey returns the decisions that a stopped server's journal still holds, by idempotency key.
func decisionsByKey(t *testing.T, dir string) map[string]map[string]bool {
	t.Helper()
	j := openJournal(t, dir)
	defer func() { _ = j.Close() }()
	made := map[string]map[string]bool{}
	if err := j.Read(t.Context(), 0, func(e journal.Entry) error {
		r := &commonv1.DecisionRecord{}
		if err := proto.Unmarshal(e.Data, r); err != nil {
			return err
		}
		key := r.GetIdempotencyKey()
		if made[key] == nil {
			made[key] = map[string]bool{}
		}
		made[key][r.GetDecision().GetDecisionId()] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(made) == 0 {
		t.Fatal("the journal holds nothing to look at")
	}
	return made
}
