// Package models is the registry: immutable, content-addressed versions of models, and deployments that say which version answers
// under which name and what it promises. It stores and certifies; it decides nothing, and scores only to explain.
package models

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Deps is what the service needs.
type Deps struct {
	// DB holds the tables.
	DB *db.DB
	// Blobs holds the artifacts. Its limit should be Config.MaxArtifactBytes.
	Blobs *blob.Store
	// Open opens a model file; it fails with engine.ErrFormat when it is none. In production this is load.Open.
	Open func(path string) (engine.Predictor, error)
	// Config holds the limits; the zero value stands for Default.
	Config Config
	// Log receives what callers do not see; nil for none.
	Log *slog.Logger
	// Applied waits, for a moment, until this process answers with a changed deployment, so that whoever deployed finds it at the next
	// call; nil where nothing answers here.
	Applied func(ctx context.Context, d *modelsv1.Deployment)
	// Emit stores an event in the transaction of a change, from where it is carried to the bus; nil to emit nothing.
	Emit func(tx *db.Tx, e Event) error
	// Now tells the time; nil for time.Now.
	Now func() time.Time
}

// Service implements the ModelService of the contract.
type Service struct {
	modelsv1.UnimplementedModelServiceServer

	store   *store
	blobs   *blob.Store
	open    func(path string) (engine.Predictor, error)
	config  Config
	log     *slog.Logger
	now     func() time.Time
	applied func(ctx context.Context, d *modelsv1.Deployment)
	emit    func(tx *db.Tx, e Event) error
	watch   *hub
	uploads chan struct{} // one slot for each upload that may run
	explain chan struct{} // one slot for each model that may be open to explain
}

var _ modelsv1.ModelServiceServer = (*Service)(nil)

// New returns the service. Call Start before the first request.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Emit == nil {
		d.Emit = func(*db.Tx, Event) error { return nil }
	}
	if d.Config == (Config{}) {
		d.Config = Default()
	}
	return &Service{
		store: &store{db: d.DB}, blobs: d.Blobs, open: d.Open, config: d.Config, log: d.Log, now: d.Now, applied: d.Applied, emit: d.Emit,
		watch: newHub(), uploads: make(chan struct{}, max(1, d.Config.MaxUploads)),
		explain: make(chan struct{}, explaining),
	}
}

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	modelsv1.RegisterModelServiceServer(r, s)
}

// Start brings the tables up to date and follows what other processes deploy.
func (s *Service) Start(ctx context.Context) error {
	if err := s.config.Validate(); err != nil {
		return fmt.Errorf("start models: %w", err)
	}
	if err := s.store.db.Migrate(ctx, "models", steps); err != nil {
		return err
	}
	if err := s.readable(ctx); err != nil {
		return fmt.Errorf("start models: %w", err)
	}
	if err := errors.Join(s.store.adopt(ctx), s.adoptNotes(ctx)); err != nil {
		return fmt.Errorf("start models: %w", err)
	}
	return s.store.db.Follow(ctx, topic, s.reload)
}

// readable reads every deployment once. Where that fails, such as for a damaged page, nobody could ever follow the registry: the start says so instead of waiting for it.
func (s *Service) readable(ctx context.Context) error {
	err := s.store.db.View(ctx, func(tx *db.Tx) error {
		return s.store.eachDeployment(tx, "", func(*modelsv1.Deployment) error { return nil })
	})
	if err != nil {
		return fmt.Errorf("read deployments: %w", err)
	}
	return nil
}

// Close ends every watch with SHUTTING_DOWN, so that a draining server does not wait for streams that never end by themselves.
func (s *Service) Close() { s.watch.close() }

// project returns the project of the caller.
func project(ctx context.Context) (string, error) {
	c := auth.FromContext(ctx)
	if c == nil {
		return "", fault.KeyMissing()
	}
	if c.Project == "" {
		return "", fault.Internal(errors.New("the system calls for no project"))
	}
	return c.Project, nil
}
