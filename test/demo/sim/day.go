package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// Times of a day, in hours since midnight.
const (
	dayBegins = 6.5 // the backlog of the night is handed over
	deskOpens = 8
	dayEnd    = 18 // who reviews stays until nothing waits
)

// drainTimeout is how long the team may take to finish after the day, in real time.
const drainTimeout = 2 * time.Minute

// Day plays one day: night inquiries as one job before the desk opens, the others as they come. It returns when nothing waits in the queue any more.
func (w *World) Day(day time.Time, night, inquiries int) error {
	tickets, err := w.stream.Take(night + inquiries)
	if err != nil {
		return err
	}
	for _, t := range tickets {
		w.truth[t.ID] = t.Label
	}
	w.mu.Lock()
	w.today = day
	w.mu.Unlock()
	w.Clock.StartAt(at(day, dayBegins))
	g, ctx := errgroup.WithContext(w.ctx)
	answered := func(id string, m *made) { g.Go(func() error { return w.hear(ctx, id, m) }) }
	drained := make(chan struct{})
	for _, r := range w.people {
		g.Go(func() error { return w.work(ctx, r, day, drained) })
	}
	g.Go(func() error {
		undecided, err := w.backlog(ctx, tickets[:night], answered)
		if err != nil {
			return err
		}
		if err := w.whenQueued(ctx, undecided); err != nil {
			return err
		}
		w.gold += min(goldFromBacklog, len(undecided))
		return w.setGold(ctx, undecided)
	})
	g.Go(func() error { return w.serve(ctx, day, tickets[night:], answered) })
	g.Go(func() error {
		if err := w.tell(ctx, day); err != nil {
			return err
		}
		defer close(drained)
		return w.drain(ctx)
	})
	if err := g.Wait(); err != nil {
		if cause := context.Cause(w.ctx); cause != nil { // what runs beside the day has failed
			return errors.Join(cause, err)
		}
		return err
	}
	return nil
}

// whenQueued waits until decisions are items, which they are some milliseconds after their answers.
func (w *World) whenQueued(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	lead := reviewv1.NewReviewServiceClient(w.lead)
	for last := ids[min(goldFromBacklog, len(ids))-1]; ; {
		_, err := lead.GetItem(ctx, &reviewv1.GetItemRequest{ItemId: last})
		if reason(err) != "NOT_FOUND" {
			return err
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// tell records and tells the state of the day twice an hour.
func (w *World) tell(ctx context.Context, day time.Time) error {
	for h := dayBegins; h <= dayEnd; h += 0.5 {
		if err := w.Clock.Until(ctx, at(day, h)); err != nil {
			return err
		}
		if _, err := w.look(ctx); err != nil {
			return err
		}
	}
	return nil
}

// look asks the product how the queue is, and records it.
func (w *World) look(ctx context.Context) (*reviewv1.QueueCounts, error) {
	q, err := reviewv1.NewReviewServiceClient(w.lead).GetQueue(ctx, &reviewv1.GetQueueRequest{Operation: operation, Deployment: deployment})
	if err != nil {
		return nil, fmt.Errorf("read the queue: %w", err)
	}
	counts := q.GetQueue().GetCounts()
	h := summary.Hour{Time: w.Clock.Now(), Closed: counts.GetClosed(), Waiting: counts.GetOpen() + counts.GetLeased()}
	h.Inquiries, h.Automated, h.Audits = w.desk.counts()
	if t := q.GetQueue().GetOldestOpenTime(); t != nil {
		h.Oldest = w.Clock.Simulated(time.Since(t.AsTime())).Seconds()
	}
	w.mu.Lock()
	w.hours = append(w.hours, h)
	w.mu.Unlock()
	if w.o.Tick != nil {
		w.o.Tick(h)
	}
	return counts, nil
}

// drain waits until every decision that a person had to look at is closed, and nobody can appeal any more: whoever follows has seen all verdicts.
func (w *World) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	review := reviewv1.NewReviewServiceClient(w.lead)
	seen := int64(-1) // verdicts that were acted on before the queue was looked at
	for {
		q, err := review.GetQueue(ctx, &reviewv1.GetQueueRequest{Operation: operation, Deployment: deployment})
		if err != nil {
			return fmt.Errorf("wait for the end of the queue: %w", err)
		}
		answered, automated, audits := w.desk.counts()
		c := q.GetQueue().GetCounts()
		if c.GetOpen()+c.GetLeased()+c.GetDecided() == 0 && c.GetClosed() >= int64(answered-automated+audits) {
			stats, err := review.GetQueueStats(ctx, &reviewv1.GetQueueStatsRequest{Operation: operation, Deployment: deployment, Since: timestamppb.New(w.started)})
			if err != nil {
				return fmt.Errorf("wait for the end of the queue: %w", err)
			}
			if seen >= stats.GetVerdicts() {
				_, err := w.look(ctx)
				return err
			}
		}
		seen = w.events.actedOn()
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("the queue is not worked off after %v: %v", drainTimeout, c)
		}
	}
}
