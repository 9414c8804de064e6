// Package classification labels texts and records with the label set of their deployment.
package classification

import (
	"google.golang.org/grpc"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
)

// Deps is what the service needs.
type Deps struct {
	Maker  *decision.Maker
	Source decision.Source
}

// Service implements classification.v1.
type Service struct {
	classificationv1.UnimplementedClassificationServiceServer
	maker  *decision.Maker
	source decision.Source
}

var _ classificationv1.ClassificationServiceServer = (*Service)(nil)

// New returns the service.
func New(d Deps) *Service { return &Service{maker: d.Maker, source: d.Source} }

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	classificationv1.RegisterClassificationServiceServer(r, s)
}
