package gate

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestWithoutWeightsTheEvidenceIsTheCounts(t *testing.T) {
	t.Parallel()
	for _, w := range []float64{1, 20} {
		got := weigh([]outcome{{1, w}, {1, w}, {-1, w}, {0, w}, {0, w}})
		if got != (evidence{5, 2, 1}) {
			t.Errorf("of five rows of weight %v: %+v", w, got)
		}
	}
	if got := weigh(nil); got != (evidence{}) || got.mean() != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

// Traffic of which a model decides 70 % by itself and people check 5 % of that: the interval of the difference has to hold its level on the rows that are labelled.
func TestIntervalsOfChosenRowsHoldTheirLevel(t *testing.T) {
	t.Parallel()
	const rounds, traffic, level = 600, 6000, 0.05
	const sure, better, worse, betterHard, worseHard = 0.7, 0.006, 0.010, 0.05, 0.06
	truth := sure*(better-worse) + (1-sure)*(betterHard-worseHard)
	random := rand.New(rand.NewPCG(5, 5))
	below, above, bias := 0, 0, 0.0
	for range rounds {
		var rows []outcome
		for range traffic {
			up, down, q := betterHard, worseHard, 1.0
			if random.Float64() < sure {
				up, down, q = better, worse, 0.05
			}
			u, value := random.Float64(), 0
			switch {
			case u < up:
				value = 1
			case u < up+down:
				value = -1
			}
			if random.Float64() < q {
				rows = append(rows, outcome{value, 1 / q})
			}
		}
		e := weigh(rows)
		low, high := difference(e.plus, e.minus, e.n, level)
		bias += (e.mean() - truth) / rounds
		if truth < low {
			below++
		}
		if truth > high {
			above++
		}
	}
	limit := level + 3*math.Sqrt(level*(1-level)/rounds)
	t.Logf("the truth was below the interval in %.1f %%, above in %.1f %%; bias %.5f", 100*float64(below)/rounds, 100*float64(above)/rounds, bias)
	if float64(below)/rounds > limit || float64(above)/rounds > limit {
		t.Errorf("beyond the interval in %d and %d of %d rounds", below, above, rounds)
	}
	if math.Abs(bias) > 0.001 {
		t.Errorf("the difference is off by %v on average", bias)
	}
}
