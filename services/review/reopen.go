package review

import (
	"context"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// edit changes one item of the caller's project and returns it as it is then. Copies of test items do not exist for those who edit.
func (s *Service) edit(ctx context.Context, reviewer, id string, change func(w *work, it *item, p person) error) (*reviewv1.ReviewItem, error) {
	p, err := who(ctx, reviewer)
	if err != nil {
		return nil, err
	}
	var m *reviewv1.ReviewItem
	err = s.change(ctx, func(w *work) error {
		it, err := findItem(w.Tx, p.project, id)
		switch {
		case err != nil:
			return err
		case it == nil:
			return absent(w.Tx, p.project, id)
		case it.gold != "":
			return fault.NotFound("review item", id)
		}
		if err := change(w, it, p); err != nil {
			return err
		}
		m, err = s.message(w.Tx, it, p)
		return err
	})
	return m, err
}

// ReopenItem opens a closed item again. It comes with a new age and due time; those who judged it before are excluded by what the item has noted of them.
// A decision that was never an item becomes one.
func (s *Service) ReopenItem(ctx context.Context, req *reviewv1.ReopenItemRequest) (*reviewv1.ReopenItemResponse, error) {
	p, err := who(ctx, req.GetReviewer())
	if err != nil {
		return nil, err
	}
	// Before the transaction: the decision may have to be asked for elsewhere.
	r, isItem, err := s.recordOf(ctx, p.project, req.GetItemId())
	if err != nil {
		return nil, err
	}
	note := noteOf(req.GetReason(), req.GetNote())
	res := &reviewv1.ReopenItemResponse{}
	err = s.change(ctx, keeping(ctx, res, func(w *work) error {
		it, err := findItem(w.Tx, p.project, req.GetItemId())
		switch {
		case err != nil:
			return err
		case it == nil && isItem:
			return fault.NotFound("review item", req.GetItemId())
		case it == nil:
			it, err = w.appeal(r, p)
		case it.state != closed:
			return fault.InvalidField("item_id", "names an item that is not closed")
		default:
			err = w.reopen(it, r)
		}
		if err != nil {
			return err
		}
		if err := w.tell(it, reviewv1.HistoryKind_HISTORY_KIND_REOPENED, p.name, note); err != nil {
			return err
		}
		res.Item, err = s.message(w.Tx, it, p)
		return err
	}))
	return res, err
}

func (w *work) reopen(it *item, r *commonv1.DecisionRecord) error {
	before := *it
	it.state, it.kind, it.role = open, reviewv1.ItemKind_ITEM_KIND_APPEAL, reviewv1.VerdictRole_VERDICT_ROLE_APPEAL
	it.round, it.closed, it.escalated, it.notSure, it.since = it.round+1, 0, false, 0, w.micros
	if err := w.place(it); err != nil {
		return err
	}
	if err := w.save(before, it); err != nil {
		return err
	}
	w.addKeys(it, r.GetInput())
	return nil
}

// appeal makes an item of a decision that is none, or none any more: one that nobody has looked at yet, whose verdict is compared with the decision, or one that was retired.
func (w *work) appeal(r *commonv1.DecisionRecord, p person) (*item, error) {
	d := r.GetDecision()
	key := queueKey{p.project, d.GetOperation(), d.GetDeployment()}
	settings, err := w.queue(key)
	if err != nil {
		return nil, err
	}
	it := newItem(settings, key, r, w.micros)
	it.kind, it.role, it.second, it.since = reviewv1.ItemKind_ITEM_KIND_APPEAL, reviewv1.VerdictRole_VERDICT_ROLE_APPEAL, false, w.micros
	t, err := findStone(w.Tx, p.project, it.id)
	switch {
	case err != nil:
		return nil, err
	case t != nil && t.state != closed:
		return nil, fault.InvalidField("item_id", "names an item that is not closed")
	case t != nil:
		it.round, it.seen = t.round+1, t.seen
		w.count(&item{queueKey: key, state: closed}, -1)
	}
	it.place(settings, d.GetLabels())
	if _, err := w.insert(it); err != nil {
		return nil, err
	}
	return it, w.addRecords([]*item{it}, map[*item]*commonv1.DecisionRecord{it: r})
}

func noteOf(reason, note string) string {
	if reason == "" || note == "" {
		return reason + note
	}
	return reason + ": " + note
}

// WithdrawItem takes an item out of the queue, also from whoever has it: the lease is lost.
func (s *Service) WithdrawItem(ctx context.Context, req *reviewv1.WithdrawItemRequest) (*reviewv1.WithdrawItemResponse, error) {
	m, err := s.edit(ctx, req.GetReviewer(), req.GetItemId(), func(w *work, it *item, p person) error {
		if it.state == withdrawn {
			return nil
		}
		if it.state >= decided {
			return fault.ItemClosed(it.id)
		}
		before := *it
		it.state, it.closed = withdrawn, w.micros
		it.clearLease()
		if err := w.save(before, it); err != nil {
			return err
		}
		if err := w.forgetKeys(it); err != nil {
			return err
		}
		return w.tell(it, reviewv1.HistoryKind_HISTORY_KIND_WITHDRAWN, p.name, req.GetReason())
	})
	return &reviewv1.WithdrawItemResponse{Item: m}, err
}

// PrioritiseItem changes the priority of an item.
func (s *Service) PrioritiseItem(ctx context.Context, req *reviewv1.PrioritiseItemRequest) (*reviewv1.PrioritiseItemResponse, error) {
	m, err := s.edit(ctx, req.GetReviewer(), req.GetItemId(), func(w *work, it *item, p person) error {
		if it.state > decided {
			return fault.ItemClosed(it.id)
		}
		before := *it
		it.priority = int(req.GetPriority())
		if err := w.place(it); err != nil {
			return err
		}
		if err := w.save(before, it); err != nil {
			return err
		}
		return w.note(it, reviewv1.HistoryKind_HISTORY_KIND_PRIORITISED, p.name, "")
	})
	return &reviewv1.PrioritiseItemResponse{Item: m}, err
}
