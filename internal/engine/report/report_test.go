package report

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// evaluation measures an invented model of n labels that is right as often as it is sure.
func evaluation(tb testing.TB, n int) *eval.Evaluation {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	s := &eval.Sample{OutOfScope: -1}
	for l := range n {
		s.Labels = append(s.Labels, []string{"Hardware", "HR Support", "Access", "Miscellaneous", "Storage", "Purchase", "Internal Project", "Administrative rights"}[l%8]+strings.Repeat("'", l/8))
	}
	for range 3000 {
		sure := 1 - 0.7*rng.Float64()*rng.Float64()
		answer, truth := rng.IntN(n), rng.IntN(n)
		if rng.Float64() < sure {
			truth = answer
		}
		row := make([]float32, n)
		for l := range row {
			row[l] = float32(1-sure) / float32(n)
		}
		row[answer] += float32(sure)
		s.Probs, s.Truth = append(s.Probs, row...), append(s.Truth, []int32{int32(truth)})
	}
	e := eval.Measure(s)
	e.Operation, e.MeasuredOn = eval.Routing, "test"
	points := s.Points()
	for _, alpha := range []float64{0.01, 0.02, 0.05} {
		certs, err := risk.Labels(points, alpha, nil, 0.05)
		if err != nil {
			tb.Fatal(err)
		}
		a := eval.Automate(certs, 0.05, points)
		a.Policy = alpha == 0.05
		e.Automation = append(e.Automation, a)
	}
	e.Promise = eval.Sentence(e.Automation[2], &e.Automation[0])
	e.Data = eval.Data{
		Kind: "text", Rows: 33520, TrainingRows: 28492, CalibrationRows: 1676, CertificationRows: 3352, TestRows: 3000, RejectedRows: 31,
		RejectedByReason: map[string]int{"bad JSON": 30, "empty text": 1}, SHA256: strings.Repeat("ab", 32),
	}
	return e
}

func input(tb testing.TB, n int) Input {
	tb.Helper()
	return Input{
		Title: "routing/support", Evaluation: evaluation(tb, n), Info: &engine.Info{Kind: engine.KindTextLinear, Digest: "sha256:" + strings.Repeat("0123456789abcdef", 4)},
		Findings: []dataset.Finding{{Severity: dataset.Warning, Code: "contradictions", Message: "12 of 33520 rows contradict each other", Examples: []string{`line 3 says "a", line 9 says "b"`}}},
		Rejected: []dataset.RowError{{Line: 7, Reason: "bad JSON", Detail: "unexpected end of JSON input"}},
	}
}

func TestReportStandsAloneAndSaysEverything(t *testing.T) {
	t.Parallel()
	for _, n := range []int{2, 8, 77} {
		var b bytes.Buffer
		in := input(t, n)
		if err := Write(&b, in); err != nil {
			t.Fatal(err)
		}
		html := b.String()
		for _, part := range []string{in.Evaluation.Promise, "Hardware", "Accuracy", "Reliability", "Confusion matrix", "unexpected end of JSON input", "12 of 33520", "<svg", "(policy)", "0123456789abcdef…"} {
			if !strings.Contains(html, part) {
				t.Errorf("%d labels: the report lacks %q", n, part)
			}
		}
		for _, part := range []string{"<script", "http://", "https://", "src=", "url(", "ZgotmplZ", "NaN", "%!"} {
			if strings.Contains(html, part) {
				t.Errorf("%d labels: the report holds %q", n, part)
			}
		}
		// KEEP_REPORT=folder keeps the files, to be looked at.
		if dir := os.Getenv("KEEP_REPORT"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, "report"+string(rune('a'+n%26))+".html"), b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestHostileNamesAreEscaped(t *testing.T) {
	t.Parallel()
	in := input(t, 8)
	evil := `</title><script>alert(1)</script><img src=x onerror=alert(1)>`
	in.Title, in.Evaluation.Labels[0].Label, in.Evaluation.Matrix.Labels[1] = evil, evil, evil
	in.Rejected[0].Detail, in.Findings[0].Message, in.Evaluation.Confusions[0].Truth = evil, evil, evil
	var b bytes.Buffer
	if err := Write(&b, in); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "<script") || strings.Contains(b.String(), "<img") {
		t.Error("markup from a label reached the page")
	}
}

func TestEmptyEvaluationIsStillAPage(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	e := eval.Measure(&eval.Sample{OutOfScope: -1})
	if err := Write(&b, Input{Title: "empty", Evaluation: e}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "</html>") {
		t.Error("the page is not complete")
	}
}
