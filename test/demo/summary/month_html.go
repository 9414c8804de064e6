package summary

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

//go:embed month.html
var monthSource string

var monthPage = template.Must(template.New("month").Funcs(functions).Parse(monthSource))

// MonthHTML writes the report of a month as one page without script and outside assets.
func MonthHTML(w io.Writer, m *Month) error {
	all := m.Between(1, len(m.Days))
	view := struct {
		*Month
		All, Last MonthDay
		Tiles     []tile
		Auto      monthPlot
		Errors    monthPlot
	}{Month: m, All: all, Tiles: monthTiles(m)}
	if n := len(m.Days); n > 0 {
		view.Last = m.Days[n-1]
	}
	view.Auto, view.Errors = sharePlot(m), errorPlot(m)
	if err := monthPage.Execute(w, view); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func monthTiles(m *Month) []tile {
	calm := len(m.Days)
	if m.DriftDay > 0 {
		calm = m.DriftDay - 1
	}
	before, promoted := m.Between(1, calm), 0
	for _, r := range m.Runs {
		if r.Promoted {
			promoted++
		}
	}
	most := 0.0
	for _, d := range m.Days {
		most = max(most, d.Share())
	}
	out := []tile{
		{"Automated at best", percent(most), "share of a day"},
		{"True error before the change", percent(before.Error()), fmt.Sprintf("of %s, promised at most %s", number(before.Automated), whole(m.MaxError))},
		{"Promotions", fmt.Sprint(promoted), fmt.Sprintf("of %d runs; gates refused the others", len(m.Runs))},
	}
	for _, h := range m.Halts {
		out = append(out, tile{"Stopped", fmt.Sprintf("day %d", h.Day), fmt.Sprintf("the change came on day %d", m.DriftDay)})
		if h.ResumedDay > 0 {
			after := m.Between(h.ResumedDay+1, len(m.Days))
			out = append(out, tile{"True error since it goes on", percent(after.Error()), fmt.Sprintf("of %s, after day %d", number(after.Automated), h.ResumedDay)})
		}
	}
	for i := range out {
		out[i].Note = strings.ReplaceAll(out[i].Note, " %", "\u00a0%")
	}
	return out
}

// The plotting area in SVG units.
const monthLeft, monthRight, monthTop, monthBottom = 46.0, 940.0, 30.0, 250.0

// monthPlot is shares over days.
type monthPlot struct {
	XTicks, YTicks []tick
	Stopped        []block
	Marks          []mark
	Promoted       []tick
	Area, Truth    string
	Dots           []struct{ X, Y float64 }
	Audits         []auditBar
	Limit          float64
}

type block struct{ At, Width float64 }

type mark struct {
	Class, Name string
	At, Y       float64
	Shift       int // of the name from the line: to the left when negative
}

type auditBar struct {
	X, At, Low, High float64
	Title            string
}

// monthX returns where a day stands; its middle is half a step after its begin.
func monthX(m *Month, day float64) float64 {
	return monthLeft + (day-0.5)*(monthRight-monthLeft)/float64(max(1, len(m.Days)))
}

func monthY(v, most float64) float64 { return monthBottom - min(v, most)/most*(monthBottom-monthTop) }

// frame draws what both plots have: axes, marks, the time without automation.
func frame(m *Month, most float64) (p monthPlot) {
	step := niceStep(most*100) / 100
	for v := 0.0; v <= most+step/2; v += step {
		p.YTicks = append(p.YTicks, tick{monthY(v, most), whole(math.Round(v*1000) / 1000)})
	}
	for _, d := range m.Days {
		if d.Day == 1 || d.Day%5 == 0 {
			p.XTicks = append(p.XTicks, tick{monthX(m, float64(d.Day)), fmt.Sprintf("day %d", d.Day)})
		}
	}
	if m.DriftDay > 0 {
		p.Marks = append(p.Marks, mark{"drift", "the world changes", monthX(m, float64(m.DriftDay)-0.5), 2, -4})
	}
	for _, h := range m.Halts {
		from, to := monthX(m, float64(h.Day)+0.5), monthRight
		p.Marks = append(p.Marks, mark{"halt", "stopped", from, 2, 4})
		if h.ResumedDay > 0 {
			to = monthX(m, float64(h.ResumedDay)+0.5)
			p.Marks = append(p.Marks, mark{"resume", "goes on", to, 14, 4})
		}
		p.Stopped = append(p.Stopped, block{from, to - from})
	}
	for _, r := range m.Runs {
		if r.Promoted {
			p.Promoted = append(p.Promoted, tick{monthX(m, float64(r.Day)+0.5), r.Statement})
		}
	}
	return p
}

func sharePlot(m *Month) monthPlot {
	p := frame(m, 1)
	var b strings.Builder
	fmt.Fprintf(&b, "M%.1f %.1f", monthLeft, monthBottom)
	for _, d := range m.Days {
		y := monthY(d.Share(), 1)
		fmt.Fprintf(&b, "L%.1f %.1fL%.1f %.1f", monthX(m, float64(d.Day)-0.5), y, monthX(m, float64(d.Day)+0.5), y)
	}
	fmt.Fprintf(&b, "L%.1f %.1fZ", monthRight, monthBottom)
	p.Area = b.String()
	return p
}

// errorPlot cuts intervals at the top: those of the first few audits reach far.
func errorPlot(m *Month) monthPlot {
	most := 4 * m.MaxError
	for _, d := range m.Days {
		most = max(most, d.Error(), d.Live)
	}
	step := niceStep(most*100) / 100
	most = math.Ceil(most/step-1e-9) * step
	p := frame(m, most)
	p.Limit = monthY(m.MaxError, most)
	var b strings.Builder
	pen := 'M'
	for _, d := range m.Days {
		x := monthX(m, float64(d.Day))
		if d.Automated == 0 {
			pen = 'M'
			continue
		}
		y := monthY(d.Error(), most)
		fmt.Fprintf(&b, "%c%.1f %.1f", pen, x, y)
		p.Dots = append(p.Dots, struct{ X, Y float64 }{x, y})
		pen = 'L'
		if d.Audited > 0 {
			p.Audits = append(p.Audits, auditBar{
				X: x, At: monthY(d.Live, most), Low: monthY(d.LiveLow, most), High: monthY(d.LiveHigh, most),
				Title: fmt.Sprintf("day %d: %d audits show %s, %s; true %s", d.Day, d.Audited, percent(d.Live), between(d.LiveLow, d.LiveHigh), percent(d.Error())),
			})
		}
	}
	p.Truth = b.String()
	return p
}
