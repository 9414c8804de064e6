package text_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/enginetest"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

var subjects = []string{"refund money charged twice", "parcel late delivery courier", "password reset login locked", "größe umtausch schuhe passen"}

// toy returns n texts of a few words, most of them telling of the label.
func toy(n int, seed uint64, task engine.Task) []text.Row {
	random := rand.New(rand.NewPCG(seed, 1))
	var rows []text.Row
	for range n {
		var r text.Row
		var b strings.Builder
		r.Labels = []int32{int32(random.IntN(len(subjects)))}
		if task == engine.Multilabel {
			r.Labels = nil
			for l := range subjects {
				if random.IntN(3) == 0 {
					r.Labels = append(r.Labels, int32(l))
				}
			}
		}
		for _, l := range r.Labels {
			w := strings.Fields(subjects[l])
			fmt.Fprintf(&b, "%s %s ", w[random.IntN(len(w))], w[random.IntN(len(w))])
		}
		fmt.Fprintf(&b, "please%d help!!", random.IntN(50))
		r.Text = b.String()
		rows = append(rows, r)
	}
	return rows
}

func small(task engine.Task) text.Settings {
	s := text.DefaultSettings()
	s.Task, s.Buckets, s.MaxEpochs = task, 1<<12, 10
	return s
}

var toyLabels = []string{"billing", "delivery", "account", "returns"}

func trainToy(tb testing.TB, task engine.Task) *text.Model {
	tb.Helper()
	m, err := text.Train(context.Background(), toy(400, 1, task), toy(80, 2, task), toyLabels, -1, small(task), nil)
	if err != nil {
		tb.Fatal(err)
	}
	if task == engine.Multiclass {
		m.SetCalibration(text.Calibration{Temperature: 1.5})
	} else {
		m.SetCalibration(text.Calibration{Platt: []struct{ A, B float64 }{{1.2, 0.1}, {0.8, -0.1}, {1, 0}, {2, 0.3}}})
	}
	return m
}

