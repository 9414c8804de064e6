package eval

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

var nan = float32(math.NaN())

func multiclass() *Sample {
	return &Sample{
		Labels: []string{"a", "b", "oos"}, OutOfScope: 2,
		Probs: []float32{
			0.8, 0.1, 0.1, // a, right
			0.5, 0.25, 0.25, // a, wrong: b
			0.1, 0.8, 0.1, // b, right
			0.1, 0.2, 0.7, // oos, right
			0.6, 0.2, 0.2, // a, wrong: oos
			nan, nan, nan, // refused
			0.9, 0.05, 0.05, // a, wrong: a label that training never saw
		},
		Truth: [][]int32{{0}, {1}, {1}, {2}, {2}, {0}, {-1}},
	}
}

func TestCountsOfASmallSampleAreThoseByHand(t *testing.T) {
	t.Parallel()
	e := Measure(multiclass())
	near := cmpopts.EquateApprox(0, 1e-9)
	want := []LabelScore{
		{Label: "a", Precision: 0.25, Recall: 0.5, F1: 2.0 / 6, Support: 2, Predicted: 4},
		{Label: "b", Precision: 1, Recall: 0.5, F1: 2.0 / 3, Support: 2, Predicted: 1},
		{Label: "oos", Precision: 1, Recall: 0.5, F1: 2.0 / 3, Support: 2, Predicted: 1},
	}
	if diff := cmp.Diff(want, e.Labels, near); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if e.Rows != 7 || e.RefusedRows != 1 || e.UnknownLabelRows != 1 || math.Abs(e.Accuracy-3.0/7) > 1e-9 {
		t.Errorf("rows %d, refused %d, unknown %d, accuracy %v", e.Rows, e.RefusedRows, e.UnknownLabelRows, e.Accuracy)
	}
	if want := (1.0/3 + 2.0/3 + 2.0/3) / 3; math.Abs(e.MacroF1-want) > 1e-9 {
		t.Errorf("macro-F1 %v, want %v", e.MacroF1, want)
	}
	loss := -(math.Log(0.8) + math.Log(0.25) + math.Log(0.8) + math.Log(0.7) + math.Log(0.2)) / 5
	if math.Abs(e.LogLoss-loss) > 1e-6 {
		t.Errorf("log-loss %v, want %v", e.LogLoss, loss)
	}
	if diff := cmp.Diff(&Scope{InScopeRows: 5, InScopeAccuracy: 0.4, OutOfScopeRows: 2, OutOfScopeRecall: 0.5, OutOfScopePrecision: 1}, e.Scope, near); diff != "" {
		t.Errorf("scope (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Confusion{{"b", "a", 1}, {"oos", "a", 1}}, e.Confusions); diff != "" {
		t.Errorf("confusions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]int{{1, 0, 0}, {1, 1, 0}, {1, 0, 1}}, e.Matrix.Counts); diff != "" {
		t.Errorf("matrix (-want +got):\n%s", diff)
	}
	if e.AUC != nil {
		t.Errorf("three labels have no AUC, got %v", *e.AUC)
	}
}

func TestOutOfScopeIsAnErrorOfAutomationAndNeverAutomated(t *testing.T) {
	t.Parallel()
	got := multiclass().Points()
	want := []risk.Point{
		{Score: 0.8, Correct: true, Side: "a"},
		{Score: 0.5, Side: "a"},
		{Score: 0.8, Correct: true, Side: "b"},
		{Score: 0.7, Correct: true, Side: "oos", Abstain: true},
		{Score: 0.6, Side: "a"},
		{Abstain: true},
		{Score: 0.9, Side: "a"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 1e-6)); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
}

func TestModerationIsJudgedByActions(t *testing.T) {
	t.Parallel()
	s := &Sample{
		Labels: []string{"ham", "spam", "scam"}, OutOfScope: -1, Moderation: true, Harmless: []int{0},
		Probs: []float32{0.25, 0.5, 0.25, 0.75, 0.125, 0.125, 0.125, 0.75, 0.125, 0.75, 0.25, 0},
		Truth: [][]int32{{2}, {0}, {0}, {1}}, // the first answer is the wrong label and the right action
	}
	want := []risk.Point{
		{Score: 0.75, Correct: true, Side: risk.SideRemove},
		{Score: 0.75, Correct: true, Side: risk.SideAllow},
		{Score: 0.875, Correct: false, Side: risk.SideRemove},
		{Score: 0.75, Correct: false, Side: risk.SideAllow},
	}
	if diff := cmp.Diff(want, s.Points()); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
	if e := Measure(s); e.AUC == nil || *e.AUC != 0.375 {
		t.Errorf("AUC %v, want 0.375: one tie and one of four pairs in order", e.AUC)
	}
}

func TestMultilabelAnswersAreSets(t *testing.T) {
	t.Parallel()
	s := &Sample{
		Labels: []string{"x", "y"}, Multilabel: true, OutOfScope: -1,
		Probs: []float32{0.9, 0.8, 0.9, 0.1, 0.2, 0.3},
		Truth: [][]int32{{1, 0}, {0, 1}, {}},
	}
	e := Measure(s)
	if math.Abs(e.Accuracy-2.0/3) > 1e-9 || e.Task != "multilabel" || e.Matrix != nil {
		t.Errorf("accuracy %v, task %s, matrix %v", e.Accuracy, e.Task, e.Matrix)
	}
	if math.Abs(e.MicroF1-6.0/7) > 1e-9 {
		t.Errorf("micro-F1 %v, want 6/7", e.MicroF1)
	}
	points := s.Points()
	if points[0].Score != float64(float32(0.8)) || !points[0].Correct || points[1].Correct || !points[2].Correct {
		t.Errorf("points %+v", points)
	}
}

func TestAUCAgreesWithCountingPairs(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	scores, yes := make([]float64, 300), make([]bool, 300)
	for i := range scores {
		yes[i] = rng.Float64() < 0.3
		scores[i] = math.Round(rng.Float64()*20) / 20
		if yes[i] {
			scores[i] += 0.1
		}
	}
	pairs, wins := 0.0, 0.0
	for i := range scores {
		for j := range scores {
			if yes[i] && !yes[j] {
				pairs++
				if scores[i] > scores[j] {
					wins++
				} else if scores[i] == scores[j] {
					wins += 0.5
				}
			}
		}
	}
	if got, ok := AUC(scores, yes); !ok || math.Abs(got-wins/pairs) > 1e-12 {
		t.Errorf("AUC = %v, %v; want %v", got, ok, wins/pairs)
	}
	if _, ok := AUC(scores, make([]bool, 300)); ok {
		t.Error("without positives there is no AUC")
	}
}

func TestCurveFallsTogetherWithTheWholeSample(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(4, 4))
	points, wrong := make([]risk.Point, 5000), 0
	for i := range points {
		s := rng.Float64()
		points[i] = risk.Point{Score: s, Correct: rng.Float64() < 0.5+s/2}
		if !points[i].Correct {
			wrong++
		}
	}
	c := curve(points)
	last := c[len(c)-1]
	if last.Coverage != 1 || last.Error != float64(wrong)/5000 || len(c) > 101 {
		t.Errorf("%d points, last %+v", len(c), last)
	}
	for i := 1; i < len(c); i++ {
		if c[i].Coverage <= c[i-1].Coverage || c[i].Threshold >= c[i-1].Threshold {
			t.Errorf("the curve does not go from strict to lax at %d: %+v %+v", i, c[i-1], c[i])
		}
	}
}

func TestAutomationAddsUpItsSides(t *testing.T) {
	t.Parallel()
	certs := []risk.Certificate{
		{Side: risk.SideRemove, Alpha: 0.05, Certified: true, Threshold: 0.9, Coverage: 0.1},
		{Side: risk.SideAllow, Alpha: 0.01, MoreLabels: 120},
	}
	measured := []risk.Point{
		{Side: risk.SideRemove, Score: 0.95, Correct: true},
		{Side: risk.SideRemove, Score: 0.9},
		{Side: risk.SideRemove, Score: 0.8},
		{Side: risk.SideAllow, Score: 0.99, Correct: true},
	}
	a := Automate(certs, 0.05, measured)
	want := Automation{Alpha: 0.05, Delta: 0.05, Certified: true, CertifiedShare: 0.1, Share: 0.5, AutomatedRows: 2, RealisedErrors: 1, RealisedError: 0.5, LabelsNeeded: 120, Certificates: certs}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("automation (-want +got):\n%s", diff)
	}
	if got, want := Sentence(a, &a), "certified error ≤ remove 5.0 %, allow 1.0 % (95 %), automated 10 %, about 120 more labels certify remove 5.0 %, allow 1.0 %"; got != want {
		t.Errorf("Sentence = %q, want %q", got, want)
	}
	none := Automate([]risk.Certificate{{Alpha: 0.02, MoreLabels: -1}}, 0.05, nil)
	if got, want := Sentence(none, nil), "error ≤ 2.0 % (95 %) is not certified, nothing is automated; more labels alone would not certify 2.0 %"; got != want {
		t.Errorf("Sentence = %q, want %q", got, want)
	}
}

