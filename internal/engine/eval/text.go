package eval

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// tableLabels is how many labels the terminal table shows: the worst ones, where work pays.
const tableLabels = 25

// WriteText prints the evaluation for a terminal of 80 columns.
func (e *Evaluation) WriteText(w io.Writer) error {
	p := &printer{w: w}
	on := "held-out rows"
	if e.MeasuredOn == "test" {
		on = "rows of the test set"
	}
	p.printf("Measured on %d %s (%d labels; trained on %d rows, calibrated on %d, certified on %d)\n", e.Rows, on, len(e.Labels),
		e.Data.TrainingRows, e.Data.CalibrationRows, e.Data.CertificationRows)
	p.table(0, func(t io.Writer) {
		fmt.Fprintf(t, "  accuracy\t%s\n  macro-F1\t%s\n", percent(e.Accuracy, 1), percent(e.MacroF1, 1))
		if s := e.Scope; s != nil {
			fmt.Fprintf(t, "  accuracy in scope\t%s\t(%d rows)\n", percent(s.InScopeAccuracy, 1), s.InScopeRows)
			fmt.Fprintf(t, "  out of scope found\t%s\t(%d rows; right in %s of such answers)\n", percent(s.OutOfScopeRecall, 1), s.OutOfScopeRows, percent(s.OutOfScopePrecision, 1))
		}
		if e.AUC != nil {
			fmt.Fprintf(t, "  AUC\t%.4f\n", *e.AUC)
		}
		fmt.Fprintf(t, "  log-loss\t%.4f\n  calibration error\t%s\n", e.LogLoss, percent(e.CalibrationError, 1))
		if e.RefusedRows > 0 {
			fmt.Fprintf(t, "  rows that do not fit\t%d\t(counted as wrong)\n", e.RefusedRows)
		}
		if e.UnknownLabelRows > 0 {
			fmt.Fprintf(t, "  rows with unknown labels\t%d\t(counted as wrong)\n", e.UnknownLabelRows)
		}
	})
	p.printf("\nAutomation\n")
	p.table(tabwriter.AlignRight, func(t io.Writer) {
		fmt.Fprintln(t, "certified error\tconfidence\tautomated\trealised error\tlabels needed\t")
		for _, a := range e.Automation {
			mark := ""
			if a.Policy {
				mark = "policy "
			}
			fmt.Fprintf(t, "%s≤ %s\t%s\t%s\t%s\t%s\t\n", mark, budgets(a), percent(1-a.Delta, 0), share(a), realised(a), needed(a.LabelsNeeded))
		}
	})
	e.writeLabels(p)
	if len(e.Confusions) > 0 {
		p.printf("\nMost frequent confusions\n")
		p.table(0, func(t io.Writer) {
			for _, c := range e.Confusions[:min(8, len(e.Confusions))] {
				fmt.Fprintf(t, "  %d ×\t%s\tanswered as\t%s\n", c.Count, short(c.Truth), short(c.Predicted))
			}
		})
	}
	for _, warning := range e.Data.Warnings {
		p.printf("\nWarning: %s\n", warning)
	}
	p.printf("\n%s\n", e.Promise)
	return p.err
}

func (e *Evaluation) writeLabels(p *printer) {
	rows := slices.Clone(e.Labels)
	if len(rows) > tableLabels {
		slices.SortStableFunc(rows, func(a, b LabelScore) int { return cmp.Compare(a.F1, b.F1) })
		rows = rows[:tableLabels]
		p.printf("\nLabels (the %d worst of %d)\n", tableLabels, len(e.Labels))
	} else {
		p.printf("\nLabels\n")
	}
	p.table(0, func(t io.Writer) {
		fmt.Fprintln(t, "  label\tprecision\trecall\tF1\trows")
		for _, l := range rows {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%d\n", short(l.Label), percent(l.Precision, 1), percent(l.Recall, 1), percent(l.F1, 1), l.Support)
		}
	})
}

func share(a Automation) string {
	if !a.Certified {
		return "nothing"
	}
	return percent(a.Share, 1)
}

func realised(a Automation) string {
	if a.AutomatedRows == 0 {
		return "–"
	}
	return percent(a.RealisedError, 1)
}

func needed(n int) string {
	switch {
	case n < 0:
		return "a better model"
	case n == 0:
		return "–"
	}
	return fmt.Sprintf("about %d more", n)
}

// short keeps a label within a third of a terminal's line.
func short(s string) string {
	runes := []rune(strings.Map(printable, s))
	if len(runes) > 40 {
		return string(runes[:39]) + "…"
	}
	return string(runes)
}

// printable replaces control characters: a label from a file must not steer the terminal.
func printable(r rune) rune {
	if r < ' ' || (r >= 0x7f && r < 0xa0) {
		return '·'
	}
	return r
}

// printer keeps the first error, so that the layout reads as layout.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) table(flags uint, fill func(io.Writer)) {
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', flags)
	fill(t)
	if err := t.Flush(); p.err == nil {
		p.err = err
	}
}
