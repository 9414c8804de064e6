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

// Deps is what the service needs.
type Deps struct {
	Records Finder
}

// Service implements decisions.v1.
type Service struct {
	decisionsv1.UnimplementedDecisionServiceServer
	records Finder
}

var _ decisionsv1.DecisionServiceServer = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service { return &Service{records: d.Records} }

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) { decisionsv1.RegisterDecisionServiceServer(r, s) }
