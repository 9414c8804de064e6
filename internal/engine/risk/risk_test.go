package risk

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// exactTail sums the probabilities in logarithms: slow and independent of the code under test.
func exactTail(k, m int, p float64) float64 {
	sum := 0.0
	for i := 0; i <= k; i++ {
		a, _ := math.Lgamma(float64(m + 1))
		b, _ := math.Lgamma(float64(i + 1))
		c, _ := math.Lgamma(float64(m - i + 1))
		sum += math.Exp(a - b - c + float64(i)*math.Log(p) + float64(m-i)*math.Log1p(-p))
	}
	return min(sum, 1)
}

func TestBinomialTailIsExact(t *testing.T) {
	t.Parallel()
	for _, m := range []int{1, 2, 10, 59, 60, 300, 5000} {
		for _, p := range []float64{0.001, 0.01, 0.05, 0.2, 0.5, 0.9} {
			for _, k := range []int{0, 1, 2, m / 20, m / 2, m - 1} {
				if k >= m {
					continue
				}
				got, want := BinomialTail(k, m, p), exactTail(k, m, p)
				if math.Abs(got-want) > 1e-9*math.Max(want, 1e-3) {
					t.Errorf("BinomialTail(%d, %d, %v) = %v, want %v", k, m, p, got, want)
				}
			}
		}
	}
	for _, c := range []struct {
		k, m int
		p    float64
		want float64
	}{{-1, 10, 0.5, 0}, {10, 10, 0.5, 1}, {11, 10, 0.5, 1}, {0, 0, 0.5, 1}, {3, 10, 0, 1}, {3, 10, 1, 0}} {
		if got := BinomialTail(c.k, c.m, c.p); got != c.want {
			t.Errorf("BinomialTail(%d, %d, %v) = %v, want %v", c.k, c.m, c.p, got, c.want)
		}
	}
	if got := BinomialTail(49_000, 1_000_000, 0.05); !(got > 0 && got < 1e-5) {
		t.Errorf("a million items: tail = %v, want a small positive number", got)
	}
}

func TestMinAcceptedIsTheLeastThatCanPass(t *testing.T) {
	t.Parallel()
	if got := MinAccepted(0.05, 0.05); got != 59 {
		t.Errorf("MinAccepted(5 %%, 5 %%) = %d, want 59", got)
	}
	if got := MinAccepted(0.01, 0.05); got != 299 {
		t.Errorf("MinAccepted(1 %%, 5 %%) = %d, want 299", got)
	}
	for _, alpha := range []float64{0.001, 0.01, 0.02, 0.05, 0.2, 0.5} {
		m := MinAccepted(alpha, 0.05)
		if BinomialTail(0, m, alpha) > 0.05 {
			t.Errorf("alpha %v: %d items without an error do not pass", alpha, m)
		}
		if m > 1 && BinomialTail(0, m-1, alpha) <= 0.05 {
			t.Errorf("alpha %v: %d items pass already", alpha, m-1)
		}
	}
}

func TestUpperBoundInvertsTheTail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ k, m int }{{0, 59}, {3, 200}, {40, 1000}} {
		u := UpperBound(c.k, c.m, 0.05)
		if p := BinomialTail(c.k, c.m, u); math.Abs(p-0.05) > 1e-9 {
			t.Errorf("UpperBound(%d, %d) = %v, tail there %v, want 0.05", c.k, c.m, u, p)
		}
	}
	if UpperBound(0, 0, 0.05) != 1 || UpperBound(5, 5, 0.05) != 1 {
		t.Error("nothing known must give the bound 1")
	}
}

func sample(rng *rand.Rand, n int, errAt func(score float64) float64) []Point {
	points := make([]Point, n)
	for i := range points {
		s := rng.Float64()
		points[i] = Point{Score: s, Correct: rng.Float64() >= errAt(s)}
	}
	return points
}

