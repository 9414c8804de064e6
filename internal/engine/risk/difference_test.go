package risk

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestTheDifferenceHoldsAtAllTimesTogether(t *testing.T) {
	t.Parallel()
	const delta = 0.1
	rounds, length := 300, 1000
	if testing.Short() {
		rounds, length = 50, 250
	}
	for _, rates := range [][2]float64{{0.03, 0.03}, {0.02, 0.08}, {0.2, 0.1}} {
		rng := rand.New(rand.NewPCG(7, uint64(rates[1]*1000)))
		broken := 0
		for round := range rounds {
			var a, b Sequence
			refuted := false
			for n := range length {
				of, rate := &a, rates[0]
				if rng.Float64() < 0.2 { // a share of the traffic
					of, rate = &b, rates[1]
				}
				if err := of.Observe(0.05, rng.Float64() < rate); err != nil {
					t.Fatal(err)
				}
				// A difference is outside of its bounds only when every pair with it is refuted, the true one among them; that is faster to ask.
				// Looking at every fifth audit is often enough to find a bound that does not hold.
				refuted = refuted || n%5 == 0 && a.against(rates[0])+b.against(rates[1]) >= -math.Log(delta)
			}
			if refuted {
				broken++
				continue
			}
			if round%10 > 0 {
				continue
			}
			if low, high := Difference(a, b, delta); low > rates[1]-rates[0] || high < rates[1]-rates[0] {
				t.Errorf("rates %v: %v to %v although the pair is not refuted", rates, low, high)
			}
		}
		t.Logf("rates %v: refuted at some time in %.1f %% of %d", rates, 100*float64(broken)/float64(rounds), rounds)
		if float64(broken)/float64(rounds) > limitOf(delta, rounds) {
			t.Errorf("rates %v: refuted in %d of %d", rates, broken, rounds)
		}
	}
}

func TestTheDifferenceTellsMoreThanTwoIntervals(t *testing.T) {
	t.Parallel()
	const delta = 0.05
	of := func(n, wrong int) Sequence {
		return Sequence{Strata: []Stratum{{Propensity: 0.1, Audits: n, Wrong: wrong}}}
	}
	for _, c := range []struct {
		a, b        Sequence
		worse, only bool // what it tells, and whether two intervals do not
	}{
		{of(2000, 60), of(2000, 60), false, false},
		{of(2000, 60), of(200, 6), false, false},
		{of(2000, 60), of(2000, 130), true, true},
		{of(2000, 40), of(500, 60), true, false},
		{of(100_000, 3000), of(100_000, 3700), true, false},
	} {
		low, high := Difference(c.a, c.b, delta)
		back, forth := Difference(c.b, c.a, delta)
		if math.Abs(low+forth) > 1e-9 || math.Abs(high+back) > 1e-9 {
			t.Errorf("%v and %v: %v to %v, the other way round %v to %v", c.a, c.b, low, high, back, forth)
		}
		d := c.b.Rate() - c.a.Rate()
		if !(low <= d && d <= high) || (low > 0) != c.worse {
			t.Errorf("%v and %v: %.4f in %.4f to %.4f", c.a, c.b, d, low, high)
		}
		aLow, aHigh := c.a.Interval(delta / 2)
		bLow, bHigh := c.b.Interval(delta / 2)
		t.Logf("%+.4f: %+.4f to %+.4f; two intervals %+.4f to %+.4f", d, low, high, bLow-aHigh, bHigh-aLow)
		if c.only && bLow-aHigh > 0 {
			t.Errorf("two intervals tell it too: the case tells nothing")
		}
		if high-low > bHigh-bLow+aHigh-aLow {
			t.Errorf("%v and %v: wider than two intervals", c.a, c.b)
		}
	}
}

func TestNothingAuditedTellsNothing(t *testing.T) {
	t.Parallel()
	some := Sequence{Strata: []Stratum{{Propensity: 1, Audits: 500, Wrong: 10}}}
	if low, high := Difference(Sequence{}, Sequence{}, 0.05); low != -1 || high != 1 {
		t.Errorf("of nothing: %v to %v", low, high)
	}
	if low, high := Difference(some, Sequence{}, 0.05); !(low < 0 && low > -0.1 && high > 0.9) {
		t.Errorf("of one: %v to %v", low, high)
	}
}
