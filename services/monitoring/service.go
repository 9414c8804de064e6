// Package monitoring knows whether deployments keep what they promise. It reads what was decided and what people found in audits, keeps for every certificate an
// anytime-valid bound of the live error, and asks the registry to stop automation when that is proven to be above the promise. It never decides, and it does not know how
// events reach it: whoever runs it hands them to [Service.Apply].
package monitoring

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Deps is what the service needs.
type Deps struct {
	// DB holds the tables and the inbox.
	DB *db.DB
	// System is the registry, called as the product itself: it is followed, and told to stop automation.
	System modelsv1.ModelServiceClient
	// Replay reads decisions and what became known of them; nil where they cannot be read.
	Replay Replay
	// Config holds the assumptions; the zero value stands for Default.
	Config Config
	// Meter makes the instruments; nil for none.
	Meter metric.Meter
	// Log receives what callers do not see; nil for none.
	Log *slog.Logger
	// Now tells the time; nil for time.Now.
	Now func() time.Time
}

// Service implements the MonitoringService of the contract.
type Service struct {
	monitoringv1.UnimplementedMonitoringServiceServer

	db     *db.DB
	system modelsv1.ModelServiceClient
	replay Replay
	config Config
	meter  metric.Meter
	log    *slog.Logger
	now    func() time.Time

	reporter string // names this process to the registry
	told     int64  // counts its reports

	due     chan struct{} // holds one signal when automation may have to be stopped
	stop    context.CancelFunc
	running sync.WaitGroup
	metrics metric.Registration
}

var _ monitoringv1.MonitoringServiceServer = (*Service)(nil)

// New returns the service. Call Start before the first request.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Config == (Config{}) {
		d.Config = Default()
	}
	return &Service{
		db: d.DB, system: d.System, replay: d.Replay, config: d.Config, meter: d.Meter, log: d.Log, now: d.Now,
		reporter: "monitoring-" + uuid.NewString(), due: make(chan struct{}, 1), stop: func() {},
	}
}

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	monitoringv1.RegisterMonitoringServiceServer(r, s)
}

// Start brings the tables up to date, follows the registry and begins to stop what has to be stopped. Close ends it.
func (s *Service) Start(ctx context.Context) error {
	if err := s.config.Validate(); err != nil {
		return fmt.Errorf("start monitoring: %w", err)
	}
	if err := s.db.Migrate(ctx, "monitoring", steps); err != nil {
		return err
	}
	if err := s.measure(); err != nil {
		return err
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.running.Go(func() { s.follow(ctx) })
	s.running.Go(func() { s.enforce(ctx) })
	return nil
}

// Close ends what Start began. What has to be stopped and is not yet is stopped after the next start.
func (s *Service) Close() {
	s.stop()
	s.running.Wait()
	if s.metrics != nil {
		_ = s.metrics.Unregister()
	}
}

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
