package review

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
)

const (
	tick = 200 * time.Millisecond
	// chunk is how many items one transaction of the background changes: reviewers wait no longer than that takes, some milliseconds.
	chunk = 50
)

// keepTime does what is due, until ctx ends.
func (s *Service) keepTime(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		if err := s.DoDue(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "what is due in review could not be done", "error", err) // tried again at the next tick
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// DoDue does what is due now: verdicts whose undo window has passed count, leases that ended give their items back, and items that nobody answered in
// time are escalated; what finds items is put in order, and what was done long ago goes. Start does it several times a second; tests with a clock of their own call it.
func (s *Service) DoDue(ctx context.Context) error {
	for _, job := range []struct {
		what, where string
		do          func(*work, *item) error
	}{
		{"settle verdicts", `state = 3 AND undo_until <= ? ORDER BY undo_until LIMIT ?`, s.settlePending},
		{"end leases", `state = 2 AND lease_until <= ? ORDER BY lease_until LIMIT ?`, func(w *work, it *item) error {
			return w.giveBack(it, reviewv1.HistoryKind_HISTORY_KIND_EXPIRED)
		}},
		{"escalate", `state <= 2 AND escalated = 0 AND due <= ? ORDER BY due LIMIT ?`, s.escalate},
	} {
		for n := chunk; n == chunk; {
			var err error
			if n, err = s.doSome(ctx, job.where, job.do); err != nil {
				return fmt.Errorf("%s: %w", job.what, err)
			}
		}
	}
	if err := s.rankAnew(ctx); err != nil {
		return err
	}
	if err := s.keyOld(ctx); err != nil {
		return fmt.Errorf("find items of an earlier release: %w", err)
	}
	if err := s.merge(ctx); err != nil {
		return err
	}
	return s.retire(ctx)
}

// doSome does one job to the first items that a condition names, and returns how many there were.
func (s *Service) doSome(ctx context.Context, where string, do func(*work, *item) error) (int, error) {
	n, err := s.countSome(ctx, where)
	if err != nil || n == 0 { // the usual case needs no writer
		return 0, err
	}
	err = s.change(ctx, func(w *work) error {
		items, err := selectItems(w.Tx, where, w.micros, chunk)
		if err != nil {
			return err
		}
		n = len(items)
		for _, it := range items {
			if err := do(w, it); err != nil {
				return fmt.Errorf("item %s: %w", it.id, err)
			}
		}
		return nil
	})
	return n, err
}

func (s *Service) settlePending(w *work, it *item) error {
	v, err := findVerdict(w.Tx, it.project, it.verdict)
	if err != nil {
		return err
	}
	return s.settle(w, it, v)
}

// settle lets a verdict count: it closes the item or sends it on, and others learn of it.
func (s *Service) settle(w *work, it *item, v *reviewv1.Verdict) error {
	settings, err := w.queue(it.queueKey)
	if err != nil {
		return err
	}
	key := answerKey(it.operation, v.GetAnswer())
	earlier, former, err := w.earlier(it, v)
	if err != nil {
		return err
	}
	before := *it
	if key == keyNotSure {
		it.notSure++
	}
	next := judge(it.role, key, earlier, it.second, it.notSure, int(settings.GetNotSureLimit()))
	it.undoUntil = 0
	it.markSeen(v.GetReviewer())
	if next.close {
		it.state, it.closed, it.verdictLabel = closed, w.micros, firstLabel(v.GetAnswer())
		v.Final = it.gold == ""
		if v.GetRole() == reviewv1.VerdictRole_VERDICT_ROLE_APPEAL {
			v.Overturns = former != key && (former != "" || !v.GetAgrees()) // without a former verdict it is the decision that was doubted
		}
	} else {
		it.state, it.role = open, next.role
		if err := w.place(it); err != nil {
			return err
		}
	}
	if next.escalate && !it.escalated {
		it.escalated = true
		if err := w.tell(it, reviewv1.HistoryKind_HISTORY_KIND_ESCALATED, "", "several people could not say"); err != nil {
			return err
		}
	}
	if err := w.save(before, it); err != nil {
		return err
	}
	if err := w.settleVerdict(v); err != nil {
		return err
	}
	if err := w.countGold(it, v); err != nil {
		return err
	}
	if next.close {
		if err := w.forgetKeys(it); err != nil {
			return err
		}
	}
	if err := w.note(it, next.note, "", ""); err != nil {
		return err
	}
	return w.send(VerdictEvents, it.queueKey, v.GetDecisionId(), v.GetVerdictId(), v)
}

// earlier returns the answer keys with which a verdict is compared: that of the first opinion of the same round, and that of the last final verdict.
func (w *work) earlier(it *item, v *reviewv1.Verdict) (first, former string, err error) {
	if it.role < reviewv1.VerdictRole_VERDICT_ROLE_SECOND || it.gold != "" {
		return "", "", nil
	}
	verdicts, err := verdictsOf(w.Tx, it)
	for _, e := range verdicts {
		key := answerKey(it.operation, e.GetAnswer())
		switch {
		case e.GetVerdictId() == v.GetVerdictId() || key == keyNotSure:
		case e.GetFinal():
			former = key
		case e.GetRound() == v.GetRound() && e.GetRole() == reviewv1.VerdictRole_VERDICT_ROLE_FIRST:
			first = key
		}
	}
	if err == nil && former == "" && it.round > 0 { // the item may have been retired in between
		var t *stone
		if t, err = findStone(w.Tx, it.project, it.id); t != nil {
			former = t.answer
		}
	}
	return first, former, err
}

func (w *work) settleVerdict(v *reviewv1.Verdict) error {
	message, err := proto.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode verdict %s: %w", v.GetVerdictId(), err)
	}
	_, err = w.Exec(`UPDATE review_verdicts SET state = ?, settled = ?, message = ? WHERE project = ? AND id = ?`,
		settled, w.micros, message, v.GetProject(), v.GetVerdictId())
	return err
}

func (w *work) forgetKeys(it *item) error {
	if it.gold != "" {
		return nil
	}
	r, err := findRecord(w.Tx, it.project, it.id)
	if err != nil {
		return err
	}
	return w.dropKeys(it, r.GetInput())
}

// escalate marks an item that was not answered in time.
func (s *Service) escalate(w *work, it *item) error {
	before := *it
	it.escalated = true
	if err := w.save(before, it); err != nil {
		return err
	}
	if it.gold != "" {
		return nil
	}
	return w.tell(it, reviewv1.HistoryKind_HISTORY_KIND_ESCALATED, "", "not answered in time")
}

// tell notes something in the history of an item and lets others learn of it.
func (w *work) tell(it *item, kind reviewv1.HistoryKind, name, reason string) error {
	if err := w.note(it, kind, name, reason); err != nil {
		return err
	}
	id := decision.NewID()
	return w.send(ItemEvents, it.queueKey, it.id, id, &reviewv1.ItemEvent{
		EventId: id, ItemId: it.id, Project: it.project, Operation: it.operation, Deployment: it.deployment, Kind: kind,
		Time: timestamppb.New(w.now), Reviewer: name, Reason: reason,
	})
}

func firstLabel(a *reviewv1.Answer) string {
	if len(a.GetLabels()) == 0 {
		return ""
	}
	return a.GetLabels()[0]
}
