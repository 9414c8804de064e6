package gate

import "math"

// Rows that were chosen to be labelled with different probabilities stand for different numbers of rows of the traffic. Shares and differences are weighted by the inverse (Horvitz and Thompson 1952), and
// the tests are made with as many rows that were not chosen as would say as much: the effective size, which is that at which a simple random sample would have the variance that the weighted one
// has (Korn and Graubard 1998). That is an approximation, as everything is that judges models by selected rows; certificates, which promise, do without.

// outcome is what a row says: 1, 0 or -1, with the weight of the row.
type outcome struct {
	value  int
	weight float64
}

// evidence is what a sample of rows that were not chosen would have to be to say as much as some rows do: n rows of which plus say 1 and minus say -1. Without weights these are the counts.
type evidence struct{ n, plus, minus float64 }

// mean is the mean outcome.
func (e evidence) mean() float64 {
	if e.n == 0 {
		return 0
	}
	return (e.plus - e.minus) / e.n
}

// weigh turns outcomes into evidence. Where rows have different weights, half an outcome of the largest weight is added to the variance: that a few heavy rows agree does not say that all of their kind do.
func weigh(outcomes []outcome) evidence {
	var e evidence
	sum, squares, most, least := 0.0, 0.0, 0.0, math.Inf(1)
	for _, o := range outcomes {
		sum, squares = sum+o.weight, squares+o.weight*o.weight
		most, least = max(most, o.weight), min(least, o.weight)
		switch o.value {
		case 1:
			e.plus += o.weight
		case -1:
			e.minus += o.weight
		}
	}
	if sum == 0 {
		return evidence{}
	}
	if most == least {
		n := float64(len(outcomes))
		return evidence{n, math.Round(e.plus / most), math.Round(e.minus / most)}
	}
	plus, minus := e.plus/sum, e.minus/sum
	mean, variance := plus-minus, most*most/2
	for _, o := range outcomes {
		d := float64(o.value) - mean
		variance += o.weight * o.weight * d * d
	}
	e.n = sum * sum / squares // where all rows say the same (Kish 1965)
	if spread := plus + minus - mean*mean; spread > 1e-12 {
		e.n = min(sum, spread*sum*sum/variance)
	}
	e.plus, e.minus = plus*e.n, minus*e.n
	return e
}

func signOf(a, b bool) int {
	switch {
	case a && !b:
		return 1
	case b && !a:
		return -1
	}
	return 0
}

func one(a bool) int { return signOf(a, false) }
