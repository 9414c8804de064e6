package fit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// texts writes n rows of an invented language: each label has words of its own, one row in twenty has another label's.
func texts(tb testing.TB, n int, labels ...string) *dataset.Set {
	tb.Helper()
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	var b strings.Builder
	for i := range n {
		l := rng.IntN(len(labels))
		says := l
		if rng.IntN(20) == 0 {
			says = rng.IntN(len(labels))
		}
		fmt.Fprintf(&b, `{"text":"ticket %d about`, i)
		for range 6 {
			fmt.Fprintf(&b, " %s%d", strings.ToLower(labels[says][:2]), rng.IntN(30))
		}
		fmt.Fprintf(&b, "\",\"label\":%q}\n", labels[l])
	}
	return parse(tb, b.String())
}

func parse(tb testing.TB, content string) *dataset.Set {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "in.jsonl")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	set, err := dataset.Read(context.Background(), path, dataset.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func TestEveryRowHasOneUseAndIdenticalTextsStayTogether(t *testing.T) {
	t.Parallel()
	var rows []dataset.Row
	for i := range 2000 {
		rows = append(rows, dataset.Row{Text: fmt.Sprintf("text %d", i/4*4+i%3), Labels: []string{fmt.Sprint("l", i%7)}})
	}
	rows = append(rows, dataset.Row{Text: "lonely", Labels: []string{"rare"}})
	p := split(rows, 0.1, 0.05, 7, false)
	where := map[dataset.Key]int{}
	used := make([]bool, len(rows))
	for part, numbers := range [][]int{p.train, p.calibrate, p.certify} {
		for _, n := range numbers {
			if used[n] {
				t.Fatalf("row %d is used twice", n)
			}
			used[n] = true
			key := rows[n].Key()
			if before, ok := where[key]; ok && before != part {
				t.Errorf("%q stands in parts %d and %d", rows[n].Text, before, part)
			}
			where[key] = part
		}
	}
	if slices.Contains(used, false) {
		t.Error("a row of a record set has no use")
	}
	if !slices.Contains(p.train, 2000) {
		t.Error("the only row of a label must be for training")
	}
	if c := len(p.certify); c < 180 || c > 210 {
		t.Errorf("%d rows to certify, want about 200", c)
	}
	if c := len(p.calibrate); c < 80 || c > 110 {
		t.Errorf("%d rows to calibrate, want about 100", c)
	}
	if diff := cmp.Diff(p, split(rows, 0.1, 0.05, 7, false), cmp.AllowUnexported(parts{})); diff != "" {
		t.Errorf("the same seed must give the same split: %s", diff)
	}
	if cmp.Equal(p, split(rows, 0.1, 0.05, 8, false), cmp.AllowUnexported(parts{})) {
		t.Error("another seed must give another split")
	}
	// Of texts, only one row of each group certifies.
	asTexts := split(rows, 0.1, 0.05, 7, true)
	seen := map[dataset.Key]bool{}
	for _, n := range asTexts.certify {
		if seen[rows[n].Key()] {
			t.Errorf("%q certifies twice", rows[n].Text)
		}
		seen[rows[n].Key()] = true
	}
}

func TestManySmallLabelsAreHeldOutInProportion(t *testing.T) {
	t.Parallel()
	var rows []dataset.Row
	for i := range 500 {
		rows = append(rows, dataset.Row{Text: fmt.Sprint(i), Labels: []string{fmt.Sprint("l", i%100)}})
	}
	p := split(rows, 0.1, 0.05, 1, true)
	if len(p.certify) != 50 || len(p.calibrate) < 24 {
		t.Errorf("%d to certify and %d to calibrate, want 50 and 25", len(p.certify), len(p.calibrate))
	}
	counts := map[string]int{}
	for _, n := range p.train {
		counts[rows[n].Labels[0]]++
	}
	if len(counts) != 100 {
		t.Errorf("%d labels to learn, want all 100", len(counts))
	}
}

func TestSmallSetsHoldOutWhatTheirBudgetNeeds(t *testing.T) {
	t.Parallel()
	o := Options{Operation: eval.Routing}.withDefaults()
	strict := Options{Operation: eval.Routing, Alpha: 0.01}.withDefaults()
	for _, c := range []struct {
		o    Options
		rows int
		want float64
	}{{o, 10_000, 0.1}, {o, 1000, 0.236}, {o, 100, 0.25}, {strict, 10_000, 0.1196}, {o, 1_000_000, 0.02}, {Options{HoldOut: 0.3}, 50, 0.3}} {
		if got := c.o.holdOut(c.rows); got < c.want-1e-9 || got > c.want+1e-9 {
			t.Errorf("%d rows at α %v: hold out %v, want %v", c.rows, c.o.Alpha, got, c.want)
		}
	}
}

func TestTextsAreLearnedCertifiedAndRepeatable(t *testing.T) {
	t.Parallel()
	train, test := texts(t, 6000, "Access", "Hardware", "Storage"), texts(t, 1001, "Access", "Hardware", "Storage")
	o := Options{Operation: eval.Routing, Seed: 3, HoldOut: 0.2, Alpha: 0.15, LabelAlpha: map[string]float64{"Access": 0.2}}
	var stages []string
	r, err := Run(context.Background(), train, test, o, func(e Event) {
		if len(stages) == 0 || stages[len(stages)-1] != e.Stage {
			stages = append(stages, e.Stage)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{StageCheck, StageSplit, StageTrain, StageCalibrate, StageRefit, StageCertify, StageEvaluate}; !slices.Equal(stages, want) {
		t.Errorf("stages %v, want %v", stages, want)
	}
	e := r.Evaluation
	if e.Accuracy < 0.93 || e.MeasuredOn != "test" || e.Rows != 1001 || e.Data.TestRows != 1001 || len(e.Automation) != 4 {
		t.Errorf("evaluation %+v", e)
	}
	if len(r.Certificates) != 2 || r.Certificates[1].Side != "Access" || !r.Certificates[0].Certified {
		t.Errorf("certificates %+v", r.Certificates)
	}
	if a := e.Automation[3]; !a.Policy || a.Share < 0.5 || a.RealisedError > 0.12 {
		t.Errorf("automation under the policy %+v", a)
	}
	if got := e.Data.TrainingRows + e.Data.CalibrationRows + e.Data.CertificationRows; got != 6000 {
		t.Errorf("%d rows are accounted for, want 6000", got)
	}
	again, err := Run(context.Background(), train, test, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(r.Artifact, again.Artifact) {
		t.Error("the same rows, options and seed must give the same bytes")
	}
	// The scores of the certificate are those that the stored model gives.
	p, err := load.Parse(r.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out := make([]float32, 3)
	i := split(train.Rows, o.HoldOut, calibration(6000, true), 3, true).certify[0]
	if err := p.Predict(engine.Input{Text: train.Rows[i].Text}, out); err != nil {
		t.Fatal(err)
	}
	if _, score := risk.Top(out); score != r.Sample[0].Score {
		t.Errorf("score %v when serving, %v in the sample", score, r.Sample[0].Score)
	}
	// Another budget is certified later from the sample, without training again.
	if c, err := Certify(r.Sample, Options{Operation: eval.Routing, Alpha: 0.3}); err != nil || !c[0].Certified || c[0].Coverage < r.Certificates[0].Coverage {
		t.Errorf("at 30 %%: %+v, %v", c, err)
	}
}

func TestModerationHasTwoSides(t *testing.T) {
	t.Parallel()
	r, err := Run(context.Background(), texts(t, 3000, "ham", "spam", "xxscam"), nil, Options{Operation: eval.Moderation, RemoveAlpha: 0.1, AllowAlpha: 0.2}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int{0}, r.Harmless); diff != "" {
		t.Errorf("harmless: %s", diff)
	}
	if got, err := Harmless(r.Info); err != nil || !slices.Equal(got, r.Harmless) {
		t.Errorf("Harmless(info) = %v, %v", got, err)
	}
	if len(r.Certificates) != 2 || r.Certificates[0].Side != risk.SideRemove || r.Certificates[0].Alpha != 0.1 || r.Certificates[1].Alpha != 0.2 || r.Certificates[0].Delta != 0.025 {
		t.Errorf("certificates %+v", r.Certificates)
	}
	if r.Evaluation.MeasuredOn != "holdOut" || r.Evaluation.AUC == nil {
		t.Errorf("evaluation %+v", r.Evaluation)
	}
}

func TestSeveralLabelsARow(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	for i := range 2000 {
		var words, labels []string
		for _, l := range []string{"insult", "threat"} {
			if rng.IntN(3) == 0 {
				labels = append(labels, fmt.Sprintf("%q", l))
				words = append(words, l, l+fmt.Sprint(rng.IntN(5)))
			}
		}
		fmt.Fprintf(&b, "{\"text\":\"message %d says %s\",\"label\":[%s]}\n", i, strings.Join(words, " "), strings.Join(labels, ","))
	}
	r, err := Run(context.Background(), parse(t, b.String()), nil, Options{Operation: eval.Moderation}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Info.Task != engine.Multilabel || r.Evaluation.Accuracy < 0.97 || len(r.Harmless) != 0 || r.Harmless == nil {
		t.Errorf("task %v, accuracy %v, harmless %v", r.Info.Task, r.Evaluation.Accuracy, r.Harmless)
	}
	if !r.Certificates[0].Certified || !r.Certificates[1].Certified {
		t.Errorf("certificates %+v", r.Certificates)
	}
	one := false
	if _, err := Run(context.Background(), parse(t, b.String()), nil, Options{Operation: eval.Classification, MultiLabel: &one}, nil); !errors.Is(err, ErrData) {
		t.Errorf("one label asked for: %v, want ErrData", err)
	}
}

func TestRecordsOfBothMethods(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(2, 2))
	var b strings.Builder
	for range 2000 {
		age, job := rng.IntN(60)+18, []string{"clerk", "smith", "cook"}[rng.IntN(3)]
		label := "no"
		if (age > 40) == (job == "clerk") {
			label = "yes"
		}
		fmt.Fprintf(&b, "{\"record\":{\"age\":%d,\"job\":%q},\"label\":%q}\n", age, job, label)
	}
	set := parse(t, b.String())
	for method, kind := range map[string]engine.Kind{MethodTrees: engine.KindRecordTrees, MethodLinear: engine.KindRecordLinear, MethodAuto: engine.KindRecordTrees} {
		r, err := Run(context.Background(), set, nil, Options{Operation: eval.Classification, Method: method}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Info.Kind != kind || (kind == engine.KindRecordTrees && r.Evaluation.Accuracy < 0.97) {
			t.Errorf("method %q: %s with accuracy %v", method, r.Info.Kind, r.Evaluation.Accuracy)
		}
	}
}

func TestWhatCannotBeTrainedIsExplained(t *testing.T) {
	t.Parallel()
	good := texts(t, 300, "Access", "Hardware")
	mixed := parse(t, strings.Repeat(`{"record":{"a":1},"label":"x"}`+"\n", 30)+strings.Repeat(`{"record":{"a":2},"label":"y"}`+"\n", 30))
	cases := []struct {
		name  string
		train *dataset.Set
		test  *dataset.Set
		o     Options
		want  error
		part  string
	}{
		{"one label", texts(t, 300, "Access"), nil, Options{Operation: eval.Routing}, ErrData, `have the label "Access"`},
		{"ten rows", texts(t, 10, "Access", "Hardware"), nil, Options{Operation: eval.Routing}, ErrData, "10 rows are too few"},
		{"no harmless label", good, nil, Options{Operation: eval.Moderation}, ErrOptions, "--harmless-label"},
		{"unknown harmless label", good, nil, Options{Operation: eval.Moderation, HarmlessLabels: []string{"nice"}}, ErrOptions, `"nice" is on no row; the labels are Access, Hardware`},
		{"all harmless", good, nil, Options{Operation: eval.Moderation, HarmlessLabels: []string{"Access", "Hardware"}}, ErrOptions, "all labels"},
		{"budget of nothing", good, nil, Options{Operation: eval.Routing, LabelAlpha: map[string]float64{"Axes": 0.1}}, ErrOptions, `"Axes"`},
		{"alpha", good, nil, Options{Operation: eval.Routing, Alpha: 2}, ErrOptions, "alpha 2"},
		{"operation", good, nil, Options{Operation: "sorting"}, ErrOptions, `"sorting"`},
		{"trees of texts", good, nil, Options{Operation: eval.Routing, Method: MethodTrees}, ErrOptions, "trees are for records"},
		{"moderated records", mixed, nil, Options{Operation: eval.Moderation}, ErrOptions, "not records"},
		{"test of another kind", good, mixed, Options{Operation: eval.Routing}, ErrData, "the test set holds records"},
	}
	for _, c := range cases {
		_, err := Run(context.Background(), c.train, c.test, c.o, nil)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.part) {
			t.Errorf("%s: error %v, want %v with %q", c.name, err, c.want, c.part)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Run(ctx, good, nil, Options{Operation: eval.Routing}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestWellKnownHarmlessNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ham", "OK", "not_toxic", "not-hate", "non_irony", "OTHER", "neither", "normal", "not offensive"} {
		if !soundsHarmless(name) {
			t.Errorf("%q should be known as harmless", name)
		}
	}
	for _, name := range []string{"spam", "toxic", "hate", "notorious", "nonsense", "offensive"} {
		if soundsHarmless(name) {
			t.Errorf("%q should not be taken for harmless", name)
		}
	}
}

func TestTestRowsThatTrainingHoldsAreReported(t *testing.T) {
	t.Parallel()
	set := texts(t, 700, "Access", "Hardware")
	r, err := Run(context.Background(), set, set, Options{Operation: eval.Routing}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Findings, func(f dataset.Finding) bool { return f.Code == "test-in-training" && f.Count == 700 }) {
		t.Errorf("findings %+v", r.Findings)
	}
}
