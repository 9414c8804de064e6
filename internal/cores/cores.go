// Package cores tells how many processors there are for work, and gives the scheduler more threads than that, so that who waits for the network or a disk is noticed at
// once.
//
// Go's scheduler looks at the network when a thread has nothing to run. While as many goroutines compute as there are threads, none ever looks, and an arriving call is
// noticed when a helper thread passes by, every 10 ms; the same holds for the end of a write to disk. With threads to spare one of them sleeps in the kernel until something
// arrives, and the kernel, which is good at that, lets it have a processor soon.
package cores

import (
	"os"
	"runtime"
	"sync/atomic"
)

// spare is how many threads there are beyond the processors. One sleeps in the kernel and one comes back from a disk; with more of them, threads that look for work cost a fifth of the processor
// time of a saturated server.
const spare = 2

var count atomic.Int64

// Count returns how many processors work can be spread over.
func Count() int {
	if n := count.Load(); n > 0 {
		return int(n)
	}
	return runtime.GOMAXPROCS(0)
}

// Spare gives the scheduler its spare threads. It is for servers, after their start, which is faster without. GOMAXPROCS in the environment keeps it from doing so.
func Spare() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	n := runtime.GOMAXPROCS(0)
	count.Store(int64(n))
	runtime.GOMAXPROCS(n + spare)
}
