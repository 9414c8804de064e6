// Package report writes an evaluation as one HTML file that can be opened, mailed and archived: no script, no outside
// assets, drawn in inline SVG, readable in light and dark and on a telephone. It computes nothing that is not in the evaluation.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/switchyard-ai/switchyard/internal/chart"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/gate"
)

// Input is what a report shows.
type Input struct {
	// Title heads the report, for example "routing/support".
	Title string
	// Created is when the model was made, as text; left out when empty, which makes the report reproducible.
	Created    string
	Evaluation *eval.Evaluation
	Info       *engine.Info // may be nil
	// Findings are what is remarkable about the data; Rejected the first rows that could not be used, by line.
	Findings []dataset.Finding
	Rejected []dataset.RowError
	// Gates are what judged the model beside the one that answered, whose version is Champion; nil and 0 when nobody did.
	Gates    *gate.Report
	Champion int32
}

//go:embed report.html
var source string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"percent": chart.Percent,
	"digest":  digest,
	"inc":     func(i int) int { return i + 1 },
}).Parse(source))

// Write writes the report.
func Write(w io.Writer, in Input) error {
	e := in.Evaluation
	view := struct {
		Input
		E           *eval.Evaluation
		Tiles       []tile
		Reliability chart.Chart
		Coverage    chart.Chart
		Heat        heat
		Budgets     []budget
		Forest      *forest
	}{
		Input: in, E: e, Tiles: tiles(e), Reliability: reliability(e.Reliability), Coverage: coverage(e.RiskCoverage, e.Automation),
		Heat: heatMap(e.Matrix), Budgets: budgets(e.Automation), Forest: forestOf(in.Gates),
	}
	if err := page.Execute(w, view); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// tile is one headline number.
type tile struct{ Name, Value, Note string }

func tiles(e *eval.Evaluation) []tile {
	out := []tile{{"Accuracy", chart.Percent(e.Accuracy), fmt.Sprintf("of %d rows", e.Rows)}}
	if s := e.Scope; s != nil {
		out = append(out, tile{"Accuracy in scope", chart.Percent(s.InScopeAccuracy), fmt.Sprintf("of %d rows", s.InScopeRows)},
			tile{"Out of scope found", chart.Percent(s.OutOfScopeRecall), fmt.Sprintf("of %d rows", s.OutOfScopeRows)})
	}
	out = append(out, tile{"Macro-F1", chart.Percent(e.MacroF1), fmt.Sprintf("over %d labels", len(e.Labels))})
	if e.AUC != nil {
		out = append(out, tile{"AUC", fmt.Sprintf("%.4f", *e.AUC), "1 is perfect, 0.5 is chance"})
	}
	out = append(out, tile{"Calibration error", chart.Percent(e.CalibrationError), "0 is honest"})
	for _, a := range e.Automation {
		if !a.Policy {
			continue
		}
		t := tile{Name: "Automated", Value: chart.Percent(a.Share), Note: fmt.Sprintf("realised error %s", chart.Percent(a.RealisedError))}
		if !a.Certified {
			t.Value, t.Note = "nothing", "no threshold is certified"
		}
		out = append([]tile{t}, out...)
	}
	return out
}

// budget is one line of the table of automation, one for each certificate of a promise.
type budget struct {
	Policy                         bool
	Side, Alpha, Confidence        string
	Threshold, Share, Behind, Need string
	Realised                       string
	First                          bool // the first line of its promise carries the realised figures of all its sides
	Lines                          int
}

func budgets(all []eval.Automation) []budget {
	var out []budget
	for _, a := range all {
		for i, c := range a.Certificates {
			b := budget{
				Policy: a.Policy, Side: c.Side, Alpha: chart.Percent(c.Alpha), Confidence: chart.Percent(1 - a.Delta), Threshold: "–", Share: "nothing",
				Behind: "–", Need: "–", Realised: "–", First: i == 0, Lines: len(a.Certificates),
			}
			if c.Certified {
				b.Threshold, b.Share = fmt.Sprintf("%.4f", c.Threshold), chart.Percent(c.Coverage)
				b.Behind = fmt.Sprintf("%d of %d", c.Errors, c.Accepted)
			}
			if a.AutomatedRows > 0 {
				b.Realised = fmt.Sprintf("%s (%d of %d)", chart.Percent(a.RealisedError), a.RealisedErrors, a.AutomatedRows)
			}
			switch {
			case c.MoreLabels < 0:
				b.Need = "a better model"
			case c.MoreLabels > 0:
				b.Need = fmt.Sprintf("about %d", c.MoreLabels)
			}
			out = append(out, b)
		}
	}
	return out
}

// digest shortens a content address to what tells two models apart by eye.
func digest(s string) string {
	s = strings.TrimPrefix(s, "sha256:")
	return s[:min(16, len(s))]
}
