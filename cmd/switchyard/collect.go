package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// mostPercent is by how much the heap may grow over what lives before it is collected, while little lives. What lives is small (models are mapped files), so Go's
	// default of 100 collects many times a second under load.
	mostPercent = 200
	// leastPercent holds when much lives: less would collect all the time.
	leastPercent = 50
	// calm is how much memory may be in use, garbage included, before it is collected more often than the percentages ask for.
	calm = 224 << 20
	// garbage is how much of it may lie about. Twice what lives is little at first and a hundred MiB and more under load, when batches on their way to the lake and the stream's
	// buffers live too.
	garbage = 56 << 20
	// collectEvery is how often the two are weighed.
	collectEvery = 500 * time.Millisecond
)

// collectLess lets the heap grow further than Go does before it is collected, within bounds, until the context ends; GOGC or GOMEMLIMIT in the environment keeps it from doing so. It is
// called after the start, whose garbage would otherwise stay in the idle server's memory.
func collectLess(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(mostPercent)
	go func() {
		tick := time.NewTicker(collectEvery)
		defer tick.Stop()
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		debug.SetMemoryLimit(limitFor(0))
		for percent := mostPercent; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			metrics.Read(live)
			debug.SetMemoryLimit(limitFor(live[0].Value.Uint64()))
			if want := percentFor(live[0].Value.Uint64()); want < percent-percent/8 || want > percent+percent/8 || want != percent && want == mostPercent {
				debug.SetGCPercent(want) // stops everybody for a moment, so not for little
				percent = want
			}
		}
	}()
}

// percentFor returns by how many percent the heap may grow when so many bytes live.
func percentFor(live uint64) int {
	return int(min(mostPercent, max(leastPercent, garbage*100/max(1, live))))
}

// limitFor returns the soft limit of memory when so many bytes live. What a collection takes for alive is more than that under load: buffers that nobody uses survive one or two of them in pools. The limit
// makes the collector come back for those, and rises with what is still there, so that it never comes all the time.
func limitFor(live uint64) int64 {
	return int64(max(calm, live+live/16+garbage))
}
