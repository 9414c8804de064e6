package fit

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/internal/testkit/data"
)

// The figures of the live promise: reviewers are right in 97 % of what they look at, and everything is judged by the labels of the data set.
const (
	figureAlpha, figureDelta = 0.05, 0.05
	reviewerError            = 0.03
	// auditsWatched is how many audits a stream has before and, where the world changes, after the change.
	auditsWatched = 400
)

// figureRounds is how many deployments and streams are simulated: all of them with SWITCHYARD_FIGURES=full.
func figureRounds() int {
	if os.Getenv("SWITCHYARD_FIGURES") == "full" {
		return 200
	}
	return 60
}

// trained is a model with scored rows of the worlds that it is let into.
type trained struct {
	*Result
	operation string
}

func trainFigure(tb testing.TB, operation string, set *dataset.Set) trained {
	tb.Helper()
	if testing.Short() {
		tb.Skip("a measurement: it runs without -short and without the race detector, see make test-figures")
	}
	r, err := Run(context.Background(), set, nil, Options{Operation: operation, Seed: 1}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return trained{r, operation}
}

// points scores rows as the product would answer them.
func (m trained) points(tb testing.TB, rows []dataset.Row) []risk.Point {
	tb.Helper()
	p, err := load.Parse(m.Artifact)
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	x := &index{names: m.Info.Labels, number: map[string]int32{}, outOfScope: m.Info.OutOfScope, harmless: m.Harmless}
	for i, l := range x.names {
		x.number[l] = int32(i)
	}
	s, err := (&run{ctx: context.Background(), o: Options{Operation: m.operation}, index: x}).score(p, rows)
	if err != nil {
		tb.Fatal(err)
	}
	points := s.Points()
	if m.operation != eval.Moderation {
		for i := range points {
			points[i].Side = "" // one promise for all labels
		}
	}
	return points
}

// overlooks is how often a reviewer agrees with a wrong answer: the one who errs takes one of the other labels.
func (m trained) overlooks() float64 {
	if m.operation == eval.Moderation {
		return reviewerError // there are two actions only
	}
	return reviewerError / float64(len(m.Info.Labels)-1)
}

// review says whether a reviewer agrees with an answer.
func (m trained) review(rng *rand.Rand, correct bool) bool {
	if correct {
		return rng.Float64() >= reviewerError
	}
	return rng.Float64() < m.overlooks()
}

// sample draws n rows of a world, as reviewers label them when reviewed.
func (m trained) sample(rng *rand.Rand, world []risk.Point, n int, reviewed bool) []risk.Point {
	out := make([]risk.Point, n)
	for i := range out {
		out[i] = world[rng.IntN(len(world))]
		if reviewed {
			out[i].Correct = m.review(rng, out[i].Correct)
		}
	}
	return out
}

// certifyReviewed certifies a deployment: each side of moderation at half of delta.
func (m trained) certifyReviewed(tb testing.TB, sample []risk.Point, alpha float64, r risk.ReviewerError) []risk.Certificate {
	tb.Helper()
	sides, delta := []string{""}, figureDelta
	if m.operation == eval.Moderation {
		sides, delta = []string{risk.SideRemove, risk.SideAllow}, figureDelta/2
	}
	var out []risk.Certificate
	for _, side := range sides {
		c, err := risk.CertifyReviewed(onSide(sample, side), alpha, delta, r)
		if err != nil {
			tb.Fatal(err)
		}
		c.Side = side
		out = append(out, c)
	}
	return out
}

// naive takes for each side the laxest threshold at which the observed error looks good enough.
func (m trained) naive(sample []risk.Point, limit float64) (out []risk.Certificate) {
	sides := []string{""}
	if m.operation == eval.Moderation {
		sides = []string{risk.SideRemove, risk.SideAllow}
	}
	for _, side := range sides {
		c := risk.Naive(onSide(sample, side), limit)
		c.Side = side
		out = append(out, c)
	}
	return out
}

func onSide(points []risk.Point, side string) (out []risk.Point) {
	for _, p := range points {
		if p.Side == side {
			out = append(out, p)
		}
	}
	return out
}

// live is the true error in a world under a side's certificate, and the share of the world that is automated.
func live(world []risk.Point, c risk.Certificate) (err, share float64) {
	n := 0
	for _, p := range world {
		if automated(p, c) {
			n++
			if !p.Correct {
				err++
			}
		}
	}
	return err / float64(max(n, 1)), float64(n) / float64(len(world))
}

func automated(p risk.Point, c risk.Certificate) bool {
	return c.Certified && !p.Abstain && p.Side == c.Side && c.Accepts(p.Score)
}

// broken says whether a promise is broken anywhere, and which share of the world is automated.
func broken(world []risk.Point, cs []risk.Certificate) (bad bool, share float64) {
	for _, c := range cs {
		e, s := live(world, c)
		bad = bad || e > figureAlpha
		share += s
	}
	return bad, share
}

// TestFigurePromiseUnderReviewers simulates deployments on real data: each is certified on rows that erring reviewers labelled, and lives in the world that these were drawn
// from, whose true error is known. Beside the certificate, corrected for reviewers of whom nothing is credited or whose error is known, stand the naive thresholds: tuned on the true labels, and on
// what the reviewers said, corrected for them by the same formula.
func TestFigurePromiseUnderReviewers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, operation, train string
		worlds                 []string
	}{
		{"it_tickets", eval.Routing, "it_tickets/train.jsonl.gz", []string{"it_tickets/valid.jsonl.gz"}},
		{"banking77", eval.Routing, "banking77/train.jsonl.gz", []string{"banking77/test.jsonl.gz"}},
		{"clinc150 with out of scope", eval.Routing, "clinc150/train.jsonl.gz", []string{"clinc150/test.jsonl.gz"}},
		{"davidson", eval.Moderation, "davidson/train.jsonl.gz", []string{"davidson/valid.jsonl.gz", "davidson/test.jsonl.gz"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := trainFigure(t, c.operation, readSet(t, c.train, dataset.Options{}))
			var world []risk.Point
			for _, w := range c.worlds {
				world = append(world, m.points(t, readSet(t, w, dataset.Options{}).Rows)...)
			}
			rounds, rng := figureRounds(), rand.New(rand.NewPCG(7, 7))
			known := risk.KnownReviewerError(reviewerError)
			kinds := []struct {
				name     string
				gated    bool
				promised func() []risk.Certificate
			}{
				{"certified, nothing credited", true, func() []risk.Certificate {
					return m.certifyReviewed(t, m.sample(rng, world, len(world)/2, true), figureAlpha, risk.ReviewerError{High: reviewerError})
				}},
				{"certified, reviewers known", true, func() []risk.Certificate {
					return m.certifyReviewed(t, m.sample(rng, world, len(world)/2, true), figureAlpha, known)
				}},
				{"naive, true labels", false, func() []risk.Certificate { return m.naive(m.sample(rng, world, len(world)/2, false), figureAlpha) }},
				{"naive, reviewers corrected", false, func() []risk.Certificate {
					return m.naive(m.sample(rng, world, len(world)/2, true), known.Allowance(figureAlpha))
				}},
			}
			for _, k := range kinds {
				count, share := 0, 0.0
				for range rounds {
					bad, s := broken(world, k.promised())
					if bad {
						count++
					}
					share += s / float64(rounds)
				}
				got := float64(count) / float64(rounds)
				limit := figureDelta + 3*math.Sqrt(figureDelta*(1-figureDelta)/float64(rounds))
				t.Logf("promise: %s: %s: live error above %.0f %% in %.1f %% of %d deployments, automated %.1f %%", c.name, k.name, 100*figureAlpha, 100*got, rounds, 100*share)
				if k.gated && got > limit {
					t.Errorf("%s: broken in %.1f %%, limit %.1f %%", k.name, 100*got, 100*limit)
				}
			}
		})
	}
}

