package sim

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Clock is the time of the simulation: it runs many times faster than the machine's, day by day. A day begins where the simulation says. The product knows nothing of it; what the product measures in real
// time is turned back with Simulated.
type Clock struct {
	hour time.Duration // real time of a simulated hour

	mu    sync.Mutex
	begin time.Time // where it stands until it is started
	runs  []run     // the newest last
}

// run is since when, in real time, the clock runs on from a simulated time.
type run struct{ from, since time.Time }

// NewClock returns a clock that stands at a time. hour is how long one of its hours really takes.
func NewClock(at time.Time, hour time.Duration) *Clock { return &Clock{hour: hour, begin: at} }

// StartAt lets the clock run on from a time.
func (c *Clock) StartAt(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.runs = append(c.runs, run{at, time.Now()})
}

// Now returns the simulated time.
func (c *Clock) Now() time.Time { return c.Of(time.Now()) }

// Of returns the simulated time of a real one, of the present day or an earlier one.
func (c *Clock) Of(real time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range slices.Backward(c.runs) {
		if !real.Before(r.since) {
			return r.from.Add(c.Simulated(real.Sub(r.since)))
		}
	}
	return c.begin
}

// Real returns how long a simulated time really takes.
func (c *Clock) Real(d time.Duration) time.Duration {
	return time.Duration(d.Hours() * float64(c.hour))
}

// Simulated returns how much simulated time passes in a real one.
func (c *Clock) Simulated(d time.Duration) time.Duration {
	return time.Duration(float64(d) / float64(c.hour) * float64(time.Hour))
}

// Until waits for a simulated time. It returns early with the error of a context that ends.
func (c *Clock) Until(ctx context.Context, at time.Time) error {
	return sleep(ctx, c.Real(at.Sub(c.Now())))
}

// Sleep waits for a simulated duration.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, c.Real(d)) }

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// at returns a time of day, in hours since midnight.
func at(day time.Time, hours float64) time.Time {
	return day.Add(time.Duration(hours * float64(time.Hour)))
}
