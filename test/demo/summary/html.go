package summary

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
)

//go:embed day.html
var source string

//go:embed style.css
var style string

var functions = template.FuncMap{
	"style": func() template.CSS { return template.CSS(style) }, // a file of this package
	"words": words, "percent": percent, "whole": whole, "between": between, "span": span, "size": size, "clock": clock, "title": title,
	"number": func(n any) string {
		switch n := n.(type) {
		case int:
			return number(n)
		case int64:
			return number(n)
		}
		return fmt.Sprint(n)
	},
}

var page = template.Must(template.New("day").Funcs(functions).Parse(source))

// HTML writes the report as one page without script and outside assets, readable in light and dark and on a telephone.
func HTML(w io.Writer, r *Report) error {
	view := struct {
		*Report
		Tiles           []tile
		Day, Queue      plot
		Errors, Quality ranges
		Costs           []costBar
	}{Report: r, Tiles: tiles(r), Day: dayPlot(r.Hours), Queue: queuePlot(r.Hours), Errors: errorRanges(r), Quality: peopleRanges(r), Costs: costBars(r)}
	if err := page.Execute(w, view); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// tile is a headline number.
type tile struct{ Name, Value, Note string }

func tiles(r *Report) []tile {
	c := r.Cost
	out := []tile{
		{"Routed by itself", percent(r.Automated.Share), fmt.Sprintf("%s of %s inquiries", number(r.Automated.Decisions), number(r.Traffic.Inquiries))},
		{"True error of that", percent(r.Automated.Error), fmt.Sprintf("promised at most %s", whole(r.Promise.MaxError))},
		{"Audits say", percent(r.Audits.Corrected), fmt.Sprintf("%s, from %s audits", between(r.Audits.CorrectedLow, r.Audits.CorrectedHigh), number(r.Audits.Closed))},
		{"Right in the end", percent(r.RightAtLast()), fmt.Sprintf("by people alone %s", percent(r.RightByHand()))},
		{"Agreement", fmt.Sprintf("κ %.2f", r.Agreement.Kappa), fmt.Sprintf("α %.2f, over %s inquiries", r.Agreement.Alpha, number(r.Agreement.Items))},
		{"Cost per inquiry", money(c.Decisions/int64(max(1, r.Traffic.Inquiries)), c.Currency, 3), fmt.Sprintf("%s saved", percent(saved(c.Decisions, c.Baseline)))},
	}
	for i := range out {
		out[i].Note = strings.ReplaceAll(out[i].Note, " %", "\u00a0%") // a line must not break before it
	}
	return out
}

// costBar is one way to pay, as long as its share of the dearest.
type costBar struct {
	Name, Each, Sum string
	Width           float64 // percent
	Ours            bool
}

func costBars(r *Report) (out []costBar) {
	c := r.Cost
	most := float64(max(c.Baseline, c.SpentBaseline, c.Decisions, c.Spent, 1))
	for _, b := range []struct {
		name   string
		micros int64
		ours   bool
	}{
		{"Policy’s prices", c.Decisions, true},
		{"the same by hand", c.Baseline, false},
		{"People’s real time", c.Spent, true},
		{"the same by hand", c.SpentBaseline, false},
	} {
		out = append(out, costBar{
			Name: b.name, Each: money(b.micros/int64(max(1, r.Traffic.Inquiries)), c.Currency, 3), Sum: money(b.micros, c.Currency, 0),
			Width: 100 * float64(b.micros) / most, Ours: b.ours,
		})
	}
	return out
}
