package active_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine/active"
)

func crowd(n int) []active.Item {
	random := rand.New(rand.NewPCG(1, 1))
	out := make([]active.Item, n)
	for i := range out {
		top := 0.4 + 0.6*random.Float64()
		out[i] = active.Item{Likely: random.IntN(10), Second: random.IntN(10), Top: top, Next: min(1-top, top) * random.Float64()}
	}
	return out
}

func TestItemsAreChosenAsOftenAsTheirProbabilitiesSay(t *testing.T) {
	t.Parallel()
	const rounds, n, count = 4000, 300, 40
	items := crowd(n)
	seen := make([]int, n)
	var p []float64
	for seed := range uint64(rounds) {
		s := active.Settings{Count: count, Audit: 0.2, Seed: seed}
		p = active.Probabilities(items, s)
		chosen := active.Select(items, s)
		if len(chosen) != count {
			t.Fatalf("%d chosen, want %d", len(chosen), count)
		}
		for _, c := range chosen {
			seen[c.Item]++
			if c.Probability != p[c.Item] || c.Probability <= 0 || c.Probability > 1+1e-12 {
				t.Fatalf("item %d: probability %v, said %v", c.Item, p[c.Item], c.Probability)
			}
		}
	}
	sum, worst := 0.0, 0.0
	for i := range items {
		sum += p[i]
		worst = max(worst, math.Abs(float64(seen[i])/rounds-p[i])/math.Sqrt(p[i]*(1-p[i])/rounds+1e-9))
	}
	if math.Abs(sum-count) > 1e-6 {
		t.Errorf("the probabilities sum to %v, want %d", sum, count)
	}
	if worst > 4.5 { // standard errors; the largest of 300 is hardly above 4
		t.Errorf("an item was chosen %.1f standard errors more or less often than its probability says", worst)
	}
}

func TestUncertainItemsComeFirstAndSureOnesNow(t *testing.T) {
	t.Parallel()
	items := []active.Item{{Top: 1}, {Top: 0.5, Next: 0.5}, {Top: 0.99, Next: 0.01}, {Top: math.NaN(), Next: math.NaN()}}
	p := active.Probabilities(items, active.Settings{Count: 2, Audit: 0.1})
	if !(p[1] > 0.9 && p[3] > 0.9 && p[0] > 0 && p[0] < 0.2) {
		t.Errorf("probabilities %v", p)
	}
	all := active.Select(items, active.Settings{Count: 9})
	if len(all) != 4 || all[0].Probability != 1 {
		t.Errorf("of four nine are %v", all)
	}
	sure := []active.Item{{Top: 1}, {Top: 1}, {Top: 1}, {Top: 1}}
	if got := active.Select(sure, active.Settings{Count: 2}); len(got) != 2 {
		t.Errorf("where nothing is uncertain: %v", got)
	}
}
