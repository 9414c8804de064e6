package review

import (
	"context"
	"crypto/rand"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/answer"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// pollWait is how often a waiting LeaseItems looks by itself: for items that another process made.
const pollWait = time.Second

// LeaseItems takes the next items for a reviewer, and waits for the first one as long as the request says.
func (s *Service) LeaseItems(ctx context.Context, req *reviewv1.LeaseItemsRequest) (*reviewv1.LeaseItemsResponse, error) {
	p, err := who(ctx, req.GetReviewer())
	if err != nil {
		return nil, err
	}
	wait := s.hub.watch(p.project)
	defer s.hub.leave(wait)
	deadline := time.NewTimer(req.GetWait().AsDuration())
	defer deadline.Stop()
	poll := time.NewTicker(pollWait)
	defer poll.Stop()
	for {
		items, err := s.takeNext(ctx, p, req)
		if err != nil {
			return nil, err
		}
		if len(items) > 0 || req.GetWait().AsDuration() == 0 {
			return &reviewv1.LeaseItemsResponse{Items: items}, nil
		}
		select {
		case <-wait.wake:
			wait.take()
		case <-poll.C:
		case <-deadline.C:
			return &reviewv1.LeaseItemsResponse{}, nil
		case <-s.hub.closed:
			return nil, fault.ShuttingDown()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (s *Service) takeNext(ctx context.Context, p person, req *reviewv1.LeaseItemsRequest) ([]*reviewv1.ReviewItem, error) {
	// Whoever waits asks again and again: readers do not hold anybody up.
	lanes := 0
	err := s.db.View(ctx, func(tx *db.Tx) error {
		skills, err := skillsOf(tx, p, req.GetSkills())
		if err != nil {
			return err
		}
		found, err := eligible(tx, p, skills, req.GetOperation(), req.GetDeployment())
		lanes = len(found)
		return err
	})
	if err != nil || lanes == 0 {
		return nil, err
	}
	var out []*reviewv1.ReviewItem
	err = s.change(ctx, func(w *work) error {
		out = nil
		skills, err := skillsOf(w.Tx, p, req.GetSkills())
		if err != nil {
			return err
		}
		lanes, err := eligible(w.Tx, p, skills, req.GetOperation(), req.GetDeployment())
		if err != nil {
			return err
		}
		for _, l := range lanes {
			if _, err := w.queue(l.queueKey); err != nil {
				return err
			}
		}
		found, err := next(w.Tx, lanes, w.settings, w.now, max(1, int(req.GetMaxItems())))
		if err != nil {
			return err
		}
		for bytes, i := 0, 0; i < len(found) && bytes < pageBytes; i++ { // more would not fit into a message
			m, err := s.hand(w, p, found[i].id, req.GetLease())
			if err != nil {
				return err
			}
			bytes += proto.Size(m)
			out = append(out, m)
		}
		if len(out) == 0 {
			return nil
		}
		return answer.Keep(ctx, w.Tx, &reviewv1.LeaseItemsResponse{Items: out})
	})
	return out, err
}

// hand leases a waiting item, or, at the queue's share, the copy of a test item in its place.
func (s *Service) hand(w *work, p person, id string, length *durationpb.Duration) (*reviewv1.ReviewItem, error) {
	it, err := findItem(w.Tx, p.project, id)
	if err != nil {
		return nil, err
	}
	settings, err := w.queue(it.queueKey)
	if err != nil {
		return nil, err
	}
	if share := settings.GetGoldShare(); share > 0 && s.draw() < share {
		gold, err := s.takeGold(w, p, it.queueKey, settings)
		if err != nil {
			return nil, err
		}
		if gold != nil {
			it = gold
		}
	}
	if err := w.lease(it, p, leaseLength(settings, length)); err != nil {
		return nil, err
	}
	return s.message(w.Tx, it, p)
}

func leaseLength(s *reviewv1.QueueSettings, asked *durationpb.Duration) time.Duration {
	if asked != nil {
		return asked.AsDuration()
	}
	return s.GetLease().AsDuration()
}

// lease gives an item to a person.
func (w *work) lease(it *item, p person, length time.Duration) error {
	before := *it
	it.state, it.lease, it.leaseKey, it.person = leased, rand.Text(), p.key, p.name
	it.leaseFrom, it.leaseUntil = w.micros, db.Micros(w.now.Add(length))
	if err := w.save(before, it); err != nil {
		return err
	}
	return w.note(it, reviewv1.HistoryKind_HISTORY_KIND_LEASED, p.name, "")
}

// holds says whether a person's lease on the item runs.
func (it *item) holds(p person, now int64) bool {
	return it.state == leased && it.leaseKey == p.key && it.person == p.name && it.leaseUntil > now
}

// held returns the item when the person holds it under the lease, else the fault that says why not.
func (w *work) held(p person, id, lease string) (*item, error) {
	it, err := findItem(w.Tx, p.project, id)
	switch {
	case err != nil:
		return nil, err
	case it == nil:
		return nil, absent(w.Tx, p.project, id)
	case it.state >= decided:
		return nil, fault.ItemClosed(id)
	case !it.holds(p, w.micros) || it.lease != lease:
		return nil, fault.LeaseLost("review item", id)
	}
	return it, nil
}

// LeaseItem takes one named item, or prolongs the lease on it.
func (s *Service) LeaseItem(ctx context.Context, req *reviewv1.LeaseItemRequest) (*reviewv1.LeaseItemResponse, error) {
	p, err := who(ctx, req.GetReviewer())
	if err != nil {
		return nil, err
	}
	res := &reviewv1.LeaseItemResponse{}
	err = s.change(ctx, keeping(ctx, res, func(w *work) error {
		it, err := findItem(w.Tx, p.project, req.GetItemId())
		switch {
		case err != nil:
			return err
		case it == nil:
			return absent(w.Tx, p.project, req.GetItemId())
		case it.state >= decided:
			return fault.ItemClosed(it.id)
		case it.state == leased && it.leaseUntil > w.micros && !it.holds(p, w.micros), slices.Contains(it.seen, p.name):
			return fault.LeaseLost("review item", it.id)
		}
		settings, err := w.queue(it.queueKey)
		if err != nil {
			return err
		}
		length := leaseLength(settings, req.GetLease())
		if it.holds(p, w.micros) {
			err = w.extend(it, length)
		} else {
			err = w.lease(it, p, length)
		}
		if err != nil {
			return err
		}
		res.Item, err = s.message(w.Tx, it, p)
		return err
	}))
	return res, err
}

// extend lets a lease end later, or earlier.
func (w *work) extend(it *item, length time.Duration) error {
	before := *it
	it.leaseUntil = db.Micros(w.now.Add(length))
	return w.save(before, it)
}

// ExtendLease lets a lease end later.
func (s *Service) ExtendLease(ctx context.Context, req *reviewv1.ExtendLeaseRequest) (*reviewv1.ExtendLeaseResponse, error) {
	p, err := who(ctx, req.GetReviewer())
	if err != nil {
		return nil, err
	}
	res := &reviewv1.ExtendLeaseResponse{}
	err = s.change(ctx, func(w *work) error {
		it, err := w.held(p, req.GetItemId(), req.GetLeaseId())
		if err != nil {
			return err
		}
		settings, err := w.queue(it.queueKey)
		if err != nil {
			return err
		}
		err = w.extend(it, leaseLength(settings, req.GetLease()))
		res.ExpireTime = timestamppb.New(db.Time(it.leaseUntil))
		return err
	})
	return res, err
}

// ReleaseItem gives an item back without a verdict.
func (s *Service) ReleaseItem(ctx context.Context, req *reviewv1.ReleaseItemRequest) (*reviewv1.ReleaseItemResponse, error) {
	p, err := who(ctx, req.GetReviewer())
	if err != nil {
		return nil, err
	}
	err = s.change(ctx, func(w *work) error {
		it, err := findItem(w.Tx, p.project, req.GetItemId())
		switch {
		case err != nil:
			return err
		case it == nil:
			return absent(w.Tx, p.project, req.GetItemId())
		case it.state == open && it.person == p.name, it.gold != "" && it.state == withdrawn && it.person == p.name:
			return nil // released already
		case !it.holds(p, w.micros) || it.lease != req.GetLeaseId():
			return fault.LeaseLost("review item", it.id)
		}
		return w.giveBack(it, reviewv1.HistoryKind_HISTORY_KIND_RELEASED)
	})
	return &reviewv1.ReleaseItemResponse{}, err
}

// giveBack lets a leased item wait again. The copy of a test item was made for one person: it goes.
func (w *work) giveBack(it *item, why reviewv1.HistoryKind) error {
	before := *it
	it.state = open
	if it.gold != "" {
		it.state, it.closed = withdrawn, w.micros
	}
	it.clearLease()
	if err := w.place(it); err != nil {
		return err
	}
	if err := w.save(before, it); err != nil {
		return err
	}
	return w.note(it, why, it.person, "")
}
