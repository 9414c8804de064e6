package summary

import (
	"fmt"
	"math"
	"strings"
)

// The plotting area in SVG units.
const (
	left, right = 46.0, 490.0
	top, bottom = 12.0, 190.0
)

// plot is lines over the hours of a day.
type plot struct {
	Empty          bool
	XTicks, YTicks []tick
	Lines          []line
}

type tick struct {
	At    float64
	Label string
}

type line struct {
	Class, Path, Name string
	X, Y              float64 // of the name
}

// hoursPlot draws counts over time. Areas go down to the axis.
func hoursPlot(hours []Hour, lines []struct {
	class, name string
	area        bool
	of          func(Hour) float64
},
) plot {
	if len(hours) < 2 {
		return plot{Empty: true}
	}
	begin, end := hours[0].Time, hours[len(hours)-1].Time
	most := 1.0
	for _, h := range hours {
		for _, l := range lines {
			most = max(most, l.of(h))
		}
	}
	step := niceStep(most)
	most = math.Ceil(most/step) * step
	x := func(h Hour) float64 { return left + (right-left)*h.Time.Sub(begin).Hours()/end.Sub(begin).Hours() }
	y := func(v float64) float64 { return bottom - v/most*(bottom-top) }
	p := plot{}
	for v := 0.0; v <= most+step/2; v += step {
		p.YTicks = append(p.YTicks, tick{y(v), number(int(v))})
	}
	every := 2
	if end.Sub(begin).Hours() > 16 {
		every = 4
	}
	for t := begin.Truncate(3600e9); !t.After(end); t = t.Add(3600e9) {
		if !t.Before(begin) && t.Hour()%every == 0 {
			p.XTicks = append(p.XTicks, tick{x(Hour{Time: t}), clock(t)})
		}
	}
	for _, l := range lines {
		var path strings.Builder
		for i, h := range hours {
			fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], x(h), y(l.of(h)))
		}
		if l.area {
			fmt.Fprintf(&path, "L%.1f %.1fL%.1f %.1fZ", right, bottom, left, bottom)
		}
		p.Lines = append(p.Lines, line{Class: l.class, Path: path.String(), Name: l.name, X: right + 6, Y: y(l.of(hours[len(hours)-1])) + 4})
	}
	return p
}

func dayPlot(hours []Hour) plot {
	return hoursPlot(hours, []struct {
		class, name string
		area        bool
		of          func(Hour) float64
	}{
		{"all", "inquiries", false, func(h Hour) float64 { return float64(h.Inquiries) }},
		{"auto", "by itself", false, func(h Hour) float64 { return float64(h.Automated) }},
		{"hand", "by people", false, func(h Hour) float64 { return float64(h.Closed) }},
	})
}

func queuePlot(hours []Hour) plot {
	return hoursPlot(hours, []struct {
		class, name string
		area        bool
		of          func(Hour) float64
	}{{"wait", "", true, func(h Hour) float64 { return float64(h.Waiting) }}})
}

// niceStep returns a step of 1, 2 or 5 times a power of ten that gives three to six ticks.
func niceStep(most float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(most)))
	for _, f := range []float64{0.2, 0.5, 1} {
		if most/(step*f) <= 5 {
			return max(step*f, 1.0/1000)
		}
	}
	return step * 2
}

// ranges are estimates with their intervals, one under the other, on an axis of shares.
type ranges struct {
	Height float64
	Axis   float64 // where the ticks stand
	XTicks []tick
	Rows   []rangeRow
	Guide  float64 // x of a limit; 0 for none
	Limit  string
}

type rangeRow struct {
	Name, Value string
	Y           float64
	Low, High   float64 // x; equal when there is no interval
	At          float64
	Truth       float64 // x of what is true; 0 for none
	Title       string
	Exact       bool
}

// rangeLeft leaves room for names, rangeRight for values.
const rangeLeft, rangeRight, rangeStep = 150.0, 440.0, 30.0

type estimate struct {
	name             string
	at, low, high    float64
	truth            float64
	hasTruth, noSpan bool
}

func drawRanges(all []estimate, limit float64) ranges {
	most := max(0.01, limit*1.2)
	for _, e := range all {
		most = max(most, e.high, e.at, e.truth)
	}
	step := niceStep(most*100) / 100
	most = math.Ceil(most/step-1e-9) * step
	x := func(v float64) float64 { return rangeLeft + v/most*(rangeRight-rangeLeft) }
	r := ranges{Axis: rangeStep*float64(len(all)) + 24, Height: rangeStep*float64(len(all)) + 46}
	for v := 0.0; v <= most+step/2; v += step {
		r.XTicks = append(r.XTicks, tick{x(v), whole(math.Round(v*1000) / 1000)})
	}
	if limit > 0 {
		r.Guide, r.Limit = x(limit), "≤ "+whole(limit)
	}
	for i, e := range all {
		row := rangeRow{Name: e.name, Value: percent(e.at), Y: rangeStep*float64(i) + 20, Low: x(e.low), High: x(e.high), At: x(e.at), Exact: e.noSpan}
		row.Title = fmt.Sprintf("%s: %s", e.name, percent(e.at))
		if !e.noSpan {
			row.Title += ", 95 % interval " + between(e.low, e.high)
		}
		if e.hasTruth {
			row.Truth = x(e.truth)
			row.Title += ", true " + percent(e.truth)
		}
		r.Rows = append(r.Rows, row)
	}
	return r
}

func errorRanges(r *Report) ranges {
	certLow, certHigh := Interval(int(r.Promise.Errors), int(r.Promise.Accepted), 0.05)
	return drawRanges([]estimate{
		{name: "certificate’s rows", at: share(r.Promise.Errors, r.Promise.Accepted), low: certLow, high: certHigh},
		{name: "true, by the labels", at: r.Automated.Error, noSpan: true},
		{name: "audits, as seen", at: r.Audits.Error, low: r.Audits.Low, high: r.Audits.High},
		{name: "audits, corrected", at: r.Audits.Corrected, low: r.Audits.CorrectedLow, high: r.Audits.CorrectedHigh},
	}, r.Promise.MaxError)
}

func peopleRanges(r *Report) ranges {
	var all []estimate
	for _, p := range r.People {
		all = append(all, estimate{name: p.Name, at: p.Estimated, low: p.Low, high: p.High, truth: p.Realised(), hasTruth: true})
	}
	return drawRanges(all, 0)
}
