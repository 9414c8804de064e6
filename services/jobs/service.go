// Package jobs holds work that need not be done at once: queues of tasks that applications publish and pull under leases.
//
// A task is durable when PublishTask returns, and is delivered until somebody acknowledges or rejects it. Calls that change tasks at
// the same time share one transaction, so that they share its fsync too.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// TaskDeps is what the queues need.
type TaskDeps struct {
	// DB holds the tables.
	DB *db.DB
	// Config holds the limits; the zero value stands for DefaultTasks.
	Config TaskConfig
	// Log receives what callers do not see; nil for none.
	Log *slog.Logger
	// Now tells the time; nil for time.Now.
	Now func() time.Time
}

// Tasks implements the TaskService of the contract.
type Tasks struct {
	jobsv1.UnimplementedTaskServiceServer

	db     *db.DB
	config TaskConfig
	log    *slog.Logger
	now    func() time.Time
	writer *writer
	lines  lines

	pulling    context.Context //nolint:containedctx // ends when pulls wait no longer
	drain      context.CancelFunc
	running    sync.WaitGroup
	stop       context.CancelFunc
	background context.Context //nolint:containedctx // of what runs between Start and Close
}

var _ jobsv1.TaskServiceServer = (*Tasks)(nil)

// NewTasks returns the service. Call Start before the first request.
func NewTasks(d TaskDeps) *Tasks {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Config == (TaskConfig{}) {
		d.Config = DefaultTasks()
	}
	s := &Tasks{db: d.DB, config: d.Config, log: d.Log, now: d.Now}
	s.pulling, s.drain = context.WithCancel(context.Background())
	s.background, s.stop = context.WithCancel(context.Background())
	s.writer = &writer{db: d.DB, queue: make(chan *write), closed: s.background.Done()}
	return s
}

// Register adds the service to a server.
func (s *Tasks) Register(r grpc.ServiceRegistrar) { jobsv1.RegisterTaskServiceServer(r, s) }

// Start brings the tables up to date. Close ends what it begins.
func (s *Tasks) Start(ctx context.Context) error {
	if err := s.config.Validate(); err != nil {
		return fmt.Errorf("start tasks: %w", err)
	}
	if err := s.db.Migrate(ctx, "tasks", taskSteps); err != nil {
		return err
	}
	s.running.Go(func() { s.writer.run(s.background) })
	s.running.Go(func() { s.sweepAll(s.background) })
	return nil
}

// Drain ends every pull that waits: it is answered with no tasks. From then on no pull waits, and everything else goes on.
func (s *Tasks) Drain() { s.drain() }

// Close ends the service. The database must still be open.
func (s *Tasks) Close() error {
	s.Drain()
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
