package record

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

func TestMinimiseFindsTheMinimum(t *testing.T) {
	t.Parallel()
	x := []float64{-1.2, 1, -1.2, 1} // two valleys of Rosenbrock's function
	f := func(x, g []float64) float64 {
		sum := 0.0
		for i := 0; i < len(x); i += 2 {
			a, b := 1-x[i], x[i+1]-x[i]*x[i]
			sum += a*a + 100*b*b
			g[i], g[i+1] = -2*a-400*x[i]*b, 200*b
		}
		return sum
	}
	last := math.Inf(1)
	err := minimise(context.Background(), x, 500, f, func(_ int, value float64) bool {
		if value > last {
			t.Errorf("value rose from %g to %g", last, value)
		}
		last = value
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range x {
		if math.Abs(v-1) > 1e-3 {
			t.Errorf("minimum at %v, want all 1", x)
		}
	}
}

func TestGradientOfEveryObjective(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(9, 10))
	columns := []column{{kind: engine.Bool}, {kind: engine.Number, bounds: []float64{1, 2}}}
	for _, goal := range []objective{newObjective(engine.Multiclass, 2), newObjective(engine.Multiclass, 4), newObjective(engine.Multilabel, 3)} {
		data := &table{rows: 50, bins: [][]uint8{make([]uint8, 50), make([]uint8, 50)}, labels: labels{count: goal.labels}}
		for i := range data.rows {
			data.bins[0][i], data.bins[1][i] = uint8(random.IntN(3)), uint8(random.IntN(4))
			if goal.task == engine.Multiclass {
				data.labels.class = append(data.labels.class, int32(random.IntN(goal.labels)))
			} else {
				for range goal.labels {
					data.labels.flags = append(data.labels.flags, uint8(random.IntN(2)))
				}
			}
		}
		at, total := offsets(columns)
		p := &problem{goal: goal, data: data, offsets: at, rows: total, l2: 0.1, workers: 2}
		x, g, waste := make([]float64, (total+1)*goal.outputs), make([]float64, (total+1)*goal.outputs), make([]float64, (total+1)*goal.outputs)
		for i := range x {
			x[i] = random.NormFloat64()
		}
		p.gradient(x, g)
		for i := range x {
			const step = 1e-5
			kept := x[i]
			x[i] = kept + step
			up := p.gradient(x, waste)
			x[i] = kept - step
			down := p.gradient(x, waste)
			x[i] = kept
			if want := (up - down) / (2 * step); math.Abs(want-g[i]) > 1e-6 {
				t.Fatalf("%+v: derivative %d is %g, measured %g", goal, i, g[i], want)
			}
		}
	}
}
