package decisions

import (
	"context"
	"errors"
	"strings"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/ledger"
)

const (
	// A record that was made in another process is in that one's journal for some 50 ms before it can be read here, one of a deployment that records
	// asynchronously is nowhere for 20 ms. An id that is younger than young is looked for again.
	young = time.Second
	again = 20 * time.Millisecond
)

// GetDecision returns the record of one of the caller's decisions, and what was said of it.
func (s *Service) GetDecision(ctx context.Context, req *decisionsv1.GetDecisionRequest) (*decisionsv1.GetDecisionResponse, error) {
	caller := auth.FromContext(ctx)
	if caller == nil || caller.Project == "" {
		return nil, fault.KeyMissing()
	}
	key, ok := ledger.NewKey(caller.Project, strings.ToLower(req.GetDecisionId()))
	if !ok {
		return nil, fault.InvalidField("decision_id", "%s is no UUIDv7, which ids of decisions are", req.GetDecisionId())
	}
	r, err := s.lookUp(ctx, key)
	if err != nil {
		return nil, err
	}
	return &decisionsv1.GetDecisionResponse{Record: r, Review: s.review(ctx, caller, key)}, nil
}

// lookUp returns a record, or why the caller cannot have it.
func (s *Service) lookUp(ctx context.Context, key ledger.Key) (*commonv1.DecisionRecord, error) {
	r, err := s.find(ctx, key)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return nil, fault.NotFound("decision", key.ID)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, fault.Unavailable("record of decisions").Cause(err)
	}
	return r, nil
}

// find looks for a record, and again for one that may be on its way.
func (s *Service) find(ctx context.Context, key ledger.Key) (*commonv1.DecisionRecord, error) {
	for {
		r, err := s.records.Find(ctx, key)
		if !errors.Is(err, ledger.ErrNotFound) || time.Since(key.Time).Abs() > young {
			return r, err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
