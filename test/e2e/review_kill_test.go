package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// said is what people were told that had been recorded.
type said struct {
	mu        sync.Mutex
	undecided map[string]bool   // decisions that were left to people
	verdicts  map[string]string // verdict ids by item
	feedback  map[string]bool
}

func (s *said) count() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.verdicts) }

// TestKillUnderReview kills the server again and again while inquiries come in and people judge them, and then looks for everything that was acknowledged: each
// undecided inquiry is an item, each verdict holds, and each verdict and feedback is on the bus exactly once.
func TestKillUnderReview(t *testing.T) {
	t.Parallel()
	kills := 8
	if testing.Short() {
		kills = 3
	}
	dir := filepath.Join(t.TempDir(), "data")
	all := &said{undecided: map[string]bool{}, verdicts: map[string]string{}, feedback: map[string]bool{}}
	for range kills {
		s := startIn(t, dir)
		before := all.count()
		l := all.load(t, s)
		eventually(t, "verdicts are acknowledged", 30*time.Second, func() bool { return all.count() > before+10 })
		time.Sleep(time.Duration(20+rand.IntN(250)) * time.Millisecond)
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		l.end()
	}
	s := startIn(t, dir)
	review := reviewv1.NewReviewServiceClient(dial(t, s, s.Key))
	for id := range all.undecided {
		eventually(t, "decision "+id+" is an item", 30*time.Second, func() bool {
			_, err := review.GetItem(t.Context(), &reviewv1.GetItemRequest{ItemId: id})
			return err == nil
		})
	}
	lost := 0
	for id, verdict := range all.verdicts {
		r, err := review.GetItem(t.Context(), &reviewv1.GetItemRequest{ItemId: id})
		if err != nil || r.GetItem().GetState() != reviewv1.ItemState_ITEM_STATE_CLOSED || r.GetItem().GetVerdict().GetVerdictId() != verdict || len(r.GetVerdicts()) != 1 {
			lost++
		}
	}
	stop(t, s) // sends what is left
	streamed := sentByReview(t, dir)
	missing, twice := 0, 0
	for _, verdict := range all.verdicts {
		if streamed["verdicts|"+verdict] == 0 {
			missing++
		}
	}
	for id := range all.feedback {
		if streamed["feedback|"+id] == 0 {
			missing++
		}
	}
	for _, n := range streamed {
		if n > 1 {
			twice++
		}
	}
	t.Logf("%d kills, %d undecided, %d verdicts and %d feedback acknowledged, %d verdicts lost, %d events missing, %d twice",
		kills, len(all.undecided), len(all.verdicts), len(all.feedback), lost, missing, twice)
	if lost > 0 || missing > 0 || twice > 0 {
		t.Fail()
	}
}

// load lets two callers ask, three people judge, and one application send feedback.
func (s *said) load(t *testing.T, server *process.Server) *load {
	t.Helper()
	conn := dial(t, server, server.Key)
	routing, review := routingv1.NewRoutingServiceClient(conn), reviewv1.NewReviewServiceClient(conn)
	const op = commonv1.Operation_OPERATION_ROUTING
	eventually(t, "the queue can be set up", 20*time.Second, func() bool {
		_, err := review.UpdateQueue(t.Context(), &reviewv1.UpdateQueueRequest{
			Operation: op, Deployment: "support", Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)},
		})
		return err == nil
	})
	return startLoad(t.Context(), 6, func(ctx context.Context, caller int) {
		if caller < 2 {
			r, err := routing.RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: "support", Body: fmt.Sprint("my printer does not work ", rand.Int())})
			if err == nil && r.GetDecision().GetOutcome() == commonv1.Outcome_OUTCOME_REVIEW {
				s.mu.Lock()
				s.undecided[r.GetDecision().GetDecisionId()] = true
				s.mu.Unlock()
			}
			time.Sleep(2 * time.Millisecond) // people are slower than machines; the queue need not grow without end
			return
		}
		name := fmt.Sprint("person", caller)
		items, err := review.LeaseItems(ctx, &reviewv1.LeaseItemsRequest{Reviewer: name, MaxItems: 3, Operation: op, Deployment: "support", Wait: durationpb.New(100 * time.Millisecond)})
		if err != nil {
			return
		}
		for _, it := range items.GetItems() {
			v, err := review.SubmitVerdict(ctx, &reviewv1.SubmitVerdictRequest{
				ItemId: it.GetItemId(), Reviewer: name, LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: it.GetSuggestedLabels()},
			})
			if err != nil {
				continue
			}
			s.mu.Lock()
			s.verdicts[it.GetItemId()] = v.GetVerdict().GetVerdictId()
			s.mu.Unlock()
			if caller != 2 {
				continue
			}
			id := fmt.Sprint("f-", it.GetItemId())
			_, err = review.SubmitFeedback(ctx, &reviewv1.SubmitFeedbackRequest{FeedbackId: id, DecisionId: it.GetItemId(), Labels: it.GetSuggestedLabels()})
			if err == nil {
				s.mu.Lock()
				s.feedback[id] = true
				s.mu.Unlock()
			}
		}
	})
}

// sentByReview returns how often the bus of a stopped server holds each event of the review queue, by kind and id.
func sentByReview(t *testing.T, dir string) map[string]int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b, err := bus.New(filepath.Join(dir, "events"), bus.Default(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if err := errors.Join(b.Start(ctx), b.WaitReady(ctx)); err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, kind := range []string{"verdicts", "feedback"} {
		err := b.Read(ctx, bus.Position{}, []string{"switchyard.*." + kind}, func(d bus.Delivery) error {
			_, id, _ := strings.Cut(d.ID, "|") // after the source
			out[kind+"|"+id]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}
