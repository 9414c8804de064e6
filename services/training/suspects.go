package training

import (
	"context"
	"fmt"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// defaultSuspects is how many suspects are sent back when nobody says.
const defaultSuspects = 50

// ReviewSuspects sends decisions whose labels look wrong back to reviewers.
func (s *Service) ReviewSuspects(ctx context.Context, req *trainingv1.ReviewSuspectsRequest) (*trainingv1.ReviewSuspectsResponse, error) {
	r, err := s.findRun(ctx, req.GetRunId())
	if err != nil {
		return nil, err
	}
	// The call to the queue is made inside, where nobody asks for the caller's scopes again.
	if !req.GetDryRun() && !auth.FromContext(ctx).Has("review:write") {
		return nil, fault.ScopeMissing("review:write")
	}
	if !req.GetDryRun() && s.review == nil {
		return nil, fault.Unimplemented("review of suspects beside a queue that is not reachable")
	}
	found, ok := &inspected{}, false
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		ok, err = readStep(tx, r, trainingv1.RunStep_RUN_STEP_INSPECT, found)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.NotFound("inspection of run", req.GetRunId())
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = defaultSuspects
	}
	res := &trainingv1.ReviewSuspectsResponse{}
	for _, f := range found.Suspects[:min(limit, len(found.Suspects))] {
		out := &trainingv1.Suspect{DecisionId: f.DecisionID, Line: int64(f.Line), Given: f.Given, Likely: f.Likely, Margin: f.Margin}
		res.Suspects = append(res.Suspects, out)
		if req.GetDryRun() {
			continue
		}
		if f.DecisionID == "" {
			out.Problem = "the row was imported"
			continue
		}
		_, err := s.review.ReopenItem(ctx, &reviewv1.ReopenItemRequest{
			ItemId: f.DecisionID, Reason: "label-noise", Note: fmt.Sprintf("labelled %q; a model that did not learn from it says %q", f.Given, f.Likely),
		})
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		out.Reopened = err == nil
		if err != nil {
			out.Problem = fault.From(err).Message()
		}
	}
	return res, nil
}
