// Package events tells what happened: as a stream that can be resumed anywhere, and by webhooks. It reads the bus and keeps nothing of it but what is on its way to a
// webhook.
package events

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"

	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/events/egress"
)

// Deps is what the service needs.
type Deps struct {
	// DB holds the webhooks and what is on its way to them, the inbox and the outbox.
	DB *db.DB
	// Stream is where events are read from.
	Stream Stream
	// Consumer is where webhooks get their events from.
	Consumer Consumer
	// SecretKey encrypts the secrets of webhooks in the tables, 32 bytes; empty: they are stored as they are.
	SecretKey []byte
	// Config holds the limits; the zero value of its parts is not allowed, see Default.
	Config Config
	// Log receives what callers do not see; nil for none.
	Log *slog.Logger
	// Clock tells the time of webhooks and wakes them; nil for the real one.
	Clock Clock
	// Jitter is uniform in [0, 1); nil for the runtime's generator.
	Jitter func() float64
	// Resolver and Roots are those of calls to receivers; nil for the system's.
	Resolver *net.Resolver
	Roots    *x509.CertPool
}

// Clock tells the time.
type Clock interface {
	Now() time.Time
	// Wake returns a channel that holds a value at that time.
	Wake(at time.Time) (c <-chan time.Time, stop func())
}

// realClock is the clock of the machine.
type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) Wake(at time.Time) (<-chan time.Time, func()) {
	t := time.NewTimer(time.Until(at))
	return t.C, func() { t.Stop() }
}

// Service implements the EventService and the WebhookService of the contract.
type Service struct {
	eventsv1.UnimplementedEventServiceServer
	eventsv1.UnimplementedWebhookServiceServer

	db       *db.DB
	stream   Stream
	consumer Consumer
	config   Config
	key      []byte
	vault    vault
	policy   egress.Policy
	client   *http.Client
	log      *slog.Logger
	clock    Clock
	jitter   func() float64
	slots    chan struct{} // one for each attempt that may be under way

	closing context.Context //nolint:containedctx // ends every open stream when the service closes
	close   context.CancelFunc
	mu      sync.Mutex
	open    map[string]int // streams by project
}

var (
	_ eventsv1.EventServiceServer   = (*Service)(nil)
	_ eventsv1.WebhookServiceServer = (*Service)(nil)
)

// New returns the service. Call Start before the first request, and Run for webhooks to be sent.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Clock == nil {
		d.Clock = realClock{}
	}
	if d.Jitter == nil {
		d.Jitter = runtimeJitter
	}
	policy, _ := d.Config.Webhooks.policy() // Start reports what is wrong with it
	s := &Service{
		db: d.DB, key: d.SecretKey, stream: d.Stream, consumer: d.Consumer, config: d.Config, policy: policy, log: d.Log, clock: d.Clock, jitter: d.Jitter,
		client: policy.Client(egress.Options{Timeout: d.Config.Webhooks.Timeout, Resolver: d.Resolver, Roots: d.Roots}),
		slots:  make(chan struct{}, max(1, d.Config.Webhooks.TotalConcurrency)), open: map[string]int{},
	}
	s.closing, s.close = context.WithCancel(context.Background())
	return s
}

// Register adds the service to a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	eventsv1.RegisterEventServiceServer(r, s)
	eventsv1.RegisterWebhookServiceServer(r, s)
}

// Start brings the tables up to date.
func (s *Service) Start(ctx context.Context) error {
	if err := s.config.Validate(); err != nil {
		return fmt.Errorf("start events: %w", err)
	}
	var err error
	if s.vault, err = newVault(s.key); err != nil {
		return fmt.Errorf("start events: %w", err)
	}
	if err := s.db.Migrate(ctx, "events", steps); err != nil {
		return err
	}
	return s.sealAll(ctx)
}

// Close ends every subscription with its place and SHUTTING_DOWN, so that a draining server does not wait for streams that never end by themselves.
func (s *Service) Close() { s.close() }

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
