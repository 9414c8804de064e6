package review

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// SubmitFeedback records the truth about a decision.
func (s *Service) SubmitFeedback(ctx context.Context, req *reviewv1.SubmitFeedbackRequest) (*reviewv1.SubmitFeedbackResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	// Before the transaction: the decision may have to be asked for elsewhere.
	r, isItem, err := s.recordOf(ctx, project, req.GetDecisionId())
	if err != nil {
		return nil, err
	}
	f, err := s.feedback(ctx, project, req, r)
	if err != nil {
		return nil, err
	}
	res := &reviewv1.SubmitFeedbackResponse{}
	err = s.change(ctx, func(w *work) error {
		stored, err := findFeedback(w.Tx, project, req.GetFeedbackId())
		if err != nil {
			return err
		}
		if stored != nil {
			res.Feedback = stored
			if !sameFeedback(stored, f, req.GetObserveTime() != nil) {
				return fault.AlreadyExists("feedback", req.GetFeedbackId())
			}
			return nil
		}
		f.SubmitTime = timestamppb.New(w.now)
		if f.GetObserveTime() == nil {
			f.ObserveTime = f.GetSubmitTime()
		}
		message, err := proto.Marshal(f)
		if err != nil {
			return fmt.Errorf("encode feedback: %w", err)
		}
		_, err = w.Exec(`INSERT INTO review_feedback (project, id, decision, message, created, subject) VALUES (?, ?, ?, ?, ?, ?)`,
			project, f.GetFeedbackId(), f.GetDecisionId(), message, w.micros, clean(f.GetSubjectId()))
		if err != nil {
			return err
		}
		res.Feedback = f
		if isItem {
			it := &item{queueKey: queueKey{project: project}, id: f.GetDecisionId()}
			if err := w.note(it, reviewv1.HistoryKind_HISTORY_KIND_FEEDBACK, "", f.GetSource()); err != nil {
				return err
			}
		}
		return w.send(FeedbackEvents, queueKey{project, f.GetOperation(), f.GetDeployment()}, f.GetDecisionId(), f.GetFeedbackId(), f)
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// recordOf returns the record of a decision of the project: of an item, or of any other decision where those are known.
func (s *Service) recordOf(ctx context.Context, project, id string) (r *commonv1.DecisionRecord, isItem bool, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		it, err := findItem(tx, project, id)
		if err != nil || it == nil || it.gold != "" {
			return err
		}
		isItem = true
		r, err = findRecord(tx, project, id)
		return err
	})
	if err == nil && r == nil && s.decision != nil {
		r, err = s.decision(ctx, project, id)
	}
	if err == nil && r == nil {
		err = fault.NotFound("decision", id)
	}
	return r, isItem, err
}

// feedback checks the request against the decision.
func (s *Service) feedback(ctx context.Context, project string, req *reviewv1.SubmitFeedbackRequest, r *commonv1.DecisionRecord) (*reviewv1.Feedback, error) {
	d := r.GetDecision()
	known := s.labels.LabelsOf(project, d.GetOperation(), d.GetDeployment())
	if req.GetAction() == moderationv1.Action_ACTION_REVIEW {
		return nil, fault.InvalidField("action", "must be ACTION_ALLOW or ACTION_REMOVE")
	}
	if d.GetOperation() != commonv1.Operation_OPERATION_MODERATION && req.GetAction() != 0 {
		return nil, fault.InvalidField("action", "is for moderation only")
	}
	if len(req.GetLabels()) == 0 && req.GetAction() == 0 && !req.GetOutOfScope() {
		return nil, fault.InvalidField("labels", "must not be empty without action and out_of_scope")
	}
	if err := checkLabels(req.GetLabels(), known, d.GetLabels()); err != nil {
		return nil, err
	}
	answer := &reviewv1.Answer{Labels: req.GetLabels(), Action: req.GetAction(), OutOfScope: req.GetOutOfScope()}
	return &reviewv1.Feedback{
		FeedbackId: req.GetFeedbackId(), DecisionId: req.GetDecisionId(), Project: project, Operation: d.GetOperation(), Deployment: d.GetDeployment(),
		Labels: req.GetLabels(), Action: req.GetAction(), OutOfScope: req.GetOutOfScope(), Source: req.GetSource(), Note: req.GetNote(),
		ObserveTime: req.GetObserveTime(), KeyId: auth.FromContext(ctx).KeyID, Agrees: answerKey(d.GetOperation(), answer) == decisionKey(r, known),
		SubjectId: r.GetSubjectId(),
	}, nil
}

// sameFeedback says whether a repeated call asks for what is stored: all that the caller sends is equal.
func sameFeedback(stored, f *reviewv1.Feedback, timed bool) bool {
	a, b := proto.CloneOf(stored), proto.CloneOf(f)
	for _, m := range []*reviewv1.Feedback{a, b} {
		m.SubmitTime, m.KeyId, m.Agrees, m.SubjectId = nil, "", false, ""
		if !timed {
			m.ObserveTime = nil
		}
	}
	return proto.Equal(a, b)
}

func findFeedback(tx *db.Tx, project, id string) (*reviewv1.Feedback, error) {
	var message []byte
	found, err := tx.Get(`SELECT message FROM review_feedback WHERE project = ? AND id = ?`, []any{project, id}, &message)
	if err != nil || !found {
		return nil, err
	}
	return decodeFeedback(message)
}

func decodeFeedback(message []byte) (*reviewv1.Feedback, error) {
	f := &reviewv1.Feedback{}
	if err := proto.Unmarshal(message, f); err != nil {
		return nil, fmt.Errorf("decode stored feedback: %w", err)
	}
	return f, nil
}

// feedbackOf returns the feedback on a decision after a position, oldest first, and the position of the next page; nil after the last one.
func feedbackOf(tx *db.Tx, project, id string, after position, size int) (out []*reviewv1.Feedback, next *position, err error) {
	last, bytes := position{}, 0
	err = tx.Each(`SELECT id, created, message FROM review_feedback WHERE project = ? AND decision = ? AND (created > ? OR (created = ? AND id > ?))
		ORDER BY created, id LIMIT ?`, []any{project, id, after.time, after.time, after.id, size + 1}, func(scan func(...any) error) error {
		if next != nil {
			return nil
		}
		var message []byte
		if len(out) == size || bytes > pageBytes {
			next = &position{last.time, last.id}
			return nil
		}
		if err := scan(&last.id, &last.time, &message); err != nil {
			return err
		}
		bytes += len(message)
		f, err := decodeFeedback(message)
		out = append(out, f)
		return err
	})
	return out, next, err
}

// ListFeedback lists the feedback on a decision.
func (s *Service) ListFeedback(ctx context.Context, req *reviewv1.ListFeedbackRequest) (*reviewv1.ListFeedbackResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	after, err := oldestFirst(req.GetPage().GetToken(), "feedback", req.GetDecisionId())
	if err != nil {
		return nil, err
	}
	if _, _, err := s.recordOf(ctx, project, req.GetDecisionId()); err != nil {
		return nil, err
	}
	res := &reviewv1.ListFeedbackResponse{Page: &commonv1.PageResponse{}}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		var next *position
		var err error
		res.Feedback, next, err = feedbackOf(tx, project, req.GetDecisionId(), after, db.PageSize(req.GetPage().GetSize()))
		if next != nil {
			res.Page.NextToken = next.token("feedback", req.GetDecisionId())
		}
		return err
	})
	return res, err
}
