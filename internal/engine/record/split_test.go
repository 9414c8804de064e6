package record

import (
	"math"
	"math/rand/v2"
	"testing"
)

func randomCells(random *rand.Rand, bins int) (h []cell, all cell) {
	h = make([]cell, bins)
	for b := range h {
		if random.IntN(4) > 0 {
			n := 1 + random.IntN(30)
			h[b] = cell{g: random.NormFloat64() * float64(n), h: random.Float64() * float64(n), n: int64(n)}
			all.add(h[b])
		}
	}
	return h, all
}

func TestTheBestThresholdIsFound(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		h, all := randomCells(random, 2+random.IntN(12))
		if random.IntN(2) == 0 {
			all = all.minus(h[0])
			h[0] = cell{}
		}
		rule := splitter{minRows: int64(1 + random.IntN(20)), minWeight: 0.5, l2: 1}
		best := rule.ordered(h, all)
		want := 0.0
		for flags := range uint8(2) {
			for bin := range uint8(maxBins - 1) {
				n := node{bin: bin, flags: flags * flagMissingRight}
				if gain := gainOf(&tree{}, &n, h, all, rule); gain > want {
					want = gain
				}
			}
		}
		if math.Abs(best.gain-want) > 1e-9*max(1, want) {
			t.Fatalf("gain %g, best of all thresholds %g", best.gain, want)
		}
		if best.gain > 0 {
			if got := gainOf(&tree{}, &best.rule, h, all, rule); math.Abs(got-best.gain) > 1e-9*max(1, want) {
				t.Fatalf("the rule divides with gain %g, it claims %g", got, best.gain)
			}
		}
	}
}

func TestRulesOfCategoriesDivideAsTheyClaim(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	found := 0
	for range 500 {
		h, all := randomCells(random, 2+random.IntN(40))
		rule := splitter{minRows: 5, minWeight: 0.5, l2: 1, groupRows: 10, catRows: 3}
		best := rule.categories(h, all)
		if best.gain == 0 {
			continue
		}
		found++
		tr := &tree{sets: []bins256{best.set}}
		var left cell
		for b := range h {
			if tr.left(&best.rule, uint8(b)) {
				left.add(h[b])
			}
		}
		if left.n != best.left.n || math.Abs(left.g-best.left.g) > 1e-9 {
			t.Fatalf("the rule sends %+v left, it claims %+v", left, best.left)
		}
		if right := all.n - left.n; left.n < rule.minRows || right < rule.minRows {
			t.Fatalf("%d rows left and %d right, want at least %d", left.n, right, rule.minRows)
		}
	}
	if found < 100 {
		t.Fatalf("only %d of 500 leaves could be divided", found)
	}
}

func gainOf(t *tree, n *node, h []cell, all cell, rule splitter) float64 {
	var left cell
	for b := range h {
		if t.left(n, uint8(b)) {
			left.add(h[b])
		}
	}
	right := all.minus(left)
	if left.n < rule.minRows || right.n < rule.minRows || left.h < rule.minWeight || right.h < rule.minWeight {
		return 0
	}
	return left.score(rule.l2) + right.score(rule.l2) - all.score(rule.l2)
}
