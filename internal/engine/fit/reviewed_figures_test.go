package fit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// TestFigurePromiseOnReviewedTraffic certifies a new version on what people labelled of the traffic of an old one: all of the first quarter, then what the old version left to them (half) and audits of 5 % of the
// rest. The world is known, so it is known how often the promise is broken, and what is automated. Beside it stands the certificate that takes labelled rows for the traffic.
func TestFigurePromiseOnReviewedTraffic(t *testing.T) {
	t.Parallel()
	train := readSet(t, "it_tickets/train.jsonl.gz", dataset.Options{})
	world := readSet(t, "it_tickets/valid.jsonl.gz", dataset.Options{})
	rand.New(rand.NewPCG(23, 29)).Shuffle(len(train.Rows), func(i, j int) { train.Rows[i], train.Rows[j] = train.Rows[j], train.Rows[i] })
	old, fresh := *train, *train
	old.Rows, fresh.Rows = train.Rows[:2000], train.Rows[2000:12000]
	champion, candidate := trainFigure(t, eval.Routing, &old), trainFigure(t, eval.Routing, &fresh)
	before, now := champion.points(t, world.Rows), candidate.points(t, world.Rows)
	threshold := medianScore(before)
	rounds, rng := figureRounds(), rand.New(rand.NewPCG(17, 19))
	const traffic, audits = 8000, 0.05
	for _, kind := range []struct {
		name  string
		blind bool
	}{{"as an even sample of the traffic", false}, {"as if labelled rows were the traffic", true}} {
		count, share, certified := 0, 0.0, 0
		for round := range rounds {
			var rows []dataset.Row
			var points []risk.Point
			for i := range traffic {
				n := rng.IntN(len(now))
				var s dataset.Sampling
				switch automated := before[n].Score >= threshold; {
				case i < traffic/4:
				case automated && rng.Float64() >= audits:
					continue
				case automated:
					s = dataset.Sampling{Probability: audits, Least: audits}
				default:
					s = dataset.Sampling{Probability: 1, Least: audits}
				}
				if kind.blind {
					s = dataset.Sampling{}
				}
				rows = append(rows, dataset.Row{Line: len(rows) + 1, Text: fmt.Sprint(i), Labels: world.Rows[n].Labels, Sampling: s})
				points = append(points, now[n])
			}
			var sample []risk.Point
			for _, i := range split(rows, 0.25, 0.03, uint64(round), true).certify {
				sample = append(sample, points[i])
			}
			c, err := risk.Certify(sample, figureAlpha, figureDelta)
			if err != nil {
				t.Fatal(err)
			}
			certified += len(sample)
			e, automated := live(now, c)
			share += automated / float64(rounds)
			if e > figureAlpha {
				count++
			}
		}
		got := float64(count) / float64(rounds)
		t.Logf("promise: it_tickets, a version certified on the reviewed traffic of another, %s: live error above 5 %% in %.1f %% of %d deployments, automated %.1f %%, %d rows certify",
			kind.name, 100*got, rounds, 100*share, certified/rounds)
		if limit := figureDelta + 3*math.Sqrt(figureDelta*(1-figureDelta)/float64(rounds)); !kind.blind && got > limit {
			t.Errorf("%s: broken in %.1f %%, limit %.1f %%", kind.name, 100*got, 100*limit)
		}
	}
}

// medianScore is the score that half of the points reach.
func medianScore(points []risk.Point) float64 {
	scores := make([]float64, len(points))
	for i, p := range points {
		scores[i] = p.Score
	}
	slices.Sort(scores)
	return scores[len(scores)/2]
}
