package report

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// The plotting area in SVG units; the drawing is 344 × 250 with room for ticks at the left and below.
const (
	left, right = 46.0, 322.0
	top, bottom = 12.0, 210.0
)

// chart is a plot in SVG units, ready to be drawn.
type chart struct {
	Empty   bool
	XTicks  []tick
	YTicks  []tick
	Line    string // path data
	Bars    []bar
	Circles []circle
	Guides  []guide
}

type tick struct {
	At    float64
	Label string
}

type bar struct {
	X, Y, W, H float64
	Title      string
}

type circle struct {
	X, Y, R float64
	Label   string
	Title   string
	Anchor  string // text-anchor of the label
	LabelX  float64
	LabelY  float64
}

// guide is a dashed horizontal line.
type guide struct{ Y float64 }

func x(v float64) float64             { return round(left + v*(right-left)) }
func y(v, most float64) float64       { return round(bottom - v/most*(bottom-top)) }
func round(v float64) float64         { return math.Round(v*10) / 10 }
func point(px, py float64) string     { return fmt.Sprintf("%.1f %.1f", px, py) }
func shareTick(v float64) string      { return fmt.Sprintf("%.0f %%", 100*v) }
func fineTick(v, step float64) string { return fmt.Sprintf("%.*f %%", decimals(step), 100*v) }

func decimals(step float64) int {
	if step*100 < 1 {
		return 1
	}
	return 0
}

func shareTicks() []tick {
	var out []tick
	for i := 0; i <= 4; i++ {
		v := float64(i) / 4
		out = append(out, tick{At: x(v), Label: shareTick(v)})
	}
	return out
}

// reliability draws how often answers of a confidence are right: bars on the diagonal are honest. Circles are as large as
// their share of the answers.
func reliability(bins []risk.Bin) chart {
	c := chart{XTicks: shareTicks(), Empty: true}
	for i := 0; i <= 4; i++ {
		v := float64(i) / 4
		c.YTicks = append(c.YTicks, tick{At: y(v, 1), Label: shareTick(v)})
	}
	c.Line = "M" + point(x(0), y(0, 1)) + "L" + point(x(1), y(1, 1))
	total := 0
	for _, b := range bins {
		total += b.Count
	}
	for _, b := range bins {
		if b.Count == 0 {
			continue
		}
		c.Empty = false
		title := fmt.Sprintf("%d answers with mean confidence %s, right in %s", b.Count, percent(b.Confidence), percent(b.Accuracy))
		c.Bars = append(c.Bars, bar{X: x(b.Low) + 1, Y: y(b.Accuracy, 1), W: max(1, x(b.High)-x(b.Low)-2), H: round(bottom - y(b.Accuracy, 1)), Title: title})
		c.Circles = append(c.Circles, circle{X: x(b.Confidence), Y: y(b.Accuracy, 1), R: round(2 + 8*math.Sqrt(float64(b.Count)/float64(total))), Title: title})
	}
	return c
}

// coverage draws the error of the automated rows over their share, with the certified points on it.
func coverage(curve []eval.CurvePoint, automation []eval.Automation) chart {
	c := chart{XTicks: shareTicks(), Empty: len(curve) == 0}
	most := 0.0
	for _, p := range curve {
		most = max(most, p.Error)
	}
	for _, a := range automation {
		most = max(most, a.Alpha)
	}
	step := tickStep(most)
	most = max(step, math.Ceil(most*1.05/step)*step)
	for v := 0.0; v <= most+step/2; v += step {
		c.YTicks = append(c.YTicks, tick{At: y(v, most), Label: fineTick(v, step)})
	}
	var path strings.Builder
	for i, p := range curve {
		command := "L"
		if i == 0 {
			command = "M"
		}
		path.WriteString(command + point(x(p.Coverage), y(p.Error, most)))
	}
	c.Line = path.String()
	for _, a := range automation {
		if !a.Certified || a.AutomatedRows == 0 {
			continue
		}
		c.Guides = append(c.Guides, guide{Y: y(a.Alpha, most)})
		mark := circle{
			X: x(a.Share), Y: y(a.RealisedError, most), R: 5, Label: "≤ " + percent(a.Alpha), Anchor: "start",
			Title: fmt.Sprintf("certified error ≤ %s: %s automated, realised error %s", percent(a.Alpha), percent(a.Share), percent(a.RealisedError)),
		}
		// The curve rises, so there is room below at the right; above at the left where the axis or the edge is near.
		mark.LabelX, mark.LabelY = mark.X+6, mark.Y+14
		if mark.LabelY > bottom-2 || mark.X > right-40 {
			mark.Anchor, mark.LabelX, mark.LabelY = "end", mark.X-6, mark.Y-8
		}
		if mark.Anchor == "end" && mark.LabelX < left+30 {
			mark.Anchor, mark.LabelX = "start", mark.X+2
		}
		c.Circles = append(c.Circles, mark)
	}
	return c
}

// tickStep returns a step of 1, 2 or 5 times a power of ten that gives three to six ticks.
func tickStep(most float64) float64 {
	if most <= 0 {
		return 0.01
	}
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{0.2, 0.5, 1} {
		if most/(step*f) <= 5 {
			return step * f
		}
	}
	return step * 2
}

// heat is a confusion matrix with shades by row.
type heat struct {
	Labels []string
	Rows   []heatRow
}

type heatRow struct {
	Label string
	Cells []cell
}

type cell struct {
	Count    string  // empty for 0
	Shade    float64 // share of the row, 0 to 1
	Diagonal bool
	Title    string
}

func heatMap(m *eval.Matrix) heat {
	if m == nil {
		return heat{}
	}
	h := heat{}
	for _, l := range m.Labels {
		h.Labels = append(h.Labels, shorten(l, 24))
	}
	for i, counts := range m.Counts {
		total := 0
		for _, n := range counts {
			total += n
		}
		row := heatRow{Label: h.Labels[i]}
		for j, n := range counts {
			c := cell{Diagonal: i == j, Title: fmt.Sprintf("%d rows of %s answered as %s", n, m.Labels[i], m.Labels[j])}
			if n > 0 {
				c.Count, c.Shade = fmt.Sprint(n), round(float64(n)/float64(total)*100)/100
				c.Shade = max(0.06, c.Shade)
			}
			row.Cells = append(row.Cells, c)
		}
		h.Rows = append(h.Rows, row)
	}
	return h
}

func shorten(s string, most int) string {
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
