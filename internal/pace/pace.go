// Package pace tells work that nobody waits for when to give way to callers. It knows how many decisions are asked for and how much of the processors this process
// uses; it does not know what gives way.
package pace

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchyard-ai/switchyard/internal/cores"
)

const (
	// Below so many decisions a second callers are not what uses the processors.
	leastRate = 200
	// busyShare is which part of its processors the process uses when callers begin to feel what else it does: whoever calls may run on the same machine.
	busyShare = 0.5
	// idleShare is which part of all processors of the machine is free when something else wants them too.
	idleShare = 0.15
	// lookEvery is how long an answer of Busy is good for.
	lookEvery = 40 * time.Millisecond
	// longest is the time over which a first look is taken to say something about now.
	longest = time.Second
)

// Pace watches the callers. Its zero value is ready; nil is never busy.
type Pace struct {
	asked atomic.Int64
	took  atomic.Int64 // nanoseconds, of all that were timed
	timed atomic.Int64
	waits waiting

	mu    sync.Mutex
	busy  bool
	at    time.Time
	count int64
	used  time.Duration
	idle  uint64
	all   uint64

	// For tests; nil means the clock, the processor time of the process, and the idle and all ticks of the machine.
	now     func() time.Time
	cpu     func() time.Duration
	machine func() (idle, all uint64)
}

// Asked notes that so many decisions were asked for by somebody who waits for them.
func (p *Pace) Asked(n int) {
	if p != nil {
		p.asked.Add(int64(n))
	}
}

// Took notes how long a caller waited for one decision.
func (p *Pace) Took(d time.Duration) {
	if p != nil {
		p.took.Add(int64(d))
		p.timed.Add(1)
	}
}

// Waited returns how long callers have waited since the start, together, for how many decisions.
func (p *Pace) Waited() (total time.Duration, decisions int64) {
	if p == nil {
		return 0, 0
	}
	return time.Duration(p.took.Load()), p.timed.Load()
}

// Count returns how many decisions were asked for.
func (p *Pace) Count() int64 {
	if p == nil {
		return 0
	}
	return p.asked.Load()
}

// Busy says whether callers wait for processors, so that work that can wait should wait: decisions are asked for, and this process uses much of its processors or
// nearly all of the machine's are in use. It costs next to nothing and may be asked as often as one likes.
func (p *Pace) Busy() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	passed := now.Sub(p.at)
	if passed < lookEvery {
		return p.busy
	}
	count, used := p.asked.Load(), p.processor()
	rate := float64(count-p.count) / passed.Seconds()
	share := (used - p.used).Seconds() / passed.Seconds() / float64(cores.Count())
	p.busy = passed < longest && rate >= leastRate && share >= busyShare
	if rate >= leastRate { // reading what the machine does is not free
		idle, all := p.ticks()
		if passed < longest && all > p.all && p.all > 0 && float64(idle-p.idle) < idleShare*float64(all-p.all) {
			p.busy = true
		}
		p.idle, p.all = idle, all
	} else {
		p.idle, p.all = 0, 0
	}
	p.at, p.count, p.used = now, count, used
	return p.busy
}

func (p *Pace) ticks() (idle, all uint64) {
	if p.machine != nil {
		return p.machine()
	}
	return machineTime()
}

func (p *Pace) clock() time.Time {
	if p.now != nil {
		return p.now()
	}
	return time.Now()
}

func (p *Pace) processor() time.Duration {
	if p.cpu != nil {
		return p.cpu()
	}
	return processorTime()
}
