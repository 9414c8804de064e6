package review

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// States of a verdict in its table.
const (
	pending = 1 // its author may take it back
	settled = 2
	undone  = 3
)

// SubmitVerdict answers a leased item.
func (s *Service) SubmitVerdict(ctx context.Context, req *reviewv1.SubmitVerdictRequest) (*reviewv1.SubmitVerdictResponse, error) {
	p, err := who(ctx, req.GetReviewer())
	if err != nil {
		return nil, err
	}
	res := &reviewv1.SubmitVerdictResponse{}
	err = s.change(ctx, func(w *work) error {
		it, err := w.held(p, req.GetItemId(), req.GetLeaseId())
		if err != nil {
			res.Verdict, err = w.repeated(p, req, err)
			if res.Verdict != nil {
				res.UndoUntil, err = w.undoTime(p.project, req.GetItemId())
			}
			return err
		}
		if res.Verdict, err = s.answer(w, p, it, req.GetAnswer(), ""); err != nil {
			return err
		}
		if it.state == decided {
			res.UndoUntil = timestamp(it.undoUntil)
		}
		return nil
	})
	hideGold(res.GetVerdict(), p)
	return res, err
}

// repeated returns the verdict that the same call has made before; otherwise the fault that it met now.
func (w *work) repeated(p person, req *reviewv1.SubmitVerdictRequest, met error) (*reviewv1.Verdict, error) {
	var message []byte
	var answer string
	found, err := w.Get(`SELECT message, answer FROM review_verdicts WHERE project = ? AND item = ? AND person = ? AND lease = ? AND state <> ?`,
		[]any{p.project, req.GetItemId(), p.name, req.GetLeaseId(), undone}, &message, &answer)
	if err != nil {
		return nil, err
	}
	v := &reviewv1.Verdict{}
	if !found || proto.Unmarshal(message, v) != nil || v.GetKeyId() != p.key || answerKey(v.GetOperation(), req.GetAnswer()) != answer {
		return nil, met
	}
	return v, nil
}

func (w *work) undoTime(project, id string) (*timestamppb.Timestamp, error) {
	it, err := findItem(w.Tx, project, id)
	if err != nil || it.state != decided {
		return nil, err
	}
	return timestamp(it.undoUntil), nil
}

// answer records a verdict on an item that the person may judge. It counts when the undo window has passed, which may be at once.
func (s *Service) answer(w *work, p person, it *item, a *reviewv1.Answer, group string) (*reviewv1.Verdict, error) {
	settings, err := w.queue(it.queueKey)
	if err != nil {
		return nil, err
	}
	r, err := findRecord(w.Tx, it.project, it.id)
	if err != nil {
		return nil, err
	}
	known := s.labels.LabelsOf(it.project, it.operation, it.deployment)
	if err := checkAnswer(it.operation, a, known, r.GetDecision().GetLabels()); err != nil {
		return nil, err
	}
	a = proto.CloneOf(a)
	if a.GetTimeSpent() == nil && it.leaseFrom > 0 {
		a.TimeSpent = durationpb.New(time.Duration(w.micros-it.leaseFrom) * time.Microsecond)
	}
	d, key := r.GetDecision(), answerKey(it.operation, a)
	v := &reviewv1.Verdict{
		VerdictId: decision.NewID(), ItemId: it.id, DecisionId: it.id, Project: it.project, Operation: it.operation, Deployment: it.deployment, Answer: a,
		Role: it.role, Reviewer: p.name, KeyId: p.key, SubmitTime: timestamppb.New(w.now), Round: int32(it.round), Agrees: key == decisionKey(r, known),
		Blind:   it.role <= reviewv1.VerdictRole_VERDICT_ROLE_SECOND || it.gold != "",
		Outcome: d.GetOutcome(), Audit: d.GetAudit(), GroupId: group, DecideTime: d.GetTime(), ModelDigest: d.GetModel().GetDigest(),
		InputSha256: r.GetInputSha256(), SubjectId: r.GetSubjectId(),
	}
	if it.gold != "" {
		err = w.markGold(it, v, key)
	} else {
		v.Selection, err = selectionOf(w.Tx, it)
	}
	if err != nil {
		return nil, err
	}
	lease := it.lease
	before := *it
	it.state, it.person, it.verdict = decided, p.name, v.GetVerdictId()
	it.undoUntil = db.Micros(w.now.Add(settings.GetUndoWindow().AsDuration()))
	it.clearLease()
	if err := w.save(before, it); err != nil {
		return nil, err
	}
	if err := w.insertVerdict(v, lease, key, it.gold); err != nil {
		return nil, err
	}
	if err := w.note(it, reviewv1.HistoryKind_HISTORY_KIND_VERDICT, p.name, a.GetReason()); err != nil {
		return nil, err
	}
	if settings.GetUndoWindow().AsDuration() > 0 {
		return v, nil
	}
	return v, s.settle(w, it, v)
}

