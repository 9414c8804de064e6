package risk

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// BinomialTail returns P(Binomial(m, p) ≤ k), the exact p-value of the hypothesis "the error rate is above p" after k errors
// among m independent items. It goes through the regularised incomplete beta function, I(1−p; m−k, k+1), which stays exact where
// a sum of binomial coefficients overflows (m in the millions) or cancels. It is 1 for k ≥ m or m ≤ 0, and 0 for k < 0.
func BinomialTail(k, m int, p float64) float64 {
	switch {
	case k < 0:
		return 0
	case m <= 0 || k >= m || p <= 0:
		return 1
	case p >= 1:
		return 0
	case k == 0: // the common case of the start, without the continued fraction
		return math.Exp(float64(m) * math.Log1p(-p))
	}
	return min(1, max(0, mathext.RegIncBeta(float64(m-k), float64(k+1), 1-p)))
}

// MinAccepted returns the least number of accepted items with which error rate alpha can be certified at all: without a single
// error, m ≥ ln δ / ln(1−α). 59 items for α = δ = 5 %, 299 for α = 1 %.
func MinAccepted(alpha, delta float64) int {
	m := int(math.Ceil(math.Log(delta)/math.Log1p(-alpha) - 1e-9))
	return max(m, 1)
}

// UpperBound returns the exact one-sided (Clopper–Pearson) upper bound of the error rate at confidence 1−delta after k errors
// among m items: the largest p with P(Binomial(m, p) ≤ k) ≥ delta. It is 1 when m is 0 or k = m.
func UpperBound(k, m int, delta float64) float64 {
	if m <= 0 || k >= m {
		return 1
	}
	lo, hi := float64(k)/float64(m), 1.0
	for range 60 { // bisection: 60 halvings reach the last bit of a float64 in (0, 1)
		mid := (lo + hi) / 2
		if BinomialTail(k, m, mid) >= delta {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}