// world is where a stream comes from: points, and which of them belong to none of the model's labels.
type world struct {
	points  []risk.Point
	foreign []bool
}

func (m trained) world(tb testing.TB, rows []dataset.Row) world {
	tb.Helper()
	w := world{points: m.points(tb, rows), foreign: make([]bool, len(rows))}
	known := map[string]bool{}
	for i, l := range m.Info.Labels {
		known[l] = i != m.Info.OutOfScope
	}
	for i, r := range rows {
		w.foreign[i] = !slices.ContainsFunc(r.Labels, func(l string) bool { return known[l] })
	}
	return w
}

// says returns what a reviewer says of a point: whether the answer is wrong, and whether the input belongs to none of the labels. Who errs takes any of the others, of
// which "none of them" is one.
func (m trained) says(rng *rand.Rand, correct, foreign bool) (wrong, none bool) {
	agrees := m.review(rng, correct)
	switch {
	case agrees:
		return false, false
	case correct: // errs
		return true, m.operation != eval.Moderation && rng.IntN(len(m.Info.Labels)) == 0
	default:
		return true, foreign
	}
}

// stream lets a deployment answer a world and reviewers audit what it automates, until its promise is found broken; it returns after how many audits, 0 for never.
func (m trained) stream(tb testing.TB, rng *rand.Rand, watch map[string]*risk.Watch, world world, cs []risk.Certificate, audits int) int {
	tb.Helper()
	r := risk.KnownReviewerError(reviewerError)
	for n := 0; n < audits; {
		i := rng.IntN(len(world.points))
		p := world.points[i]
		for _, c := range cs {
			if !automated(p, c) {
				continue
			}
			n++
			wrong, none := m.says(rng, p.Correct, world.foreign[i])
			w := watch[c.Side]
			if w == nil {
				w = &risk.Watch{}
				watch[c.Side] = w
			}
			if err := w.Observe(0.05, wrong, none); err != nil {
				tb.Fatal(err)
			}
			if wrong && w.Judge(c.Alpha, c.Delta, r) != risk.Kept {
				return n
			}
		}
	}
	return 0
}

