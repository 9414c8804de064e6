// Package decisions reads back what was decided.
package decisions

import (
	"context"
	"time"

	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/ledger"
)

// Finder finds the record of one decision; it fails with ledger.ErrNotFound when there is none.
type Finder interface {
	Find(ctx context.Context, k ledger.Key) (*commonv1.DecisionRecord, error)
}

var _ Finder = ledger.Places(nil)

// Lister lists decisions of one project, newest first; next is what to give as before for the next page.
type Lister interface {
	List(ctx context.Context, project string, req *decisionsv1.ListDecisionsRequest, before string, limit int) (records []*commonv1.DecisionRecord, next string, err error)
}

// Eraser takes one person's data out of somewhere.
type Eraser interface {
	Erase(ctx context.Context, project, subject string) (*ledger.Erasure, error)
}

// Verdicts finds the verdicts on a decision that were given in a period.
type Verdicts interface {
	Verdicts(ctx context.Context, project, decision string, from, to time.Time) ([]*reviewv1.Verdict, error)
}

// Deps is what the service needs.
type Deps struct {
	Records Finder
	// Reviews knows what people said of decisions, and is asked as the caller; nil where there is no queue.
	Reviews reviewv1.ReviewServiceClient
	// Verdicts are those that the queue keeps no more.
	Verdicts Verdicts
	List     Lister
	Erasers  []Eraser // asked in this order
	// Replayer repeats decisions; nil where nobody can.
	Replayer Replayer
}

// Service implements decisions.v1.
type Service struct {
	decisionsv1.UnimplementedDecisionServiceServer
	records  Finder
	reviews  reviewv1.ReviewServiceClient
	verdicts Verdicts
	list     Lister
	erasers  []Eraser

	replayer Replayer
	replays  chan struct{} // one slot for each decision that may be repeated at once
}

var _ decisionsv1.DecisionServiceServer = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	return &Service{
		records: d.Records, reviews: d.Reviews, verdicts: d.Verdicts, list: d.List, erasers: d.Erasers, replayer: d.Replayer, replays: make(chan struct{}, replaying),
	}
}

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) { decisionsv1.RegisterDecisionServiceServer(r, s) }
