package review

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	kept "github.com/switchyard-ai/switchyard/internal/answer"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// SubmitVerdicts gives one answer to a leased item and to others that are nearly identical with it, all in one transaction. What differs, waits
// elsewhere or is somebody else's takes no part.
func (s *Service) SubmitVerdicts(ctx context.Context, req *reviewv1.SubmitVerdictsRequest) (*reviewv1.SubmitVerdictsResponse, error) {
	p, err := who(ctx, req.GetReviewer())
	if err != nil {
		return nil, err
	}
	if req.GetAnswer().GetNotSure() {
		return nil, fault.InvalidField("answer.not_sure", "is an answer to one item only")
	}
	var res *reviewv1.SubmitVerdictsResponse
	err = s.change(ctx, func(w *work) error {
		res = &reviewv1.SubmitVerdictsResponse{GroupId: decision.NewID()}
		it, err := w.held(p, req.GetItemId(), req.GetLeaseId())
		if err != nil {
			return err
		}
		base, err := subjectOf(w.Tx, it)
		if err != nil {
			return err
		}
		v, err := s.answer(w, p, it, req.GetAnswer(), res.GetGroupId())
		if err != nil {
			return err
		}
		if it.state == decided {
			res.UndoUntil = timestamp(it.undoUntil)
		}
		res.Results = append(res.Results, &reviewv1.GroupResult{ItemId: it.id, Verdict: v, Similarity: 1})
		skills, err := skillsOf(w.Tx, p, nil)
		if err != nil {
			return err
		}
		// The time was spent once, on the item that was looked at.
		answer := &reviewv1.Answer{
			Labels: req.GetAnswer().GetLabels(), Action: req.GetAnswer().GetAction(), OutOfScope: req.GetAnswer().GetOutOfScope(),
			Reason: req.GetAnswer().GetReason(), Note: req.GetAnswer().GetNote(), TimeSpent: &durationpb.Duration{},
		}
		for _, id := range req.GetItemIds() {
			result := &reviewv1.GroupResult{ItemId: id}
			res.Results = append(res.Results, result)
			member, err := s.member(w, p, skills, base, id, result)
			if err == nil {
				result.Verdict, err = s.answer(w, p, member, answer, res.GetGroupId())
			}
			if result.GetVerdict() != nil {
				result.Verdict = proto.CloneOf(result.GetVerdict())
				result.Verdict.Answer = nil // the same for all; five hundred notes would not fit into a message
			}
			if err != nil {
				if result.Error = itemError(err); result.Error == nil {
					return err
				}
			}
		}
		for _, r := range res.GetResults() {
			hideGold(r.GetVerdict(), p)
		}
		return kept.Keep(ctx, w.Tx, res)
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// member returns an item of a group when the answer to base may be the answer to it.
func (s *Service) member(w *work, p person, skills []string, base *subject, id string, result *reviewv1.GroupResult) (*item, error) {
	it, err := findItem(w.Tx, p.project, id)
	switch {
	case err != nil:
		return nil, err
	case it == nil:
		return nil, absent(w.Tx, p.project, id)
	case it.gold != "":
		return nil, fault.NotFound("review item", id)
	case id == base.item.id:
		return nil, fault.InvalidField("item_ids", "names the leased item again")
	case it.state >= decided:
		return nil, fault.ItemClosed(id)
	case it.state == leased && !it.holds(p, w.micros), !fits(it.skills, it.seen, skills, p.name):
		return nil, fault.LeaseLost("review item", id)
	case it.queueKey != base.item.queueKey:
		return nil, fault.InvalidField("item_ids", "waits in another queue")
	}
	other, err := subjectOf(w.Tx, it)
	if err != nil {
		return nil, err
	}
	if result.Similarity = base.likeness(other); result.GetSimilarity() < leastSimilar {
		return nil, fault.InvalidField("item_ids", "differs from the leased item: likeness is %.2f, must be %.2f", result.GetSimilarity(), leastSimilar)
	}
	if !base.sameSuggestion(other) {
		return nil, fault.InvalidField("item_ids", "has another suggestion than the leased item")
	}
	return it, nil
}

// itemError turns a fault that concerns one item into its result; nil when the error concerns the whole call.
func itemError(err error) *commonv1.ItemError {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return nil
	}
	if !slices.Contains([]commonv1.ErrorReason{
		commonv1.ErrorReason_ERROR_REASON_NOT_FOUND, commonv1.ErrorReason_ERROR_REASON_ITEM_CLOSED, commonv1.ErrorReason_ERROR_REASON_LEASE_LOST,
		commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, commonv1.ErrorReason_ERROR_REASON_LABEL_UNKNOWN,
	}, f.Reason()) {
		return nil
	}
	return fault.Item(f)
}
