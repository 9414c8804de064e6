package record

import (
	"context"
	"math"
)

// linear is logistic regression on one-hot bins: one weight for each bin of each column and each output. Missing is a bin as
// any other, so that being missing may itself be evidence.
type linear struct {
	bias    []float64 // an output each
	weights []float64 // bins of all columns × outputs
}

// problem is the sum over the training rows that the optimiser makes small, divided by their number.
type problem struct {
	goal    objective
	data    *table
	offsets []int
	rows    int // bins of all columns
	l2      float64
	workers int
	parts   [][]float64
}

// gradientParts is the number of partial gradients; fixed, see chunkRows.
const gradientParts = 8

func offsets(columns []column) (at []int, total int) {
	at = make([]int, len(columns))
	for i := range columns {
		at[i] = total
		total += columns[i].bins()
	}
	return at, total
}

// trainLinear minimises the L2-penalised log loss with L-BFGS, and keeps the step with the lowest loss on the validation rows.
func trainLinear(ctx context.Context, columns []column, data, valid *table, goal objective, s Settings, report func(Progress)) (*linear, float64, int, error) {
	at, total := offsets(columns)
	p := &problem{goal: goal, data: data, offsets: at, rows: total, l2: s.LinearL2 / float64(data.rows), workers: workers(s.Workers)}
	x := make([]float64, (total+1)*goal.outputs)
	copy(x, goal.prior(&data.labels, data.rows))
	best, bestLoss, bestRound, since := append([]float64(nil), x...), math.Inf(1), 0, 0
	err := minimise(ctx, x, s.Iterations, p.gradient, func(round int, loss float64) bool {
		validLoss, accuracy := p.measure(x, valid)
		report(Progress{Method: Linear, Round: round, MaxRounds: s.Iterations, Loss: loss, ValidLoss: validLoss, ValidAccuracy: accuracy})
		watched := validLoss
		if valid.rows == 0 {
			watched = loss
		}
		if watched < bestLoss-1e-7 {
			copy(best, x)
			bestLoss, bestRound, since = watched, round, 0
			return true
		}
		since++
		return since < s.Patience
	})
	if err != nil {
		return nil, 0, 0, err
	}
	l := &linear{bias: best[:goal.outputs], weights: best[goal.outputs:]}
	l.center(data, at)
	return l, bestLoss, bestRound, nil
}

// center moves the mean weight of each column over the training rows into the bias. Answers stay the same; a weight then says
// how much a value moves the score away from that of the average row.
func (l *linear) center(data *table, offsets []int) {
	outputs := len(l.bias)
	for c, bins := range data.bins {
		var counts [maxBins]float64
		for _, b := range bins {
			counts[b]++
		}
		end := len(l.weights) / outputs
		if c+1 < len(offsets) {
			end = offsets[c+1]
		}
		for k := range l.bias {
			mean := 0.0
			for b := offsets[c]; b < end; b++ {
				mean += counts[b-offsets[c]] * l.weights[b*outputs+k]
			}
			mean /= float64(data.rows)
			l.bias[k] += mean
			for b := offsets[c]; b < end; b++ {
				l.weights[b*outputs+k] -= mean
			}
		}
	}
}

// scores adds up the weights of row i.
func (p *problem) scores(x []float64, t *table, i int, z []float64) {
	copy(z, x[:len(z)])
	w := x[len(z):]
	if len(z) == 1 {
		sum := z[0]
		for c, bins := range t.bins {
			sum += w[p.offsets[c]+int(bins[i])]
		}
		z[0] = sum
		return
	}
	for c, bins := range t.bins {
		row := w[(p.offsets[c]+int(bins[i]))*len(z):][:len(z)]
		for k, v := range row {
			z[k] += v
		}
	}
}

// gradient returns the loss at x and writes its gradient into g.
func (p *problem) gradient(x, g []float64) float64 {
	if p.parts == nil {
		for range min(gradientParts, 1+p.data.rows/512) {
			p.parts = append(p.parts, make([]float64, len(x)))
		}
	}
	losses := make([]float64, len(p.parts))
	each(p.workers, len(p.parts), func(part int) {
		from, to := part*p.data.rows/len(p.parts), (part+1)*p.data.rows/len(p.parts)
		losses[part] = p.partial(x, p.parts[part], from, to)
	})
	n := float64(p.data.rows)
	loss := 0.0
	for _, v := range losses {
		loss += v / n
	}
	outputs := p.goal.outputs
	const block = 8192
	penalty := chunkSum(p.workers, len(x), block, func(from, to int) float64 {
		sum := 0.0
		for j := from; j < to; j++ {
			v := 0.0
			for _, part := range p.parts {
				v += part[j]
			}
			v /= n
			if j >= outputs { // the bias is free
				v += p.l2 * x[j]
				sum += x[j] * x[j]
			}
			g[j] = v
		}
		return sum
	})
	return loss + p.l2/2*penalty
}

func (p *problem) partial(x, g []float64, from, to int) float64 {
	clear(g)
	outputs := p.goal.outputs
	z := make([]float64, outputs)
	w := g[outputs:]
	loss := 0.0
	for i := from; i < to; i++ {
		p.scores(x, p.data, i, z)
		l, _ := p.goal.evaluate(z, &p.data.labels, i)
		loss += l
		for k := range z {
			z[k] -= p.goal.target(&p.data.labels, i, k)
			g[k] += z[k]
		}
		for c, bins := range p.data.bins {
			at := (p.offsets[c] + int(bins[i])) * outputs
			for k, d := range z {
				w[at+k] += d
			}
		}
	}
	return loss
}

// measure returns the mean loss and accuracy on a table, NaN when it is empty.
func (p *problem) measure(x []float64, t *table) (loss, accuracy float64) {
	if t.rows == 0 {
		return math.NaN(), math.NaN()
	}
	rights := make([]float64, (t.rows+chunkRows-1)/chunkRows)
	loss = chunks(p.workers, t.rows, func(from, to int) float64 {
		z, sum := make([]float64, p.goal.outputs), 0.0
		for i := from; i < to; i++ {
			p.scores(x, t, i, z)
			l, right := p.goal.evaluate(z, &t.labels, i)
			sum += l
			rights[from/chunkRows] += right
		}
		return sum
	})
	for _, r := range rights {
		accuracy += r
	}
	return loss / float64(t.rows), accuracy / float64(t.rows)
}