// TestPromiseIsKeptOnSimulatedDeployments draws many samples from a world whose true error above every threshold is known, and
// counts how often the certified threshold's true error is above α. The naive threshold's count shows that the test can fail.
func TestPromiseIsKeptOnSimulatedDeployments(t *testing.T) {
	t.Parallel()
	// errAt(s) = c·(1−s)^q has the true error above t: c·(1−t)^q/(q+1), for scores that are uniform.
	for _, world := range []struct {
		name string
		c, q float64
	}{{"steep", 0.8, 3}, {"gentle", 0.3, 1}, {"flat at the limit", 0.0501, 0}, {"flat below", 0.03, 0}} {
		for _, n := range []int{300, 3000} {
			const worlds, alpha, delta = 1000, 0.05, 0.05
			rng := rand.New(rand.NewPCG(7, uint64(n)))
			broken, naive, certified, coverage := 0, 0, 0, 0.0
			trueErr := func(t float64) float64 { return world.c * math.Pow(1-t, world.q) / (world.q + 1) }
			for range worlds {
				points := sample(rng, n, func(s float64) float64 { return world.c * math.Pow(1-s, world.q) })
				c, err := Certify(points, alpha, delta)
				if err != nil {
					t.Fatal(err)
				}
				if c.Certified {
					certified++
					coverage += c.Coverage
					if trueErr(c.Threshold) > alpha {
						broken++
					}
				}
				if c := Naive(points, alpha); c.Certified && trueErr(c.Threshold) > alpha {
					naive++
				}
			}
			share := float64(broken) / worlds
			t.Logf("%-18s n=%4d: certified %5.1f %%, coverage %4.1f %%, promise broken %4.1f %% (naive threshold %4.1f %%)", world.name, n,
				100*float64(certified)/worlds, 100*coverage/worlds, 100*share, 100*float64(naive)/worlds)
			if limit := delta + 3*math.Sqrt(delta*(1-delta)/worlds); share > limit {
				t.Errorf("%s, n=%d: promise broken in %.1f %% of the deployments, limit %.1f %%", world.name, n, 100*share, 100*limit)
			}
		}
	}
}

func TestCertificateDescribesItsSample(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	points := sample(rng, 2000, func(s float64) float64 { return 0.5 * (1 - s) * (1 - s) })
	c, err := Certify(points, 0.05, 0.05)
	if err != nil || !c.Certified {
		t.Fatalf("Certify = %+v, %v; want a certificate", c, err)
	}
	accepted, wrong := 0, 0
	for _, p := range points {
		if c.Accepts(p.Score) {
			accepted++
			if !p.Correct {
				wrong++
			}
		}
	}
	if accepted != c.Accepted || wrong != c.Errors || c.Sample != 2000 || c.Coverage != float64(accepted)/2000 {
		t.Errorf("certificate %+v, but %d accepted and %d wrong", c, accepted, wrong)
	}
	if p := BinomialTail(wrong, accepted, 0.05); p != c.PValue || p > 0.05 {
		t.Errorf("p-value %v in the certificate, %v by the definition", c.PValue, p)
	}
	// The order of the points must not matter, whatever the ties.
	for i := range points {
		points[i].Score = math.Round(points[i].Score*50) / 50
	}
	a, _ := Certify(points, 0.05, 0.05)
	slices.Reverse(points)
	b, _ := Certify(points, 0.05, 0.05)
	if a != b {
		t.Errorf("reversed points give %+v instead of %+v", b, a)
	}
}

func TestEqualScoresAreAcceptedTogether(t *testing.T) {
	t.Parallel()
	points := make([]Point, 1000) // one score for all: either all or none, and 100 errors are too many
	for i := range points {
		points[i] = Point{Score: 0.9, Correct: i >= 100}
	}
	if c, _ := Certify(points, 0.05, 0.05); c.Certified {
		t.Errorf("certified %+v although the only threshold has 10 %% errors", c)
	}
	if c, _ := Certify(points, 0.2, 0.05); !c.Certified || c.Accepted != 1000 {
		t.Errorf("Certify(20 %%) = %+v, want all 1000 accepted", c)
	}
}

func TestAbstainedAndUnorderedItemsAreNeverAccepted(t *testing.T) {
	t.Parallel()
	points := make([]Point, 0, 300)
	for range 100 {
		points = append(points, Point{Score: 0.9, Correct: true}, Point{Score: 0.99, Correct: false, Abstain: true},
			Point{Score: math.NaN(), Correct: false})
	}
	c, _ := Certify(points, 0.05, 0.05)
	if !c.Certified || c.Accepted != 100 || c.Eligible != 100 || c.Sample != 300 || c.Coverage != 100.0/300 {
		t.Errorf("Certify = %+v, want 100 of 300 accepted", c)
	}
}

func TestTooFewItemsSayHowManyMore(t *testing.T) {
	t.Parallel()
	good := make([]Point, 30)
	for i := range good {
		good[i] = Point{Score: 0.9 + float64(i)/1000, Correct: true}
	}
	c, _ := Certify(good, 0.05, 0.05)
	if c.Certified || c.MoreLabels < 29 || c.MoreLabels > 150 {
		t.Errorf("30 right items: %+v, want 29 to 150 more labels", c)
	}
	bad := make([]Point, 500)
	for i := range bad {
		bad[i] = Point{Score: float64(i) / 500, Correct: i%3 != 0}
	}
	if c, _ := Certify(bad, 0.05, 0.05); c.Certified || c.MoreLabels != -1 {
		t.Errorf("a third wrong everywhere: %+v, want -1 (more labels do not help)", c)
	}
	if c, _ := Certify(nil, 0.05, 0.05); c.Certified || c.MoreLabels != 59 {
		t.Errorf("no items: %+v, want 59 more labels", c)
	}
	for _, budget := range [][2]float64{{0, 0.05}, {1, 0.05}, {0.05, 0}, {0.05, 1}, {math.NaN(), 0.05}, {-1, 0.5}} {
		if _, err := Certify(good, budget[0], budget[1]); !errors.Is(err, ErrBudget) {
			t.Errorf("budget %v: error %v, want ErrBudget", budget, err)
		}
	}
}

