package record

import (
	"context"
	"fmt"
	"math"
)

// memory is the number of past steps from which minimise estimates the curvature.
const memory = 8

// step is one past step: how far x moved, how much the gradient changed, and the inverse of their product.
type step struct {
	x, g []float64
	rho  float64
}

// minimise moves x to a minimum of a smooth convex function by L-BFGS (Nocedal and Wright, Numerical Optimization, 2nd edition,
// algorithm 7.4) with halving line search. f returns the value at x and writes the gradient; after hears of each step and
// returns false to end early.
func minimise(ctx context.Context, x []float64, steps int, f func(x, g []float64) float64, after func(round int, value float64) bool) error {
	g, trial, trialG, dir := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
	value := f(x, g)
	var past []step
	for round := 1; round <= steps; round++ {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("train linear model: %w", err)
		}
		direction(g, past, dir)
		slope := dot(g, dir)
		if !(slope < -1e-14) { // also stops at NaN
			return nil
		}
		size := 1.0
		if len(past) == 0 {
			size = 1 / max(1e-3, math.Sqrt(dot(g, g)))
		}
		next, ok := 0.0, false
		for range 30 {
			for i := range x {
				trial[i] = x[i] + size*dir[i]
			}
			next = f(trial, trialG)
			if ok = next <= value+1e-4*size*slope; ok {
				break
			}
			size /= 2
		}
		if !ok {
			return nil // as low as rounding allows
		}
		past = remember(past, x, trial, g, trialG)
		copy(x, trial)
		copy(g, trialG)
		gain := value - next
		value = next
		if !after(round, value) || gain < 1e-9*max(1, math.Abs(value)) {
			return nil
		}
	}
	return nil
}

// direction writes the negative gradient, scaled by the estimated inverse curvature, into dir.
func direction(g []float64, past []step, dir []float64) {
	for i, v := range g {
		dir[i] = -v
	}
	alpha := make([]float64, len(past))
	for i := len(past) - 1; i >= 0; i-- {
		alpha[i] = past[i].rho * dot(past[i].x, dir)
		add(dir, -alpha[i], past[i].g)
	}
	if n := len(past); n > 0 {
		last := past[n-1]
		scale := 1 / (last.rho * dot(last.g, last.g))
		for i := range dir {
			dir[i] *= scale
		}
	}
	for i, s := range past {
		add(dir, alpha[i]-s.rho*dot(s.g, dir), s.x)
	}
}

func remember(past []step, x, nextX, g, nextG []float64) []step {
	var s step
	if len(past) == memory {
		s = past[0]
		copy(past, past[1:])
		past = past[:memory-1]
	} else {
		s = step{x: make([]float64, len(x)), g: make([]float64, len(x))}
	}
	for i := range x {
		s.x[i], s.g[i] = nextX[i]-x[i], nextG[i]-g[i]
	}
	curvature := dot(s.x, s.g)
	if curvature <= 1e-12*dot(s.g, s.g) {
		return past // too flat to learn the curvature from
	}
	s.rho = 1 / curvature
	return append(past, s)
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

func add(to []float64, factor float64, what []float64) {
	for i, v := range what {
		to[i] += factor * v
	}
}
