// Package training makes better models out of what people said: data sets are immutable snapshots of labelled rows, and a run takes one through training,
// evaluation and gates to a version that answers, or to a refusal that names its gate. It decides nothing about live traffic; it reaches the registry through its
// contract.
//
// A run is a row and its steps are rows. Each step is a function of what earlier steps stored: whoever holds the run's lease carries out the next one and stores what came
// out in the same transaction that says so. After kill -9 the lease ends, another worker (or the same process, started again) takes the run, and comes to the same bytes.
package training

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// Deps is what the service needs.
type Deps struct {
	// DB holds the tables.
	DB *db.DB
	// Blobs holds rows, artifacts and reports.
	Blobs *blob.Store
	// Temp is a folder for files that are being received.
	Temp string
	// Lake returns the lake, nil while it cannot be reached. A nil function: there is none.
	Lake func() *lake.Lake
	// Models is the registry in this process. A run acts for the project that started it, which no connection to another process could say; nil: data sets can be made,
	// runs cannot be started.
	Models modelsv1.ModelServiceClient
	// Review is the review queue, which suspects are sent back to; nil when it is not reachable.
	Review reviewv1.ReviewServiceClient
	// Promises tells how often reviewers err, in this process, as with Models; nil: the usual rate is assumed.
	Promises monitoringv1.MonitoringServiceClient
	// Queue distributes steps to worker processes; nil where Config.Execution is InProcess.
	Queue Queue
	// Version of the product, which models name as what trained them.
	Version string
	// Config holds the limits; the zero value stands for Default.
	Config Config
	// Log receives what callers do not see; nil for none.
	Log *slog.Logger
	// Now tells the time; nil for time.Now.
	Now func() time.Time
}

// Service implements the DatasetService, the RunService and the WorkerService of the contract.
type Service struct {
	trainingv1.UnimplementedDatasetServiceServer
	trainingv1.UnimplementedRunServiceServer
	trainingv1.UnimplementedWorkerServiceServer

	db       *db.DB
	blobs    *blob.Store
	temp     string
	lake     func() *lake.Lake
	models   modelsv1.ModelServiceClient
	review   reviewv1.ReviewServiceClient
	promises monitoringv1.MonitoringServiceClient
	queue    Queue
	version  string
	config   Config
	log      *slog.Logger
	now      func() time.Time

	heavy   chan struct{} // one slot for each data set that may be in memory for a call
	wake    chan struct{} // holds one signal when a run may be waiting
	handed  chan struct{} // holds one signal when a step may wait for a worker process
	posted  bell          // rings when one was posted
	first   sync.Mutex    // held while a deployment that does not exist yet is promoted to
	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // of what runs between Start and Close
	stop    context.CancelFunc
}

var (
	_ trainingv1.DatasetServiceServer = (*Service)(nil)
	_ trainingv1.RunServiceServer     = (*Service)(nil)
	_ trainingv1.WorkerServiceServer  = (*Service)(nil)
)

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
	if d.Lake == nil {
		d.Lake = func() *lake.Lake { return nil }
	}
	s := &Service{
		db: d.DB, blobs: d.Blobs, temp: d.Temp, lake: d.Lake, models: d.Models, review: d.Review, promises: d.Promises, queue: d.Queue, version: d.Version, config: d.Config, log: d.Log, now: d.Now,
		heavy: make(chan struct{}, 2), wake: make(chan struct{}, 1), handed: make(chan struct{}, 1),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Register adds the services to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	trainingv1.RegisterDatasetServiceServer(r, s)
	trainingv1.RegisterRunServiceServer(r, s)
	trainingv1.RegisterWorkerServiceServer(r, s)
}

// Start brings the tables up to date. Run lets runs go on.
func (s *Service) Start(ctx context.Context) error {
	if err := s.config.Validate(); err != nil {
		return fmt.Errorf("start training: %w", err)
	}
	return s.db.Migrate(ctx, "training", steps)
}

// Run carries out runs and starts what is scheduled, until Close is called. Everything that runs ask must answer by then.
func (s *Service) Run() {
	if s.models == nil {
		return
	}
	if s.config.external() && s.queue != nil {
		if err := s.keepLeases(s.ctx); err != nil {
			s.log.Warn("leases of workers were not prolonged", "error", err)
		}
		s.running.Go(s.keepPosting)
	}
	for range s.config.Workers {
		s.running.Go(s.work)
	}
	s.running.Go(s.keepSchedules)
}

// Close stops runs at once, which go on at the next start, and ends every watch. The database must still be open.
func (s *Service) Close() error {
	s.stop()
	s.running.Wait()
	return nil
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

// acting returns a context that calls the registry for a project, as the key that started it, with no more rights than that needs.
func acting(ctx context.Context, project, key, run string) context.Context {
	return auth.WithCaller(ctx, &auth.Caller{Project: project, KeyID: key, KeyName: "run " + run, Scopes: []string{"models:read", "models:write"}})
}

// enter waits for the right to hold a data set in memory; leave gives it back.
func (s *Service) enter(ctx context.Context) (leave func(), err error) {
	select {
	case s.heavy <- struct{}{}:
		return func() { <-s.heavy }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
