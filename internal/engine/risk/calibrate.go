package risk

import "math"

// Temperature bounds: outside of them a calibration set is degenerate (all right or all wrong), not informative.
const (
	minTemperature = 0.05
	maxTemperature = 20
)

// Temperature returns the T > 0 that minimises the log-loss of softmax(logits/T) on rows that training never saw (Guo, Pleiss,
// Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017). logits holds n rows of labels numbers each, row by row;
// truth holds the n true label indices; rows with a truth outside 0…labels-1 are skipped. T > 1 makes a model less sure.
// It returns 1 when there is nothing to learn from, and stays within 0.05…20.
func Temperature(logits []float32, labels int, truth []int32) float64 {
	if labels < 2 || len(truth) == 0 || len(logits) < labels*len(truth) {
		return 1
	}
	// The loss is convex in 1/T, so golden-section search on ln T finds its only minimum; 40 steps reach 1e-8.
	const phi = 0.6180339887498949
	lo, hi := math.Log(minTemperature), math.Log(maxTemperature)
	a, b := hi-phi*(hi-lo), lo+phi*(hi-lo)
	fa, fb := softmaxLoss(logits, labels, truth, math.Exp(a)), softmaxLoss(logits, labels, truth, math.Exp(b))
	for range 40 {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - phi*(hi-lo)
			fa = softmaxLoss(logits, labels, truth, math.Exp(a))
		} else {
			lo, a, fa = a, b, fb
			b = lo + phi*(hi-lo)
			fb = softmaxLoss(logits, labels, truth, math.Exp(b))
		}
	}
	return math.Exp((lo + hi) / 2)
}

// softmaxLoss is the mean negative log-likelihood of the truth under softmax(logits/t).
func softmaxLoss(logits []float32, labels int, truth []int32, t float64) float64 {
	sum, n := 0.0, 0
	for i, y := range truth {
		if y < 0 || int(y) >= labels {
			continue
		}
		row := logits[i*labels : (i+1)*labels]
		top := float64(row[0])
		for _, v := range row[1:] {
			top = max(top, float64(v))
		}
		z := 0.0
		for _, v := range row {
			z += math.Exp((float64(v) - top) / t)
		}
		sum += math.Log(z) - (float64(row[y])-top)/t
		n++
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// Platt returns A and B of p = 1/(1+exp(−(A·logit+B))), the sigmoid that fits the outcomes best (Platt 1999, with the smoothed
// targets and the Newton iteration of Lin, Lin and Weng, "A Note on Platt's Probabilistic Outputs", 2007). logits and positive
// have one entry for each row that training never saw. With rows of one outcome only it returns the identity, 1 and 0: a slope
// cannot be learned from them. A is never negative: a fit that would turn the model's order around is refused likewise.
func Platt(logits []float32, positive []bool) (a, b float64) {
	pos := 0
	for _, y := range positive {
		if y {
			pos++
		}
	}
	neg := len(positive) - pos
	if pos == 0 || neg == 0 || len(logits) != len(positive) {
		return 1, 0
	}
	hit, miss := (float64(pos)+1)/(float64(pos)+2), 1/(float64(neg)+2)
	a, b = 1, 0
	loss := plattLoss(logits, positive, hit, miss, a, b)
	for range 100 {
		// The ridge keeps the Hessian invertible when all logits are equal.
		h11, h22, h21, g1, g2 := 1e-12, 1e-12, 0.0, 0.0, 0.0
		for i, v := range logits {
			x, t := float64(v), miss
			if positive[i] {
				t = hit
			}
			p := sigmoid(a*x + b)
			w, d := p*(1-p), p-t
			h11, h22, h21 = h11+x*x*w, h22+w, h21+x*w
			g1, g2 = g1+x*d, g2+d
		}
		if math.Abs(g1) < 1e-7 && math.Abs(g2) < 1e-7 {
			break
		}
		det := h11*h22 - h21*h21
		if det <= 0 {
			break
		}
		da, db := -(h22*g1-h21*g2)/det, -(h11*g2-h21*g1)/det
		stepped := false
		for step := 1.0; step > 1e-10; step /= 2 {
			if next := plattLoss(logits, positive, hit, miss, a+step*da, b+step*db); next < loss {
				a, b, loss, stepped = a+step*da, b+step*db, next, true
				break
			}
		}
		if !stepped {
			break
		}
	}
	if a <= 0 || math.IsNaN(a) || math.IsNaN(b) {
		return 1, 0
	}
	return a, b
}

func plattLoss(logits []float32, positive []bool, hit, miss, a, b float64) float64 {
	sum := 0.0
	for i, v := range logits {
		z, t := a*float64(v)+b, miss
		if positive[i] {
			t = hit
		}
		// −t·ln p − (1−t)·ln(1−p), written so that neither logarithm can meet 0.
		sum += math.Max(z, 0) - t*z + math.Log1p(math.Exp(-math.Abs(z)))
	}
	return sum
}

func sigmoid(z float64) float64 {
	if z >= 0 {
		return 1 / (1 + math.Exp(-z))
	}
	e := math.Exp(z)
	return e / (1 + e)
}
