package risk

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// limitOf is a share of rounds that is expected at most p of the time, plus three standard errors.
func limitOf(p float64, rounds int) float64 {
	return p + 3*math.Sqrt(p*(1-p)/float64(rounds))
}

func TestTheBoundsHoldAtAllTimesTogether(t *testing.T) {
	t.Parallel()
	const delta = 0.1
	rounds, length := 300, 1000
	if testing.Short() {
		rounds, length = 50, 250
	}
	for _, rate := range []float64{0.01, 0.05, 0.3} {
		rng := rand.New(rand.NewPCG(3, uint64(rate*1000)))
		low, high := 0, 0
		for range rounds {
			var s Sequence
			lowBroken, highBroken := false, false
			for range length {
				wrong := rng.Float64() < rate
				if err := s.Observe(0.05, wrong); err != nil {
					t.Fatal(err)
				}
				// The rate itself is refuted: that is what a bound on the wrong side of it means, and much faster to ask. A wrong decision adds to the evidence that
				// the rate is higher, a right one to that it is lower.
				lowBroken = lowBroken || wrong && s.logWealth(rate, above) >= -math.Log(delta)
				highBroken = highBroken || !wrong && s.logWealth(rate, below) >= -math.Log(delta)
			}
			if lowBroken {
				low++
			}
			if highBroken {
				high++
			}
		}
		limit := limitOf(delta, rounds)
		t.Logf("rate %v: lower bound ever above it in %.1f %%, upper bound ever below it in %.1f %% of %d sequences", rate, 100*float64(low)/float64(rounds), 100*float64(high)/float64(rounds), rounds)
		if float64(low)/float64(rounds) > limit || float64(high)/float64(rounds) > limit {
			t.Errorf("rate %v: %d and %d of %d broken, limit %.1f %%", rate, low, high, rounds, 100*limit)
		}
	}
}

// TestWeightsMakeUpForARateThatChanges draws from a stream whose second half is worse and audited four times less. Unweighted audits would underestimate.
func TestWeightsMakeUpForARateThatChanges(t *testing.T) {
	t.Parallel()
	const delta, decisions = 0.1, 10000
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	rng := rand.New(rand.NewPCG(5, 6))
	broken, mean, plain := 0, 0.0, 0.0
	for range rounds {
		var s Sequence
		for i := range decisions {
			q, rate := 0.2, 0.04
			if i >= decisions/2 {
				q, rate = 0.05, 0.12
			}
			if rng.Float64() >= q {
				continue
			}
			if err := s.Observe(q, rng.Float64() < rate); err != nil {
				t.Fatal(err)
			}
		}
		if low, high := s.Interval(delta); low > 0.08 || high < 0.08 { // of all decisions: the mean of both halves
			broken++
		}
		n, k := s.Audits()
		mean += s.Rate() / float64(rounds)
		plain += float64(k) / float64(n) / float64(rounds)
	}
	t.Logf("rate 8 %%: weighted %.2f %%, unweighted %.2f %%, interval beside it in %d of %d", 100*mean, 100*plain, broken, rounds)
	if math.Abs(mean-0.08) > 0.004 {
		t.Errorf("the weighted estimate is %.4f on average, want 0.08", mean)
	}
	if plain > 0.065 {
		t.Errorf("the unweighted estimate is %.4f: the case tells nothing", plain)
	}
	if float64(broken)/float64(rounds) > limitOf(delta, rounds) {
		t.Errorf("the interval misses in %d of %d rounds", broken, rounds)
	}
}

// TestASmallPropensityCannotBreakTheBound mixes propensities of 0.5 and 0.001, where a single audit weighs 500 times as much as another.
func TestASmallPropensityCannotBreakTheBound(t *testing.T) {
	t.Parallel()
	const delta, rate = 0.1, 0.05
	rounds := 400
	if testing.Short() {
		rounds = 80
	}
	rng := rand.New(rand.NewPCG(8, 6))
	broken := 0
	for range rounds {
		var s Sequence
		for range 400 {
			q := 0.5
			if rng.Float64() < 0.1 {
				q = 0.001
			}
			wrong := rng.Float64() < rate
			if err := s.Observe(q, wrong); err != nil {
				t.Fatal(err)
			}
			if wrong && s.logWealth(rate, above) >= -math.Log(delta) {
				broken++
				break
			}
		}
	}
	if float64(broken)/float64(rounds) > limitOf(delta, rounds) {
		t.Errorf("broken in %d of %d rounds", broken, rounds)
	}
}

