// Package bus carries events: one JetStream stream with the project in the subject, on a server inside this process or on a cluster.
//
// It acknowledges a message when the stream has it on disk, and stores a message id once within the window of Config.Duplicates; an embedded stream also does when a publish
// was not answered and is repeated, also by the next process. It keeps itself running: a server whose store has failed is restarted. It does not keep messages while the stream is away; that is the journal's work.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// Stream is the name of the one stream.
	Stream = "switchyard"
	// Subjects are what the stream takes: "switchyard.<project>.<what>".
	Subjects = "switchyard.*.>"
)

var (
	// ErrNotReady means that the stream cannot be reached yet or at the moment.
	ErrNotReady = errors.New("bus is not ready")
	// ErrClosed means that the bus was closed.
	ErrClosed = errors.New("bus is closed")
	// ErrRefused means that the stream will never take a message: it is too large or its subject is not the stream's. Trying again does not help.
	ErrRefused = errors.New("message refused")
)

// Bus is a connection to the stream, and the server behind it when that is embedded.
type Bus struct {
	cfg Config
	dir string
	log *slog.Logger

	srv embedded // its server is nil when clustered
	nc  *nats.Conn
	js  jetstream.JetStream

	cancel context.CancelFunc
	done   chan struct{}
	sick   chan string  // what made the watchdog look
	streak atomic.Int32 // publishes that timed out since the last one that did not
	batch  atomic.Uint64
	recent recent // of an embedded server
	stored stored // of an embedded server

	mu    sync.Mutex
	ready chan struct{} // closed while the stream is reachable
	down  chan struct{} // closed while it is not
	isUp  bool
	stats Stats
}

// Stats are counts of a bus since it was started.
type Stats struct {
	Ready     bool
	StartTime time.Duration // from Start to the first time that the stream was reachable; 0 before
	Restarts  uint64        // of the embedded server by the watchdog
	Published uint64        // acknowledged messages, repetitions included
	Repeated  uint64        // of these, messages that the stream already had
	LastError string        // what last kept the bus from being ready, or made a publish fail
}

// New returns a bus that keeps its store in dir when the configuration asks for an embedded server. It does no I/O.
func New(dir string, c Config, log *slog.Logger) (*Bus, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configure bus: %w", err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Bus{cfg: c, dir: dir, log: log, done: make(chan struct{}), sick: make(chan string, 1), ready: make(chan struct{}), down: make(chan struct{})}, nil
}

// Start begins to start the server and to connect, and returns at once: nobody has to wait for the bus before serving. Starting goes on
// until it succeeds or the bus is closed; WaitReady waits for it. Call it once. The context's values are kept, its end is not heeded: use Close.
func (b *Bus) Start(ctx context.Context) error {
	ctx, b.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := b.connect(); err != nil {
		b.cancel()
		close(b.done)
		return fmt.Errorf("start bus: %w", err)
	}
	go b.supervise(ctx, time.Now())
	return nil
}

// connect makes the one connection that lasts as long as the bus. It succeeds without a server and finds every later one by itself.
func (b *Bus) connect() (err error) {
	opts := []nats.Option{
		nats.Name("switchyard"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond),
		nats.ReconnectJitter(20*time.Millisecond, 20*time.Millisecond),
		nats.ReconnectBufSize(-1), // what cannot be sent fails at once; the journal has it
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { b.log.Warn("bus connection", "error", err) }),
	}
	if b.cfg.URL == "" {
		opts = append(opts, nats.InProcessServer(&b.srv))
	}
	if b.cfg.CredentialsFile != "" {
		opts = append(opts, nats.UserCredentials(b.cfg.CredentialsFile))
	}
	if b.cfg.CAFile != "" {
		opts = append(opts, nats.RootCAs(b.cfg.CAFile))
	}
	if b.nc, err = nats.Connect(b.cfg.URL, opts...); err != nil {
		return err
	}
	b.js, err = jetstream.New(b.nc, jetstream.WithPublishAsyncMaxPending(b.cfg.MaxInflight), jetstream.WithPublishAsyncTimeout(b.cfg.AckTimeout))
	return err
}

// Ready says whether the stream was reachable when last looked at.
func (b *Bus) Ready() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.isUp
}

// WaitReady waits until the stream is reachable.
func (b *Bus) WaitReady(ctx context.Context) error {
	b.mu.Lock()
	ready := b.ready
	b.mu.Unlock()
	select {
	case <-ready:
		return nil
	case <-b.done:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("%w: %s: %w", ErrNotReady, b.Stats().LastError, ctx.Err())
	}
}

// Embedded says whether the stream is this process's own.
func (b *Bus) Embedded() bool { return b.cfg.URL == "" }

// Forget forgets what this process remembers of a message that was removed from the stream.
func (b *Bus) Forget(seq uint64) { b.recent.forget(seq) }

// JetStream returns the connection for consumers. It stays the same when the embedded server is restarted. Call it after Start.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Stats returns the present counts.
func (b *Bus) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Ready = b.isUp
	return s
}

// Close ends the connection and the embedded server and waits for both. Publishing afterwards fails with ErrClosed.
func (b *Bus) Close() error {
	if b.cancel == nil {
		return nil // never started
	}
	b.cancel()
	<-b.done
	b.nc.Close()
	if b.srv.stop() {
		if err := seal(b.dir); err != nil { // such as on a full disk: nothing is lost, and the next verification knows less
			b.log.Warn("the files of the stream were not written down", "error", err)
		}
	}
	return nil
}

// closed says whether Close was called.
func (b *Bus) closed() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// up opens or closes the gate that WaitReady waits at.
func (b *Bus) up(is bool) {
	if b.gate(is) && !is {
		b.stored.unclear() // without mu: who looks at the stream holds its lock and asks whether the stream is ready
	}
}

// gate does it, and says whether that changed anything.
func (b *Bus) gate(is bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if is == b.isUp {
		return false
	}
	if b.isUp = is; is {
		close(b.ready)
		b.down = make(chan struct{})
	} else {
		close(b.down)
		b.ready = make(chan struct{})
		b.recent.reset()
	}
	return true
}

// whileUp returns a context that also ends when the bus goes down: an acknowledgement from a server that was stopped never comes.
func (b *Bus) whileUp(ctx context.Context) (context.Context, context.CancelFunc, error) {
	b.mu.Lock()
	down, is := b.down, b.isUp
	b.mu.Unlock()
	if !is {
		return nil, nil, ErrNotReady
	}
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-down:
			cancel(ErrNotReady)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }, nil
}

// note keeps the last error for Stats.
func (b *Bus) note(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.LastError = err.Error()
}
