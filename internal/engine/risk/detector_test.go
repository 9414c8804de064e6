package risk

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// watch feeds a detector until it stops, and returns how many audits that took; 0 when it never did.
func watch(rng *rand.Rand, alpha, delta float64, r ReviewerError, length int, rate func(i int) float64) int {
	var d Detector
	for i := range length {
		wrong := rng.Float64() < rate(i)
		if r.High > 0 && rng.Float64() < r.High {
			wrong = !wrong // the reviewer errs
		}
		if err := d.Observe(0.05, wrong); err != nil {
			panic(err)
		}
		if wrong && d.Exceeded(alpha, delta, r) { // without a wrong one the evidence has not grown
			return i + 1
		}
	}
	return 0
}

func TestAutomationThatKeepsItsPromiseIsHardlyEverStopped(t *testing.T) {
	t.Parallel()
	const alpha, delta = 0.05, 0.05
	rounds, length := 200, 3000
	if testing.Short() {
		rounds, length = 30, 500
	}
	for _, c := range []struct {
		what      string
		reviewers ReviewerError
	}{{"perfect reviewers", ReviewerError{}}, {"reviewers that are right in 97 %", KnownReviewerError(0.03)}} {
		rng := rand.New(rand.NewPCG(1, 9))
		stops := 0
		for range rounds {
			if watch(rng, alpha, delta, c.reviewers, length, func(int) float64 { return alpha }) > 0 { // the worst that is allowed
				stops++
			}
		}
		t.Logf("%s, error exactly %.0f %%: stopped in %d of %d streams of %d audits", c.what, 100*alpha, stops, rounds, length)
		if float64(stops)/float64(rounds) > limitOf(delta, rounds) {
			t.Errorf("%s: stopped in %d of %d", c.what, stops, rounds)
		}
	}
}

func TestADriftAfterALongGoodTimeIsNoticedWithin400Audits(t *testing.T) {
	t.Parallel()
	const alpha, delta, good = 0.05, 0.05, 4000
	rounds := 40
	if testing.Short() {
		rounds = 5
	}
	for _, c := range []struct {
		what      string
		reviewers ReviewerError
		drifted   float64
	}{{"perfect reviewers", ReviewerError{}, 0.15}, {"reviewers that are right in 97 %", KnownReviewerError(0.03), 0.2}} {
		rng := rand.New(rand.NewPCG(2, 7))
		var took []int
		for range rounds {
			n := watch(rng, alpha, delta, c.reviewers, good+400, func(i int) float64 {
				if i < good {
					return 0.03
				}
				return c.drifted
			})
			switch {
			case n == 0:
				t.Errorf("%s: a drift to %.0f %% was not noticed within 400 audits", c.what, 100*c.drifted)
			case n > good:
				took = append(took, n-good)
			}
		}
		if len(took) < rounds*8/10 {
			t.Fatalf("%s: noticed after the drift in %d of %d", c.what, len(took), rounds)
		}
		slices.Sort(took)
		t.Logf("%s, after %d audits at 3 %% to %.0f %%: noticed after %d audits (median), %d (most)", c.what, good, 100*c.drifted, took[len(took)/2], took[len(took)-1])
	}
}

// TestASequenceOverAllAuditsWouldNoticeItLate is the reason for the restarts.
func TestASequenceOverAllAuditsWouldNoticeItLate(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	var d Detector
	for i := range 4400 {
		rate := 0.03
		if i >= 4000 {
			rate = 0.15
		}
		if err := d.Observe(1, rng.Float64() < rate); err != nil {
			t.Fatal(err)
		}
	}
	total := d.Total()
	if low := total.Lower(0.05); low > 0.05 {
		t.Errorf("the lower bound over all audits is %.3f", low)
	}
	if !d.Exceeded(0.05, 0.05, ReviewerError{}) {
		t.Error("the detector has not noticed it")
	}
}

func TestTheSharesOfTheStartsSumToAtMostOne(t *testing.T) {
	t.Parallel()
	sum := 0.0
	for j := range 100_000 {
		w := math.Exp(logWeight(j))
		if !(w > 0) {
			t.Fatalf("start %d has share %v", j, w)
		}
		sum += w
	}
	if sum > 1 || sum < 0.75 { // the rest is for those that follow
		t.Errorf("the shares of 100,000 starts sum to %v", sum)
	}
}

func TestTheStateStaysSmallAndSurvivesJSON(t *testing.T) {
	t.Parallel()
	var d Detector
	for i := range 50_000 {
		if err := d.Observe(0.05, i%25 == 0); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 8<<10 {
		t.Errorf("%d bytes", len(data))
	}
	var back Detector
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if a, b := d.LogEvidence(0.03), back.LogEvidence(0.03); a != b {
		t.Errorf("evidence %v before, %v after", a, b)
	}
	if n, k := sumOf(back); n != 50_000 || k != 2000 {
		t.Errorf("%d audits with %d wrong", n, k)
	}
}

func sumOf(d Detector) (n, k int) {
	total := d.Total()
	return total.Audits()
}