// drift is a world that changes.
type drift struct {
	name          string
	m             trained
	before, after world
	alpha         float64
	stops         bool    // whether it has to be noticed
	missed        float64 // in which share of the streams it may take longer
	informs       bool    // whether nothing is asserted
}

func (d *drift) run(t *testing.T) {
	t.Helper()
	rounds, rng := figureRounds(), rand.New(rand.NewPCG(11, 13))
	early, late, never, none, kept := 0, []int{}, 0, 0, 0
	var errBefore, errAfter, share, slow float64 // slow is the largest error that took longer
	for range rounds {
		cs := d.m.certifyReviewed(t, d.m.sample(rng, d.before.points, max(1000, len(d.before.points)), true), d.alpha, risk.KnownReviewerError(reviewerError))
		if !slices.ContainsFunc(cs, func(c risk.Certificate) bool { return c.Certified }) {
			none++
			continue
		}
		b, a := d.worst(d.before.points, cs), d.worst(d.after.points, cs)
		errBefore, errAfter = errBefore+b, errAfter+a
		for _, c := range cs {
			_, s := live(d.before.points, c)
			share += s
		}
		watch := map[string]*risk.Watch{}
		if d.m.stream(t, rng, watch, d.before, cs, auditsWatched) > 0 {
			early++
			continue
		}
		switch n := d.m.stream(t, rng, watch, d.after, cs, 2*auditsWatched); {
		case n > 0:
			late = append(late, n)
			if n > auditsWatched {
				slow = max(slow, a)
			}
		case a <= d.alpha && d.stops: // the change did not break what this deployment promises: it may go on
			kept++
		default:
			never++
			slow = max(slow, a)
		}
	}
	certified := float64(rounds - none)
	if none == rounds {
		t.Fatalf("%s: never certified", d.name)
	}
	slices.Sort(late)
	median, within := 0, 0
	for _, n := range late {
		if n <= auditsWatched {
			within++
		}
	}
	if len(late) > 0 {
		median = late[len(late)/2]
	}
	t.Logf("drift: %s, promise %.0f %%: automated %.0f %%, true error of the worse side %.1f %% before and %.1f %% after; of %d streams stopped %d before, %d within %d audits after (median %d), %d within %d; %d kept their promise; error of those that took longer at most %.1f %%",
		d.name, 100*d.alpha, 100*share/certified, 100*errBefore/certified, 100*errAfter/certified, rounds-none, early, within, auditsWatched, median, len(late), 2*auditsWatched, kept, 100*slow)
	limit := figureDelta + 3*math.Sqrt(figureDelta*(1-figureDelta)/certified)
	switch {
	case d.informs:
	case d.stops:
		if float64(early)/certified > limit {
			t.Errorf("stopped without a reason in %d of %.0f", early, certified)
		}
		if missed := never + len(late) - within; float64(missed) > d.missed*certified {
			t.Errorf("not noticed within %d audits in %d of %.0f", auditsWatched, missed, certified)
		}
	case float64(early+len(late))/certified > limit:
		t.Errorf("stopped without a drift in %d of %.0f", early+len(late), certified)
	}
}

