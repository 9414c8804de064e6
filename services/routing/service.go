// Package routing finds the queue that an inquiry belongs to, how urgent it is and in which language it is written.
package routing

import (
	"google.golang.org/grpc"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
)

// Deps is what the service needs.
type Deps struct {
	Maker  *decision.Maker
	Source decision.Source
}

// Service implements routing.v1.
type Service struct {
	routingv1.UnimplementedRoutingServiceServer
	maker  *decision.Maker
	source decision.Source
}

var _ routingv1.RoutingServiceServer = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service { return &Service{maker: d.Maker, source: d.Source} }

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) { routingv1.RegisterRoutingServiceServer(r, s) }
