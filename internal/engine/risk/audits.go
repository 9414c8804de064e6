package risk

import "math"

// Tighter returns the next smaller of the error rates that people name (50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1 %) below alpha that the audits do not show
// yet, and how many more audits would show it at confidence 1−delta if they went on as before; more is -1 when they would not, because the rate is too
// high for every one of those.
func Tighter(s Sequence, alpha, delta float64, r ReviewerError) (tighter float64, more int) {
	for _, rate := range []float64{0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001} {
		if rate >= alpha || r.Allowance(rate) <= 0 {
			continue
		}
		switch more := MoreAudits(s, rate, delta, r); {
		case more > 0:
			return rate, more
		case more < 0:
			return rate, -1
		}
	}
	return 0, -1
}

// mostAudits bounds the search: a plan for a million audits is no plan.
const mostAudits = 1_000_000

// MoreAudits estimates how many more audits would show an error of at most alpha at confidence 1−delta, if decisions were found wrong at the rate seen
// so far (half an error higher, as with labels). 0 means that they show it already, -1 that they never would.
func MoreAudits(s Sequence, alpha, delta float64, r ReviewerError) int {
	limit := r.Allowance(alpha)
	n, k := s.Audits()
	shown := func(more int) bool {
		rate := (float64(k) + 0.5) / (float64(n) + 1)
		if k == 0 {
			rate = min(rate, limit/5)
		}
		then := Sequence{Strata: []Stratum{{Propensity: 1, Audits: n + more, Wrong: k + int(math.Round(rate*float64(more)))}}}
		return then.logWealth(limit, below) >= -math.Log(delta-r.Delta)
	}
	if !(delta > r.Delta) || limit <= 0 {
		return -1
	}
	if n > 0 && s.logWealth(limit, below) >= -math.Log(delta-r.Delta) {
		return 0
	}
	lo, hi := 0, 16
	for !shown(hi) {
		if lo, hi = hi, 2*hi; hi > mostAudits {
			return -1
		}
	}
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; shown(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}
