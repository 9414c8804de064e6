// Package moderation decides whether texts may stand: rules of the project first, then the deployed model.
package moderation

import (
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
)

// Deps is what the service needs.
type Deps struct {
	Maker  *decision.Maker
	Source decision.Source
	// DB keeps the rules. With nil there are none, and the methods that manage them fail with DEPENDENCY_UNAVAILABLE.
	DB DB
}

// Service implements moderation.v1. Call Start before it is served.
type Service struct {
	moderationv1.UnimplementedModerationServiceServer
	maker  *decision.Maker
	source decision.Source
	store  store

	matchers sync.Map   // project → *matcher
	change   sync.Mutex // held while rules change
	loaded   atomic.Bool
}

var _ moderationv1.ModerationServiceServer = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service { return &Service{maker: d.Maker, source: d.Source, store: store{db: d.DB}} }

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	moderationv1.RegisterModerationServiceServer(r, s)
}
