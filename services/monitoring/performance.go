package monitoring

import (
	"math"
	"math/rand/v2"
	"slices"

	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// evaluateDelta is one less the confidence of the bounds of an evaluation.
const evaluateDelta = 0.05

// stratum is a part of what would be automated whose truths were asked for in one way: by audits of what was automated, or by review of what was not.
type stratum struct {
	size          int     // decisions
	known         int     // with a truth that people were asked for
	weight, wrong float64 // sums of 1/propensity of those, and of the wrong ones
	squares       float64 // sum of the squared weights
}

func (s *stratum) add(c *replayed, right bool) {
	s.size++
	w, ok := c.weight()
	if !ok {
		return
	}
	s.known++
	s.weight += w
	s.squares += w * w
	if !right {
		s.wrong += w
	}
}

// weight is 1/propensity of a decision whose truth people were asked for. Of what was automated only audits count: whatever else is known of it is known for a reason.
func (r *replayed) weight() (float64, bool) {
	switch {
	case !r.asked:
		return 0, false
	case !r.automated:
		return 1, true
	case r.audited && r.propensity > 0:
		return 1 / r.propensity, true
	}
	return 0, false
}

func (s *stratum) rate() float64 {
	if s.weight == 0 {
		return 0
	}
	return s.wrong / s.weight
}

// bounds are those of Clopper and Pearson for as many equally weighted truths as these are worth (Kish 1965).
func (s *stratum) bounds(delta float64) (lower, upper float64) {
	if s.known == 0 {
		return 0, 1
	}
	n := s.weight * s.weight / s.squares
	k := s.rate() * n
	return 1 - risk.UpperBound(int(math.Ceil(n-k)), int(n), delta/2), risk.UpperBound(int(math.Ceil(k)), int(n), delta/2)
}

// strata divides what is automated, by the alternative or in fact.
func (e *evaluation) strata(alternative bool) (audited, reviewed stratum) {
	for _, c := range e.cases {
		automated, right := c.automated, c.right
		if alternative {
			automated, right = c.wouldAutomate, c.wouldBe
		}
		switch {
		case !automated:
		case c.automated:
			audited.add(c, right)
		default:
			reviewed.add(c, right)
		}
	}
	return audited, reviewed
}

// performance is what was done, or would have been done.
func (e *evaluation) performance(alternative bool) *monitoringv1.Performance {
	audited, reviewed := e.strata(alternative)
	p := &monitoringv1.Performance{Decisions: int64(len(e.cases)), Automated: int64(audited.size + reviewed.size), Known: int64(audited.known + reviewed.known)}
	parts := slices.DeleteFunc([]*stratum{&audited, &reviewed}, func(s *stratum) bool { return s.size == 0 })
	guessed := 0 // decisions of strata of which something is known
	for _, s := range parts {
		share := float64(s.size) / float64(p.GetAutomated())
		lower, upper := s.bounds(evaluateDelta / float64(len(parts)))
		p.ErrorLower += share * lower
		p.ErrorUpper += share * upper
		if s.known > 0 {
			guessed += s.size
			p.Error += float64(s.size) * s.rate()
		}
	}
	if guessed > 0 {
		p.Error /= float64(guessed)
	}
	if p.GetDecisions() > 0 {
		p.AutomatedShare = float64(p.GetAutomated()) / float64(p.GetDecisions())
	}
	policy := e.deployment.GetPolicy()
	byHand := float64(p.GetDecisions()-p.GetAutomated()) + policy.GetAuditRate()*float64(p.GetAutomated())
	seconds := policy.GetReviewSeconds() * byHand
	p.CostMicros = int64(seconds/3600*float64(policy.GetReviewerHourMicros()) + p.GetError()*float64(p.GetAutomated())*float64(e.errorPrice))
	return p
}

const resamples = 400

// bootstrap returns bounds of the change of the error: both errors are computed again and again on the same decisions, drawn with replacement among those whose truth people were
// asked for. Decisions that both automate and answer alike cancel, which is what makes the bounds narrower than those of the two errors.
func (e *evaluation) bootstrap() (lower, upper float64) {
	var known []*replayed
	for _, c := range e.cases {
		if _, ok := c.weight(); ok && (c.automated || c.wouldAutomate) {
			known = append(known, c)
		}
	}
	if len(known) == 0 {
		return 0, 0
	}
	inFact, reviewedInFact := e.strata(false)
	wouldBe, reviewedWouldBe := e.strata(true)
	rng := rand.New(rand.NewPCG(1, 2)) // the same question has the same answer
	changes := make([]float64, resamples)
	for i := range changes {
		var a, b, c stratum // automated in fact; by both or by the alternative of those; by the alternative of those that were reviewed
		for range known {
			k := known[rng.IntN(len(known))]
			if k.automated {
				a.add(k, k.right)
			}
			if k.wouldAutomate && k.automated {
				b.add(k, k.wouldBe)
			}
			if k.wouldAutomate && !k.automated {
				c.add(k, k.wouldBe)
			}
		}
		changes[i] = mix(b, wouldBe.size, c, reviewedWouldBe.size) - mix(a, inFact.size, stratum{}, reviewedInFact.size)
	}
	slices.Sort(changes)
	return changes[int(evaluateDelta/2*resamples)], changes[int((1-evaluateDelta/2)*resamples)-1]
}

// mix is the rate of two strata of the given sizes, of which one may be unknown.
func mix(a stratum, n int, b stratum, m int) float64 {
	if a.known == 0 {
		n = 0
	}
	if b.known == 0 {
		m = 0
	}
	if n+m == 0 {
		return 0
	}
	return (float64(n)*a.rate() + float64(m)*b.rate()) / float64(n+m)
}

// caveats says what may mislead.
func (e *evaluation) caveats(actual, alternative *monitoringv1.Performance) (out []string) {
	if len(e.cases) == 0 {
		return []string{"no decision of the version that answers now was found in this time"}
	}
	audited, reviewed := e.strata(true)
	if audited.size > 0 && audited.known == 0 {
		out = append(out, "nothing is known of the error of what was automated: no audit of it was answered")
	}
	if reviewed.size > 0 && reviewed.known < reviewed.size/2 {
		out = append(out, "fewer than half of the decisions that people were left with and that would be automated are answered; those may not be typical")
	}
	if alternative.GetKnown() > 0 && alternative.GetKnown() < 30 {
		out = append(out, "fewer than 30 truths are known")
	}
	if e.truncated {
		out = append(out, "there were more decisions than were looked at; the newest count")
	}
	if e.skipped > int64(len(e.cases)) {
		out = append(out, "most decisions could not be judged")
	}
	if actual.GetDecisions() > 0 && e.predictor != nil {
		out = append(out, "another version was judged on truths that people found when they saw the answers of this one")
	}
	return out
}
