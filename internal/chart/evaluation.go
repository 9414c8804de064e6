package chart

import (
	"fmt"
	"math"
)

// Bin is a range of confidences: how many answers had one in it, and how many of these were right.
type Bin struct {
	Low        float64 `json:"low"`
	High       float64 `json:"high"`
	Count      int     `json:"count"`
	Confidence float64 `json:"confidence"`
	Accuracy   float64 `json:"accuracy"`
}

// Reliability draws how often answers of a confidence are right: bars on the diagonal are honest. Circles are as large as
// their share of the answers.
func Reliability(bins []Bin) Chart {
	c := Chart{XTicks: shareTicks(), Empty: true}
	for i := range 5 {
		v := float64(i) / 4
		c.YTicks = append(c.YTicks, Tick{At: Y(v, 1), Label: fmt.Sprintf("%.0f %%", 100*v)})
	}
	c.Line = "M" + point(X(0), Y(0, 1)) + "L" + point(X(1), Y(1, 1))
	total := 0
	for _, b := range bins {
		total += b.Count
	}
	for _, b := range bins {
		if b.Count == 0 {
			continue
		}
		c.Empty = false
		title := fmt.Sprintf("%d answers with mean confidence %s, right in %s", b.Count, Percent(b.Confidence), Percent(b.Accuracy))
		c.Bars = append(c.Bars, Bar{X: X(b.Low) + 1, Y: Y(b.Accuracy, 1), W: max(1, X(b.High)-X(b.Low)-2), H: round(Bottom - Y(b.Accuracy, 1)), Title: title})
		c.Circles = append(c.Circles, Circle{X: X(b.Confidence), Y: Y(b.Accuracy, 1), R: round(2 + 8*math.Sqrt(float64(b.Count)/float64(total))), Title: title})
	}
	return c
}

// CurvePoint is a share of the rows, the surest first, and the error among them.
type CurvePoint struct {
	Coverage  float64 `json:"coverage"`
	Error     float64 `json:"error"`
	Threshold float64 `json:"threshold"`
}

// Promised is a certified point of a curve: the promised error, the share that is automated at it, and the error that was realised.
type Promised struct {
	Alpha, Share, RealisedError float64
}

// Coverage draws the error of the automated rows over their share, with the certified points on it. second is the curve of another version; nil for none.
func Coverage(curve, second []CurvePoint, promised []Promised) Chart {
	c := Chart{XTicks: shareTicks(), Empty: len(curve) == 0 && len(second) == 0}
	most := 0.0
	for _, p := range curve {
		most = max(most, p.Error)
	}
	for _, p := range second {
		most = max(most, p.Error)
	}
	for _, p := range promised {
		most = max(most, p.Alpha)
	}
	c.YTicks, most = errorAxis(most)
	c.Line, c.Second = curvePath(curve, most), curvePath(second, most)
	for _, p := range promised {
		c.Guides = append(c.Guides, Guide{Y: Y(p.Alpha, most)})
		mark := Circle{
			X: X(p.Share), Y: Y(p.RealisedError, most), R: 5, Label: "≤ " + Percent(p.Alpha), Anchor: "start",
			Title: fmt.Sprintf("certified error ≤ %s: %s automated, realised error %s", Percent(p.Alpha), Percent(p.Share), Percent(p.RealisedError)),
		}
		// The curve rises, so there is room below at the right; above at the left where the axis or the edge is near.
		mark.LabelX, mark.LabelY = mark.X+6, mark.Y+14
		if mark.LabelY > Bottom-2 || mark.X > Right-40 {
			mark.Anchor, mark.LabelX, mark.LabelY = "end", mark.X-6, mark.Y-8
		}
		if mark.Anchor == "end" && mark.LabelX < Left+30 {
			mark.Anchor, mark.LabelX = "start", mark.X+2
		}
		c.Circles = append(c.Circles, mark)
	}
	return c
}

func curvePath(curve []CurvePoint, most float64) string {
	var p path
	for _, at := range curve {
		p.to(X(at.Coverage), Y(at.Error, most))
	}
	return p.String()
}
