package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// Person is a simulated reviewer. What the person says comes from the true label, with the errors that are set here; nobody told the product.
type Person struct {
	Name string
	// Error is the share of the answers that are wrong, 0 to 1.
	Error float64
	// NotSure is the share of items to which the person has no answer.
	NotSure float64
	// Slip is the share of answers whose first key press is wrong, seen at once and taken back.
	Slip float64
	// Seconds is how long half of the items take at most.
	Seconds float64
	// Asks is the share of items about which the person asks a colleague, which takes a quarter of an hour.
	Asks float64
	// Leaves is after how many items the person is called away and lets the lease end; never when 0.
	Leaves int
	// Shifts are when the person works on the queue, in hours since midnight.
	Shifts []Shift
}

// Shift is a time at work.
type Shift struct{ From, To float64 }

// Team is a team of five with other things to do besides: most are careful, one is new and hasty, one is slow and often called away.
func Team() []Person {
	return []Person{
		{Name: "anna", Error: 0.02, NotSure: 0.01, Slip: 0.01, Seconds: 34, Shifts: []Shift{{7, 10}, {14, 16}}},
		{Name: "boris", Error: 0.05, NotSure: 0.02, Slip: 0.02, Seconds: 30, Shifts: []Shift{{7.5, 9.5}, {11, 13}}},
		{Name: "chloe", Error: 0.03, NotSure: 0.02, Slip: 0.01, Seconds: 40, Shifts: []Shift{{9, 13}, {15, 18}}},
		{Name: "deniz", Error: 0.15, NotSure: 0.01, Slip: 0.04, Seconds: 20, Shifts: []Shift{{8, 11}, {13, 17}}},
		{Name: "emil", Error: 0.04, NotSure: 0.05, Slip: 0.01, Seconds: 75, Asks: 0.05, Leaves: 25, Shifts: []Shift{{9, 12}, {14, 17.5}}},
	}
}

// reviewer is a person at work.
type reviewer struct {
	Person
	rng    *rand.Rand
	key    reviewv1.ReviewServiceClient
	record record

	sinceLeft int // items since the person was last called away
}

// record is what the simulation knows of a person's work and the product does not.
type record struct {
	answers, wrong           int // independent ones that counted: the third opinion after a disagreement, which is told the other two, is no part of them
	notSure, undone, expired int
	extended, returned       int
	spent                    time.Duration // simulated
}

// seconds draws how long an item takes: log-normal around the median, at most ten times it.
func (r *reviewer) seconds() time.Duration {
	if r.rng.Float64() < r.Asks {
		return 15 * time.Minute
	}
	s := r.Seconds * math.Exp(0.5*r.rng.NormFloat64())
	return time.Duration(min(s, 10*r.Seconds) * float64(time.Second))
}

// answer says what the person thinks of an item with that true label. A wrong answer is mostly the most plausible of the wrong ones, which is how people err.
func (r *reviewer) answer(it *reviewv1.ReviewItem, truth string) *reviewv1.Answer {
	switch {
	case r.rng.Float64() < r.NotSure:
		return &reviewv1.Answer{NotSure: true}
	case r.rng.Float64() < r.Error:
		return &reviewv1.Answer{Labels: []string{r.mistake(it, truth)}}
	}
	return &reviewv1.Answer{Labels: []string{truth}}
}

func (r *reviewer) mistake(it *reviewv1.ReviewItem, truth string) string {
	var wrong []string // most plausible first
	for _, l := range it.GetLabels() {
		if l.GetLabel() != truth {
			wrong = append(wrong, l.GetLabel())
		}
	}
	if r.rng.Float64() < 0.7 {
		return wrong[0]
	}
	return wrong[r.rng.IntN(len(wrong))]
}

func right(a *reviewv1.Answer, truth string) bool {
	return slices.Equal(a.GetLabels(), []string{truth})
}
