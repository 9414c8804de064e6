// Package chart computes plots in SVG units, for pages that draw them on the server and load nothing. It knows axes, curves and bands; what they mean and how they look is the
// business of whoever draws them.
package chart

import (
	"fmt"
	"math"
	"strings"
)

// Size of every plot in SVG units, with room for ticks at the left and below. Templates write the numbers themselves: a viewBox of 344 × 250, lines from 46 to 322.
const (
	Left, Right = 46.0, 322.0
	Top, Bottom = 12.0, 210.0
)

// Chart is a plot in SVG units, ready to be drawn.
type Chart struct {
	Empty   bool
	XTicks  []Tick
	YTicks  []Tick
	Line    string // path data
	Second  string // path data of a second curve; empty for none
	Area    string // path data of a band around the curve; empty for none
	Limit   string // path data of a limit, which may have steps; empty for none
	Bars    []Bar
	Circles []Circle
	Guides  []Guide
}

// Tick is a labelled place on an axis.
type Tick struct {
	At    float64
	Label string
}

// Bar is a rectangle.
type Bar struct {
	X, Y, W, H float64
	Title      string
}

// Circle is a point with a size and, where it is named, a label beside it.
type Circle struct {
	X, Y, R float64
	Label   string
	Title   string
	Anchor  string // text-anchor of the label
	LabelX  float64
	LabelY  float64
}

// Guide is a dashed horizontal line.
type Guide struct{ Y float64 }

// X places a share of the width, 0 to 1.
func X(v float64) float64 { return round(Left + v*(Right-Left)) }

// Y places a value on an axis that ends at most.
func Y(v, most float64) float64 { return round(Bottom - v/most*(Bottom-Top)) }

func round(v float64) float64     { return math.Round(v*10) / 10 }
func point(px, py float64) string { return fmt.Sprintf("%.1f %.1f", px, py) }

// path joins points to path data.
type path struct{ strings.Builder }

func (p *path) to(px, py float64) {
	command := "L"
	if p.Len() == 0 {
		command = "M"
	}
	p.WriteString(command + point(px, py))
}

// jump begins anew elsewhere.
func (p *path) jump(px, py float64) { p.WriteString("M" + point(px, py)) }

// Percent writes a share with at most one decimal: 0.051 as "5.1 %".
func Percent(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", 100*v), ".0") + " %"
}

// shareTicks are the quarters of a share on the horizontal axis.
func shareTicks() []Tick {
	var out []Tick
	for i := range 5 {
		v := float64(i) / 4
		out = append(out, Tick{At: X(v), Label: fmt.Sprintf("%.0f %%", 100*v)})
	}
	return out
}

// errorAxis returns the ticks of an axis of error rates from 0, and where it ends: at or a little above most.
func errorAxis(most float64) ([]Tick, float64) {
	step := TickStep(most)
	end := max(step, math.Ceil(most*1.05/step)*step)
	decimals := 0
	if step*100 < 1 {
		decimals = 1
	}
	var out []Tick
	for v := 0.0; v <= end+step/2; v += step {
		out = append(out, Tick{At: Y(v, end), Label: fmt.Sprintf("%.*f %%", decimals, 100*v)})
	}
	return out, end
}

// TickStep returns a step of 1, 2 or 5 times a power of ten that gives three to six ticks from 0 to most.
func TickStep(most float64) float64 {
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
