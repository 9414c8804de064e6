package events_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/inbox"
	"github.com/switchyard-ai/switchyard/internal/outbox"
	"github.com/switchyard-ai/switchyard/services/events"
)

// clock is one that a test sets.
type clock struct {
	mu      sync.Mutex
	now     time.Time
	waiting map[chan time.Time]time.Time
}

func newClock() *clock {
	return &clock{now: time.Now().UTC(), waiting: map[chan time.Time]time.Time{}}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Wake(at time.Time) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := make(chan time.Time, 1)
	if !at.After(c.now) {
		w <- c.now
	} else {
		c.waiting[w] = at
	}
	return w, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waiting, w)
	}
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for w, at := range c.waiting {
		if !at.After(c.now) {
			w <- c.now
			delete(c.waiting, w)
		}
	}
}

// consumer gives events to the service when a test says so.
type consumer struct {
	mu       sync.Mutex
	subjects []string
	fn       func(context.Context, []*events.Message) error
}

func (c *consumer) Consume(ctx context.Context, _ string, _ time.Time, subjects []string, fn func(context.Context, []*events.Message) error) error {
	c.mu.Lock()
	c.subjects, c.fn = subjects, fn
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.fn = nil
	c.mu.Unlock()
	return nil
}

func (c *consumer) current() (func(context.Context, []*events.Message) error, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fn, c.subjects
}

// system is the service with real tables, a clock and events of the test.
type system struct {
	*events.Service
	t        *testing.T
	db       *db.DB
	clock    *clock
	consumer *consumer
	dir      string
	seq      uint64
	stop     func()
}

func start(t *testing.T, change ...func(*events.Config)) *system {
	t.Helper()
	s := &system{t: t, dir: t.TempDir(), clock: newClock()}
	s.run(change...)
	return s
}

// run starts the service on the folder; after stop it can be run again.
func (s *system) run(change ...func(*events.Config)) {
	s.t.Helper()
	var err error
	if s.db, err = db.Open(s.t.Context(), dbtest.Config(s.t, filepath.Join(s.dir, "switchyard.db"))); err != nil {
		s.t.Fatal(err)
	}
	for _, migrate := range []func(context.Context, *db.DB) error{outbox.Migrate, inbox.Migrate} {
		if err := migrate(s.t.Context(), s.db); err != nil {
			s.t.Fatal(err)
		}
	}
	config := events.Default()
	config.Webhooks.AllowHTTP, config.Webhooks.AllowNetworks = true, []string{"127.0.0.0/8"}
	config.Webhooks.Timeout = 2 * time.Second
	for _, c := range change {
		c(&config)
	}
	s.consumer = &consumer{}
	s.Service = events.New(events.Deps{DB: s.db, Consumer: s.consumer, Config: config, Clock: s.clock, Jitter: func() float64 { return 0.5 }})
	if err := s.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	service := s.Service
	go func() { done <- service.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		_ = s.db.Close()
	})
	s.t.Cleanup(s.stop)
}

// as is a context of a caller of a project.
func as(t *testing.T, project string) context.Context {
	t.Helper()
	return auth.WithCaller(t.Context(), &auth.Caller{Project: project, KeyID: "k", Scopes: []string{"*"}})
}

// create makes a webhook of project acme and returns it with its secret.
func (s *system) create(spec *eventsv1.WebhookSpec) (*eventsv1.Webhook, string) {
	s.t.Helper()
	res, err := s.CreateWebhook(as(s.t, "acme"), &eventsv1.CreateWebhookRequest{Spec: spec})
	if err != nil {
		s.t.Fatal(err)
	}
	s.clock.advance(time.Millisecond)
	s.wait("the events are read", func() bool {
		fn, subjects := s.consumer.current()
		return fn != nil && len(subjects) > 0
	})
	return res.GetWebhook(), res.GetSecret()
}

// message makes an event.
func (s *system) message(project, kind, id string) *events.Message {
	s.seq++
	subject := "switchyard." + project + "." + kind
	a := cloudevent.Attributes{ContentType: cloudevent.JSON, Subject: "about-" + id, Operation: "routing", Deployment: "support"}
	return &events.Message{
		Event: cloudevent.Parse(subject, id, cloudevent.Header(subject, id, a), s.clock.Now()), Seq: s.seq, Stored: s.clock.Now(), Data: fmt.Appendf(nil, `{"n":%q}`, id),
	}
}

// publish gives events to the service, as the bus does: again and again until they are taken.
func (s *system) publish(batch ...*events.Message) {
	s.t.Helper()
	s.wait("the events are taken", func() bool {
		fn, _ := s.consumer.current()
		return fn != nil && fn(s.t.Context(), batch) == nil
	})
}

func (s *system) wait(what string, holds func() bool) {
	s.t.Helper()
	late := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-late:
			s.t.Fatalf("%s: not in time", what)
		}
	}
}

func (s *system) deliveries(w *eventsv1.Webhook) []*eventsv1.Delivery {
	s.t.Helper()
	res, err := s.ListDeliveries(as(s.t, "acme"), &eventsv1.ListDeliveriesRequest{WebhookId: w.GetWebhookId()})
	if err != nil {
		s.t.Fatal(err)
	}
	return res.GetDeliveries()
}

func (s *system) webhook(w *eventsv1.Webhook) *eventsv1.Webhook {
	s.t.Helper()
	res, err := s.ListWebhooks(as(s.t, "acme"), &eventsv1.ListWebhooksRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, got := range res.GetWebhooks() {
		if got.GetWebhookId() == w.GetWebhookId() {
			return got
		}
	}
	s.t.Fatalf("webhook %s is not listed", w.GetWebhookId())
	return nil
}

// call is one request that a receiver got.
type call struct {
	header http.Header
	body   string
}

// receiver is a customer's server.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	calls  []call
}

func receive(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{status: http.StatusNoContent}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.calls = append(r.calls, call{q.Header.Clone(), string(body)})
		status := r.status
		r.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call(nil), r.calls...)
}
