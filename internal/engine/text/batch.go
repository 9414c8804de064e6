package text

import (
	"sort"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// batch is the room for the gradients of one mini-batch.
type batch struct {
	t         *trainer
	gradients []float32
	losses    []float64
}

func newBatch(t *trainer) *batch {
	return &batch{t: t, gradients: make([]float32, t.s.Batch*t.width), losses: make([]float64, t.s.Batch)}
}

const (
	// tiny gradients are left out: they are most of the gradients of a model that has learned, and least of its progress.
	tiny = 1e-3
	// biasRate slows the bias down, which sees every row where a weight sees few.
	biasRate = 0.1
)

// step descends along the gradients of the rows and returns the sum of their losses before it.
func (b *batch) step(rows []int, rate float64) float64 {
	t := b.t
	scale := t.scale
	for range rows {
		scale *= 1 - float64(rate*t.s.L2)
	}
	k := float32(-rate / scale)
	n := min(cores(), len(rows))
	parallel(n, func(w int) {
		for j := w; j < len(rows); j += n {
			g := b.gradients[j*t.width:][:t.width]
			labels := t.rows[rows[j]].Labels
			t.forward(t.train, rows[j], g)
			b.losses[j] = t.gradient(g, labels)
			factor := k
			if t.s.Task == engine.Multiclass {
				factor *= t.weight[labels[0]]
			}
			for l, x := range g {
				if x > -tiny && x < tiny {
					g[l] = 0
				} else {
					g[l] = x * factor
				}
			}
		}
	})
	t.scale = scale
	ranges := len(t.cuts) - 1
	parallel(ranges, func(w int) {
		for j, row := range rows {
			a, z := t.train.start[row], t.train.start[row+1]
			ids := t.train.ids[a:z]
			from := sort.Search(len(ids), func(i int) bool { return ids[i] >= t.cuts[w] })
			to := sort.Search(len(ids), func(i int) bool { return ids[i] >= t.cuts[w+1] })
			scatter(t.weights, b.gradients[j*t.width:][:t.width], ids[from:to], t.train.vals[a+from:a+to])
		}
	})
	var loss float64
	for j := range rows {
		loss += b.losses[j]
		for l, x := range b.gradients[j*t.width:][:t.width] {
			t.bias[l] += float32(x * float32(scale*biasRate))
		}
	}
	if t.scale < 1e-4 { // before the stored weights grow out of single precision
		for i := range t.weights {
			t.weights[i] *= float32(t.scale)
		}
		t.scale = 1
	}
	return loss
}
