package decision

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/cores"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// share is the least number of items for which another goroutine pays: below it starting one costs more than it saves.
const share = 8

type backgroundKey struct{}

// InBackground returns a context whose batches give way: after each item whoever else wants the processor has it first. It costs a batch that has the
// machine for itself next to nothing.
func InBackground(ctx context.Context) context.Context {
	return context.WithValue(ctx, backgroundKey{}, true)
}

// Many calls score for 0 to n−1 on the available cores and then records what it returned, with one wait for all. score puts its answer where
// the caller wants it; it returns nil for an item that has no decision. Many returns when every call has returned.
//
// It fails like Record, with the context's error, and with INTERNAL when score panics: then nothing is recorded.
func (m *Maker) Many(ctx context.Context, t *Target, n int, score func(i int) *commonv1.DecisionRecord) error {
	records := make([]*commonv1.DecisionRecord, n)
	do := func(i int) { records[i] = score(i) }
	workers := cores.Count()
	if ctx.Value(backgroundKey{}) != nil {
		workers = max(1, workers-1) // one is always left to callers
		do = func(i int) {
			records[i] = score(i)
			m.pace.GiveWay()
		}
	}
	if err := spread(ctx, n, workers, do); err != nil {
		return err
	}
	made := records[:0]
	for i, r := range records {
		if r != nil {
			if seed := telemetry.Seed(ctx); seed != "" {
				m.rename(r, t.policy(), seededID(seed, i))
			}
			made = append(made, r)
		}
	}
	return m.RecordAll(ctx, t, made)
}

// spread calls do for 0 to n−1 on as many goroutines as are worth it, at most so many, and waits for all of them.
func spread(ctx context.Context, n, most int, do func(i int)) error {
	workers := min(most, (n+share-1)/share)
	if workers <= 1 {
		for i := range n {
			if err := ctx.Err(); err != nil {
				return err
			}
			do(i)
		}
		return nil
	}
	var next atomic.Int64
	var failed atomic.Pointer[fault.Error]
	work := func() {
		// The interceptor that recovers panics sees the handler's goroutine only.
		defer func() {
			if r := recover(); r != nil {
				failed.Store(fault.Internal(fmt.Errorf("panic while scoring: %v\n%s", r, debug.Stack())))
			}
		}()
		for ctx.Err() == nil && failed.Load() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			do(i)
		}
	}
	var wg sync.WaitGroup
	for range workers - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	if f := failed.Load(); f != nil {
		return f
	}
	return ctx.Err()
}
