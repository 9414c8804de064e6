package bus_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/bus/bustest"
)

// Consumers and followers are there before the server, over restarts of it, and miss nothing.
func TestReadersOutliveRestartsOfTheServer(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir(), bus.Default())
	var consumed, followed bustest.Sink
	bustest.Consume(t, b, bus.Consumer{Name: "sink", AckWait: 500 * time.Millisecond}, consumed.Handle)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.Follow(ctx, bus.Position{}, nil, time.Second, followed.Handle); err != nil {
			t.Error(err)
		}
	})
	wait(t, b)
	msgs := bustest.Messages("p", "a", 400)
	for i := range 4 {
		until(ctx, t, "publishing works", func() bool { return b.PublishBatch(ctx, msgs[100*i:100*(i+1)]) == nil })
		restarts := b.Stats().Restarts
		b.Restart("a test wants it")
		until(ctx, t, "it is restarted", func() bool { return b.Stats().Restarts > restarts })
	}
	followed.Wait(t, 400)
	seen := func() int { return len(distinct(consumed.IDs())) }
	until(ctx, t, "all is consumed", func() bool { return seen() == 400 })
	cancel()
	wg.Wait()
	for i, id := range followed.IDs() {
		if id != msgs[i].ID {
			t.Fatalf("message %d was followed as %s", i, id)
		}
	}
	t.Logf("%d deliveries of 400 messages over 4 restarts", len(consumed.IDs()))
}

// Publishers whose batches went unanswered when the server was restarted repeat them until they are answered.
func TestWhatIsRepeatedOverRestartsIsStoredOnce(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir(), bus.Default())
	wait(t, b)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sizes := []int{5, 60, 200}
	var publishers sync.WaitGroup
	for i, size := range sizes {
		msgs := bustest.Messages("p", string(rune('a'+i)), 30*size)
		publishers.Go(func() {
			for ; len(msgs) > 0; msgs = msgs[size:] {
				for b.PublishBatch(ctx, msgs[:size]) != nil {
					if ctx.Err() != nil {
						t.Error("a batch was never answered")
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	for range 5 {
		restarts := b.Stats().Restarts
		b.Restart("a test wants it")
		until(ctx, t, "it is restarted and up", func() bool { return b.Stats().Restarts > restarts && b.Ready() })
		time.Sleep(60 * time.Millisecond)
	}
	publishers.Wait()
	stored := map[string]int{}
	for _, m := range bustest.Stored(t, b, bus.Subjects) {
		stored[m.Headers().Get(jetstream.MsgIDHeader)]++
	}
	if len(stored) != 30*(5+60+200) {
		t.Errorf("%d messages are stored", len(stored))
	}
	for id, n := range stored {
		if n != 1 {
			t.Errorf("%s is stored %d times", id, n)
		}
	}
	t.Logf("%d restarts, %d of %d messages were repeated", b.Stats().Restarts, b.Stats().Repeated, len(stored))
}

func TestAConsumerGoesOnAfterTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	msgs := bustest.Messages("p", "a", 200)
	var got []string
	for i := range 2 {
		b := open(t, dir, bus.Default())
		wait(t, b)
		if err := b.PublishBatch(t.Context(), msgs[100*i:100*(i+1)]); err != nil {
			t.Fatal(err)
		}
		var s bustest.Sink
		stop := bustest.Consume(t, b, bus.Consumer{Name: "sink"}, s.Handle)
		s.Wait(t, 100)
		stop()
		got = append(got, s.IDs()...)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) < 200 || len(distinct(got)) != 200 {
		t.Fatalf("%d deliveries of %d messages", len(got), len(distinct(got)))
	}
}

func distinct(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// BenchmarkConsume shows how fast a consumer reads what is in the stream, by the size of its batches.
func BenchmarkConsume(b *testing.B) {
	s := open(b, b.TempDir(), bus.Default())
	wait(b, s)
	const n = 20000
	if err := s.PublishBatch(b.Context(), bustest.Messages("p", "a", n)); err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if err := s.Read(b.Context(), bus.Position{}, nil, func(bus.Delivery) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	})
	b.Run("consume", func(b *testing.B) {
		round := 0
		for b.Loop() {
			round++
			ctx, cancel := context.WithCancel(b.Context())
			seen := 0
			err := s.Consume(ctx, bus.Consumer{Name: "bench-" + string(rune('a'+round))}, func(_ context.Context, batch []bus.Delivery) error {
				if seen += len(batch); seen >= n {
					cancel()
				}
				return nil
			})
			cancel()
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	})
}
