package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxCalls bounds one window beside its time.
const maxCalls = 1_000_000

// side is one of two things that are compared: it is called for about the window and returns operations per second.
type side func(ctx context.Context, window time.Duration) (float64, error)

// comparison is the outcome of alternating rounds.
type comparison struct {
	ours, theirs []float64 // operations per second of each round
	ratios       []float64
}

// compare calls both sides in turn, after one short round that only warms them up. The order changes with every round, so that
// neither side always finds the machine as the other left it.
func (b *bench) compare(ctx context.Context, ours, theirs side) (comparison, error) {
	var c comparison
	for round := -1; round < b.rounds; round++ {
		window := b.window
		if round < 0 {
			window /= 2
		}
		sides, rates := [2]side{ours, theirs}, [2]float64{}
		for turn := range 2 {
			i := (turn + round&1) % 2
			rate, err := sides[i](ctx, window)
			if err != nil {
				return c, err
			}
			rates[i] = rate
		}
		if round < 0 {
			continue
		}
		c.ours, c.theirs = append(c.ours, rates[0]), append(c.theirs, rates[1])
		c.ratios = append(c.ratios, rates[0]/rates[1])
	}
	return c, nil
}

// ratio is the median of the rounds' ratios.
func (c comparison) ratio() float64 { return median(c.ratios) }

// basis says what the ratio is made of.
func (c comparison) basis(ours, theirs string) string {
	return fmt.Sprintf("%s %s/s : %s %s/s; ratios %.2f–%.2f", ours, count(median(c.ours)), theirs, count(median(c.theirs)), slices.Min(c.ratios), slices.Max(c.ratios))
}

// call lets workers call do until the window ends and returns calls per second. The first error ends it.
func call(ctx context.Context, workers int, window time.Duration, do func(ctx context.Context, worker int, i int64) error) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var done atomic.Int64
	start := time.Now()
	deadline := start.Add(window)
	for w := range workers {
		wg.Go(func() {
			for i := int64(0); i < maxCalls/int64(workers) && time.Now().Before(deadline) && ctx.Err() == nil; i++ {
				if err := do(ctx, w, i); err != nil {
					cancel(err)
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	return float64(done.Load()) / time.Since(start).Seconds(), nil
}

// median returns the middle value, or the mean of the two in the middle; NaN for none. It does not change v.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// count writes a number for people: "12,345".
func count(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
