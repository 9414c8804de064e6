package risk

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// audits feeds a watch until it says that the promise is broken; it returns after how many audits, 0 for never, and how.
func audits(rng *rand.Rand, alpha, delta float64, r ReviewerError, length int, world func(i int) (errors, foreign float64)) (int, Break) {
	var w Watch
	for i := range length {
		errs, none := world(i)
		x := rng.Float64()
		foreign := x < none
		wrong := x < errs // what belongs to none of the labels was answered wrongly
		if rng.Float64() < r.High {
			wrong, foreign = !wrong, !wrong && rng.IntN(50) == 0
		}
		if err := w.Observe(0.05, wrong, foreign); err != nil {
			panic(err)
		}
		if !wrong {
			continue // the evidence has not grown
		}
		if b := w.Judge(alpha, delta, r); b != Kept {
			return i + 1, b
		}
	}
	return 0, Kept
}

func TestAWorldThatStaysAsItIsHardlyEverStopsAutomation(t *testing.T) {
	t.Parallel()
	const alpha, delta = 0.05, 0.05
	rounds, length := 200, 2000
	if testing.Short() {
		rounds, length = 30, 500
	}
	rng := rand.New(rand.NewPCG(3, 1))
	for _, foreign := range []float64{0, 0.002, 0.01, 0.03, 0.05} { // however many of the errors belong to none of the labels
		stops, changes := 0, 0
		for range rounds {
			n, b := audits(rng, alpha, delta, KnownReviewerError(0.03), length, func(int) (float64, float64) { return alpha, foreign })
			if n > 0 {
				stops++
			}
			if b == WorldChanged {
				changes++
			}
		}
		t.Logf("error exactly %.0f %%, %.1f %% belong to none of the labels: stopped in %d of %d streams of %d audits, %d of them for a change", 100*alpha, 100*foreign, stops, rounds, length, changes)
		if float64(stops)/float64(rounds) > limitOf(delta, rounds) || float64(changes)/float64(rounds) > limitOf(changeShare*delta, rounds) {
			t.Errorf("%.1f %% foreign: stopped in %d of %d, for a change in %d", 100*foreign, stops, rounds, changes)
		}
	}
}

func TestInputsOfAnotherWorldAreNoticedBeforeTheErrorIsProved(t *testing.T) {
	t.Parallel()
	const alpha, delta, good = 0.05, 0.05, 400
	rounds := 60
	if testing.Short() {
		rounds = 5
	}
	rng := rand.New(rand.NewPCG(2, 8))
	r := KnownReviewerError(0.03)
	var took, without []int
	within := 0
	for range rounds {
		n, b := audits(rng, alpha, delta, r, good+800, func(i int) (float64, float64) {
			if i < good {
				return 0.03, 0.002
			}
			return 0.11, 0.08
		})
		if n > good && n <= good+400 {
			within++
		}
		if b == WorldChanged {
			took = append(took, n-good)
		}
		// The same error, of the usual kind.
		n, _ = audits(rng, alpha, delta, r, good+2000, func(i int) (float64, float64) {
			if i < good {
				return 0.03, 0.002
			}
			return 0.11, 0.002
		})
		without = append(without, max(n, 1)-good)
	}
	if within < rounds*93/100 || len(took) < rounds*8/10 {
		t.Fatalf("noticed within 400 audits in %d of %d, as a change in %d", within, rounds, len(took))
	}
	slices.Sort(took)
	slices.Sort(without)
	t.Logf("from 3 to 11 %% wrong, of which 8 %% belong to none of the labels: noticed after %d audits (median); by the error alone after %d", took[len(took)/2], without[len(without)/2])
	if took[len(took)/2] >= without[len(without)/2] {
		t.Error("looking at what belongs to none of the labels is of no use")
	}
}

func TestAChangeThatKeepsThePromiseStopsNothing(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 5))
	var w Watch
	for i := range 3000 {
		foreign := i >= 500 && rng.Float64() < 0.04 // many more than before, and still fewer than what is promised
		if err := w.Observe(1, foreign || rng.Float64() < 0.002, foreign); err != nil {
			t.Fatal(err)
		}
		if b := w.Judge(0.10, 0.05, ReviewerError{}); b != Kept {
			t.Fatalf("after %d audits: %v", i+1, b)
		}
	}
	if e := w.Foreign.LogChange(); e < 5 {
		t.Errorf("the change itself is plain to see, the evidence is exp(%.1f)", e)
	}
	since := w.SinceChange()
	if n, _ := since.Audits(); n < 2300 || n > 2600 {
		t.Errorf("the change is seen %d audits ago, it was 2500", n)
	}
}

func TestALessFrequentKindIsNoChangeForTheWorse(t *testing.T) {
	t.Parallel()
	var d Detector
	for i := range 1000 {
		if err := d.Observe(1, i < 500 && i%5 == 0); err != nil {
			t.Fatal(err)
		}
	}
	if e := d.LogChange(); e > 0 {
		t.Errorf("evidence exp(%.1f)", e)
	}
	if n := d.changed(); n != 0 {
		t.Errorf("since %d audits", n)
	}
	var none Detector
	if !math.IsInf(none.LogChange(), -1) {
		t.Error("nothing shows nothing")
	}
}

func TestAWatchIsReadBackAndOlderOnesGoOn(t *testing.T) {
	t.Parallel()
	var w Watch
	for i := range 100 {
		if err := w.Observe(0.1, i%10 == 0, i%20 == 0); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var back Watch
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w, back); diff != "" {
		t.Error(diff)
	}
	older := Watch{Errors: w.Errors} // stored before the second was kept
	if older.Judge(0.05, 0.05, ReviewerError{}) != Kept {
		t.Error("broken")
	}
	if err := older.Observe(0.1, true, true); err != nil {
		t.Error(err)
	}
	if err := older.Observe(0, true, true); err == nil {
		t.Error("a probability of nothing")
	}
}
