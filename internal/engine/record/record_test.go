package record_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/record"
)

func number(v float64) engine.Value { return engine.Value{Kind: engine.Number, Number: v} }
func text(v string) engine.Value    { return engine.Value{Kind: engine.Text, Text: v} }
func boolean(v bool) engine.Value   { return engine.Value{Kind: engine.Bool, Bool: v} }

// shop makes rows of orders: the amount, the country and whether the customer is new decide, partly together; note is noise
// that differs in every row; age is missing in some rows. Three exclusive labels, or three that do not exclude each other.
func shop(n int, task engine.Task, seed uint64) []record.Row {
	random := rand.New(rand.NewPCG(seed, 7))
	countries := []string{"de", "fr", "it", "es", "pl", "nl", "se", "at"}
	rows := make([]record.Row, n)
	for i := range rows {
		amount, country, isNew, old := random.ExpFloat64()*100, random.IntN(len(countries)), random.IntN(2) == 0, random.IntN(4) > 0
		r := engine.Record{
			"amount": number(math.Round(amount)), "country": text(countries[country]), "new": boolean(isNew),
			"note": text(fmt.Sprintf("order %d", i)), "shop": text("web"),
		}
		if old {
			r["age"] = number(float64(20 + random.IntN(50)))
		}
		hold, call, wrap := isNew != (country < 4), amount > 120, !old
		noise := random.IntN(20) == 0
		var labels []int32
		switch {
		case task == engine.Multilabel:
			for k, yes := range []bool{hold, call, wrap} {
				if yes != (noise && k == 0) {
					labels = append(labels, int32(k))
				}
			}
		case noise:
			labels = []int32{int32(random.IntN(3))}
		case call:
			labels = []int32{1}
		case hold:
			labels = []int32{0}
		default:
			labels = []int32{2}
		}
		rows[i] = record.Row{Record: r, Labels: labels}
	}
	return rows
}

var shopLabels = []string{"hold", "call", "wrap"}

func settings(m record.Method, task engine.Task) record.Settings {
	s := record.DefaultSettings()
	s.Method, s.Task, s.Rounds = m, task, 60
	return s
}

func train(tb testing.TB, rows []record.Row, labels []string, s record.Settings) *record.Model {
	tb.Helper()
	m, err := record.Train(context.Background(), rows, nil, labels, -1, s, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// everyKind runs a test for each method and task.
func everyKind(t *testing.T, f func(t *testing.T, m record.Method, task engine.Task)) {
	t.Helper()
	for _, m := range []record.Method{record.Linear, record.Trees} {
		for name, task := range map[string]engine.Task{"multiclass": engine.Multiclass, "multilabel": engine.Multilabel} {
			t.Run(m.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				f(t, m, task)
			})
		}
	}
}

func TestTheSameBytesForAnyNumberOfCores(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, m record.Method, task engine.Task) {
		rows := shop(9000, task, 1)
		s := settings(m, task)
		s.Rounds = 12
		var first []byte
		for _, workers := range []int{1, 2, 5} {
			s.Workers = workers
			b, err := train(t, rows, shopLabels, s).Encode(map[string]string{"note": "x"})
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = b
			}
			if !bytes.Equal(first, b) {
				t.Errorf("%d cores gave other bytes than 1", workers)
			}
		}
		s.Seed++
		if b, _ := train(t, rows, shopLabels, s).Encode(map[string]string{"note": "x"}); bytes.Equal(first, b) {
			t.Error("another seed gave the same bytes")
		}
	})
}

