package routing

import (
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

// maxAlternatives is how many queues an answer names.
const maxAlternatives = 3

// choice is which queue an inquiry belongs to, and whether it may be sent there.
type choice struct {
	decision.Choice
	queue        string // empty when out of scope
	outOfScope   bool
	alternatives [maxAlternatives]int // label indices, best first
	ranked       int                  // how many alternatives there are
}

// choose picks the queue: the most probable label, or none when that one means "none of the queues". The alternatives are queues only.
func choose(info *engine.Info, p []float32, promise decision.Promise) choice {
	c := choice{Choice: decision.Choose(info, p, promise)}
	var room [maxAlternatives + 1]int // one more than needed, in case the out-of-scope label is among them
	for _, i := range decision.Best(p, room[:0]) {
		if i != info.OutOfScope && c.ranked < maxAlternatives {
			c.alternatives[c.ranked] = i
			c.ranked++
		}
	}
	c.outOfScope = c.Top >= 0 && c.Top == info.OutOfScope
	if c.Top >= 0 && !c.outOfScope {
		c.queue = info.Labels[c.Top]
	}
	return c
}
