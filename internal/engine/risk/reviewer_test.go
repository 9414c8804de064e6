package risk

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
)

// reviewed draws items whose error falls with the score, as a reviewer who errs sees them.
func reviewed(rng *rand.Rand, n int, err float64) []Point {
	points := make([]Point, n)
	for i := range points {
		u := rng.Float64()
		correct := rng.Float64() >= errorAt(u)
		if rng.Float64() < err {
			correct = !correct
		}
		points[i] = Point{Score: u, Correct: correct}
	}
	return points
}

// errorAt is the error of an item with that score: 0.5 % for the surest tenth, 20 % on average.
func errorAt(u float64) float64 { return 0.005 + 0.585*(1-u)*(1-u) }

// trueError is the error of all items from a score on.
func trueError(t float64) float64 {
	w := 1 - t
	return 0.005 + 0.585*w*w/3
}

func TestCertificatesFromReviewersWhoErrKeepTheTruePromise(t *testing.T) {
	t.Parallel()
	const alpha, delta, n = 0.05, 0.05, 2000
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	for _, c := range []struct {
		what  string
		err   float64
		r     ReviewerError
		least float64 // share of rounds that certify something
	}{
		{"errors overlooked, none credited", 0.03, ReviewerError{High: 0.03}, 0},
		{"errors known", 0.03, KnownReviewerError(0.03), 0.6},
		{"reviewers who are right in 80 %, known", 0.2, KnownReviewerError(0.2), 0.02},
	} {
		rng := rand.New(rand.NewPCG(11, 3))
		broken, certified, automated := 0, 0, 0.0
		for range rounds {
			cert, err := CertifyReviewed(reviewed(rng, n, c.err), alpha, delta, c.r)
			if err != nil {
				t.Fatal(err)
			}
			if cert.Certified {
				certified++
				automated += 1 - cert.Threshold
				if trueError(cert.Threshold) > alpha {
					broken++
				}
			}
		}
		t.Logf("%s: certified in %d of %d, automated %.1f %%, promise broken in %d", c.what, certified, rounds, 100*automated/float64(rounds), broken)
		if float64(broken)/float64(rounds) > limitOf(delta, rounds) {
			t.Errorf("%s: broken in %d of %d", c.what, broken, rounds)
		}
		if float64(certified)/float64(rounds) < c.least {
			t.Errorf("%s: certified in %d of %d", c.what, certified, rounds)
		}
	}
}

func TestReviewersAloneNeverStopAutomation(t *testing.T) {
	t.Parallel()
	// 2 % true error, 97 % accurate reviewers: they disagree with 4.9 %, just below a naive alarm at 5 %, and with drift of the reviewers' mood above it.
	r := KnownReviewerError(0.03)
	var with, without Detector
	rng := rand.New(rand.NewPCG(1, 1))
	for range 20_000 {
		wrong := rng.Float64() < 0.04
		if rng.Float64() < 0.03 {
			wrong = !wrong
		}
		_, _ = with.Observe(1, wrong), without.Observe(1, wrong)
	}
	if with.Exceeded(0.05, 0.05, r) {
		t.Error("4 % true error stopped a promise of 5 %")
	}
	if !without.Exceeded(0.05, 0.05, ReviewerError{}) {
		t.Error("without the correction it would not have been stopped either: the case tells nothing")
	}
}

func TestBoundsOnReviewersComeFromKnownAnswers(t *testing.T) {
	t.Parallel()
	r := MeasureReviewers(12, 400, 0.01)
	if !(r.Low > 0.005 && r.Low < 0.03 && r.High > 0.03 && r.High < 0.08 && r.Delta == 0.01) || !r.Valid() {
		t.Errorf("12 of 400: %+v", r)
	}
	if none := MeasureReviewers(0, 0, 0.01); none.Low != 0 || none.High != 1 || none.Valid() {
		t.Errorf("nothing known: %+v", none)
	}
	if _, err := CertifyReviewed(nil, 0.05, 0.05, ReviewerError{High: 0.6}); !errors.Is(err, ErrBudget) {
		t.Errorf("reviewers worse than a coin: %v", err)
	}
	if _, err := CertifyReviewed(nil, 0.05, 0.05, ReviewerError{High: 0.1, Delta: 0.05}); !errors.Is(err, ErrBudget) {
		t.Errorf("nothing left of delta: %v", err)
	}
}

