// Package relay carries what the journal holds to the bus: in order, again and again until it is acknowledged, and only then released. It knows
// nothing of what the entries mean.
//
// An entry arrives at least once, and exactly once in an embedded stream. In that of a cluster, a crash between acknowledgement and release can deliver the last
// batch a second time, after the bus's window for repeated ids; consumers recognise it by its id.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/journal"
)

// Publisher is what the relay needs of a bus: nil means that all messages are stored, any error that some may not be.
type Publisher interface {
	PublishBatch(ctx context.Context, msgs []bus.Msg) error
}

var _ Publisher = (*bus.Bus)(nil)

const (
	// A batch of the relay is what the bus stores with one fsync.
	batchEntries = 1000
	batchBytes   = 8 << 20

	// How long an entry may wait for company: longer once much of it comes, since a large batch costs hardly more than a small one.
	gatherFew  = 15 * time.Millisecond
	gatherMany = 50 * time.Millisecond
	// many is the size of a batch after which the next one waits longer.
	many = 40

	firstPause = 10 * time.Millisecond
	lastPause  = 2 * time.Second

	// SubjectHeader holds the subject of an entry that the bus cannot take under it; the entry is then published under Unroutable.
	SubjectHeader = "Switchyard-Subject"
	// Unroutable is where entries go whose subject is not one of the stream's. No project can have that name.
	Unroutable = "switchyard.-.unroutable"
)

// Relay carries one journal to one bus.
type Relay struct {
	j      *journal.Journal
	pub    Publisher
	log    *slog.Logger
	header func(journal.Entry) map[string][]string
	before int // entries of the last batch

	mu    sync.Mutex
	stats Stats
}

// Stats are counts of a relay since it was made.
type Stats struct {
	Published  uint64 // acknowledged entries
	Batches    uint64 // publishes that carried them
	Failures   uint64 // publishes and reads that failed
	Unroutable uint64 // entries published under Unroutable
	Lag        uint64 // durable entries that are not yet acknowledged
	LastError  string // of the last failure; "" after the next success
}

// Option changes what a relay does.
type Option func(*Relay)

// WithHeader gives every message the headers that fn makes of its entry.
func WithHeader(fn func(journal.Entry) map[string][]string) Option {
	return func(r *Relay) { r.header = fn }
}

// New returns a relay. A nil logger discards.
func New(j *journal.Journal, p Publisher, log *slog.Logger, opts ...Option) *Relay {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Relay{j: j, pub: p, log: log, header: func(journal.Entry) map[string][]string { return nil }}
	for _, o := range opts {
		o(r)
	}
	return r
}

// Stats returns the present counts.
func (r *Relay) Stats() Stats {
	j := r.j.Stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Lag = j.Last - j.Released
	return s
}

// Run carries entries until the context ends or the journal is closed, and then returns nil. Nothing else ends it: while the bus is away or an
// entry cannot be read or is refused it tries again, with growing pauses, and nothing is released. An entry that is too large for the bus therefore holds up those
// behind it until the bus takes it: set journal's entry_bytes below bus's message_bytes.
func (r *Relay) Run(ctx context.Context) error {
	pause := firstPause
	for {
		err := r.step(ctx)
		switch {
		case err == nil:
			pause = firstPause
			continue
		case ctx.Err() != nil || errors.Is(err, journal.ErrClosed):
			return nil //nolint:nilerr // both are how a relay is meant to end
		}
		r.fail(err, pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// step waits for entries and carries one batch of them.
func (r *Relay) step(ctx context.Context) error {
	released := r.j.Stats().Released
	if err := r.j.Wait(ctx, released); err != nil {
		return err
	}
	if err := r.gather(ctx, released); err != nil {
		return err
	}
	msgs, last, readErr := r.read(ctx, released+1)
	if len(msgs) == 0 {
		return readErr
	}
	// Entries before a damaged one are carried all the same.
	if err := r.pub.PublishBatch(ctx, msgs); err != nil {
		return fmt.Errorf("relay entries %d to %d: %w", released+1, last, errors.Join(err, readErr))
	}
	if err := r.j.Release(last); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	r.before = len(msgs)
	r.succeed(msgs)
	return readErr
}

// gather gives a small batch a moment to grow: a publish costs an fsync and about as much processor time as ten decisions, however
// little it carries.
func (r *Relay) gather(ctx context.Context, released uint64) error {
	if r.j.Stats().Last-released >= batchEntries {
		return nil
	}
	pause := gatherFew
	if r.before > many {
		pause = gatherMany
	}
	select {
	case <-time.After(pause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errEnough = errors.New("the batch is full")

// read collects the next batch. The messages are valid whether or not there is an error.
func (r *Relay) read(ctx context.Context, from uint64) (msgs []bus.Msg, last uint64, err error) {
	size := 0
	err = r.j.Read(ctx, from, func(e journal.Entry) error {
		if len(msgs) == batchEntries || size > 0 && size+len(e.Data) > batchBytes {
			return errEnough
		}
		msgs = append(msgs, r.message(e))
		size += len(e.Data)
		last = e.Seq
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("relay: %w", err)
	}
	return msgs, last, err
}

// message turns an entry into a message. An entry whose subject the stream does not take must neither be lost nor hold up all others.
func (r *Relay) message(e journal.Entry) bus.Msg {
	if bus.ValidSubject(e.Subject) {
		return bus.Msg{Subject: e.Subject, ID: e.ID, Data: e.Data, Header: r.header(e)}
	}
	subject := strings.NewReplacer("\r", " ", "\n", " ").Replace(e.Subject) // a header's value is one line
	return bus.Msg{Subject: Unroutable, ID: e.ID, Data: e.Data, Header: map[string][]string{SubjectHeader: {subject}}}
}

// succeed counts a batch that was acknowledged and released.
func (r *Relay) succeed(msgs []bus.Msg) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Published += uint64(len(msgs))
	r.stats.Batches++
	for _, m := range msgs {
		if m.Subject == Unroutable {
			r.stats.Unroutable++
			r.log.Error("entry has a subject that is not the stream's", "id", m.ID, "subject", m.Header[SubjectHeader], "published_as", Unroutable)
		}
	}
	if r.stats.LastError != "" {
		r.log.Info("relay goes on", "entries", len(msgs))
		r.stats.LastError = ""
	}
}

func (r *Relay) fail(err error, pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Failures++
	r.stats.LastError = err.Error()
	level := slog.LevelWarn
	if errors.Is(err, bus.ErrNotReady) {
		level = slog.LevelDebug // the bus logs by itself why
	}
	r.log.Log(context.Background(), level, "relay waits", "error", err, "next_attempt_in", pause)
}
