package record_test

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
	"github.com/switchyard-ai/switchyard/internal/engine/record"
	"github.com/switchyard-ai/switchyard/internal/testkit/data"
)

// read loads one file of the data sets; null is a missing field.
func read(tb testing.TB, name string, drop ...string) (rows []engine.Record, labels []string) {
	tb.Helper()
	f, err := os.Open(data.Path(tb, name))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		var line struct {
			Record map[string]any `json:"record"`
			Label  string         `json:"label"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			tb.Fatal(err)
		}
		r := engine.Record{}
		for k, v := range line.Record {
			switch v := v.(type) {
			case float64:
				r[k] = number(v)
			case string:
				r[k] = text(v)
			case bool:
				r[k] = boolean(v)
			}
		}
		for _, k := range drop {
			delete(r, k)
		}
		rows, labels = append(rows, r), append(labels, line.Label)
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return rows, labels
}

// corpus is a data set with its labels numbered.
type corpus struct {
	labels      []string
	train, test []record.Row
}

func load(tb testing.TB, set string, drop ...string) corpus {
	tb.Helper()
	trainRows, trainLabels := read(tb, set+"/train.jsonl.gz", drop...)
	testRows, testLabels := read(tb, set+"/test.jsonl.gz", drop...)
	index := map[string]int32{}
	for _, l := range trainLabels {
		index[l] = 0
	}
	c := corpus{labels: slices.Sorted(maps.Keys(index))}
	for i, l := range c.labels {
		index[l] = int32(i)
	}
	for i, r := range trainRows {
		c.train = append(c.train, record.Row{Record: r, Labels: []int32{index[trainLabels[i]]}})
	}
	for i, r := range testRows {
		c.test = append(c.test, record.Row{Record: r, Labels: []int32{index[testLabels[i]]}})
	}
	return c
}

// held returns the training rows without every tenth: certification elsewhere keeps such a part for itself.
func (c corpus) held() (rows []record.Row) {
	for i, r := range c.train {
		if i%10 != 3 {
			rows = append(rows, r)
		}
	}
	return rows
}

func open(tb testing.TB, m *record.Model) *record.Predictor {
	tb.Helper()
	b, err := m.Encode(nil)
	if err != nil {
		tb.Fatal(err)
	}
	f, err := modelfile.Parse(b)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := record.New(f)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close() })
	return p
}

// quality returns accuracy and, for two labels, the area under the ROC curve of the second.
func quality(tb testing.TB, p *record.Predictor, rows []record.Row) (accuracy, auc float64) {
	tb.Helper()
	type scored struct {
		p        float32
		positive bool
	}
	var all []scored
	probs := make([]float32, len(p.Info().Labels))
	right := 0
	for _, r := range rows {
		if err := p.Predict(engine.Input{Record: r.Record}, probs); err != nil {
			tb.Fatal(err)
		}
		best := 0
		for k := range probs {
			if probs[k] > probs[best] {
				best = k
			}
		}
		if int32(best) == r.Labels[0] {
			right++
		}
		all = append(all, scored{probs[1], r.Labels[0] == 1})
	}
	slices.SortFunc(all, func(a, b scored) int { return cmp.Compare(a.p, b.p) })
	ranks, positives := 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].p == all[i].p {
			j++
		}
		for _, s := range all[i:j] {
			if s.positive {
				ranks += float64(i+j+1) / 2
				positives++
			}
		}
		i = j
	}
	negatives := float64(len(all)) - positives
	return float64(right) / float64(len(rows)), (ranks - positives*(positives+1)/2) / (positives * negatives)
}

func TestFiguresOnRealRecords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		set           string
		drop          []string
		method        record.Method
		accuracy, auc float64
	}{
		{set: "adult_income", method: record.Trees, accuracy: 0.87, auc: 0.925},
		{set: "adult_income", method: record.Linear, accuracy: 0.845, auc: 0.90},
		{set: "bank_marketing", drop: []string{"duration"}, method: record.Trees, accuracy: 0.74, auc: 0.79},
		{set: "bank_marketing", drop: []string{"duration"}, method: record.Linear, accuracy: 0.705, auc: 0.76},
		{set: "german_credit", method: record.Auto, accuracy: 0.70, auc: 0.74},
	} {
		t.Run(c.set+" "+c.method.String(), func(t *testing.T) {
			t.Parallel()
			corpus := load(t, c.set, c.drop...)
			s := record.DefaultSettings()
			s.Method = c.method
			start := time.Now()
			m, err := record.Train(context.Background(), corpus.held(), nil, corpus.labels, -1, s, nil)
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(start)
			accuracy, auc := quality(t, open(t, m), corpus.test)
			t.Logf("%v: accuracy %.2f %%, AUC %.4f, trained in %v", m.Kind(), 100*accuracy, auc, took.Round(time.Millisecond))
			if accuracy < c.accuracy || auc < c.auc {
				t.Errorf("accuracy %.4f, AUC %.4f; want at least %.4f and %.4f", accuracy, auc, c.accuracy, c.auc)
			}
		})
	}
}