func TestPerfectReviewersChangeNothing(t *testing.T) {
	t.Parallel()
	points := reviewed(rand.New(rand.NewPCG(5, 5)), 3000, 0)
	a, err := Certify(points, 0.05, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	b, err := CertifyReviewed(points, 0.05, 0.05, ReviewerError{})
	if err != nil || a != b {
		t.Errorf("%+v\n%+v: %v", a, b, err)
	}
	if low, high := (ReviewerError{}).Correct(0.02, 0.07); low != 0.02 || high != 0.07 {
		t.Errorf("corrected to %v and %v", low, high)
	}
}

func TestCorrectionHoldsTheTruth(t *testing.T) {
	t.Parallel()
	r := ReviewerError{Low: 0.01, High: 0.06}
	for _, p := range []float64{0, 0.01, 0.05, 0.3, 0.9, 1} {
		for _, e1 := range []float64{0.01, 0.03, 0.06} {
			for _, e2 := range []float64{0, 0.03, 0.06} {
				observed := p*(1-e2) + (1-p)*e1
				low, high := r.Correct(observed, observed)
				if low > p+1e-12 || high < p-1e-12 {
					t.Errorf("p %v, e1 %v, e2 %v: %v to %v", p, e1, e2, low, high)
				}
				if p > 0.05 && observed <= r.Allowance(0.05) {
					t.Errorf("p %v would be certified at 5 %%", p)
				}
				if p <= 0.05 && observed > r.Alarm(0.05)+1e-12 {
					t.Errorf("p %v would stop at 5 %%", p)
				}
			}
		}
	}
}

func TestMoreAuditsIsEnoughAsOftenAsNot(t *testing.T) {
	t.Parallel()
	s := Sequence{Strata: []Stratum{{Propensity: 0.1, Audits: 149}}}
	rate, more := Tighter(s, 0.02, 0.05, ReviewerError{})
	t.Logf("149 audits without an error, certified at 2 %%: %d more audits show %.3g", more, rate)
	if more <= 0 || rate > 0.01 {
		t.Errorf("rate %v, %d more", rate, more)
	}
	then := Sequence{Strata: []Stratum{{Propensity: 0.1, Audits: 149 + more}}}
	if got := MoreAudits(then, rate, 0.05, ReviewerError{}); got != 0 {
		t.Errorf("after them %d more are asked for", got)
	}
	bad := Sequence{Strata: []Stratum{{Propensity: 1, Audits: 1000, Wrong: 60}}}
	if got := MoreAudits(bad, 0.05, 0.05, ReviewerError{}); got != -1 {
		t.Errorf("6 %% wrong: %d more audits would show 5 %%", got)
	}
	if u := math.Abs(float64(MoreAudits(Sequence{}, 0.05, 0.05, ReviewerError{}) - 200)); u > 60 {
		t.Errorf("from nothing: %d audits for 5 %%", MoreAudits(Sequence{}, 0.05, 0.05, ReviewerError{}))
	}
}

// overlooked draws items as reviewers see them who accept a share of what is wrong, and never reject what is right.
func overlooked(rng *rand.Rand, n int, share float64) []Point {
	points := make([]Point, n)
	for i := range points {
		u := rng.Float64()
		wrong := rng.Float64() < errorAt(u)
		points[i] = Point{Score: u, Side: "a", Correct: !wrong || rng.Float64() < share, Reviewed: true}
	}
	return points
}

func TestCertificatesAllowForWhatReviewersOverlook(t *testing.T) {
	t.Parallel()
	const alpha, delta, share, n = 0.05, 0.05, 0.25, 2000
	rounds := 400
	if testing.Short() {
		rounds = 60
	}
	known := Reviewers{Assumed: share}
	for _, c := range []struct {
		what string
		by   Reviewers
		kept bool
	}{
		{"taken as the truth", Reviewers{}, false},
		{"assumed", known, true},
		{"measured on 2,000 answers", Reviewers{Answers: 2000, Wrong: 500}, true},
	} {
		rng := rand.New(rand.NewPCG(3, 14))
		broken, certified := 0, 0
		for range rounds {
			cs, err := c.by.Labels(overlooked(rng, n, share), alpha, nil, delta)
			if err != nil {
				t.Fatal(err)
			}
			if cs[0].Certified {
				certified++
				if trueError(cs[0].Threshold) > alpha {
					broken++
				}
			}
		}
		t.Logf("%s: certified in %d of %d, promise broken in %d", c.what, certified, rounds, broken)
		if kept := float64(broken)/float64(rounds) <= limitOf(delta, rounds); kept != c.kept {
			t.Errorf("%s: broken in %d of %d", c.what, broken, rounds)
		}
		if certified < rounds/2 {
			t.Errorf("%s: certified in %d of %d only", c.what, certified, rounds)
		}
	}
}

func TestOnlyReviewedSamplesAreHeldToTheStricterLimit(t *testing.T) {
	t.Parallel()
	points := overlooked(rand.New(rand.NewPCG(9, 9)), 4000, 0)
	for i := range points {
		points[i].Reviewed = false
		if i%2 == 0 {
			points[i].Side = "b"
		}
	}
	limits := map[string]float64{"b": 0.1}
	by := Reviewers{Assumed: 0.2}
	plain, err := Labels(points, 0.05, limits, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	same, err := by.Labels(points, 0.05, limits, 0.05)
	if err != nil || plain[0] != same[0] || plain[1] != same[1] {
		t.Errorf("without a reviewed item:\n%+v\n%+v: %v", plain, same, err)
	}
	for i := range points {
		points[i].Reviewed = points[i].Side == "b" && i == 0 // a single one
	}
	mixed, err := by.Labels(points, 0.05, limits, 0.05)
	if err != nil || mixed[0] != plain[0] || mixed[1].Threshold <= plain[1].Threshold || mixed[1].Alpha != 0.1 || mixed[1].Delta != 0.025 || mixed[1].ReviewerError != 0.2 {
		t.Errorf("with one reviewed item of b:\n%+v\n%+v: %v", plain, mixed, err)
	}
	for _, bad := range []Reviewers{{Assumed: 0.6}, {Answers: 3}, {Answers: 500, Wrong: 250}} {
		cs, err := bad.Labels(points, 0.05, limits, 0.05)
		if err != nil || !cs[0].Certified || cs[1].Certified || cs[1].MoreLabels != -1 {
			t.Errorf("reviewers %+v certify %+v: %v", bad, cs, err)
		}
	}
}
