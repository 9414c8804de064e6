package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

const (
	// undoWindow is real time: a slip is taken back at once, but the machine may be busy.
	undoWindow = 500 * time.Millisecond
	// patience is how long an idle person waits for an item before looking at the clock; real time.
	patience = 150 * time.Millisecond
	// atOnce is how many items a person takes together.
	atOnce = 2
	// leaseTime is simulated, leastLease real: no lease is shorter than a second.
	leaseTime  = 15 * time.Minute
	leastLease = 1200 * time.Millisecond
	// dueAfter is the time in which an inquiry should be answered, simulated.
	dueAfter = 4 * time.Hour
)

// lease is how long an item stays with the person who took it, in real time.
func (w *World) lease() time.Duration { return max(leastLease, w.Clock.Real(leaseTime)) }

// work lets a person work through the shifts of a day, and then with all the others until nothing waits any more.
func (w *World) work(ctx context.Context, r *reviewer, day time.Time, drained <-chan struct{}) error {
	for _, s := range r.Shifts {
		if err := w.Clock.Until(ctx, at(day, s.From)); err != nil {
			return err
		}
		end := at(day, s.To)
		if err := w.workUntil(ctx, r, func() bool { return w.Clock.Now().Before(end) }); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
	}
	if err := w.Clock.Until(ctx, at(day, dayEnd)); err != nil {
		return err
	}
	err := w.workUntil(ctx, r, func() bool {
		select {
		case <-drained:
			return false
		default:
			return true
		}
	})
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name, err)
	}
	return nil
}

func (w *World) workUntil(ctx context.Context, r *reviewer, on func() bool) error {
	for on() {
		got, err := r.key.LeaseItems(ctx, &reviewv1.LeaseItemsRequest{
			Reviewer: r.Name, Operation: operation, Deployment: deployment, MaxItems: atOnce, Wait: durationpb.New(patience),
		})
		if err != nil {
			return fmt.Errorf("lease items: %w", err)
		}
		for _, it := range got.GetItems() {
			if on() {
				err = w.judge(ctx, r, it)
			} else { // the shift is over: somebody else will do it
				err = r.release(ctx, it)
			}
			if err != nil {
				return fmt.Errorf("item %s: %w", it.GetItemId(), err)
			}
		}
	}
	return nil
}

func (r *reviewer) release(ctx context.Context, it *reviewv1.ReviewItem) error {
	_, err := r.key.ReleaseItem(ctx, &reviewv1.ReleaseItemRequest{ItemId: it.GetItemId(), Reviewer: r.Name, LeaseId: it.GetLease().GetLeaseId()})
	if lost(err) {
		return nil
	}
	r.record.returned++
	return err
}

// judge is a person with an item: reads it, perhaps asks for more time, answers, perhaps takes the answer back.
func (w *World) judge(ctx context.Context, r *reviewer, it *reviewv1.ReviewItem) error {
	truth, ok := w.truth[it.GetContentId()]
	if !ok {
		return fmt.Errorf("nobody sent %q", it.GetContentId())
	}
	if r.sinceLeft++; r.sinceLeft == r.Leaves {
		r.sinceLeft = 0
		return w.leave(ctx, r, it, truth)
	}
	spent := r.seconds()
	if err := w.read(ctx, r, it, spent); err != nil {
		return ignoreLost(err)
	}
	answer := r.answer(it, truth)
	answer.TimeSpent = durationpb.New(spent)
	if !answer.GetNotSure() && r.rng.Float64() < r.Slip {
		if err := r.slip(ctx, it, truth); err != nil {
			return ignoreLost(err)
		}
	}
	return ignoreLost(r.submit(ctx, it, answer, truth))
}

// read takes the time; whoever needs more than half a lease says so.
func (w *World) read(ctx context.Context, r *reviewer, it *reviewv1.ReviewItem, spent time.Duration) error {
	rest := w.Clock.Real(spent)
	if left := time.Until(it.GetLease().GetExpireTime().AsTime()); rest > left/2 {
		if err := sleep(ctx, left/4); err != nil {
			return err
		}
		rest -= left / 4
		_, err := r.key.ExtendLease(ctx, &reviewv1.ExtendLeaseRequest{
			ItemId: it.GetItemId(), Reviewer: r.Name, LeaseId: it.GetLease().GetLeaseId(), Lease: durationpb.New(w.lease() + rest),
		})
		if err != nil {
			return err
		}
		r.record.extended++
	}
	return sleep(ctx, rest)
}

func (r *reviewer) submit(ctx context.Context, it *reviewv1.ReviewItem, a *reviewv1.Answer, truth string) error {
	v, err := r.say(ctx, it, a)
	if err != nil {
		return err
	}
	r.note(v, a, truth)
	return nil
}

func (r *reviewer) say(ctx context.Context, it *reviewv1.ReviewItem, a *reviewv1.Answer) (*reviewv1.Verdict, error) {
	v, err := r.key.SubmitVerdict(ctx, &reviewv1.SubmitVerdictRequest{ItemId: it.GetItemId(), Reviewer: r.Name, LeaseId: it.GetLease().GetLeaseId(), Answer: a})
	return v.GetVerdict(), err
}

// note remembers what a person answered.
func (r *reviewer) note(v *reviewv1.Verdict, a *reviewv1.Answer, truth string) {
	r.record.spent += a.GetTimeSpent().AsDuration()
	switch {
	case a.GetNotSure():
		r.record.notSure++
	case v.GetBlind():
		r.record.answers++
		if !right(a, truth) {
			r.record.wrong++
		}
	}
}

// slip answers wrongly and takes it back at once; the item is then leased to the person again.
func (r *reviewer) slip(ctx context.Context, it *reviewv1.ReviewItem, truth string) error {
	_, err := r.key.SubmitVerdict(ctx, &reviewv1.SubmitVerdictRequest{
		ItemId: it.GetItemId(), Reviewer: r.Name, LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{r.mistake(it, truth)}},
	})
	if err != nil {
		return err
	}
	back, err := r.key.UndoVerdict(ctx, &reviewv1.UndoVerdictRequest{ItemId: it.GetItemId(), Reviewer: r.Name})
	if reason(err) == "ITEM_CLOSED" { // too late: the machine was busy. The slip counts
		r.record.answers, r.record.wrong = r.record.answers+1, r.record.wrong+1
		return errLate
	}
	if err != nil {
		return err
	}
	it.Lease = back.GetItem().GetLease()
	r.record.undone++
	return nil
}

// errLate says that a slip could not be taken back.
var errLate = errors.New("the undo window has passed")

// leave lets the lease end. The answer that comes then is refused: somebody else may have the item.
func (w *World) leave(ctx context.Context, r *reviewer, it *reviewv1.ReviewItem, truth string) error {
	if err := sleep(ctx, time.Until(it.GetLease().GetExpireTime().AsTime())+500*time.Millisecond); err != nil {
		return err
	}
	r.record.expired++
	err := r.submit(ctx, it, &reviewv1.Answer{Labels: []string{truth}}, truth)
	if err == nil {
		return errors.New("an answer was taken although its lease had ended")
	}
	return ignoreLost(err)
}

// lost says whether an error only means that the item is not this person's any more, as happens to people who take long.
func lost(err error) bool {
	r := reason(err)
	return r == "LEASE_LOST" || r == "ITEM_CLOSED"
}

func ignoreLost(err error) error {
	if lost(err) || errors.Is(err, errLate) {
		return nil
	}
	return err
}

// reason returns the reason of an error as every client reads it; empty for none.
func reason(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