func TestBoundsNarrowAndHoldTheEstimate(t *testing.T) {
	t.Parallel()
	width := 1.0
	for _, n := range []int{10, 100, 1000, 10000, 100000} {
		s := Sequence{Strata: []Stratum{{Propensity: 0.05, Audits: n, Wrong: n / 10}}}
		low, high := s.Interval(0.05)
		if !(low <= 0.1 && 0.1 <= high) || high-low >= width {
			t.Errorf("%d audits: %.4f to %.4f", n, low, high)
		}
		width = high - low
	}
	if width > 0.01 {
		t.Errorf("after 100,000 audits the bounds are %.4f apart, want at most 0.01 (a fixed sample has 0.0037)", width)
	}
}

func TestWithoutErrorsTheUpperBoundIsNotFarFromTheExactOne(t *testing.T) {
	t.Parallel()
	for _, n := range []int{60, 300, 3000} {
		s := Sequence{Strata: []Stratum{{Propensity: 1, Audits: n}}}
		got, exact := s.Upper(0.05), UpperBound(0, n, 0.05)
		t.Logf("%d audits: %.4f, exact for one look %.4f", n, got, exact)
		if got < exact || got > 2.5*exact {
			t.Errorf("%d audits: upper bound %.4f, want %.4f to %.4f", n, got, exact, 2.5*exact)
		}
		if s.Lower(0.05) != 0 {
			t.Errorf("%d audits without an error: lower bound %v", n, s.Lower(0.05))
		}
	}
}

func TestEvidenceIsFastEnoughForEveryVerdict(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	var d Detector
	for i := range 5000 {
		_ = d.Observe(0.05, i%20 == 0)
	}
	start := time.Now()
	for range 100 {
		d.LogEvidence(0.05)
	}
	t.Logf("evidence of %d blocks: %v", len(d.Blocks), time.Since(start)/100)
	if took := time.Since(start) / 100; took > 20*time.Millisecond {
		t.Errorf("%v", took)
	}
}

func FuzzSequence(f *testing.F) {
	f.Add(uint64(1), 0.05, 0.2, 0.05)
	f.Add(uint64(2), 1.0, 0.0001, 0.5)
	f.Add(uint64(3), math.NaN(), 2.0, 1e-9)
	f.Fuzz(func(t *testing.T, seed uint64, q1, q2, delta float64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var s Sequence
		var d Detector
		want := 0
		for range rng.IntN(300) {
			q := q1
			if rng.IntN(3) == 0 {
				q = q2
			}
			wrong := rng.IntN(1+rng.IntN(20)) == 0
			err, other := s.Observe(q, wrong), d.Observe(q, wrong)
			if (err == nil) != (other == nil) || (err != nil && !errors.Is(err, ErrPropensity)) {
				t.Fatalf("propensity %v: %v and %v", q, err, other)
			}
			if err == nil {
				want++
			}
		}
		if n, k := s.Audits(); n != want || k > n {
			t.Fatalf("%d audits with %d wrong, want %d", n, k, want)
		}
		total := d.Total()
		if n, _ := total.Audits(); n != want || len(d.Blocks) > maxBlocks {
			t.Fatalf("detector: %d audits in %d blocks, want %d", n, len(d.Blocks), want)
		}
		if !(delta > 1e-12 && delta < 1) {
			return
		}
		low, high := s.Interval(delta)
		if !(low >= 0 && low <= high && high <= 1) {
			t.Fatalf("bounds %v and %v of %+v at delta %v", low, high, s, delta)
		}
		for _, m := range []float64{-1, 0, 1e-9, 0.05, 0.5, 1 - 1e-9, 1, 2} {
			if e := d.LogEvidence(m); math.IsNaN(e) || math.IsInf(e, 1) {
				t.Fatalf("evidence %v against %v", e, m)
			}
		}
	})
}
