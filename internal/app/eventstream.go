package app

import (
	"context"
	"errors"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/events"
)

// startEvents starts the service that tells what happened, where it runs here. Webhooks are sent once the bus is up.
func (a *App) startEvents(ctx context.Context) error {
	if !a.config.runs("events") {
		return nil
	}
	key, err := a.webhookKey()
	if err != nil {
		return err
	}
	stream := eventStream{a.bus}
	a.events = events.New(events.Deps{DB: a.db, Stream: stream, Consumer: stream, SecretKey: key, Config: a.config.Events, Log: a.log})
	if err := a.events.Start(ctx); err != nil {
		return err
	}
	a.events.Register(a.server)
	a.background.Go(func() error { return a.events.Run(ctx) })
	return nil
}

// eventStream is the bus as services see it: with CloudEvents for messages and faults for errors.
type eventStream struct{ bus *bus.Bus }

var (
	_ events.Stream   = eventStream{}
	_ events.Consumer = eventStream{}
)

func message(d *bus.Delivery) *events.Message {
	return &events.Message{Event: cloudevent.Parse(d.Subject, d.EventID, d.Header, d.Time), Seq: d.Seq, Stored: d.Time, Data: d.Data}
}

func messages(batch []bus.Delivery) []*events.Message {
	out := make([]*events.Message, len(batch))
	for i := range batch {
		out[i] = message(&batch[i])
	}
	return out
}

// busFault says what a caller may know of an error of the bus; those of handlers pass.
func busFault(err error) error {
	if errors.Is(err, bus.ErrNotReady) || errors.Is(err, bus.ErrClosed) {
		return fault.Unavailable("event store").Cause(err)
	}
	return err
}

func position(s events.Start) bus.Position { return bus.Position{Seq: s.Seq, Time: s.Time} }

// Bounds implements events.Stream.
func (s eventStream) Bounds(ctx context.Context) (first, last uint64, err error) {
	b, err := s.bus.Bounds(ctx)
	return b.First, b.Last, busFault(err)
}

// Read implements events.Stream.
func (s eventStream) Read(ctx context.Context, from events.Start, subjects []string, fn func(*events.Message) error) error {
	return busFault(s.bus.Read(ctx, position(from), subjects, func(d bus.Delivery) error { return fn(message(&d)) }))
}

// Follow implements events.Stream.
func (s eventStream) Follow(ctx context.Context, from events.Start, subjects []string, idle time.Duration, fn func([]*events.Message) error) error {
	return busFault(s.bus.Follow(ctx, position(from), subjects, idle, func(_ context.Context, batch []bus.Delivery) error { return fn(messages(batch)) }))
}

// Consume implements events.Consumer. It ends without an error when the bus is closed: then everything ends.
func (s eventStream) Consume(ctx context.Context, name string, from time.Time, subjects []string, fn func(context.Context, []*events.Message) error) error {
	err := s.bus.Consume(ctx, bus.Consumer{Name: name, Filters: subjects, From: bus.Position{Time: from}}, func(ctx context.Context, batch []bus.Delivery) error {
		return fn(ctx, messages(batch))
	})
	if errors.Is(err, bus.ErrClosed) {
		<-ctx.Done()
		return nil
	}
	return err
}
