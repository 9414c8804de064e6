package decisions

import (
	"context"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/ledger"
)

// reviewPatience is how long queue and lake may take to say what became of a decision: the record must not wait for them.
const reviewPatience = 2 * time.Second

// review returns what was said of a decision; nil for callers who may not know, and where nobody reviews.
func (s *Service) review(ctx context.Context, caller *auth.Caller, key ledger.Key) *decisionsv1.DecisionReview {
	if s.reviews == nil || !caller.Has("review:read") {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reviewPatience)
	defer cancel()
	out := &decisionsv1.DecisionReview{}
	item, err := s.reviews.GetItem(ctx, &reviewv1.GetItemRequest{ItemId: key.ID})
	switch {
	case err == nil:
		out.Item, out.Verdicts, out.Feedback = item.GetItem(), item.GetVerdicts(), item.GetFeedback()
	case notFound(err): // it was no item; the application may have said something
		var feedback *reviewv1.ListFeedbackResponse
		if feedback, err = s.reviews.ListFeedback(ctx, &reviewv1.ListFeedbackRequest{DecisionId: key.ID}); notFound(err) {
			err = nil
		}
		out.Feedback = feedback.GetFeedback()
	}
	if err == nil && out.GetItem().GetState() == reviewv1.ItemState_ITEM_STATE_RETIRED {
		out.Verdicts, err = s.verdicts.Verdicts(ctx, key.Project, key.ID, item.GetItem().GetCreateTime().AsTime(), item.GetItem().GetCloseTime().AsTime())
	}
	out.Incomplete = err != nil
	return out
}

func notFound(err error) bool {
	return err != nil && fault.From(err).Reason() == commonv1.ErrorReason_ERROR_REASON_NOT_FOUND
}
