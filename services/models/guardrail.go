package models

import (
	"fmt"
	"math"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

const (
	// guardrailDelta is the chance that one look at a guardrail is wrong. A trial is looked at when its decisions have doubled, so about ten times in its life.
	guardrailDelta = 1e-5
	// shortEnough is a time that nobody waits for, whatever the ratio.
	shortEnough = time.Millisecond
)

// broken names the first guardrail that the version on trial has broken against the version beside it, with its numbers; "" when it kept them all.
func broken(g *modelsv1.Guardrails, proven, trial *modelsv1.Arm) string {
	if n := trial.GetDecisions() + trial.GetErrors(); n > 0 {
		rate := float64(trial.GetErrors()) / float64(n)
		// The lower bound of a rate is what the upper bound of its complement leaves.
		if least := 1 - risk.UpperBound(int(trial.GetDecisions()), int(n), guardrailDelta); least > g.GetMaxErrorRate() {
			return fmt.Sprintf("guardrail max_error_rate: %d of %d inputs could not be scored (%s), at most %s", trial.GetErrors(), n, percent(rate), percent(g.GetMaxErrorRate()))
		}
	}
	if trial.GetDecisions() == 0 || proven.GetDecisions() == 0 {
		return ""
	}
	was, is := median(proven.GetTimes()), median(trial.GetTimes())
	// Bounds of buckets are powers of two, so a ratio may look twice as large as it is.
	if is > shortEnough && float64(is) > 2*g.GetMaxLatencyRatio()*float64(was) {
		return fmt.Sprintf("guardrail max_latency_ratio: scoring takes up to %v in the median, %v before, at most %g times as long", is, was, g.GetMaxLatencyRatio())
	}
	distance, chance := labelShift(proven, trial)
	if distance-chance > g.GetMaxLabelShift() {
		return fmt.Sprintf("guardrail max_label_shift: the shares of labels differ by %.3f, of which chance explains at most %.3f; at most %g", distance, chance, g.GetMaxLabelShift())
	}
	return ""
}

// labelShift returns the total variation distance between the label shares of two versions, and how much of it chance makes at most, by the bound of Weissman
// et al. (2003) on the distance of an empirical distribution from its own.
func labelShift(a, b *modelsv1.Arm) (distance, chance float64) {
	labels := map[string]struct{}{}
	for l := range a.GetLabels() {
		labels[l] = struct{}{}
	}
	for l := range b.GetLabels() {
		labels[l] = struct{}{}
	}
	na, nb := float64(a.GetDecisions()), float64(b.GetDecisions())
	for l := range labels {
		distance += math.Abs(float64(a.GetLabels()[l])/na-float64(b.GetLabels()[l])/nb) / 2
	}
	k := float64(len(labels))
	of := func(n float64) float64 { return math.Sqrt(2*(k*math.Ln2+math.Log(2/guardrailDelta))/n) / 2 }
	return distance, of(na) + of(nb)
}

// median returns the upper bound of the bucket that the middle one is in; the buckets are those of Arm.times.
func median(times []int64) time.Duration {
	var n, below int64
	for _, c := range times {
		n += c
	}
	for i, c := range times {
		if below += c; 2*below >= n && n > 0 {
			return time.Microsecond << i
		}
	}
	return 0
}
