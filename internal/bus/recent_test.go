package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/internal/bus"
)

// collect follows until the test ends; the function that it returns waits for so many messages and returns what came.
func collect(t *testing.T, b *bus.Bus, from bus.Position, filters ...string) func(n int) []bus.Delivery {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var got []bus.Delivery
	done := make(chan error, 1)
	go func() {
		done <- b.Follow(ctx, from, filters, 50*time.Millisecond, func(_ context.Context, batch []bus.Delivery) error {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, batch...)
			return nil
		})
	}()
	return func(n int) []bus.Delivery {
		until(t.Context(), t, fmt.Sprintf("%d messages are followed", n), func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(got) >= n
		})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return got
	}
}

func mixed(project, kind, prefix string, n int) (msgs []bus.Msg) {
	for i := range n {
		id := fmt.Sprint(prefix, i)
		msgs = append(msgs, bus.Msg{
			Subject: "switchyard." + project + "." + kind, ID: id, Data: []byte("data of " + id), Header: map[string][]string{"ce-id": {id}, "x": {"a b"}},
		})
	}
	return msgs
}

// Several publish at the same time, in units and one by one, so that acknowledgements come out of order; all followers get what the stream holds, as it holds it.
func TestFollowersInTheProcessGetWhatTheStreamHolds(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir(), bus.Default())
	wait(t, b)
	all := collect(t, b, bus.Position{})
	some := collect(t, b, bus.Position{}, "switchyard.*.decisions", "switchyard.q.>")
	var wg sync.WaitGroup
	for p, kind := range []string{"decisions", "verdicts", "decisions"} {
		msgs := mixed([]string{"p", "p", "q"}[p], kind, fmt.Sprint(p, "-"), 700)
		wg.Go(func() {
			for size := 1; len(msgs) > 0; size = size*2 + 1 {
				n := min(size, len(msgs))
				if err := b.PublishBatch(t.Context(), msgs[:n]); err != nil {
					t.Error(err)
				}
				if msgs = msgs[n:]; size > 200 {
					size = 1
				}
			}
			// Again: the stream has it already.
			if err := b.PublishBatch(t.Context(), mixed("p", kind, fmt.Sprint(p, "-"), 3)); err != nil && p < 2 {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var want []bus.Delivery
	if err := b.Read(t.Context(), bus.Position{}, nil, func(d bus.Delivery) error { want = append(want, d); return nil }); err != nil {
		t.Fatal(err)
	}
	same := cmp.Options{cmpopts.IgnoreUnexported(bus.Delivery{}), cmpopts.IgnoreFields(bus.Delivery{}, "Time")}
	got := all(len(want))
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Fatalf("what is followed differs from what is read:\n%s", diff)
	}
	for i := range want {
		if d := got[i].Time.Sub(want[i].Time).Abs(); d > 10*time.Second {
			t.Fatalf("message %d: times differ by %v", i, d)
		}
	}
	want = slices.DeleteFunc(want, func(d bus.Delivery) bool { return strings.HasSuffix(d.Subject, "p.verdicts") })
	if diff := cmp.Diff(want, some(len(want)), same); diff != "" {
		t.Fatalf("what is followed through filters differs from what is read:\n%s", diff)
	}
}

func TestAFollowerMissesNothingThatWasPublishedElsewhere(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir(), bus.Default())
	wait(t, b)
	followed := collect(t, b, bus.Position{})
	publish := func(prefix string, n int) {
		t.Helper()
		if err := b.PublishBatch(t.Context(), mixed("p", "decisions", prefix, n)); err != nil {
			t.Fatal(err)
		}
	}
	n := uint64(0)
	until(t.Context(), t, "what is published is remembered", func() bool { publish(fmt.Sprint("a", n, "-"), 40); n += 40; return b.Remembers(n) })
	for i := range 3 { // in the middle of what is published here, and at its end
		if _, err := b.JetStream().Publish(t.Context(), "switchyard.p.decisions", []byte("elsewhere")); err != nil {
			t.Fatal(err)
		}
		if i < 2 {
			publish(fmt.Sprint("c", i), 40)
		}
	}
	bounds, err := b.Bounds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := followed(int(bounds.Last))
	for i, d := range got {
		if d.Seq != uint64(i+1) {
			t.Fatalf("message %d has the sequence %d", i, d.Seq)
		}
	}
}

func TestARemovedMessageIsForgotten(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir(), bus.Default())
	wait(t, b)
	first := collect(t, b, bus.Position{}) // somebody has to follow, or nothing is remembered
	n := uint64(0)
	until(t.Context(), t, "what is published is remembered", func() bool {
		if err := b.PublishBatch(t.Context(), mixed("p", "decisions", fmt.Sprint("a", n, "-"), 40)); err != nil {
			t.Fatal(err)
		}
		n += 40
		return b.Remembers(n)
	})
	gone := n - 20
	s, err := b.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SecureDeleteMsg(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	b.Forget(gone)
	second := collect(t, b, bus.Position{Seq: n - 29})
	for _, d := range second(29) {
		if d.Seq == gone {
			t.Fatal("a follower gets a message that was removed")
		}
	}
	first(int(n) - 1)
}
