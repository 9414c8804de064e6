package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/inbox"
)

// keepPlaceEvery is how much of the stream is looked at again after a crash; what came of it before has to be harmless a second time.
const keepPlaceEvery = time.Second

// follower looks at the events of the embedded stream in order, and remembers up to where. It gets what this process publishes without asking the server for it: a consumer of the
// server reads each message from the stream's blocks, which keeps all blocks of the last ten seconds in memory.
type follower struct {
	*App
	name    string // of its place in the inbox, and of the server's consumer that earlier releases had
	filters []string
	idle    time.Duration // after which take is called although nothing came
	// take looks at events, none when nothing came; only its own context's end is an error. What a batch holds may be kept.
	take func(ctx context.Context, batch []bus.Delivery) error
	// done returns up to which event everything has had its effect.
	done func() uint64

	stream string // which stream it is
	kept   uint64 // the place that is remembered
	keptAt time.Time
	old    bool // a consumer of an earlier release is there
}

// run follows until the context ends.
func (f *follower) run(ctx context.Context) error {
	from, err := f.begin(ctx)
	if err != nil || ctx.Err() != nil {
		return err
	}
	err = f.bus.Follow(ctx, from, f.filters, f.idle, func(ctx context.Context, batch []bus.Delivery) error {
		err := f.take(ctx, batch)
		if time.Since(f.keptAt) >= keepPlaceEvery {
			f.keep(ctx)
		}
		return err
	})
	f.keep(context.WithoutCancel(ctx))
	return err
}

// begin finds out where to go on: where this process was, or where a consumer of an earlier release was.
func (f *follower) begin(ctx context.Context) (from bus.Position, err error) {
	for ; ; time.Sleep(50 * time.Millisecond) {
		if err := f.bus.WaitReady(ctx); err != nil {
			if ctx.Err() != nil {
				return from, nil //nolint:nilerr // the end of the context is how this is meant to end
			}
			return from, err
		}
		seq, err := f.place(ctx)
		if err == nil {
			f.kept = seq
			return bus.Position{Seq: seq + 1}, nil
		}
		if ctx.Err() != nil {
			return from, nil //nolint:nilerr // as above
		}
		f.log.WarnContext(ctx, "a follower of the stream does not know where to go on", "follower", f.name, "error", err)
	}
}

func (f *follower) place(ctx context.Context) (seq uint64, err error) {
	if f.stream, err = (eventLog{f.bus}).Identity(ctx); err != nil {
		return 0, err
	}
	seq, known, err := inbox.Place(ctx, f.db, f.name, f.stream)
	if err == nil && !known {
		seq, f.old, err = acknowledged(ctx, f.bus, f.name)
	}
	return seq, err
}

// acknowledged returns up to which event a consumer of the server has acknowledged all; there is false, and the place before the oldest event, when it has no such consumer.
func acknowledged(ctx context.Context, b *bus.Bus, consumer string) (seq uint64, there bool, err error) {
	c, err := b.JetStream().Consumer(ctx, bus.Stream, consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("look at the consumer %s: %w", consumer, err)
	}
	return c.CachedInfo().AckFloor.Stream, true, nil
}

// keep remembers up to where everything has had its effect.
func (f *follower) keep(ctx context.Context) {
	f.keptAt = time.Now()
	place := f.done()
	if place <= f.kept {
		return
	}
	if err := inbox.Keep(ctx, f.db, f.name, f.stream, place); err != nil {
		if ctx.Err() == nil {
			f.log.WarnContext(ctx, "the place of a follower in the stream could not be kept", "follower", f.name, "error", err)
		}
		return
	}
	f.kept = place
	if f.old {
		f.old = f.bus.JetStream().DeleteConsumer(ctx, bus.Stream, f.name) != nil
	}
}

// inBackground runs what the end of the bus ends.
func (a *App) inBackground(ctx context.Context, run func(context.Context) error) {
	a.background.Go(func() error {
		err := run(ctx)
		if errors.Is(err, bus.ErrClosed) {
			err = nil
		}
		return err
	})
}
