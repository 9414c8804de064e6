package jobs

import (
	"testing"
	"time"
)

// callers are people who ask for decisions, and wait the longer the more jobs decide.
type callers struct {
	total time.Duration
	n     int64
}

func (c *callers) waited() (time.Duration, int64) { return c.total, c.n }

func (c *callers) ask(n int64, each time.Duration) {
	c.total, c.n = c.total+time.Duration(n)*each, c.n+n
}

func TestJobsGiveWayWhileOthersWaitLonger(t *testing.T) {
	t.Parallel()
	c, now := &callers{}, time.Now()
	g := givingWay{most: 0.7, least: 0.2, waited: c.waited}
	look := func(n int64, each time.Duration) float64 {
		c.ask(n, each)
		now = now.Add(lookEvery)
		return g.share(now)
	}
	if got := g.share(now); got != 0.7 {
		t.Fatalf("the first share is %v", got)
	}
	if got := look(0, 0); got != 1 {
		t.Fatalf("while nobody asks the share is %v", got)
	}
	if got := look(20, time.Millisecond); got != 0.7 {
		t.Fatalf("when somebody asks the share is %v", got)
	}
	for range 20 {
		look(20, 5*time.Millisecond)
	}
	if g.now != 0.2 {
		t.Fatalf("while all wait long the share is %v", g.now)
	}
	for range 40 {
		look(20, time.Millisecond)
	}
	if g.now < 0.69 {
		t.Fatalf("when nobody waits long any more the share is %v", g.now)
	}
	// Answers take longer in proportion to the share above one half: it settles there.
	least, most := 1.0, 0.0
	for i := range 200 {
		each := time.Millisecond
		if g.now > 0.5 {
			each = 3 * time.Millisecond
		}
		look(20, each)
		if i > 50 {
			least, most = min(least, g.now), max(most, g.now)
		}
	}
	if least < 0.3 || most > 0.6 {
		t.Errorf("the share is between %v and %v, not about one half", least, most)
	}
}

func TestOnlySoManyJobsOfAProjectTakeTurns(t *testing.T) {
	t.Parallel()
	most := map[string]int{"p": 2, "q": 1}
	ts := turns{most: func(project string) int { return most[project] }}
	jobs := map[string]*job{}
	for _, name := range []string{"p1", "p2", "p3", "q1", "q2"} {
		jobs[name] = &job{jobKey: jobKey{name[:1], name}}
		ts.add(jobs[name])
	}
	turn := func() string {
		j := ts.next()
		ts.add(j)
		return j.id
	}
	count := map[string]int{}
	for range 40 {
		count[turn()]++
	}
	if count["p1"] != 10 || count["p2"] != 10 || count["q1"] != 20 {
		t.Fatalf("turns: %v", count)
	}
	// One ends, and the next begins.
	for j := ts.next(); ; j = ts.next() {
		if j == jobs["p1"] {
			ts.leave(j)
			break
		}
		ts.add(j)
	}
	clear(count)
	for range 40 {
		count[turn()]++
	}
	if count["p1"] != 0 || count["p2"] == 0 || count["p3"] == 0 || count["q2"] != 0 {
		t.Fatalf("turns: %v", count)
	}
}
