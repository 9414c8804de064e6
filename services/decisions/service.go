// Package decisions reads back what was decided.
package decisions

import (
	"context"

	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
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

// Deps is what the service needs.
type Deps struct {
	Records Finder
	List    Lister
	Erasers []Eraser // asked in this order
	// Replayer repeats decisions; nil where nobody can.
	Replayer Replayer
}

// Service implements decisions.v1.
type Service struct {
	decisionsv1.UnimplementedDecisionServiceServer
	records Finder
	list    Lister
	erasers []Eraser

	replayer Replayer
	replays  chan struct{} // one slot for each decision that may be repeated at once
}

var _ decisionsv1.DecisionServiceServer = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service {
	return &Service{records: d.Records, list: d.List, erasers: d.Erasers, replayer: d.Replayer, replays: make(chan struct{}, replaying)}
}

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) { decisionsv1.RegisterDecisionServiceServer(r, s) }
