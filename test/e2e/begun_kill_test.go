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

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// TestACallThatAKillCutOffIsAnsweredAsItsRecordSays kills the server while calls with idempotency keys are answered by versions that change all the time. Afterwards a third version answers, and what
// was not answered is asked again: the answer is what was recorded then, where anything was.
func TestACallThatAKillCutOffIsAnsweredAsItsRecordSays(t *testing.T) {
	t.Parallel()
	kills := 6
	if testing.Short() {
		kills = 2
	}
	dir := filepath.Join(t.TempDir(), "data")
	var mu sync.Mutex
	answers := map[string]*commonv1.Decision{} // by key; nil while nobody was answered
	ask := func(ctx context.Context, c routingv1.RoutingServiceClient, key string) (*commonv1.Decision, error) {
		r, err := c.RouteInquiry(withKey(ctx, key), &routingv1.RouteInquiryRequest{Deployment: "support", Body: "my invoice shows a refund, the login is locked " + key})
		return r.GetDecision(), err
	}
	deploy := func(ctx context.Context, c modelsv1.ModelServiceClient, version int32) error {
		_, err := c.Deploy(ctx, &modelsv1.DeployRequest{Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Model: "support", Version: version})
		return err
	}
	var n atomic.Int64
	for round := range kills {
		s := startIn(t, dir)
		conn := dial(t, s, s.Key)
		models := modelsv1.NewModelServiceClient(conn)
		if round == 0 {
			testkit.Register(t, conn, "support", testkit.Support, true)
			testkit.Register(t, conn, "support", testkit.SupportAnew, true)
			testkit.Deploy(t, conn, "support", testkit.Support, false)
		}
		client := routingv1.NewRoutingServiceClient(conn)
		l := startLoad(t.Context(), 6, func(ctx context.Context, worker int) {
			if worker == 0 {
				_ = deploy(ctx, models, 1+rand.Int32N(2))
				return
			}
			key := fmt.Sprintf("call-%d", n.Add(1))
			mu.Lock()
			answers[key] = nil
			mu.Unlock()
			if d, err := ask(ctx, client, key); err == nil {
				mu.Lock()
				answers[key] = d
				mu.Unlock()
			}
		})
		eventually(t, "calls are answered", 30*time.Second, func() bool { return l.calls.Load() > 30 })
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		l.end()
	}
	began := time.Now()
	s := startIn(t, dir)
	conn := dial(t, s, s.Key)
	if err := deploy(t.Context(), modelsv1.NewModelServiceClient(conn), 3); err != nil {
		t.Fatal(err)
	}
	client, reader := routingv1.NewRoutingServiceClient(conn), decisionsv1.NewDecisionServiceClient(conn)
	unanswered, recorded := 0, 0
	for key, before := range answers {
		var got *commonv1.Decision
		eventually(t, key+" is answered", 30*time.Second, func() bool { // the stream may not be there yet
			var err error
			got, err = ask(t.Context(), client, key)
			return err == nil
		})
		if before != nil {
			if !proto.Equal(before, got) {
				t.Errorf("%s was answered\n%v\nand is answered\n%v", key, before, got)
			}
			continue
		}
		unanswered++
		r, err := reader.GetDecision(t.Context(), &decisionsv1.GetDecisionRequest{DecisionId: got.GetDecisionId()})
		if err != nil || !proto.Equal(r.GetRecord().GetDecision(), got) {
			t.Errorf("%s is answered\n%v\nand recorded\n%v %v", key, got, r.GetRecord().GetDecision(), err)
		}
		switch cut := got.GetTime().AsTime().Before(began); {
		case cut:
			recorded++
		case got.GetModel().GetVersion() != 3:
			t.Errorf("%s is a new call, and version %d answers", key, got.GetModel().GetVersion())
		}
	}
	t.Logf("%d kills, %d calls, %d unanswered, of which %d were recorded", kills, len(answers), unanswered, recorded)
	if unanswered == 0 {
		t.Error("no kill met a call: this proves nothing")
	}
	stop(t, s)
}