func encode(tb testing.TB, m *text.Model) []byte {
	tb.Helper()
	b, err := m.Encode(map[string]string{"seed": "1"})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func open(tb testing.TB, b []byte) *text.Predictor {
	tb.Helper()
	f, err := modelfile.Parse(b)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := text.New(f)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

var inputs = []engine.Input{
	{Text: ""},
	{Text: " \t\n"},
	{Text: "refund"},
	{Text: "My parcel is late!!! Where is the COURIER?"},
	{Text: "日本語のテキスト と größe"},
	{Text: strings.Repeat("password refund ", 400)},
	{Text: "\xff\xfe\x80 refund \xc3"},
	{Text: strings.Repeat("\x00", 1<<17)},
	{Text: strings.Repeat("x", 1<<17)},
	{Text: "👩‍👩‍👧 pass\u200bword"},
}

func TestPredictorPassesTheSuite(t *testing.T) {
	for task, name := range map[engine.Task]string{engine.Multiclass: "multiclass", engine.Multilabel: "multilabel"} {
		b := encode(t, trainToy(t, task))
		t.Run(name, func(t *testing.T) {
			enginetest.Run(t, enginetest.Subject{
				Open:   func(tb testing.TB) engine.Predictor { return open(tb, b) },
				Inputs: inputs,
				Wrong:  []engine.Input{{Record: engine.Record{}}, {Text: "refund", Record: engine.Record{"a": {Kind: engine.Number}}}},
				Logit: func(p engine.Predictor, in engine.Input, label int) (float64, float64) {
					out := make([]float32, len(toyLabels))
					p.(*text.Predictor).Logits(in.Text, out)
					return float64(out[label]), p.(*text.Predictor).Bias(label)
				},
			})
		})
	}
}

func TestTrainedModelKnowsItsLabels(t *testing.T) {
	t.Parallel()
	m := trainToy(t, engine.Multiclass)
	if a := accuracy(m, toy(300, 9, engine.Multiclass), -1); a < 99 {
		t.Errorf("multiclass accuracy %.1f %%", a)
	}
	m = trainToy(t, engine.Multilabel)
	wrong := 0
	out := make([]float32, 4)
	rows := toy(300, 9, engine.Multilabel)
	for _, r := range rows {
		m.Logits(r.Text, out)
		for l, x := range out {
			has := false
			for _, y := range r.Labels {
				has = has || int(y) == l
			}
			if (x > 0) != has {
				wrong++
			}
		}
	}
	if wrong > len(rows)*4/100 {
		t.Errorf("multilabel: %d of %d decisions are wrong", wrong, len(rows)*4)
	}
}

func TestStoredModelAnswersWhatTheTrainedOneAnswered(t *testing.T) {
	t.Parallel()
	m := trainToy(t, engine.Multiclass)
	p := open(t, encode(t, m))
	a, b := make([]float32, 4), make([]float32, 4)
	for _, in := range inputs {
		m.Logits(in.Text, a)
		p.Logits(in.Text, b)
		if fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%.20q: trained %v, stored %v", in.Text, a, b)
		}
	}
	m.SetCalibration(text.Calibration{Temperature: 1e6})
	if err := open(t, encode(t, m)).Predict(engine.Input{Text: "refund"}, a); err != nil || math.Abs(float64(a[0])-0.25) > 1e-4 {
		t.Errorf("temperature is not applied: %v, %v", a, err)
	}
}

// Not parallel: it changes the number of cores.
func TestSameRowsAndSeedGiveTheSameBytesOnAnyNumberOfCores(t *testing.T) {
	for _, task := range []engine.Task{engine.Multiclass, engine.Multilabel} {
		want := encode(t, trainToy(t, task))
		for _, n := range []int{1, 3, 8} {
			old := runtime.GOMAXPROCS(n)
			got := encode(t, trainToy(t, task))
			runtime.GOMAXPROCS(old)
			if !bytes.Equal(want, got) {
				t.Errorf("task %d, %d cores: other bytes", task, n)
			}
		}
	}
	s := small(engine.Multiclass)
	s.Seed = 99
	m, err := text.Train(context.Background(), toy(400, 1, engine.Multiclass), nil, toyLabels, -1, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(encode(t, m), encode(t, trainToy(t, engine.Multiclass))) {
		t.Error("the seed changes nothing")
	}
}

func TestTrainSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	one := []text.Row{{Text: "a", Labels: []int32{0}}}
	two := slices.Concat(one, []text.Row{{Text: "b", Labels: []int32{1}}})
	for name, c := range map[string]struct {
		rows, valid []text.Row
		labels      []string
		oos         int
		change      func(s *text.Settings)
		want        string
	}{
		"no rows":       {nil, nil, toyLabels, -1, nil, "there are no rows"},
		"one label":     {one, nil, []string{"a"}, -1, nil, "1 labels"},
		"one used":      {one, nil, toyLabels, -1, nil, "all rows have the same label"},
		"no label":      {append(two, text.Row{Text: "c"}), nil, toyLabels, -1, nil, "row 2 has 0 labels"},
		"label range":   {append(two, text.Row{Labels: []int32{4}}), nil, toyLabels, -1, nil, "label 4 of 4"},
		"valid range":   {two, []text.Row{{Labels: []int32{-1}}}, toyLabels, -1, nil, "row 2 has label -1"},
		"out of scope":  {two, nil, toyLabels, 4, nil, "out-of-scope label 4"},
		"buckets":       {two, nil, toyLabels, -1, func(s *text.Settings) { s.Buckets = 5000 }, "5000 buckets"},
		"rate":          {two, nil, toyLabels, -1, func(s *text.Settings) { s.Rate = math.NaN() }, "negative or too large"},
		"epochs":        {two, nil, toyLabels, -1, func(s *text.Settings) { s.MaxEpochs = -1 }, "-1 epochs"},
		"task":          {two, nil, toyLabels, -1, func(s *text.Settings) { s.Task = 7 }, "task 7"},
		"too many":      {two, nil, manyLabels(5000), -1, nil, "use fewer buckets"},
		"beyond labels": {two, nil, manyLabels(16385), -1, nil, "16385 labels"},
	} {
		s := text.DefaultSettings()
		if c.change != nil {
			c.change(&s)
		}
		_, err := text.Train(context.Background(), c.rows, c.valid, c.labels, c.oos, s, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := text.Train(ctx, two, nil, toyLabels, -1, small(engine.Multiclass), nil); !errors.Is(err, context.Canceled) && !strings.Contains(fmt.Sprint(err), "canceled") {
		t.Errorf("cancelled: %v", err)
	}
}

func manyLabels(n int) []string {
	labels := make([]string, n)
	for i := range labels {
		labels[i] = fmt.Sprintf("label %d", i)
	}
	return labels
}

func TestTrainSurvivesHostileRows(t *testing.T) {
	t.Parallel()
	rows := []text.Row{{Text: "", Labels: []int32{0}}, {Text: "\xff\x00", Labels: []int32{1}}, {Text: strings.Repeat("\x00", 5<<20), Labels: []int32{0}}}
	for i := range 20 {
		rows = append(rows, text.Row{Text: strings.Repeat(string(rune(0x4e00+i*100)), 1<<15), Labels: []int32{int32(i % 2)}})
	}
	m, err := text.Train(context.Background(), rows, nil, []string{"a", "b"}, -1, small(engine.Multiclass), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, 2)
	for _, in := range inputs {
		m.Logits(in.Text, out)
		if x := float64(out[0] + out[1]); math.IsNaN(x) || math.IsInf(x, 0) {
			t.Errorf("%.20q: logits %v", in.Text, out)
		}
	}
}

func TestProgressTellsOfEveryEpoch(t *testing.T) {
	t.Parallel()
	var seen []text.Progress
	rows := toy(400, 1, engine.Multiclass)
	m, err := text.Train(context.Background(), rows, toy(80, 2, engine.Multiclass), toyLabels, 2, small(engine.Multiclass), func(p text.Progress) { seen = append(seen, p) })
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) == 0 || seen[0].Epoch != 1 || seen[0].MaxEpochs != 10 || seen[len(seen)-1].Loss >= seen[0].Loss || m.Progress().ValidAccuracy < 0.9 {
		t.Errorf("progress %+v, kept %+v", seen, m.Progress())
	}
}

func TestCalibrationThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	single, multi := trainToy(t, engine.Multiclass), trainToy(t, engine.Multilabel)
	type platt = []struct{ A, B float64 }
	for i, c := range []text.Calibration{{Temperature: -1}, {Temperature: math.NaN()}, {Temperature: math.Inf(1)}, {Platt: make(platt, 4)}} {
		single.SetCalibration(c)
		if _, err := single.Encode(nil); err == nil {
			t.Errorf("multiclass calibration %d: accepted", i)
		}
	}
	for i, c := range []text.Calibration{{Temperature: 1}, {Platt: make(platt, 3)}, {Platt: platt{{math.NaN(), 0}, {}, {}, {}}}} {
		multi.SetCalibration(c)
		if _, err := multi.Encode(nil); err == nil {
			t.Errorf("multilabel calibration %d: accepted", i)
		}
	}
}

func TestEvidencePointsAtTheText(t *testing.T) {
	t.Parallel()
	p := open(t, encode(t, trainToy(t, engine.Multiclass)))
	in := "Hello, my REFUND is late; größe passt nicht: refund!"
	evidence, err := p.Explain(engine.Input{Text: in}, 0, math.MaxInt)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range evidence {
		read := strings.ToLower(in[e.Start:e.End])
		if got := strings.TrimSpace(e.Feature); !strings.Contains(e.Feature, " ") && got != read || strings.Contains(got, " ") && !strings.HasPrefix(read, got[:1]) {
			t.Errorf("feature %q stands at %q", e.Feature, read)
		}
		found = found || e.Feature == "refund" && e.Start == strings.Index(in, "REFUND") && e.Weight > 0
	}
	if !found {
		t.Errorf("no evidence for refund: %+v", evidence[:10])
	}
}
