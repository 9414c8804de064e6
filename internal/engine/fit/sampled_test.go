package fit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/dataset"
)

// labelled is what people label of traffic of which a model decides the easy part by itself, and 5 % of that is audited.
func labelled(random *rand.Rand, traffic int) (rows []dataset.Row, easy map[int]bool) {
	easy = map[int]bool{}
	for i := range traffic {
		row := dataset.Row{Line: i + 1, Text: fmt.Sprint("text ", i), Labels: []string{fmt.Sprint("label ", i%5)}}
		switch {
		case i < traffic/4: // nothing was automated yet
			easy[i+1] = random.Float64() < 0.6
		case random.Float64() < 0.6:
			if random.Float64() >= 0.05 {
				continue
			}
			easy[i+1], row.Sampling = true, dataset.Sampling{Probability: 0.05, Least: 0.05}
		default:
			row.Sampling = dataset.Sampling{Probability: 1, Least: 0.05}
		}
		rows = append(rows, row)
	}
	for i := range 200 { // complaints
		rows = append(rows, dataset.Row{
			Line: traffic + i + 1, Text: fmt.Sprint("complaint ", i), Labels: []string{"label 0"}, Sampling: dataset.Sampling{Probability: dataset.Unknown, Least: dataset.Unknown},
		})
	}
	return rows, easy
}

func TestWhatMeasuresIsASampleOfTheTraffic(t *testing.T) {
	t.Parallel()
	const traffic, rounds = 8000, 40
	random := rand.New(rand.NewPCG(3, 3))
	counts := map[string][3]int{} // rows, easy ones, complaints
	for seed := range uint64(rounds) {
		rows, easy := labelled(random, traffic)
		p := split(rows, 0.2, 0.03, seed, true)
		if n := len(p.train) + len(p.calibrate) + len(p.certify); n != len(rows) {
			t.Fatalf("%d of %d rows have a use", n, len(rows))
		}
		for name, part := range map[string][]int{"train": p.train, "calibrate": p.calibrate, "certify": p.certify} {
			c := counts[name]
			for _, i := range part {
				c[0]++
				if easy[rows[i].Line] {
					c[1]++
				}
				if rows[i].Line > traffic {
					c[2]++
				}
			}
			counts[name] = c
		}
	}
	for _, name := range []string{"calibrate", "certify"} {
		n, got := float64(counts[name][0]), float64(counts[name][1])/float64(counts[name][0])
		t.Logf("%s: %.0f rows a round, %.1f %% of them easy", name, n/rounds, 100*got)
		if math.Abs(got-0.6) > 4*math.Sqrt(0.24/n) {
			t.Errorf("%.2f %% of the rows that %s are easy, of the traffic 60 %%", 100*got, name)
		}
		if counts[name][2] > 0 {
			t.Errorf("%d complaints %s", counts[name][2], name)
		}
	}
	// Of the 180 audits of a round nine tenths certify, of all else of that time as large a share of the decisions, and a fifth of what came before.
	if n := counts["certify"][0] / rounds; n < 600 || n > 740 {
		t.Errorf("%d rows certify", n)
	}
}

func TestALabelThatOnlyAuditsHaveIsLearned(t *testing.T) {
	t.Parallel()
	rows := []dataset.Row{}
	for i := range 400 {
		r := dataset.Row{Line: i + 1, Text: fmt.Sprint("text ", i), Labels: []string{"often"}}
		if i%100 == 0 {
			r.Labels, r.Sampling = []string{"rare"}, dataset.Sampling{Probability: 0.05, Least: 0.05}
		}
		rows = append(rows, r)
	}
	for seed := range uint64(20) {
		learned := false
		for _, i := range split(rows, 0.2, 0.03, seed, true).train {
			learned = learned || rows[i].Labels[0] == "rare"
		}
		if !learned {
			t.Fatalf("seed %d: nothing is learned of a label", seed)
		}
	}
}
