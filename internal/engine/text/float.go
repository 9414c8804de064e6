package text

import "math"

// The functions of package math have assembly on some processors and fused multiply-adds on others, so their last bits differ
// between machines. These do not: every product is rounded before it is used, which the conversions demand (Go specification,
// "Floating-point operators").

// exp returns e^x for x ≤ 700 with a relative error below 1e-14: 2^k times a Taylor series on |r| ≤ ln(2)/2.
func exp(x float64) float64 {
	if x < -700 {
		return 0
	}
	if x > 700 {
		x = 700
	}
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := x - float64(k*6.93147180369123816490e-01)
	r -= float64(k * 1.90821492927058770002e-10)
	p := 1.0 / 479001600
	for _, c := range [...]float64{1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1} {
		p = float64(p*r) + c
	}
	return p * math.Float64frombits(uint64(int64(k)+1023)<<52)
}

// fastExp is exp for x ≤ 0 in single precision, with a relative error below 1e-6. Predictions with a thousand labels spend their time here.
func fastExp(x float32) float32 {
	if x < -87 {
		return 0
	}
	const round = 3 << 22 // adding and subtracting it rounds to an integer
	k := float32(x*float32(math.Log2E)) + round
	n := k - round
	r := x - float32(n*0.693145751953125)
	r -= float32(n * 1.42860682030941723212e-6)
	p := float32(1.0 / 720)
	p = float32(p*r) + 1.0/120
	p = float32(p*r) + 1.0/24
	p = float32(p*r) + 1.0/6
	p = float32(p*r) + 0.5
	p = float32(p*r) + 1
	p = float32(p*r) + 1
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}

// ln returns the natural logarithm of x > 0 with a relative error below 1e-14, by the series of the inverse hyperbolic tangent.
func ln(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = m*2, e-1
	}
	s := (m - 1) / (m + 1)
	s2 := s * s
	p := 1.0 / 25
	for d := 23.0; d >= 1; d -= 2 {
		p = float64(p*s2) + 1/d
	}
	return float64(2*s*p) + float64(float64(e)*math.Ln2)
}

// sigmoid returns 1/(1+e^-x).
func sigmoid(x float64) float64 {
	if x < 0 {
		e := exp(x)
		return e / (1 + e)
	}
	return 1 / (1 + exp(-x))
}

// softmax writes the probabilities that belong to the logits times factor; p may be logits itself.
func softmax(logits, p []float32, factor float32) {
	top := logits[0]
	for _, x := range logits {
		top = max(top, x)
	}
	var sum float64 // in double precision, so that a thousand labels still sum to 1 within 1e-6
	for i, x := range logits {
		e := fastExp((x - top) * factor)
		p[i] = e
		sum += float64(e)
	}
	inverse := float32(1 / sum)
	for i := range p {
		p[i] *= inverse
	}
}
