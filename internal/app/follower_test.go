package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/inbox"
)

// following is a bus, a database and what a follower of both has seen.
type following struct {
	*App

	mu   sync.Mutex
	seen []uint64
}

func follow(t *testing.T) *following {
	t.Helper()
	dir := t.TempDir()
	b, err := bus.New(filepath.Join(dir, "events"), bus.Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	d, err := db.Open(t.Context(), dbtest.Config(t, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	if err := inbox.Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	ready, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := b.WaitReady(ready); err != nil {
		t.Fatal(err)
	}
	return &following{App: &App{bus: b, db: d, log: slog.New(slog.DiscardHandler)}}
}

// publish brings so many events into the stream, with numbers from first on.
func (f *following) publish(t *testing.T, first, n int) {
	t.Helper()
	var msgs []bus.Msg
	for i := range n {
		msgs = append(msgs, bus.Msg{Subject: "switchyard.acme.decisions", ID: fmt.Sprint(first + i), Data: []byte("x")})
	}
	if err := f.bus.PublishBatch(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
}

// run follows until so many events were seen, all but the last few of which have their effect.
func (f *following) run(t *testing.T, want, pending int) []uint64 {
	t.Helper()
	f.seen = nil
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	follower := &follower{
		App: f.App, name: "reader", filters: []string{"switchyard.*.decisions"}, idle: 50 * time.Millisecond,
		take: func(_ context.Context, batch []bus.Delivery) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			for i := range batch {
				f.seen = append(f.seen, batch[i].Seq)
			}
			if len(batch) == 0 && len(f.seen) >= want { // nothing comes any more
				cancel()
			}
			return nil
		},
		done: func() uint64 {
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.seen) <= pending {
				return 0
			}
			return f.seen[len(f.seen)-1-pending]
		},
	}
	if err := follower.run(ctx); err != nil {
		t.Fatal(err)
	}
	return f.seen
}

func TestAFollowerGoesOnWhereEverythingHadItsEffect(t *testing.T) {
	t.Parallel()
	f := follow(t)
	f.publish(t, 1, 10)
	if got := f.run(t, 10, 3); len(got) != 10 || got[0] != 1 || got[9] != 10 {
		t.Fatalf("the first saw %v", got)
	}
	f.publish(t, 11, 5)
	if got := f.run(t, 8, 0); len(got) != 8 || got[0] != 8 || got[7] != 15 {
		t.Fatalf("after a restart with three that waited: %v, want 8 to 15", got)
	}
	if got := f.run(t, 0, 0); len(got) != 0 {
		t.Fatalf("when nothing is new: %v", got)
	}
}

func TestAFollowerTakesOverFromTheConsumerOfAnEarlierRelease(t *testing.T) {
	t.Parallel()
	f := follow(t)
	f.publish(t, 1, 10)
	ctx, cancel := context.WithCancel(t.Context())
	err := f.bus.Consume(ctx, bus.Consumer{Name: "reader", Filters: []string{"switchyard.*.decisions"}, Batch: 4}, func(_ context.Context, batch []bus.Delivery) error {
		if batch[len(batch)-1].Seq >= 4 {
			cancel()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.bus.JetStream().Consumer(t.Context(), bus.Stream, "reader")
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := c.CachedInfo().AckFloor.Stream
	if acknowledged < 4 || acknowledged >= 10 {
		t.Fatalf("the consumer acknowledged up to %d", acknowledged)
	}
	got := f.run(t, 10-int(acknowledged), 0)
	if len(got) == 0 || got[0] != acknowledged+1 || got[len(got)-1] != 10 || !slices.IsSorted(got) {
		t.Fatalf("it saw %v, want what comes after %d", got, acknowledged)
	}
	if _, err := f.bus.JetStream().Consumer(t.Context(), bus.Stream, "reader"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("the consumer is still there: %v", err)
	}
	if got := f.run(t, 0, 0); len(got) != 0 {
		t.Errorf("once more: %v", got)
	}
}
