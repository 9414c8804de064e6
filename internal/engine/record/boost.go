package record

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
)

// forest is a gradient-boosted ensemble: trees[r*outputs+k] is the tree of round r for output k.
type forest struct {
	bias  []float64
	trees []*tree
}

// minColumns is the smallest number of columns of a tree: with fewer, what only two columns together tell would be missed.
const minColumns = 6

// booster trains a forest (Friedman 2001) on second derivatives (Chen and Guestrin 2016) with histograms (Ke et al. 2017).
type booster struct {
	columns     []column
	data, valid *table
	goal        objective
	s           Settings
	workers     int

	usable      []int // columns with at least two bins in use
	scores      []float64
	validScores []float64
	derivatives [][]derivative
	growers     chan *grower
}

// trainTrees boosts until the validation loss has not improved for s.Patience rounds, and keeps the rounds up to the best.
func trainTrees(ctx context.Context, columns []column, data, valid *table, goal objective, s Settings, report func(Progress)) (*forest, float64, int, error) {
	b := &booster{columns: columns, data: data, valid: valid, goal: goal, s: s, workers: workers(s.Workers)}
	bias := b.prepare()
	f := &forest{bias: bias}
	bestLoss, bestRound := math.Inf(1), 0
	if valid.rows > 0 {
		bestLoss, _ = b.measure()
	}
	for round := 1; round <= s.Rounds && len(b.usable) > 0; round++ {
		if err := ctx.Err(); err != nil {
			return nil, 0, 0, fmt.Errorf("train trees: %w", err)
		}
		loss := b.differentiate()
		trees := b.round(round)
		f.trees = append(f.trees, trees...)
		validLoss, accuracy := b.measure()
		report(Progress{Method: Trees, Round: round, MaxRounds: s.Rounds, Loss: loss, ValidLoss: validLoss, ValidAccuracy: accuracy})
		if valid.rows == 0 {
			validLoss = loss
		}
		if validLoss < bestLoss-1e-7 {
			bestLoss, bestRound = validLoss, round
		}
		if round-bestRound >= s.Patience || idle(trees) && len(b.usable) <= minColumns {
			break
		}
	}
	f.trees = f.trees[:bestRound*goal.outputs]
	return f, bestLoss, bestRound, nil
}

// idle says that no tree could divide its rows.
func idle(trees []*tree) bool {
	for _, t := range trees {
		if len(t.nodes) > 1 {
			return false
		}
	}
	return true
}

func (b *booster) prepare() (bias []float64) {
	for c, bins := range b.data.bins {
		for _, v := range bins {
			if v != bins[0] {
				b.usable = append(b.usable, c)
				break
			}
		}
	}
	outputs := b.goal.outputs
	bias = b.goal.prior(&b.data.labels, b.data.rows)
	b.scores, b.validScores = make([]float64, b.data.rows*outputs), make([]float64, b.valid.rows*outputs)
	for i := range b.scores {
		b.scores[i] = bias[i%outputs]
	}
	for i := range b.validScores {
		b.validScores[i] = bias[i%outputs]
	}
	b.derivatives = make([][]derivative, outputs)
	for k := range b.derivatives {
		b.derivatives[k] = make([]derivative, b.data.rows)
	}
	// One output: its columns are divided among the cores. Several: one core a tree.
	growers, inside := min(b.workers, outputs), 1
	if growers == 1 {
		inside = b.workers
	}
	b.growers = make(chan *grower, growers)
	for range growers {
		b.growers <- newGrower(b.columns, b.data, b.s, inside)
	}
	return bias
}

// differentiate computes the derivatives of the loss at the scores, and returns the mean loss.
func (b *booster) differentiate() float64 {
	outputs := b.goal.outputs
	factor := 1.0
	if b.goal.softmax() {
		factor = float64(outputs) / float64(outputs-1) // the diagonal alone would understate the curvature
	}
	loss := chunks(b.workers, b.data.rows, func(from, to int) float64 {
		z, sum := make([]float64, outputs), 0.0
		for i := from; i < to; i++ {
			copy(z, b.scores[i*outputs:])
			l, _ := b.goal.evaluate(z, &b.data.labels, i)
			sum += l
			for k, p := range z {
				b.derivatives[k][i] = derivative{
					g: float32(p - b.goal.target(&b.data.labels, i, k)),
					h: float32(factor * p * (1 - p)),
				}
			}
		}
		return sum
	})
	return loss / float64(b.data.rows)
}

// round grows one tree for each output and moves all scores.
func (b *booster) round(round int) []*tree {
	outputs := b.goal.outputs
	trees := make([]*tree, outputs)
	each(b.workers, outputs, func(k int) {
		g := <-b.growers
		defer func() { b.growers <- g }()
		use := b.choose(round*outputs + k)
		trees[k] = g.grow(b.derivatives[k], use, b.scores[k:], outputs)
		for i := range b.valid.rows {
			b.validScores[i*outputs+k] += trees[k].answer(b.valid.bins, i)
		}
	})
	return trees
}

// choose draws the columns of one tree.
func (b *booster) choose(tree int) []int {
	n := max(minColumns, int(math.Ceil(b.s.ColumnShare*float64(len(b.usable)))))
	if n >= len(b.usable) {
		return b.usable
	}
	random := rand.New(rand.NewPCG(b.s.Seed, uint64(tree)))
	use := make([]int, 0, n)
	for i, c := range b.usable { // selection sampling keeps the order
		if random.IntN(len(b.usable)-i) < n-len(use) {
			use = append(use, c)
		}
	}
	return use
}

// measure returns the mean loss and accuracy on the validation rows, NaN when there are none.
func (b *booster) measure() (loss, accuracy float64) {
	if b.valid.rows == 0 {
		return math.NaN(), math.NaN()
	}
	outputs := b.goal.outputs
	rights := make([]float64, (b.valid.rows+chunkRows-1)/chunkRows)
	loss = chunks(b.workers, b.valid.rows, func(from, to int) float64 {
		z, sum := make([]float64, outputs), 0.0
		for i := from; i < to; i++ {
			copy(z, b.validScores[i*outputs:])
			l, right := b.goal.evaluate(z, &b.valid.labels, i)
			sum += l
			rights[from/chunkRows] += right
		}
		return sum
	})
	for _, r := range rights {
		accuracy += r
	}
	return loss / float64(b.valid.rows), accuracy / float64(b.valid.rows)
}