func TestTreesLearnWhatOnlyTwoFieldsTogetherTell(t *testing.T) {
	t.Parallel()
	for task, want := range map[engine.Task]float64{engine.Multiclass: 0.93, engine.Multilabel: 0.97} {
		p := open(t, train(t, shop(4000, task, 1), shopLabels, settings(record.Auto, task)))
		if p.Info().Kind != engine.KindRecordTrees {
			t.Errorf("auto chose %v where only trees can learn", p.Info().Kind)
		}
		right, all := 0, 0
		probs := make([]float32, 3)
		for _, r := range shop(2000, task, 2) {
			if err := p.Predict(engine.Input{Record: r.Record}, probs); err != nil {
				t.Fatal(err)
			}
			truth := map[int]bool{}
			for _, k := range r.Labels {
				truth[int(k)] = true
			}
			if task == engine.Multiclass {
				all++
				if sum := probs[0] + probs[1] + probs[2]; math.Abs(float64(sum)-1) > 1e-5 {
					t.Fatalf("probabilities sum to %g", sum)
				}
				if probs[r.Labels[0]] >= max(probs[0], probs[1], probs[2]) {
					right++
				}
				continue
			}
			for k, v := range probs {
				all++
				if v > 0.5 == truth[k] {
					right++
				}
			}
		}
		if got := float64(right) / float64(all); got < want {
			t.Errorf("task %d: accuracy %.3f, want at least %.3f", task, got, want)
		}
	}
}

func TestTheStoredModelAnswersAsTheTrainedOne(t *testing.T) {
	t.Parallel()
	everyKind(t, func(t *testing.T, method record.Method, task engine.Task) {
		m := train(t, shop(1500, task, 1), shopLabels, settings(method, task))
		p := open(t, m)
		a, b := make([]float32, 3), make([]float32, 3)
		for _, r := range shop(200, task, 3) {
			if err := errors.Join(m.Logits(r.Record, a), p.Logits(r.Record, b)); err != nil {
				t.Fatal(err)
			}
			if [3]float32(a) != [3]float32(b) {
				t.Fatalf("logits %v before and %v after storing", a, b)
			}
		}
	})
}

func TestExplanationsSumToTheLogit(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, p *record.Predictor, rows []record.Row) {
		t.Helper()
		logits := make([]float32, len(p.Info().Labels))
		for _, r := range rows {
			if err := p.Logits(r.Record, logits); err != nil {
				t.Fatal(err)
			}
			for k := range logits {
				evidence, err := p.Explain(engine.Input{Record: r.Record}, k, 100)
				if err != nil {
					t.Fatal(err)
				}
				sum := p.Bias(k)
				for i, e := range evidence {
					sum += e.Weight
					if i > 0 && math.Abs(e.Weight) > math.Abs(evidence[i-1].Weight) {
						t.Fatalf("evidence is not sorted: %v", evidence)
					}
				}
				if math.Abs(sum-float64(logits[k])) > 1e-5*max(1, math.Abs(sum)) {
					t.Fatalf("label %d: evidence sums to %g, logit %g", k, sum, logits[k])
				}
			}
		}
	}
	everyKind(t, func(t *testing.T, m record.Method, task engine.Task) {
		check(t, open(t, train(t, shop(1500, task, 1), shopLabels, settings(m, task))), shop(100, task, 5))
	})
	t.Run("two labels", func(t *testing.T) {
		t.Parallel()
		rows := shop(1500, engine.Multiclass, 1)
		for i := range rows {
			rows[i].Labels[0] = min(rows[i].Labels[0], 1)
		}
		for _, m := range []record.Method{record.Linear, record.Trees} {
			check(t, open(t, train(t, rows, shopLabels[:2], settings(m, engine.Multiclass))), rows[:100])
		}
	})
}

