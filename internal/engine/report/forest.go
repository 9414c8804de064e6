package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/chart"
	"github.com/switchyard-ai/switchyard/internal/engine/gate"
)

// forest is a plot of one interval a line, ready to be drawn.
type forest struct {
	Height, Foot float64
	Ticks        []chart.Tick
	Rows         []forestRow
}

type forestRow struct {
	Y, At, Low, High, Champion float64
	Name, Count, Title         string
}

// forestRows is how many labels and groups are drawn: groups first, then the labels that are found worst.
const forestRows = 40

func forestOf(r *gate.Report) *forest {
	if r == nil || len(r.Slices) == 0 {
		return nil
	}
	list := slices.Clone(r.Slices)
	slices.SortStableFunc(list, func(a, b gate.Slice) int {
		if (a.Attribute == "") != (b.Attribute == "") {
			return cmp.Compare(b.Attribute, a.Attribute) // "" last
		}
		return cmp.Or(cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Accuracy.Share, b.Accuracy.Share))
	})
	list = list[:min(forestRows, len(list))]
	const line, from, to = 18.0, 330.0, 630.0
	at := func(share float64) float64 { return round(from + share*(to-from)) }
	f := &forest{Foot: line*float64(len(list)) + 8}
	f.Height = f.Foot + 20
	for _, v := range []float64{0, 0.25, 0.5, 0.75, 1} {
		f.Ticks = append(f.Ticks, chart.Tick{At: at(v), Label: chart.Percent(v)})
	}
	for i, s := range list {
		name := s.Name
		if s.Attribute != "" {
			name = s.Attribute + "=" + s.Name
		}
		row := forestRow{
			Y: round(float64(i)*line + 14), At: at(s.Accuracy.Share), Low: at(s.Accuracy.Low), High: at(s.Accuracy.High), Name: shorten(name, 38), Count: fmt.Sprint(s.Rows),
			Title: fmt.Sprintf("%s: %s of %d rows, %s to %s", name, chart.Percent(s.Accuracy.Share), s.Rows, chart.Percent(s.Accuracy.Low), chart.Percent(s.Accuracy.High)),
		}
		if s.Champion != nil {
			row.Champion = at(s.Champion.Share)
			row.Title += "; present version " + chart.Percent(s.Champion.Share)
		}
		f.Rows = append(f.Rows, row)
	}
	return f
}