// TestEstimatedLabelsWouldMostlySuffice draws the sample that the estimate asks for and counts how often it certifies.
func TestEstimatedLabelsWouldMostlySuffice(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	world := func(s float64) float64 { return 0.15 * (1 - s) }
	asked, enough := 0, 0
	for range 300 {
		points := sample(rng, 400, world)
		c, _ := Certify(points, 0.02, 0.05)
		if c.Certified || c.MoreLabels < 0 {
			continue
		}
		asked++
		if c, _ := Certify(sample(rng, len(points)+c.MoreLabels, world), 0.02, 0.05); c.Certified {
			enough++
		}
	}
	t.Logf("%d estimates, %d sufficed", asked, enough)
	if asked < 100 || float64(enough) < 0.3*float64(asked) {
		t.Errorf("%d of %d estimates sufficed, want at least 30 %%", enough, asked)
	}
}

func TestSidesShareTheirConfidence(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(5, 6))
	var points []Point
	for range 4000 {
		harm := rng.Float64()
		side, score := Lean(harm)
		points = append(points, Point{Side: side, Score: score, Correct: (rng.Float64() < harm*harm) == (side == SideRemove)})
	}
	certs, err := Sides(points, 0.10, 0.02, 0.05)
	if err != nil || len(certs) != 2 {
		t.Fatalf("Sides = %v, %v", certs, err)
	}
	if certs[0].Side != SideRemove || certs[1].Side != SideAllow || certs[0].Delta != 0.025 || certs[0].Sample != 4000 ||
		certs[0].Eligible+certs[1].Eligible != 4000 {
		t.Errorf("certificates %+v", certs)
	}
	for _, c := range certs {
		if c.Certified && c.PValue > 0.025 {
			t.Errorf("side %s passed with p = %v, above its half of delta", c.Side, c.PValue)
		}
	}
	if _, err := Sides(points, 0.1, 0, 0.05); !errors.Is(err, ErrBudget) {
		t.Errorf("allow budget 0: %v, want ErrBudget", err)
	}
}

func TestLabelsWithABudgetAreJudgedByThemselves(t *testing.T) {
	t.Parallel()
	var points []Point
	for i := range 1000 {
		points = append(points, Point{Side: "access", Score: float64(i), Correct: true}, Point{Side: "other", Score: float64(i), Correct: i%5 != 0})
	}
	certs, err := Labels(points, 0.05, map[string]float64{"access": 0.01}, 0.05)
	if err != nil || len(certs) != 2 {
		t.Fatalf("Labels = %v, %v", certs, err)
	}
	if certs[0].Side != "" || certs[0].Certified || certs[0].Delta != 0.025 {
		t.Errorf("common certificate %+v, want none: a fifth is wrong", certs[0])
	}
	if c := certs[1]; c.Side != "access" || !c.Certified || c.Accepted != 1000 || c.Alpha != 0.01 || c.Coverage != 0.5 {
		t.Errorf("certificate of access %+v", c)
	}
	if c, ok := Find(certs, "access"); !ok || c.Side != "access" {
		t.Errorf("Find(access) = %+v, %v", c, ok)
	}
	if c, ok := Find(certs, "elsewhere"); !ok || c.Side != "" {
		t.Errorf("Find(elsewhere) = %+v, %v", c, ok)
	}
}

func TestScoresOfAnswers(t *testing.T) {
	t.Parallel()
	if l, s := Top([]float32{0.25, 0.5, 0.25}); l != 1 || s != 0.5 {
		t.Errorf("Top = %d, %v", l, s)
	}
	if l, _ := Top(nil); l != -1 {
		t.Errorf("Top(nil) = %d", l)
	}
	if s := SetScore([]float32{0.75, 0.125, 1}); s != 0.75 {
		t.Errorf("SetScore = %v", s)
	}
	if h := Harm([]float32{0.5, 0.25, 0.25}, []int{0, 2}, false); h != 0.25 {
		t.Errorf("multi-class Harm = %v", h)
	}
	if h := Harm([]float32{0.5, 0.25, 0.75}, []int{2}, true); h != 0.5 {
		t.Errorf("multi-label Harm = %v", h)
	}
}