func TestExplanationsNameFieldAndValue(t *testing.T) {
	t.Parallel()
	p := open(t, train(t, shop(3000, engine.Multilabel, 1), shopLabels, settings(record.Trees, engine.Multilabel)))
	r := shop(1, engine.Multilabel, 9)[0].Record
	delete(r, "age")
	wrap, err := p.Explain(engine.Input{Record: r}, 2, 1)
	if err != nil || len(wrap) != 1 || wrap[0].Feature != "age is missing" || wrap[0].Weight <= 0 {
		t.Errorf("a missing age decides about label wrap; got %v, %v", wrap, err)
	}
	r["amount"] = number(400)
	call, err := p.Explain(engine.Input{Record: r}, 1, 1)
	if err != nil || len(call) != 1 || call[0].Feature != "amount=400" || call[0].Weight <= 0 {
		t.Errorf("the amount decides about label call; got %v, %v", call, err)
	}
	r["country"] = text(strings.Repeat("ä", 500))
	all, err := p.Explain(engine.Input{Record: r}, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if len(e.Feature) > 250 || strings.ToValidUTF8(e.Feature, "") != e.Feature {
			t.Errorf("feature %q is too long or cut inside a character", e.Feature)
		}
	}
}

func TestPredictDoesNotAllocate(t *testing.T) { //nolint:paralleltest // counts allocations
	for _, m := range []record.Method{record.Linear, record.Trees} {
		p := open(t, train(t, shop(800, engine.Multiclass, 1), shopLabels, settings(m, engine.Multiclass)))
		in, out := engine.Input{Record: shop(1, engine.Multiclass, 2)[0].Record}, make([]float32, 3)
		if n := testing.AllocsPerRun(200, func() {
			if err := p.Predict(in, out); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("%v: %g allocations a record", m, n)
		}
	}
}

func TestCalibrationTurnsLogitsIntoProbabilities(t *testing.T) {
	t.Parallel()
	r := shop(1, engine.Multiclass, 2)[0].Record
	logits, probs := make([]float32, 3), make([]float32, 3)
	m := train(t, shop(800, engine.Multiclass, 1), shopLabels, settings(record.Linear, engine.Multiclass))
	m.SetCalibration(record.Calibration{Temperature: 2.5})
	if err := errors.Join(m.Logits(r, logits), open(t, m).Predict(engine.Input{Record: r}, probs)); err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, z := range logits {
		sum += math.Exp(float64(z) / 2.5)
	}
	for k, z := range logits {
		if want := math.Exp(float64(z)/2.5) / sum; math.Abs(want-float64(probs[k])) > 1e-6 {
			t.Errorf("label %d: probability %g, want %g", k, probs[k], want)
		}
	}
	for _, bad := range []float64{-1, 1e-9, 1e9, math.NaN(), math.Inf(1)} {
		m.SetCalibration(record.Calibration{Temperature: bad})
		if _, err := m.Encode(nil); err == nil {
			t.Errorf("temperature %g was stored", bad)
		}
	}

	m = train(t, shop(800, engine.Multilabel, 1), shopLabels, settings(record.Linear, engine.Multilabel))
	m.SetCalibration(record.Calibration{Platt: []struct{ A, B float64 }{{1, 0}, {2, -1}, {0.5, 3}}})
	if err := errors.Join(m.Logits(r, logits), open(t, m).Predict(engine.Input{Record: r}, probs)); err != nil {
		t.Fatal(err)
	}
	if want := 1 / (1 + math.Exp(-(2*float64(logits[1]) - 1))); math.Abs(want-float64(probs[1])) > 1e-6 {
		t.Errorf("probability %g, want %g", probs[1], want)
	}
	m.SetCalibration(record.Calibration{Platt: []struct{ A, B float64 }{{1, 0}}})
	if _, err := m.Encode(nil); err == nil {
		t.Error("one pair for three labels was stored")
	}
}

func TestProgressAndCancel(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rounds := 0
	_, err := record.Train(ctx, shop(800, engine.Multiclass, 1), nil, shopLabels, -1, settings(record.Trees, engine.Multiclass), func(p record.Progress) {
		if rounds++; rounds != p.Round || p.MaxRounds != 60 || !(p.Loss > 0) || !(p.ValidLoss > 0) || p.ValidAccuracy < 0 || p.ValidAccuracy > 1 {
			t.Errorf("report %d is %+v", rounds, p)
		}
		if rounds == 5 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || rounds != 5 {
		t.Errorf("after cancel: %v, %d rounds", err, rounds)
	}
}
