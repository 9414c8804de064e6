package ledger_test

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/ledger"
)

// TestFigureTimeToReadable measures, with the default configuration, how long a decision that the stream has takes until the lake has it.
func TestFigureTimeToReadable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s")
	}
	t.Parallel()
	b := startBus(t)
	l, err := lake.Open(t.Context(), folder(t), lake.Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- (&ledger.Sink{Log: log{b}, Lake: l, Flush: lake.Default().Flush, Slog: slog.New(slog.DiscardHandler)}).Run(ctx)
	}()
	defer func() { cancel(); <-done }()
	const n = 600
	made := make([]atomic.Int64, n)
	go func() {
		for i := range n {
			r := full("p", i)
			made[i].Store(r.GetDecision().GetTime().AsTime().UnixNano())
			if err := b.PublishBatch(ctx, []bus.Msg{message(t, "decisions", "p", r.GetDecision().GetDecisionId(), r)}); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	var waits []time.Duration
	for deadline := time.Now().Add(60 * time.Second); len(waits) < n; time.Sleep(5 * time.Millisecond) {
		for now, w := time.Now(), int(l.State().Watermark); len(waits) < w; {
			waits = append(waits, now.Sub(time.Unix(0, made[len(waits)].Load())))
		}
		if time.Now().After(deadline) {
			t.Fatalf("the lake has %d of %d decisions after a minute", len(waits), n)
		}
	}
	slices.Sort(waits)
	p99 := waits[n*99/100]
	t.Logf("readable in the lake after %v (median), %v (p99)", waits[n/2].Round(time.Millisecond), p99.Round(time.Millisecond))
	if p99 > 10*time.Second {
		t.Errorf("p99 is %v, at most 10s", p99)
	}
}
