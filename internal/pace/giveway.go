package pace

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// mostPause is how long work that nobody waits for stands aside at a time, and leastTurn how long it then goes on whoever waits: with callers all the time it has a third
	// of the time left.
	mostPause = 2 * time.Millisecond
	leastTurn = time.Millisecond
)

// waiting counts callers whose decision is on its way to the disk, and tells when there is none.
type waiting struct {
	callers atomic.Int64
	none    atomic.Pointer[chan struct{}] // closed when nobody waits any more; nil when nobody wants to know
	turn    atomic.Int64                  // until when, in nanoseconds, no pause is made
}

// Enter notes that a caller waits, until Leave.
func (p *Pace) Enter() {
	if p != nil {
		p.waits.callers.Add(1)
	}
}

// Leave ends what Enter began.
func (p *Pace) Leave() {
	if p == nil || p.waits.callers.Add(-1) > 0 {
		return
	}
	if c := p.waits.none.Swap(nil); c != nil {
		close(*c)
	}
}

// GiveWay is called between small pieces of work that nobody waits for. While callers wait, it stands aside for up to 2 ms: a caller's way to the disk and back leads over several
// goroutines, each of which would have to wait for its turn. When nobody waits it costs next to nothing.
func (p *Pace) GiveWay() {
	runtime.Gosched()
	if p == nil || p.waits.callers.Load() == 0 {
		return
	}
	if now := p.clock().UnixNano(); now < p.waits.turn.Load() {
		return
	}
	c := make(chan struct{})
	for !p.waits.none.CompareAndSwap(nil, &c) {
		if other := p.waits.none.Load(); other != nil {
			c = *other
			break
		}
	}
	if p.waits.callers.Load() == 0 {
		return // it left before it could know
	}
	pause := time.NewTimer(mostPause)
	defer pause.Stop()
	select {
	case <-c:
	case <-pause.C:
		p.waits.turn.Store(p.clock().Add(leastTurn).UnixNano())
	}
}
