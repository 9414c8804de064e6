package gate

import (
	"math"

	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// wilson returns a share with the interval of Wilson, "Probable inference, the law of succession, and statistical inference" (1927), z standard errors wide.
func wilson(k, m, z float64) Rate {
	if m == 0 {
		return Rate{High: 1}
	}
	p := k / m
	centre := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Rate{Share: p, Low: max(0, centre-half), High: min(1, centre+half)}
}

// NoiseOf is an estimated share of mislabelled rows with its 95 % interval.
func NoiseOf(suspected, rows int, share float64) *Noise {
	r := wilson(math.Floor(share*float64(rows)+0.5), float64(rows), quantile(0.025))
	return &Noise{Rows: rows, Suspected: suspected, Share: share, Low: r.Low, High: r.High}
}

// quantile returns the z that a standard normal number exceeds with probability level.
func quantile(level float64) float64 { return math.Sqrt2 * math.Erfinv(1-2*level) }

// difference returns the bounds of (better−worse)/n, each wrong with probability level: the score interval of Tango, "Equivalence test and confidence interval
// for the difference in proportions for the paired-sample design" (1998). It holds its level with few rows and few disagreements, where Wald's does not.
func difference(better, worse, n, level float64) (low, high float64) {
	if n == 0 {
		return -1, 1
	}
	z := quantile(level)
	// The score falls as the assumed difference grows.
	solve := func(want float64) float64 {
		lo, hi := -1.0, 1.0
		for range 60 {
			mid := (lo + hi) / 2
			if score(better, worse, n, mid) > want {
				lo = mid
			} else {
				hi = mid
			}
		}
		return (lo + hi) / 2
	}
	return solve(z), solve(-z)
}

// score is Tango's statistic for "the difference is d".
func score(b, c, m, d float64) float64 {
	top := b - c - m*d
	// The nuisance parameter, P(only the second is right), at its maximum likelihood under d.
	a2 := 2 * m
	a1 := -b - c + (2*m-b+c)*d
	a0 := -c * d * (1 - d)
	q := (math.Sqrt(max(0, a1*a1-4*a2*a0)) - a1) / (2 * a2)
	variance := m * (2*q + d*(1-d))
	if variance <= 0 {
		switch {
		case top > 0:
			return math.Inf(1)
		case top < 0:
			return math.Inf(-1)
		}
		return 0
	}
	return top / math.Sqrt(variance)
}

// pWorse is the chance of at least so many worse rows among those on which two equally good models disagree: McNemar's test, exact, one-sided, with the mid-p
// correction (Fagerland, Lydersen and Laake 2013).
func pWorse(moreBetter, moreWorse float64) float64 {
	better, worse := int(math.Round(moreBetter)), int(math.Round(moreWorse))
	n := better + worse
	if n == 0 {
		return 1
	}
	p := risk.BinomialTail(better, n, 0.5)
	point := p
	if better > 0 {
		point -= risk.BinomialTail(better-1, n, 0.5)
	}
	return min(1, p-point/2)
}
