// Package relaytest answers, after a process was killed, which of the entries that it acknowledged are where they have to be. It needs only
// the directories that the process left behind.
package relaytest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/relay"
)

// Dirs are the directories of a stopped process.
type Dirs struct {
	Journal, Bus string
	// JournalConfig and BusConfig are those of the process; the zero values stand for the defaults.
	JournalConfig journal.Config
	BusConfig     bus.Config
}

// Found is how often each id is in the journal and in the stream.
type Found struct{ Journal, Stream map[string]int }

// Missing returns the ids that are not in the stream.
func (f Found) Missing(acknowledged []string) (ids []string) {
	for _, id := range acknowledged {
		if f.Stream[id] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// MissingBefore returns the ids that were neither in the stream nor in the journal before the relay went on: what a crash really lost.
func (f Found) MissingBefore(acknowledged []string) (ids []string) {
	for _, id := range acknowledged {
		if f.Stream[id] == 0 && f.Journal[id] == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Repeated returns the ids that are in the stream more than once.
func (f Found) Repeated() (ids []string) {
	for id, n := range f.Stream {
		if n > 1 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Drain opens what a killed process left, verifies the journal, lets the relay carry the rest of it to the stream, and returns what is where:
// Journal as it was found, Stream as it is at the end.
func Drain(ctx context.Context, d Dirs) (f Found, err error) {
	if d.JournalConfig == (journal.Config{}) {
		d.JournalConfig = journal.Default()
	}
	if d.BusConfig == (bus.Config{}) {
		d.BusConfig = bus.Default()
	}
	j, err := journal.Open(d.Journal, d.JournalConfig)
	if err != nil {
		return f, err
	}
	defer j.Close()
	if err := j.Verify(ctx); err != nil {
		return f, err
	}
	f.Journal = map[string]int{}
	if err := j.Read(ctx, 0, func(e journal.Entry) error { f.Journal[e.ID]++; return nil }); err != nil {
		return f, err
	}
	b, err := bus.New(d.Bus, d.BusConfig, nil)
	if err != nil {
		return f, err
	}
	if err := b.Start(ctx); err != nil {
		return f, err
	}
	defer b.Close()
	if err := b.WaitReady(ctx); err != nil {
		return f, err
	}
	if err := carry(ctx, j, b); err != nil {
		return f, err
	}
	f.Stream, err = IDs(ctx, b)
	return f, err
}

// carry runs a relay until nothing is left to carry.
func carry(ctx context.Context, j *journal.Journal, b *bus.Bus) error {
	ctx, cancel := context.WithCancel(ctx)
	r := relay.New(j, b, nil)
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() { cancel(); <-done }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for r.Stats().Lag > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d entries not carried: %s: %w", r.Stats().Lag, r.Stats().LastError, ctx.Err())
		}
	}
	return nil
}

// IDs counts the ids of the events in the stream.
func IDs(ctx context.Context, b *bus.Bus) (map[string]int, error) {
	stream, err := b.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return nil, err
	}
	c, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	ids := map[string]int{}
	for left := stream.CachedInfo().State.Msgs; left > 0; {
		batch, err := c.Fetch(int(min(left, 1000)), jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			return nil, err
		}
		got := uint64(0)
		for m := range batch.Messages() {
			_, id, _ := strings.Cut(m.Headers().Get(jetstream.MsgIDHeader), "|")
			ids[id]++
			got++
		}
		if got == 0 {
			return nil, fmt.Errorf("read stream: %d messages are left: %w", left, batch.Error())
		}
		left -= got
	}
	return ids, nil
}
