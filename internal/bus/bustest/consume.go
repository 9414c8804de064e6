package bustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
)

// Sink collects what a handler gets.
type Sink struct {
	mu    sync.Mutex
	got   []bus.Delivery
	sizes []int
}

// Handle keeps a batch.
func (s *Sink) Handle(_ context.Context, batch []bus.Delivery) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, batch...)
	s.sizes = append(s.sizes, len(batch))
	return nil
}

// Got returns what was kept so far.
func (s *Sink) Got() []bus.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

// IDs returns the ids of the events of what was kept so far.
func (s *Sink) IDs() []string {
	var ids []string
	for _, d := range s.Got() {
		ids = append(ids, d.EventID)
	}
	return ids
}

// Wait waits until n messages have come.
func (s *Sink) Wait(t *testing.T, n int) {
	t.Helper()
	until(t, fmt.Sprintf("%d messages come", n), func() bool { return len(s.Got()) >= n })
}

// Consume runs a consumer until the returned function is called, or the test ends.
func Consume(t *testing.T, b *bus.Bus, c bus.Consumer, handle func(context.Context, []bus.Delivery) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, c, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, bus.ErrClosed) {
			t.Errorf("consume: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(60*time.Second)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not in time", what)
		}
	}
}

func ids(msgs []bus.Msg) []string {
	out := make([]string, len(msgs))
	for i := range msgs {
		out[i] = msgs[i].ID
	}
	return out
}

func sameIDs(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		n := 0
		for n < len(got) && n < len(want) && got[n] == want[n] {
			n++
		}
		t.Fatalf("%d messages came, want %d; they differ from the %dth on", len(got), len(want), n)
	}
}

func consumeInOrder(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 2500)
	publish(t, b, msgs[:1500])
	var s Sink
	Consume(t, b, bus.Consumer{Name: "sink", Batch: 400}, s.Handle)
	publish(t, b, msgs[1500:])
	s.Wait(t, 2500)
	sameIDs(t, s.IDs(), ids(msgs))
	last := uint64(0)
	for i, d := range s.Got() {
		if d.Subject != msgs[i].Subject || d.ID != "/switchyard/p/decisions|"+msgs[i].ID || string(d.Data) != string(msgs[i].Data) || len(d.Header) != 1 || d.Header["Kind"][0] != "decision" ||
			d.Seq != last+1 || d.Attempt != 1 || time.Since(d.Time) > time.Minute {
			t.Fatalf("delivery %d is %+v", i, d)
		}
		last = d.Seq
	}
	if most := slices.Max(s.sizes); most > 400 || most < 100 {
		t.Errorf("the largest batch had %d messages", most)
	}
}

func consumerGoesOn(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 300)
	publish(t, b, msgs[:100])
	var first, second Sink
	stop := Consume(t, b, bus.Consumer{Name: "sink"}, first.Handle)
	first.Wait(t, 100)
	stop()
	publish(t, b, msgs[100:])
	Consume(t, b, bus.Consumer{Name: "sink"}, second.Handle)
	second.Wait(t, 200)
	sameIDs(t, append(first.IDs(), second.IDs()...), ids(msgs))
}

func failedBatch(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 50)
	publish(t, b, msgs)
	var s Sink
	fails := 4
	Consume(t, b, bus.Consumer{Name: "sink", Batch: 20}, func(ctx context.Context, batch []bus.Delivery) error {
		if fails--; fails >= 0 {
			return errors.New("the database is away")
		}
		return s.Handle(ctx, batch)
	})
	s.Wait(t, 50)
	sameIDs(t, s.IDs(), ids(msgs))
}

func slowHandler(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 2)
	publish(t, b, msgs)
	var s Sink
	Consume(t, b, bus.Consumer{Name: "sink", AckWait: 500 * time.Millisecond, Batch: 1}, func(ctx context.Context, batch []bus.Delivery) error {
		time.Sleep(1500 * time.Millisecond)
		return s.Handle(ctx, batch)
	})
	s.Wait(t, 2)
	time.Sleep(700 * time.Millisecond)
	sameIDs(t, s.IDs(), ids(msgs))
}

func handedOver(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 10)
	publish(t, b, msgs)
	var s Sink
	began := make(chan struct{}, 100)
	stop := Consume(t, b, bus.Consumer{Name: "sink", AckWait: time.Minute}, func(context.Context, []bus.Delivery) error {
		began <- struct{}{}
		return errors.New("not now")
	})
	<-began
	stop()
	Consume(t, b, bus.Consumer{Name: "sink", AckWait: time.Minute}, s.Handle)
	s.Wait(t, 10)
	sameIDs(t, s.IDs(), ids(msgs))
	if d := s.Got()[0]; d.Attempt < 2 || d.Seq != 1 {
		t.Fatalf("the first delivery after it is %+v", d)
	}
}

