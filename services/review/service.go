// Package review is the queue of what people decide: decisions that were left to a person, and audits of those that were not. It leases items,
// takes verdicts and feedback, and measures how far reviewers can be trusted. It never decides, and it does not know how decisions reach
// it: whoever runs it hands them to [Service.Apply].
package review

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Kinds of the events that the service emits; each is the last part of a subject.
const (
	VerdictEvents  = "verdicts" // reviewv1.Verdict
	FeedbackEvents = "feedback" // reviewv1.Feedback
	ItemEvents     = "reviews"  // reviewv1.ItemEvent
)

// Event is something that others learn of. ID is unique for ever in its project and kind: consumers that saw it once ignore it afterwards.
type Event struct {
	Project, Kind, ID string
	// Subject is the decision that it is about; Operation and Deployment are those of the decision, such as "routing" and "support".
	Subject, Operation, Deployment string
	Time                           time.Time
	Message                        proto.Message
}

// Deps is what the service needs.
type Deps struct {
	// DB holds the tables.
	DB *db.DB
	// Emit stores an event in the transaction, from where it is carried to the bus; nil to emit nothing.
	Emit func(tx *db.Tx, e Event) error
	// Labels knows the labels of deployments; nil when nobody does.
	Labels Labels
	// Decision reads the record of a decision of the project that was never an item; nil when there is none. A nil function knows no decisions.
	Decision func(ctx context.Context, project, id string) (*commonv1.DecisionRecord, error)
	// Config says how long what is done is kept.
	Config Config
	// Meter makes the instruments that tell how the queues are; nil to measure nothing.
	Meter metric.Meter
	// Log receives what callers do not see; nil for none.
	Log *slog.Logger
	// Now tells the time; nil for time.Now.
	Now func() time.Time
	// Draw returns a random number in [0, 1), which decides where test items are mixed in; nil for a random source.
	Draw func() float64
}

// Service implements the ReviewService of the contract.
type Service struct {
	reviewv1.UnimplementedReviewServiceServer

	db       *db.DB
	emit     func(tx *db.Tx, e Event) error
	labels   Labels
	decision func(ctx context.Context, project, id string) (*commonv1.DecisionRecord, error)
	log      *slog.Logger
	now      func() time.Time
	draw     func() float64
	hub      *hub
	meter    metric.Meter
	metrics  metric.Registration
	config   Config
	scan     int // how many rows one page of a list looks at

	runs  atomic.Bool // there may be something to merge
	keyed atomic.Bool // all items of earlier releases have their keys

	retiring   sync.Mutex
	retireNext time.Time // when it is looked again for what is old

	stop    context.CancelFunc
	running sync.WaitGroup
}

var _ reviewv1.ReviewServiceServer = (*Service)(nil)

// New returns the service. Call Start before the first request.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Draw == nil {
		d.Draw = rand.Float64
	}
	if d.Emit == nil {
		d.Emit = func(*db.Tx, Event) error { return nil }
	}
	if d.Labels == nil {
		d.Labels = NewLabelTable()
	}
	s := &Service{
		db: d.DB, emit: d.Emit, labels: d.Labels, decision: d.Decision, log: d.Log, now: d.Now, draw: d.Draw, hub: newHub(), meter: d.Meter, config: d.Config, scan: maxScan, stop: func() {},
	}
	s.runs.Store(true) // the process before may have been in the middle
	return s
}

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) { reviewv1.RegisterReviewServiceServer(r, s) }

// Start brings the tables up to date and begins to do what is due: leases end, undo windows pass, items are escalated. Close ends it.
func (s *Service) Start(ctx context.Context) error {
	if err := s.db.Migrate(ctx, "review", steps); err != nil {
		return err
	}
	if err := s.measure(s.meter); err != nil {
		return err
	}
	ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.running.Go(func() { s.keepTime(ctx) })
	return nil
}

// Close ends what Start began, and every watch and waiting lease with SHUTTING_DOWN. What is due is done after the next start.
func (s *Service) Close() {
	s.hub.close()
	s.stop()
	s.running.Wait()
	if s.metrics != nil {
		_ = s.metrics.Unregister() // fails for foreign registrations only
	}
}

// project returns the project of the caller.
func project(ctx context.Context) (string, error) {
	c := auth.FromContext(ctx)
	if c == nil {
		return "", fault.KeyMissing()
	}
	if c.Project == "" {
		return "", fault.Internal(fmt.Errorf("key %s calls for no project", c.KeyID))
	}
	return c.Project, nil
}

// person is who judges: a name, and the key that the call came with.
type person struct {
	project, name, key string
	leads              bool // sees what is hidden from reviewers
}

// who returns the person behind a call that names the reviewer, or nobody.
func who(ctx context.Context, reviewer string) (person, error) {
	project, err := project(ctx)
	if err != nil {
		return person{}, err
	}
	c := auth.FromContext(ctx)
	p := person{project: project, name: reviewer, key: c.KeyID, leads: c.Has("review:write")}
	if p.name == "" {
		p.name = "key:" + c.KeyID // no name that is sent may hold a colon
	}
	return p, nil
}
