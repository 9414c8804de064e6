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
	visited   []visit
	steps     uint64
}

// visit is a row as one step sees it.
type visit struct {
	ids  []uint32
	vals []float32
}

func newBatch(t *trainer) *batch {
	n := t.s.Batch
	return &batch{t: t, gradients: make([]float32, n*t.width), losses: make([]float64, n), visited: make([]visit, n)}
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
	b.steps++
	scale := t.scale
	for range rows {
		scale *= 1 - float64(rate*t.s.L2)
	}
	k := float32(-rate / scale)
	n := min(threads(), len(rows))
	parallel(n, func(w int) {
		for j := w; j < len(rows); j += n {
			g := b.gradients[j*t.width:][:t.width]
			labels := t.rows[rows[j]].Labels
			b.visit(j, rows[j])
			t.logits(b.visited[j].ids, b.visited[j].vals, g)
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
		for j := range rows {
			ids := b.visited[j].ids
			from := sort.Search(len(ids), func(i int) bool { return ids[i] >= t.cuts[w] })
			to := sort.Search(len(ids), func(i int) bool { return ids[i] >= t.cuts[w+1] })
			scatter(t.weights, b.gradients[j*t.width:][:t.width], ids[from:to], b.visited[j].vals[from:to])
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

// visit leaves out a random share of the row's entries and makes the others larger by as much (dropout, as Wager, Wang and
// Liang study it for such models, 2013). What is left out depends on seed, step and row, not on who does the work.
func (b *batch) visit(j, row int) {
	t := b.t
	from, to := t.train.start[row], t.train.start[row+1]
	v := &b.visited[j]
	if t.dropout == 0 {
		v.ids, v.vals = t.train.ids[from:to], t.train.vals[from:to]
		return
	}
	v.ids, v.vals = v.ids[:0], v.vals[:0]
	state := t.s.Seed ^ b.steps<<32 ^ uint64(row)
	limit, larger := uint64(t.dropout*(1<<16)), float32(1/(1-t.dropout))
	var bits uint64
	for i := from; i < to; i++ {
		if (i-from)%4 == 0 {
			bits = next(&state)
		}
		if bits&0xffff >= limit {
			v.ids, v.vals = append(v.ids, t.train.ids[i]), append(v.vals, float32(t.train.vals[i]*larger))
		}
		bits >>= 16
	}
}
