package training

import (
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// People answer everything that a deployment leaves to them and a random share of what it decides by itself, so labelled decisions are harder than the traffic. This file says with which
// probability each was chosen. It never guesses: where nobody knows, the row teaches, and neither certifies nor measures.

// selection is what a verdict says of a choice of what to label first.
type selection struct {
	candidate, chosen  bool
	probability, least float64
}

// probability is with which one a decision was chosen to be labelled; 0 when nobody knows.
func probability(d *lake.Decision, t *truth, complete bool) float64 {
	if complete {
		return 1
	}
	p := 1.0
	if automated(d) {
		if !d.AuditSelected {
			return 0 // an appeal, or something that was complained about: nobody chose it by chance
		}
		p = d.AuditProbability
	}
	switch s := t.selection; {
	case s.candidate && !s.chosen:
		return 0 // it was passed over, and answered all the same
	case s.candidate:
		p *= s.probability
	}
	return p
}

func automated(d *lake.Decision) bool { return d.Outcome == "automated" }

// era is what one model did under one promise. Within it, what was automated was labelled by one rule and all else by another.
type era struct {
	least                    float64 // the smallest probability of what was automated; 1 when nothing was
	chosen                   float64 // the smallest one of a choice of what to label first; 1 when there was none
	automated, below, halted bool
	rows                     []int // of the harvest, whose probability is known
}

type eraKey struct{ model, policy string }

type eras map[eraKey]*era

func (e eras) of(d *lake.Decision) *era {
	key := eraKey{d.ModelDigest, d.PolicyDigest}
	if e[key] == nil {
		e[key] = &era{least: 1, chosen: 1}
	}
	return e[key]
}

// see notes a decision, labelled or not; t is nil for the latter.
func (e *era) see(d *lake.Decision, t *truth) {
	switch {
	case d.Reason == "shadow":
		return
	case automated(d):
		e.automated = true
		e.least = min(e.least, d.AuditProbability)
	case d.Reason == "below_threshold":
		e.below = true
	case d.Reason == "halted":
		e.halted = true
	}
	if t != nil && t.selection.candidate {
		e.chosen = min(e.chosen, t.selection.least)
	}
}

// settle says of every row how small the probability of the others of its era is (snapshot.Row.Least). It stays 0 where some had none, such as with an audit rate of 0, and where automation
// was possible and nothing of it is to be seen.
func (e eras) settle(rows []snapshot.Row, complete bool) {
	for _, era := range e {
		least := era.least * era.chosen
		switch {
		case complete:
			least = 1
		case !era.automated && era.below && !era.halted:
			least = 0
		}
		for _, i := range era.rows {
			rows[i].Least = least
		}
	}
}
