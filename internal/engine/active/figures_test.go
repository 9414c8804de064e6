package active_test

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/active"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
	"github.com/switchyard-ai/switchyard/internal/testkit/data"
)

// TestFigureLabelsNeeded counts how many labels of banking77 bring a model to 85 % accuracy: chosen by chance, and chosen here. It trains some forty models, so it runs
// when SWITCHYARD_FIGURE_ACTIVE is set.
func TestFigureLabelsNeeded(t *testing.T) {
	if os.Getenv("SWITCHYARD_FIGURE_ACTIVE") == "" {
		t.Skip("set SWITCHYARD_FIGURE_ACTIVE to run it")
	}
	train, err := dataset.Read(context.Background(), data.Path(t, "banking77/train.jsonl.gz"), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	test, err := dataset.Read(context.Background(), data.Path(t, "banking77/test.jsonl.gz"), dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(train, test)
	ratio := 0.0
	const seeds = 4
	for seed := uint64(2); seed < 2+seeds; seed++ {
		byChance := b.needed(t, seed, false)
		chosen := b.needed(t, seed, true)
		t.Logf("seed %d: %.0f labels by chance, %.0f chosen: %.2f ×", seed, byChance, chosen, chosen/byChance)
		ratio += chosen / byChance / seeds
	}
	t.Logf("labels needed for 85 %%: %.2f ×", ratio)
	if ratio > 0.75 {
		t.Errorf("%.2f × as many labels as by chance, want at most 0.75 ×", ratio)
	}
}

type bench struct {
	train, test []text.Row
	labels      []string
}

func newBench(train, test *dataset.Set) *bench {
	b := &bench{}
	number := map[string]int32{}
	rows := func(set *dataset.Set) []text.Row {
		out := make([]text.Row, len(set.Rows))
		for i, r := range set.Rows {
			n, ok := number[r.Labels[0]]
			if !ok {
				n = int32(len(b.labels))
				number[r.Labels[0]] = n
				b.labels = append(b.labels, r.Labels[0])
			}
			out[i] = text.Row{Text: r.Text, Labels: []int32{n}}
		}
		return out
	}
	b.train, b.test = rows(train), rows(test)
	return b
}

const goal = 0.85

// needed labels more and more rows until the goal is reached, and interpolates between the last two sizes.
func (b *bench) needed(t *testing.T, seed uint64, chosen bool) float64 {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	order := random.Perm(len(b.train))
	labelled, pool := order[:308], order[308:] // four a label to begin with, by chance
	before, size := 0.0, 0
	for {
		probs, accuracy := b.fit(t, labelled, pool)
		t.Logf("seed %d, chosen %v: %d labels, accuracy %.2f %%", seed, chosen, len(labelled), 100*accuracy)
		if accuracy >= goal {
			if size == 0 {
				return float64(len(labelled))
			}
			return float64(size) + (goal-before)/(accuracy-before)*float64(len(labelled)-size)
		}
		before, size = accuracy, len(labelled)
		step := min(max(150, len(labelled)/6), len(pool))
		if step == 0 {
			t.Fatal("all rows are labelled, and the goal is not reached")
		}
		if !chosen {
			labelled, pool = order[:len(labelled)+step], order[len(labelled)+step:]
			continue
		}
		taken := map[int]bool{}
		for _, c := range active.Select(probs, active.Settings{Count: step, Audit: 0.05, Seed: seed}) {
			taken[c.Item] = true
		}
		var rest []int
		next := append([]int(nil), labelled...)
		for k, i := range pool {
			if taken[k] {
				next = append(next, i)
			} else {
				rest = append(rest, i)
			}
		}
		labelled, pool = next, rest
	}
}

// fit trains on the labelled rows; it returns what the model says of the pool, and its accuracy on the test rows.
func (b *bench) fit(t *testing.T, labelled, pool []int) ([]active.Item, float64) {
	t.Helper()
	rows := make([]text.Row, len(labelled))
	for k, i := range labelled {
		rows[k] = b.train[i]
	}
	s := text.DefaultSettings()
	s.Buckets = 1 << 14
	m, err := text.Train(t.Context(), rows, nil, b.labels, -1, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := m.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := load.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out := make([]float32, len(b.labels))
	answer := func(r text.Row) active.Item {
		if err := p.Predict(engine.Input{Text: r.Text}, out); err != nil {
			t.Fatal(err)
		}
		item := active.Item{}
		for l, v := range out {
			switch q := float64(v); {
			case q > item.Top:
				item.Second, item.Next, item.Likely, item.Top = item.Likely, item.Top, l, q
			case q > item.Next:
				item.Second, item.Next = l, q
			}
		}
		return item
	}
	items := make([]active.Item, len(pool))
	for k, i := range pool {
		items[k] = answer(b.train[i])
	}
	right := 0
	for _, r := range b.test {
		if answer(r).Likely == int(r.Labels[0]) {
			right++
		}
	}
	return items, float64(right) / float64(len(b.test))
}