func sharedName(t *testing.T, open Open) {
	b := ready(t, open)
	var one, two Sink
	slowly := func(s *Sink) func(context.Context, []bus.Delivery) error {
		return func(ctx context.Context, batch []bus.Delivery) error {
			time.Sleep(5 * time.Millisecond)
			return s.Handle(ctx, batch)
		}
	}
	Consume(t, b, bus.Consumer{Name: "sink", Batch: 10}, slowly(&one))
	Consume(t, b, bus.Consumer{Name: "sink", Batch: 10}, slowly(&two))
	// The second may join late, in a cluster, and is waited for: there is more for as long as only one of them gets something.
	msgs := Messages("p", "a", 20_000)
	sent := 0
	until(t, "both get some", func() bool {
		if sent < len(msgs) && len(one.Got())+len(two.Got()) >= sent-100 {
			publish(t, b, msgs[sent:sent+200])
			sent += 200
		}
		return sent >= 600 && len(one.Got()) > 0 && len(two.Got()) > 0
	})
	until(t, "all come", func() bool { return len(one.Got())+len(two.Got()) >= sent })
	msgs = msgs[:sent]
	got, want := append(one.IDs(), two.IDs()...), ids(msgs)
	slices.Sort(got)
	slices.Sort(want)
	sameIDs(t, got, want)
}

func beginningAndFilters(t *testing.T, open Open) {
	b := ready(t, open)
	one, two := Messages("one", "1", 40), Messages("two", "2", 40)
	publish(t, b, append(slices.Clone(one), two...))
	var s Sink
	stop := Consume(t, b, bus.Consumer{Name: "sink", Filters: []string{"switchyard.one.>"}, From: bus.Position{Seq: 31}}, s.Handle)
	s.Wait(t, 10)
	stop()
	sameIDs(t, s.IDs(), ids(one[30:]))
	more := append(Messages("one", "3", 5), Messages("two", "4", 5)...)
	publish(t, b, more)
	var both Sink
	Consume(t, b, bus.Consumer{Name: "sink", Filters: []string{"switchyard.one.>", "switchyard.two.>"}, From: bus.Position{Seq: 1}}, both.Handle)
	until(t, "the new filter holds", func() bool { return len(both.Got()) >= 10 })
	got := both.IDs()
	sameIDs(t, got[len(got)-10:], ids(more))
	var fresh Sink
	Consume(t, b, bus.Consumer{Name: "fresh", From: bus.Position{End: true}}, fresh.Handle)
	until(t, "the consumer is there", func() bool {
		_, err := b.JetStream().Consumer(t.Context(), bus.Stream, "fresh")
		return err == nil
	})
	publish(t, b, Messages("one", "5", 5))
	fresh.Wait(t, 5)
	sameIDs(t, fresh.IDs(), ids(Messages("one", "5", 5)))
}

func company(t *testing.T, open Open) {
	b := ready(t, open)
	var s Sink
	Consume(t, b, bus.Consumer{Name: "sink", Batch: 50, MaxWait: 5 * time.Second}, s.Handle)
	msgs := Messages("p", "a", 50)
	for i := 0; i < 50; i += 10 {
		publish(t, b, msgs[i:i+10])
	}
	s.Wait(t, 50)
	sameIDs(t, s.IDs(), ids(msgs))
	if len(s.sizes) != 1 {
		t.Fatalf("batches of %v", s.sizes)
	}
}

// idleLatency is measured from the acknowledgement to the publisher: what comes before it is the price of the disk, or of the cluster.
func idleLatency(t *testing.T, open Open) {
	b := ready(t, open)
	var s Sink
	Consume(t, b, bus.Consumer{Name: "sink"}, s.Handle)
	publish(t, b, Messages("p", "warm", 1))
	s.Wait(t, 1)
	var took []time.Duration
	for i := range 40 {
		publish(t, b, Messages("p", fmt.Sprint(i), 1))
		acknowledged := time.Now()
		until(t, "it comes", func() bool { return len(s.Got()) == i+2 })
		took = append(took, time.Since(acknowledged))
	}
	slices.Sort(took)
	t.Logf("after the acknowledgement: median %v, 95 %% %v, most %v", took[20], took[38], took[39])
	if took[20] > 20*time.Millisecond {
		t.Errorf("an idle consumer waits %v", took[20])
	}
}

