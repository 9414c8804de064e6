package chart_test

import (
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/chart"
)

func TestTicksAreRoundAndFew(t *testing.T) {
	t.Parallel()
	for _, most := range []float64{1e-6, 0.003, 0.0101, 0.05, 0.1, 0.37, 1, 17} {
		step := chart.TickStep(most)
		if n := most / step; n < 1 || n > 5.0001 {
			t.Errorf("%v has %v steps of %v", most, n, step)
		}
	}
	if chart.TickStep(0) <= 0 {
		t.Error("no step for nothing")
	}
}

func live(hours ...float64) []chart.LivePoint {
	begin := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	out := make([]chart.LivePoint, len(hours))
	for i, h := range hours {
		out[i] = chart.LivePoint{
			Time: begin.Add(time.Duration(h * float64(time.Hour))), Value: 0.02, Lower: 0.01, Upper: 0.9 / float64(i+1), Limit: 0.05, Count: int64(10 * (i + 1)), Series: "a",
		}
	}
	return out
}

func TestALiveErrorFitsItsFrame(t *testing.T) {
	t.Parallel()
	for name, points := range map[string][]chart.LivePoint{"one point": live(0), "one moment": live(1, 1, 1), "a day": live(0, 5, 24), "years": live(0, 9000, 20000)} {
		c := chart.Live(points)
		if c.Empty || len(c.XTicks) != 3 || len(c.YTicks) < 2 {
			t.Errorf("%s: %+v", name, c)
		}
		for _, path := range []string{c.Line, c.Area, c.Limit} {
			if path == "" || strings.Contains(path, "NaN") || strings.Contains(path, "Inf") {
				t.Errorf("%s: path %q", name, path)
			}
			for _, at := range strings.FieldsFunc(path, func(r rune) bool { return r == 'M' || r == 'L' || r == 'Z' }) {
				x, y, ok := strings.Cut(at, " ")
				if !ok || !within(x, chart.Left, chart.Right) || !within(y, chart.Top-0.1, chart.Bottom+0.1) {
					t.Errorf("%s: %q is outside of the frame", name, at)
				}
			}
		}
	}
	if !chart.Live(nil).Empty {
		t.Error("nothing is drawn as something")
	}
}

func within(s string, least, most float64) bool {
	d, err := time.ParseDuration(s + "s")
	return err == nil && d.Seconds() >= least && d.Seconds() <= most
}

func TestAnotherSeriesBeginsACurveOfItsOwn(t *testing.T) {
	t.Parallel()
	points := live(0, 1, 2, 3)
	points[2].Series, points[3].Series = "b", "b"
	points[2].Limit, points[3].Limit = 0.02, 0.02
	c := chart.Live(points)
	if strings.Count(c.Line, "M") != 2 || strings.Count(c.Area, "Z") != 2 || len(c.Circles) != 2 {
		t.Errorf("curves %q, bands %q, %d ends", c.Line, c.Area, len(c.Circles))
	}
	if !strings.Contains(c.Circles[1].Title, "at most 2 % is promised") {
		t.Errorf("the end says %q", c.Circles[1].Title)
	}
}

func TestCurvesOfTwoVersionsShareTheirAxis(t *testing.T) {
	t.Parallel()
	a := []chart.CurvePoint{{Coverage: 0.1, Error: 0}, {Coverage: 1, Error: 0.1}}
	b := []chart.CurvePoint{{Coverage: 0.1, Error: 0}, {Coverage: 1, Error: 0.4}}
	both, alone := chart.Coverage(a, b, nil), chart.Coverage(a, nil, nil)
	if both.Second == "" || both.Line == alone.Line {
		t.Errorf("the axis was made for one curve: %q, %q", both.Line, alone.Line)
	}
	if !chart.Coverage(nil, nil, nil).Empty {
		t.Error("nothing is drawn as something")
	}
}
