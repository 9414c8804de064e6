package decision

import (
	"math"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
)

// defaultReviewSeconds is what a policy means that does not say how long a review takes.
const defaultReviewSeconds = 30

// computeMicros returns the price of some computing in millionths of the currency. One answer costs far less than a millionth, so plain
// rounding would make every decision free; the fraction is instead the chance of being rounded up (chance is uniform in [0, 1)), which keeps
// the sum over many decisions equal to the meter.
func computeMicros(p *modelsv1.Policy, compute time.Duration, chance float64) int64 {
	if p.GetComputeHourMicros() == 0 || compute <= 0 {
		return 0
	}
	exact := float64(p.GetComputeHourMicros()) * compute.Hours()
	whole := math.Floor(exact)
	if chance < exact-whole {
		whole++
	}
	return int64(whole)
}

// reviewMicros returns what a person's look at one item is expected to cost.
func reviewMicros(p *modelsv1.Policy) int64 {
	seconds := p.GetReviewSeconds()
	if seconds == 0 {
		seconds = defaultReviewSeconds
	}
	return int64(math.Round(float64(p.GetReviewerHourMicros()) * seconds / 3600))
}

func currency(p *modelsv1.Policy) string {
	if c := p.GetCurrency(); c != "" {
		return c
	}
	return "EUR"
}
