package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// JobDeps is what jobs need.
type JobDeps struct {
	// DB holds the tables.
	DB *db.DB
	// Dir holds the items and the results; one process owns it.
	Dir string
	// Deciders answer.
	Deciders Deciders
	// Inputs is where files with items are; nil when callers send all items themselves.
	Inputs Inputs
	// Config holds the limits; the zero value stands for DefaultJobs.
	Config JobConfig
	// Log receives what callers do not see; nil for none.
	Log *slog.Logger
	// Now tells the time; nil for time.Now.
	Now func() time.Time
	// Waited returns how long callers have waited for their decisions so far, together, and for how many; nil when nobody ever waits.
	Waited func() (total time.Duration, decisions int64)
	// GiveWay is called between small pieces of work and lets others have the processors first; nil means runtime.Gosched.
	GiveWay func()
}

// Jobs implements the JobService of the contract.
//
// A job's items and results are two files of frames. A result is in its file before the progress that counts it is in the table, and after a crash the
// file says how far the job came. A frame that was decided and not yet written is decided again, with the same ids of its decisions: whoever keeps decisions
// keeps one.
type Jobs struct {
	jobsv1.UnimplementedJobServiceServer

	db       *db.DB
	dir      string
	deciders Deciders
	inputs   Inputs
	config   JobConfig
	log      *slog.Logger
	now      func() time.Time

	mu     sync.Mutex
	active map[jobKey]*job // that have not ended
	turns  turns
	wake   chan struct{} // holds one signal when a job may run
	give   givingWay

	giveWay func()

	deciding sync.Mutex   // held for a slice, and by Erase, which changes files under a job
	waiting  atomic.Int32 // erasures that wait for the end of a slice

	running sync.WaitGroup
	ctx     context.Context //nolint:containedctx // of what runs between Start and Close
	stop    context.CancelFunc
}

var _ jobsv1.JobServiceServer = (*Jobs)(nil)

// NewJobs returns the service. Call Start before the first request.
func NewJobs(d JobDeps) *Jobs {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Config.FrameItems == 0 {
		d.Config = DefaultJobs()
	}
	s := &Jobs{
		db: d.DB, dir: d.Dir, deciders: d.Deciders, inputs: d.Inputs, config: d.Config, log: d.Log, now: d.Now,
		active: map[jobKey]*job{}, wake: make(chan struct{}, 1),
	}
	s.turns.most = s.config.running
	if d.GiveWay == nil {
		d.GiveWay = runtime.Gosched
	}
	s.deciders.giveWay, s.giveWay = d.GiveWay, d.GiveWay
	s.give = givingWay{most: s.config.Share, least: s.config.LeastShare, waited: d.Waited}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Register adds the service to a server.
func (s *Jobs) Register(r grpc.ServiceRegistrar) { jobsv1.RegisterJobServiceServer(r, s) }

// Start brings the tables up to date and finds out how far the jobs came. Run lets them go on.
func (s *Jobs) Start(ctx context.Context) error {
	if err := s.config.Validate(); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	if err := s.db.Migrate(ctx, "jobs", jobSteps); err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	if err := s.prune(ctx); err != nil {
		return fmt.Errorf("forget old jobs: %w", err)
	}
	var open []*job
	err := s.db.View(ctx, func(tx *db.Tx) (err error) {
		open, err = readJobs(tx, `WHERE ended = 0 ORDER BY created, id`)
		for _, j := range open {
			if err == nil {
				j.known, err = readRate(tx, j.project, j.operation, j.deployment)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, j := range open {
		if err := s.sweepFolder(j); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		s.active[j.jobKey] = j
		if err := s.recover(j); err != nil { // its files are damaged or gone; the others run
			s.failed(j, fmt.Errorf("recover: %w", err))
		}
		s.enqueue(j)
	}
	return s.sweepFiles(ctx)
}

// Run decides until Drain is called. Everything that jobs ask must answer by then.
func (s *Jobs) Run() {
	s.running.Go(s.work)
}

// Drain stops deciding, after what is being decided; it waits until the progress is on disk. Watches end too.
func (s *Jobs) Drain() {
	s.stop()
	s.running.Wait()
}

// Close is Drain; the database must still be open.
func (s *Jobs) Close() error {
	s.Drain()
	return nil
}

func (s *Jobs) folder(j *job) string { return filepath.Join(s.dir, j.uuid) }

func (s *Jobs) itemsPath(j *job) string { return s.path(j, "items", j.written()) }

func (s *Jobs) resultsPath(j *job) string { return s.path(j, "results", j.written()) }

// path returns where a file of a job is that was written anew so often.
func (s *Jobs) path(j *job, name string, written int64) string {
	if written > 0 {
		name += "." + strconv.FormatInt(written, 10)
	}
	return filepath.Join(s.folder(j), name)
}

// find returns a job of the caller's project: the one that runs here, or the row of one that ended.
func (s *Jobs) find(ctx context.Context, id string) (*job, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	key := jobKey{of, id}
	s.mu.Lock()
	j := s.active[key]
	s.mu.Unlock()
	if j != nil {
		return j, nil
	}
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		j, err = readJob(tx, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	if j == nil {
		return nil, fault.NotFound("job", id)
	}
	return j, nil
}

// prune forgets jobs that ended long enough ago.
func (s *Jobs) prune(ctx context.Context) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`DELETE FROM jobs WHERE ended > 0 AND ended < ?`, db.Micros(s.now().Add(-s.config.Keep)))
		return err
	})
}

// sweepFiles deletes folders without a job: of jobs that are forgotten, and of uploads that a crash cut short.
func (s *Jobs) sweepFiles(ctx context.Context) error {
	known := map[string]bool{}
	err := s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT uuid FROM jobs`, nil, func(scan func(...any) error) error {
			var uuid string
			err := scan(&uuid)
			known[uuid] = true
			return err
		})
	})
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !known[e.Name()] {
			if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