// worst is the larger true error of the sides.
func (d *drift) worst(world []risk.Point, cs []risk.Certificate) (worst float64) {
	for _, c := range cs {
		if e, share := live(world, c); share > 0 {
			worst = max(worst, e)
		}
	}
	return worst
}

// TestFigureDriftStopsAutomation lets certified deployments live in worlds that change, and in one that does not.
func TestFigureDriftStopsAutomation(t *testing.T) {
	t.Parallel()
	t.Run("tweeteval_hate, validation to test", func(t *testing.T) {
		m := trainFigure(t, eval.Moderation, readSet(t, "tweeteval_hate/train.jsonl.gz", dataset.Options{}))
		d := drift{
			name: "tweeteval_hate, validation to test", m: m, alpha: 0.25, stops: true, missed: 0.05, // three of four answers are right: it keeps no smaller promise
			before: m.world(t, readSet(t, "tweeteval_hate/valid.jsonl.gz", dataset.Options{}).Rows),
			after:  m.world(t, readSet(t, "tweeteval_hate/test.jsonl.gz", dataset.Options{}).Rows),
		}
		d.run(t)
	})
	for _, pair := range []struct {
		domains [2]string
		stops   bool
	}{
		// Two domains whose texts pass for others: the error becomes three times the promise.
		{[2]string{"small_talk", "meta"}, true},
		// Two that the model mostly leaves to people: the error is a little above the promise, which takes far more than 400 audits to prove. Printed for comparison.
		{[2]string{"banking", "travel"}, false},
	} {
		t.Run("clinc150, two domains more, "+pair.domains[0]+" and "+pair.domains[1], func(t *testing.T) {
			domains := clincDomains(t)
			without := func(s *dataset.Set) *dataset.Set {
				s.Rows = slices.DeleteFunc(s.Rows, func(r dataset.Row) bool {
					return domains[r.Labels[0]] == pair.domains[0] || domains[r.Labels[0]] == pair.domains[1]
				})
				return s
			}
			m := trainFigure(t, eval.Routing, without(readSet(t, "clinc150/train.jsonl.gz", dataset.Options{})))
			d := drift{
				name: "clinc150, validation without " + pair.domains[0] + " and " + pair.domains[1] + " to test with them", m: m, alpha: figureAlpha,
				stops: pair.stops, informs: !pair.stops, missed: 0.07, // where the certificate is strict, little of what is new is automated
				before: m.world(t, without(readSet(t, "clinc150/valid.jsonl.gz", dataset.Options{})).Rows),
				after:  m.world(t, readSet(t, "clinc150/test.jsonl.gz", dataset.Options{}).Rows),
			}
			d.run(t)
		})
	}
	t.Run("davidson, validation to test", func(t *testing.T) {
		m := trainFigure(t, eval.Moderation, readSet(t, "davidson/train.jsonl.gz", dataset.Options{}))
		d := drift{
			name: "davidson, validation to test (no drift)", m: m, alpha: figureAlpha,
			before: m.world(t, readSet(t, "davidson/valid.jsonl.gz", dataset.Options{}).Rows),
			after:  m.world(t, readSet(t, "davidson/test.jsonl.gz", dataset.Options{}).Rows),
		}
		d.run(t)
	})
}

// clincDomains returns the domain of each label of clinc150.
func clincDomains(tb testing.TB) map[string]string {
	tb.Helper()
	f, err := os.Open(data.Path(tb, "clinc150/train.jsonl.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	out := map[string]string{}
	for lines := bufio.NewScanner(z); lines.Scan(); {
		var row struct{ Label, Domain string }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			tb.Fatal(err)
		}
		out[row.Label] = row.Domain
	}
	return out
}
