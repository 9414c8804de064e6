package jobs

import "time"

const (
	// lookEvery is how often the share is adjusted: some calls have to come meanwhile for their mean to say something.
	lookEvery = 200 * time.Millisecond
	// A share that disturbs becomes smaller by a factor and one that does not larger by a step, which finds the largest that does not disturb (additive increase,
	// multiplicative decrease; Chiu and Jain 1989).
	lessBy, moreBy = 0.75, 0.04
	// disturbed is by how much longer answers take when they are disturbed; a little longer says nothing.
	disturbed      = 1.5
	disturbedLeast = 200 * time.Microsecond
	// calmDrift is by how much the idea of an undisturbed answer grows at each look: what is asked changes with time.
	calmDrift = 1.005
)

// givingWay finds out which part of the time jobs may decide. It belongs to the goroutine that runs jobs.
type givingWay struct {
	most, least float64
	waited      func() (total time.Duration, decisions int64)

	now       float64 // the present share; 0 before the first look
	at        time.Time
	total     time.Duration
	decisions int64
	calm      time.Duration // the least mean of answers
}

// share returns the part of the time that jobs may decide: all of it while nobody asks for decisions.
func (g *givingWay) share(now time.Time) float64 {
	if g.now == 0 {
		g.now, g.at = g.most, now
		if g.waited != nil {
			g.total, g.decisions = g.waited()
		}
		return g.now
	}
	if now.Sub(g.at) < lookEvery {
		return g.now
	}
	g.at = now
	if g.waited == nil {
		g.now = 1
		return g.now
	}
	total, decisions := g.waited()
	n, waited := decisions-g.decisions, total-g.total
	g.total, g.decisions = total, decisions
	if n == 0 {
		g.now = 1
		return g.now
	}
	mean := waited / time.Duration(n)
	if g.calm == 0 || mean < g.calm {
		g.calm = mean
	} else {
		g.calm = time.Duration(float64(g.calm) * calmDrift)
	}
	if mean > max(time.Duration(disturbed*float64(g.calm)), g.calm+disturbedLeast) {
		g.now *= lessBy
	} else {
		g.now += moreBy
	}
	g.now = min(g.most, max(g.least, g.now))
	return g.now
}