func read(t *testing.T, b *bus.Bus, from bus.Position, filters ...string) (ids []string) {
	t.Helper()
	err := b.Read(t.Context(), from, filters, func(d bus.Delivery) error {
		ids = append(ids, d.EventID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func readToTheEnd(t *testing.T, open Open) {
	b := ready(t, open)
	if got := read(t, b, bus.Position{}); got != nil {
		t.Fatalf("an empty stream gave %v", got)
	}
	one, two := Messages("one", "1", 1200), Messages("two", "2", 40)
	for i := range 4 { // each is read back right after it was acknowledged
		publish(t, b, one[300*i:300*(i+1)])
		sameIDs(t, read(t, b, bus.Position{}), ids(one[:300*(i+1)]))
	}
	publish(t, b, two)
	sameIDs(t, read(t, b, bus.Position{}, "switchyard.one.decisions"), ids(one))
	sameIDs(t, read(t, b, bus.Position{}, "switchyard.two.>"), ids(two))
	sameIDs(t, read(t, b, bus.Position{}, "switchyard.three.>"), nil)
	stop := errors.New("enough")
	n := 0
	err := b.Read(t.Context(), bus.Position{}, nil, func(bus.Delivery) error {
		if n++; n == 7 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || n != 7 {
		t.Fatalf("%v after %d messages", err, n)
	}
}

func readFrom(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 100)
	publish(t, b, msgs[:60])
	var at time.Time
	until(t, "a later time", func() bool { at = time.Now(); time.Sleep(20 * time.Millisecond); return true })
	publish(t, b, msgs[60:])
	sameIDs(t, read(t, b, bus.Position{Seq: 31}), ids(msgs[30:]))
	sameIDs(t, read(t, b, bus.Position{Seq: 100}), ids(msgs[99:]))
	sameIDs(t, read(t, b, bus.Position{Seq: 101}), nil)
	sameIDs(t, read(t, b, bus.Position{Seq: 9999}), nil)
	sameIDs(t, read(t, b, bus.Position{Time: at}), ids(msgs[60:]))
	sameIDs(t, read(t, b, bus.Position{Time: time.Now().Add(time.Hour)}), nil)
	bounds, err := b.Bounds(t.Context())
	if err != nil || bounds != (bus.Bounds{First: 1, Last: 100}) {
		t.Fatalf("bounds %+v, %v", bounds, err)
	}
}

func follow(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 150)
	publish(t, b, msgs[:100])
	ctx, cancel := context.WithCancel(t.Context())
	var old, fresh Sink
	var idle sync.WaitGroup
	idle.Add(2)
	var done sync.WaitGroup
	for from, s := range map[bus.Position]*Sink{{Seq: 11}: &old, {End: true}: &fresh} {
		done.Go(func() {
			once := sync.OnceFunc(idle.Done)
			err := b.Follow(ctx, from, []string{"switchyard.p.>"}, 100*time.Millisecond, func(ctx context.Context, batch []bus.Delivery) error {
				if len(batch) == 0 {
					once()
				}
				return s.Handle(ctx, batch)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	idle.Wait()
	publish(t, b, Messages("other", "o", 10))
	publish(t, b, msgs[100:])
	old.Wait(t, 140)
	fresh.Wait(t, 50)
	cancel()
	done.Wait()
	sameIDs(t, old.IDs(), ids(msgs[10:]))
	sameIDs(t, fresh.IDs(), ids(msgs[100:]))
	stop := errors.New("enough")
	err := b.Follow(t.Context(), bus.Position{}, nil, time.Second, func(context.Context, []bus.Delivery) error { return stop })
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
}

func badConsumers(t *testing.T, open Open) {
	b := ready(t, open)
	handle := func(context.Context, []bus.Delivery) error { return nil }
	for name, c := range map[string]bus.Consumer{
		"no name": {}, "dots": {Name: "a.b"}, "negative batch": {Name: "a", Batch: -1}, "huge batch": {Name: "a", Batch: 1 << 20},
		"foreign filter": {Name: "a", Filters: []string{"elsewhere.>"}}, "empty token": {Name: "a", Filters: []string{"switchyard..x"}},
		"hasty": {Name: "a", AckWait: time.Millisecond}, "patient": {Name: "a", MaxWait: time.Hour},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := b.Consume(ctx, c, handle); err == nil {
			t.Errorf("%s: taken", name)
		}
		cancel()
	}
	if err := b.Read(t.Context(), bus.Position{}, []string{"x"}, nil); err == nil {
		t.Error("a foreign filter was taken")
	}
}
