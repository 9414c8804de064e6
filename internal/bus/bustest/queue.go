package bustest

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
)

// queue returns a queue of two kinds that nobody used before.
func queue(t *testing.T, b *bus.Bus, ackWait time.Duration) *bus.Queue {
	t.Helper()
	name := "test-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	t.Cleanup(func() { _ = b.JetStream().DeleteStream(context.Background(), bus.Stream+"-"+name) })
	return bus.NewQueue(b, bus.QueueConfig{Name: name, Kinds: []string{"routing.train", "moderation.train"}, AckWait: ackWait, MaxAge: time.Hour})
}

func post(t *testing.T, q *bus.Queue, kind, id string) {
	t.Helper()
	if err := q.Post(t.Context(), kind, id, []byte(id)); err != nil {
		t.Fatal(err)
	}
}

// take returns what a queue gives out at once, "" for nothing.
func take(t *testing.T, q *bus.Queue, kind string) (delivery, data string) {
	t.Helper()
	delivery, got, err := q.Take(t.Context(), kind)
	if err != nil {
		t.Fatal(err)
	}
	return delivery, string(got)
}

// taken waits until the queue gives out something.
func taken(t *testing.T, q *bus.Queue, kind, want string) (delivery string) {
	t.Helper()
	until(t, want+" is given out", func() bool {
		d, data := take(t, q, kind)
		if delivery = d; d != "" && data != want {
			t.Fatalf("got %q, want %q", data, want)
		}
		return d != ""
	})
	return delivery
}

func queueInOrder(t *testing.T, open Open) {
	q := queue(t, ready(t, open), time.Minute)
	for _, id := range []string{"a", "b"} {
		post(t, q, "routing.train", id)
		post(t, q, "routing.train", id) // it is there already
	}
	post(t, q, "moderation.train", "a")
	first := taken(t, q, "routing.train", "a")
	second := taken(t, q, "routing.train", "b")
	if _, data := take(t, q, "routing.train"); data != "" {
		t.Errorf("%q was given out twice", data)
	}
	post(t, q, "routing.train", "a") // also while somebody has it
	if _, data := take(t, q, "routing.train"); data != "" {
		t.Errorf("%q was given out twice", data)
	}
	for _, d := range []string{first, first, second} {
		if err := q.Done(d); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "it can be posted again", func() bool {
		post(t, q, "routing.train", "a")
		d, _ := take(t, q, "routing.train")
		return d != ""
	})
	taken(t, q, "moderation.train", "a")
	if q.Done("switchyard.acme.decisions") == nil {
		t.Error("what is no delivery was published to")
	}
}

func queueSilence(t *testing.T, open Open) {
	q := queue(t, ready(t, open), 500*time.Millisecond)
	post(t, q, "routing.train", "a")
	d := taken(t, q, "routing.train", "a")
	for range 6 { // longer than the server waits
		if err := q.Extend(d); err != nil {
			t.Fatal(err)
		}
		if _, data := take(t, q, "routing.train"); data != "" {
			t.Fatalf("%q was given out although somebody is at it", data)
		}
		time.Sleep(150 * time.Millisecond)
	}
	taken(t, q, "routing.train", "a") // nobody said anything since
}

func queueReturned(t *testing.T, open Open) {
	q := queue(t, ready(t, open), time.Minute)
	post(t, q, "routing.train", "a")
	if err := q.Return(taken(t, q, "routing.train", "a"), 0); err != nil {
		t.Fatal(err)
	}
	d := taken(t, q, "routing.train", "a")
	began := time.Now()
	if err := q.Return(d, 700*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	taken(t, q, "routing.train", "a")
	if waited := time.Since(began); waited < 600*time.Millisecond {
		t.Errorf("given out after %v", waited)
	}
}

func queueShared(t *testing.T, open Open) {
	q := queue(t, ready(t, open), time.Minute)
	const n = 50
	for i := range n {
		post(t, q, "routing.train", strconv.Itoa(i))
	}
	var mu sync.Mutex
	got := map[string]int{}
	var takers sync.WaitGroup
	for range 4 {
		takers.Go(func() {
			for {
				d, data, err := q.Take(t.Context(), "routing.train")
				if err != nil || d == "" {
					return
				}
				mu.Lock()
				got[string(data)]++
				mu.Unlock()
				_ = q.Done(d)
			}
		})
	}
	takers.Wait()
	if len(got) != n {
		t.Errorf("%d of %d were given out", len(got), n)
	}
	for id, times := range got {
		if times != 1 {
			t.Errorf("%s was given out %d times", id, times)
		}
	}
}
