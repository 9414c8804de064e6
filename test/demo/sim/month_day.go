package sim

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// day lets the inquiries of a day arrive, people work until nothing waits, and the night pass.
func (m *Month) day(ctx context.Context, day int) error {
	tickets := m.stream[:m.o.PerDay]
	m.stream = m.stream[m.o.PerDay:]
	for i := range tickets {
		if m.o.DriftDay > 0 && day >= m.o.DriftDay {
			tickets[i].Label = m.swapped(tickets[i].Label)
		}
		m.w.truth[tickets[i].ID] = tickets[i].Label // nobody works yet
	}
	d := summary.MonthDay{Day: day}
	before := m.total()
	closed, err := m.work(ctx, tickets)
	if err != nil {
		return err
	}
	after := m.total()
	d.Inquiries, d.Automated = after.Inquiries-before.Inquiries, after.Automated-before.Automated
	d.Wrong, d.Audits = after.Wrong-before.Wrong, after.Audits-before.Audits
	for _, before := range m.report.Days {
		d.Answers -= before.Answers
	}
	d.Answers += closed
	if err := m.evening(ctx, &d); err != nil {
		return err
	}
	if err := m.night(ctx, &d, closed); err != nil {
		return err
	}
	m.report.Days = append(m.report.Days, d)
	m.o.Tick(d)
	if m.after == nil {
		return nil
	}
	return m.after(ctx, day)
}

func (m *Month) swapped(label string) string {
	switch label {
	case m.o.Swapped[0]:
		return m.o.Swapped[1]
	case m.o.Swapped[1]:
		return m.o.Swapped[0]
	}
	return label
}

// total sums up what the help desk was told.
func (m *Month) total() (sum summary.MonthDay) {
	m.w.desk.mu.Lock()
	defer m.w.desk.mu.Unlock()
	for _, made := range m.w.desk.made {
		sum.Inquiries++
		if !made.automated {
			continue
		}
		sum.Automated++
		if made.audit {
			sum.Audits++
		}
		if !made.right() {
			sum.Wrong++
		}
	}
	return sum
}

// work sends inquiries while people answer, until nothing waits, and returns how many items are closed since the first day.
func (m *Month) work(ctx context.Context, tickets []Ticket) (closed int64, err error) {
	g, ctx := errgroup.WithContext(ctx)
	open, evening := context.WithCancel(ctx)
	defer evening()
	for _, r := range m.w.people {
		g.Go(func() error {
			for open.Err() == nil {
				if err := m.answer(ctx, open, r); err != nil {
					return fmt.Errorf("%s: %w", r.Name, err)
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer evening() // nothing waits then, so nobody who is waiting for work misses any
		if err := m.send(ctx, tickets); err != nil {
			return err
		}
		closed, err = m.drain(ctx)
		return err
	})
	return closed, g.Wait()
}

func (m *Month) send(ctx context.Context, tickets []Ticket) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2 * callers) // no clock is simulated: what is under way together shares the writes to the disk
	for _, t := range tickets {
		rest := m.w.rng.Float64() < overREST
		g.Go(func() error {
			if _, _, err := m.w.desk.ask(ctx, t, rest, false); err != nil {
				return fmt.Errorf("route %s: %w", t.ID, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// answer lets a person take some items and answer them, all at once: how long that takes is told, not waited. Waiting for work ends with open.
func (m *Month) answer(ctx, open context.Context, r *reviewer) error {
	got, err := r.key.LeaseItems(open, &reviewv1.LeaseItemsRequest{
		Reviewer: r.Name, Operation: operation, Deployment: deployment, MaxItems: 10, Wait: durationpb.New(time.Second),
	})
	if err != nil {
		if open.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("lease items: %w", err)
	}
	items := got.GetItems()
	verdicts, answers := make([]*reviewv1.Verdict, len(items)), make([]*reviewv1.Answer, len(items))
	g, said := errgroup.WithContext(ctx)
	for i, it := range items {
		truth, ok := m.w.truth[it.GetContentId()]
		if !ok {
			return fmt.Errorf("nobody sent %q", it.GetContentId())
		}
		a := r.answer(it, truth)
		a.TimeSpent = durationpb.New(r.seconds())
		answers[i] = a
		g.Go(func() (err error) {
			if verdicts[i], err = r.say(said, it, a); ignoreLost(err) != nil {
				return fmt.Errorf("item %s: %w", it.GetItemId(), err)
			}
			return nil
		})
	}
	err = g.Wait()
	for i, v := range verdicts {
		if v != nil {
			r.note(v, answers[i], m.w.truth[items[i].GetContentId()])
		}
	}
	return err
}

// drain waits until every decision that a person had to look at is closed.
func (m *Month) drain(ctx context.Context) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	for {
		q, err := m.review.GetQueue(ctx, &reviewv1.GetQueueRequest{Operation: operation, Deployment: deployment})
		if err != nil {
			return 0, fmt.Errorf("wait for the end of the queue: %w", err)
		}
		answered, automated, audits := m.w.desk.counts()
		c := q.GetQueue().GetCounts()
		if c.GetOpen()+c.GetLeased()+c.GetDecided() == 0 && c.GetClosed() >= int64(answered-automated+audits) {
			return c.GetClosed(), nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return 0, fmt.Errorf("the queue is not worked off after %v: %v", drainTimeout, c)
		}
	}
}
