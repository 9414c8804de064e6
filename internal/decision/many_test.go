package decision

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

func TestSpreadCallsEveryItemOnce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 7, 8, 9, 1000} {
		calls := make([]atomic.Int32, n)
		if err := spread(t.Context(), n, 4, func(i int) { calls[i].Add(1) }); err != nil {
			t.Fatal(err)
		}
		for i := range calls {
			if calls[i].Load() != 1 {
				t.Errorf("item %d of %d was called %d times", i, n, calls[i].Load())
			}
		}
	}
}

func TestSpreadTurnsAPanicIntoAnError(t *testing.T) {
	t.Parallel()
	err := spread(t.Context(), 1000, 4, func(i int) {
		if i == 500 {
			panic("boom")
		}
	})
	if fault.From(err).Reason() != commonv1.ErrorReason_ERROR_REASON_INTERNAL {
		t.Errorf("panic became %v", err)
	}
}

func TestSpreadStopsWhenTheCallerIsGone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var calls atomic.Int32
	err := spread(ctx, 100000, 4, func(int) {
		if calls.Add(1) == 10 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || calls.Load() > 1000 {
		t.Errorf("%v after %d calls", err, calls.Load())
	}
}

func TestQueueIsBoundedByItemsAndBytes(t *testing.T) {
	t.Parallel()
	q := newQueue[int](3, 100)
	if !q.put(0, 1000) { // one item is let in, however large
		t.Fatal("first item refused")
	}
	entered := make(chan bool)
	go func() { entered <- q.put(1, 1) }()
	got, err := q.take(nil)
	if err != nil || len(got) != 1 || !<-entered {
		t.Fatalf("took %v, %v", got, err)
	}
	if got, err = q.take(got); err != nil || len(got) != 1 || got[0] != 1 {
		t.Fatalf("took %v, %v", got, err)
	}
	for i := range 3 {
		q.put(i, 1)
	}
	go func() { entered <- q.put(9, 1) }()
	q.stop()
	if <-entered {
		t.Error("put after stop")
	}
	q.end(io.EOF)
	if got, err = q.take(got); err != nil || len(got) != 3 {
		t.Errorf("what was queued before the end is lost: %v, %v", got, err)
	}
	if _, err = q.take(got); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
}