func TestEvaluationIsPrintedAndMarshalled(t *testing.T) {
	t.Parallel()
	s := multiclass()
	s.Labels[0] = "a\x1b[31mred"
	e := Measure(s)
	certs, _ := risk.Labels(s.Points(), 0.05, nil, 0.05)
	e.Automation = append(e.Automation, Automate(certs, 0.05, s.Points()))
	e.Promise = Sentence(e.Automation[0], nil)
	var b bytes.Buffer
	if err := e.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"42.9 %", "macro-F1", "accuracy in scope", "about", "answered as", "a·[31mred", e.Promise} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("the text lacks %q:\n%s", part, b.String())
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a label's escape sequence reached the terminal")
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{`"accuracy"`, `"macroF1"`, `"calibrationError"`, `"labelsNeeded"`, `"realisedError"`, `"riskCoverage"`, `"certificates"`, `"moreLabels"`} {
		if !strings.Contains(string(raw), name) {
			t.Errorf("JSON lacks %s", name)
		}
	}
	if strings.Contains(string(raw), "null") {
		t.Errorf("JSON has null where a list should be empty: %s", raw)
	}
}

func TestNothingToMeasureIsNoCrash(t *testing.T) {
	t.Parallel()
	for _, s := range []*Sample{{OutOfScope: -1}, {Labels: []string{"a"}, OutOfScope: -1}, {Labels: []string{"a", "b"}, Multilabel: true, OutOfScope: -1}} {
		e := Measure(s)
		if _, err := json.Marshal(e); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