func (w *work) insertVerdict(v *reviewv1.Verdict, lease, key, gold string) error {
	message, err := proto.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode verdict %s: %w", v.GetVerdictId(), err)
	}
	_, err = w.Exec(`INSERT INTO review_verdicts (project, id, item, operation, deployment, state, round, person, lease, answer, blind, gold, created, settled,
		message) VALUES (`+db.Marks(15)+`)`, v.GetProject(), v.GetVerdictId(), v.GetItemId(), v.GetOperation(), v.GetDeployment(), pending, v.GetRound(),
		v.GetReviewer(), lease, key, flag(v.GetBlind()), gold, w.micros, 0, message)
	return err
}

// UndoVerdict takes a verdict back within the undo window.
func (s *Service) UndoVerdict(ctx context.Context, req *reviewv1.UndoVerdictRequest) (*reviewv1.UndoVerdictResponse, error) {
	p, err := who(ctx, req.GetReviewer())
	if err != nil {
		return nil, err
	}
	res := &reviewv1.UndoVerdictResponse{}
	err = s.change(ctx, keeping(ctx, res, func(w *work) error {
		it, err := findItem(w.Tx, p.project, req.GetItemId())
		switch {
		case err != nil:
			return err
		case it == nil:
			return absent(w.Tx, p.project, req.GetItemId())
		case it.state < decided || it.state == decided && it.person != p.name:
			return fault.LeaseLost("review item", it.id)
		case it.state > decided || it.undoUntil <= w.micros:
			return fault.ItemClosed(it.id)
		}
		v, err := findVerdict(w.Tx, it.project, it.verdict)
		if err != nil {
			return err
		}
		if v.GetKeyId() != p.key {
			return fault.LeaseLost("review item", it.id)
		}
		if err := s.takeBack(w, it, v, p); err != nil {
			return err
		}
		res.Item, err = s.message(w.Tx, it, p)
		return err
	}))
	return res, err
}

func (s *Service) takeBack(w *work, it *item, v *reviewv1.Verdict, p person) error {
	settings, err := w.queue(it.queueKey)
	if err != nil {
		return err
	}
	if _, err := w.Exec(`UPDATE review_verdicts SET state = ? WHERE project = ? AND id = ?`, undone, it.project, v.GetVerdictId()); err != nil {
		return err
	}
	if it.verdict, err = w.lastSettled(it); err != nil {
		return err
	}
	if err := w.note(it, reviewv1.HistoryKind_HISTORY_KIND_UNDONE, p.name, ""); err != nil {
		return err
	}
	it.undoUntil = 0
	// From decided: save compares with what was read, and nothing of that has been changed but the verdict.
	return w.lease(it, p, settings.GetLease().AsDuration())
}

// lastSettled returns the id of the newest verdict on an item that counts, empty for none.
func (w *work) lastSettled(it *item) (id string, err error) {
	_, err = w.Get(`SELECT id FROM review_verdicts WHERE project = ? AND item = ? AND state = ? ORDER BY created DESC, id DESC LIMIT 1`,
		[]any{it.project, it.id, settled}, &id)
	return id, err
}

func findVerdict(tx *db.Tx, project, id string) (*reviewv1.Verdict, error) {
	var message []byte
	found, err := tx.Get(`SELECT message FROM review_verdicts WHERE project = ? AND id = ?`, []any{project, id}, &message)
	if err != nil || !found {
		return nil, err
	}
	return decodeVerdict(message)
}

func decodeVerdict(message []byte) (*reviewv1.Verdict, error) {
	v := &reviewv1.Verdict{}
	if err := proto.Unmarshal(message, v); err != nil {
		return nil, fmt.Errorf("decode stored verdict: %w", err)
	}
	return v, nil
}

// verdictsOf returns the verdicts on an item, oldest first, without those that were taken back.
func verdictsOf(tx *db.Tx, it *item) (out []*reviewv1.Verdict, err error) {
	err = tx.Each(`SELECT message FROM review_verdicts WHERE project = ? AND item = ? AND state <> ? ORDER BY created, id`, []any{it.project, it.id, undone},
		func(scan func(...any) error) error {
			var message []byte
			if err := scan(&message); err != nil {
				return err
			}
			v, err := decodeVerdict(message)
			out = append(out, v)
			return err
		})
	return out, err
}
