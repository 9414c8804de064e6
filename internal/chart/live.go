package chart

import (
	"fmt"
	"slices"
	"time"
)

// LivePoint is what was known of a live error at a time.
type LivePoint struct {
	Time                time.Time
	Value, Lower, Upper float64 // 0 to 1
	Limit               float64 // what was promised then
	Count               int64   // audits behind it
	Series              string  // points of one series are joined; another one begins anew
}

// Live draws an error over time with its interval and the limit that was promised. Points must be in order of their time. The axis ends at twice the largest limit or at the largest value, whichever
// is more: the intervals of the first audits reach far above and would hide all that comes later.
func Live(points []LivePoint) Chart {
	c := Chart{Empty: len(points) == 0}
	if c.Empty {
		return c
	}
	from, to := points[0].Time, points[len(points)-1].Time
	if to.Sub(from) < time.Second { // one audit has no width
		from, to = from.Add(-time.Second), to.Add(time.Second)
	}
	most := 0.0
	for _, p := range points {
		most = max(most, p.Value, 2*p.Limit, p.Lower)
	}
	c.YTicks, most = errorAxis(most)
	at := func(t time.Time) float64 { return X(t.Sub(from).Seconds() / to.Sub(from).Seconds()) }
	high := func(v float64) float64 { return Y(min(v, most), most) }
	c.XTicks = timeTicks(from, to, at)
	var line, limit, area path
	for start := 0; start < len(points); {
		end := start + 1
		for end < len(points) && points[end].Series == points[start].Series {
			end++
		}
		series := points[start:end]
		for i, p := range series {
			x := at(p.Time)
			if i == 0 {
				line.jump(x, high(p.Value))
				limit.jump(x, high(p.Limit))
				area.jump(x, high(p.Upper))
				continue
			}
			line.to(x, high(p.Value))
			limit.to(x, high(p.Limit))
			area.to(x, high(p.Upper))
		}
		if end < len(points) { // the promise held until the next series began
			limit.to(at(points[end].Time), high(series[len(series)-1].Limit))
		}
		for _, p := range slices.Backward(series) {
			area.to(at(p.Time), high(p.Lower))
		}
		area.WriteString("Z")
		last := series[len(series)-1]
		c.Circles = append(c.Circles, Circle{
			X: at(last.Time), Y: high(last.Value), R: 4,
			Title: fmt.Sprintf("%s: %s, between %s and %s, from %d audits; at most %s is promised", last.Time.UTC().Format("2006-01-02 15:04 UTC"), Percent(last.Value), Percent(last.Lower),
				Percent(last.Upper), last.Count, Percent(last.Limit)),
		})
		start = end
	}
	c.Line, c.Limit, c.Area = line.String(), limit.String(), area.String()
	return c
}

// timeTicks are the ends and the middle of a time, written as finely as it is long.
func timeTicks(from, to time.Time, at func(time.Time) float64) []Tick {
	layout := "15:04:05"
	switch d := to.Sub(from); {
	case d > 400*24*time.Hour:
		layout = "2006-01"
	case d > 48*time.Hour:
		layout = "01-02"
	case d > 12*time.Hour:
		layout = "01-02 15h"
	case d > 10*time.Minute:
		layout = "15:04"
	}
	var out []Tick
	for _, t := range []time.Time{from, from.Add(to.Sub(from) / 2), to} {
		out = append(out, Tick{At: at(t), Label: t.UTC().Format(layout)})
	}
	return out
}
