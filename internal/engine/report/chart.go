package report

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/chart"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// reliability draws how often answers of a confidence are right.
func reliability(bins []risk.Bin) chart.Chart {
	out := make([]chart.Bin, len(bins))
	for i, b := range bins {
		out[i] = chart.Bin{Low: b.Low, High: b.High, Count: b.Count, Confidence: b.Confidence, Accuracy: b.Accuracy}
	}
	return chart.Reliability(out)
}

// coverage draws the error of the automated rows over their share, with the certified points on it.
func coverage(curve []eval.CurvePoint, automation []eval.Automation) chart.Chart {
	points := make([]chart.CurvePoint, len(curve))
	for i, p := range curve {
		points[i] = chart.CurvePoint(p)
	}
	var promised []chart.Promised
	for _, a := range automation {
		if a.Certified && a.AutomatedRows > 0 {
			promised = append(promised, chart.Promised{Alpha: a.Alpha, Share: a.Share, RealisedError: a.RealisedError})
		}
	}
	return chart.Coverage(points, nil, promised)
}

func round(v float64) float64 { return math.Round(v*10) / 10 }

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
