package risk

import "math"

// Difference returns bounds of b's rate less a's at confidence 1−delta, for all times together, whatever made more audits fall to one than to the other: two sequences that are fed side by side, such as
// those of two versions that share the traffic. They are -1 and 1 while nothing is audited.
//
// The evidence against "the rates are x and y" is the product of that against x in a and that against y in b: whoever carries the winnings of each bet over to the next, in whatever order the audits of
// both come, cannot expect to win while the rates are x and y, so it ever passes 1/δ with probability at most δ. The bounds are the smallest and the largest y−x that it does not refute. Two intervals of
// half the δ each, taken apart, would be valid too; they are about a tenth wider, since both rates would have to be at their worst ends at once.
func Difference(a, b Sequence, delta float64) (lower, upper float64) {
	x, y := a.region(delta), b.region(delta)
	limit := -math.Log(delta) + slack
	lower, upper = 1, -1
	for i := range x.cells() {
		left := limit - x.least(i)
		for j := range y.cells() {
			if y.least(j) < left {
				lower, upper = min(lower, y.at[j]-x.at[i+1]), max(upper, y.at[j+1]-x.at[i])
			}
		}
	}
	if lower > upper { // no pair of constant rates explains what was seen: the rates have changed
		aLow, aHigh := a.Interval(delta / 2)
		bLow, bHigh := b.Interval(delta / 2)
		return min(bLow-aHigh, bHigh-aLow), max(bLow-aHigh, bHigh-aLow)
	}
	return max(-1, lower), min(1, upper)
}

const (
	// regionCells is into how many cells the rates are divided that a sequence does not refute. Bounds are rounded outwards by one cell of each.
	regionCells = 128
	// slack is more than by how much the evidence inside of a cell can be less than at its ends: the second difference of a smooth function over a hundredth of its range.
	slack = 0.01
)

// region is the evidence of a sequence against rates, at the ends of cells.
type region struct{ at, evidence []float64 }

func (r region) cells() int { return len(r.at) - 1 }

// least is the least evidence in a cell.
func (r region) least(i int) float64 { return min(r.evidence[i], r.evidence[i+1]) }

// region returns the evidence against all rates that may have a part in a pair that is not refuted at 1/delta. The evidence against a rate is never below one half, and half of that of either side is
// part of it: rates outside of one-sided bounds at a quarter of delta are refuted whatever the other sequence says.
func (s *Sequence) region(delta float64) region {
	low, high := s.Lower(delta/4), s.Upper(delta/4)
	if low >= high {
		low, high = min(low, high), max(low, high)+1e-6
	}
	r := region{make([]float64, regionCells+1), make([]float64, regionCells+1)}
	for i := range r.at {
		r.at[i] = low + (high-low)*float64(i)/regionCells
		r.evidence[i] = s.against(r.at[i])
	}
	return r
}

// against returns the logarithm of the evidence against "the rate is m": half of the wealth bets on more, half on less. At 0 and 1 it says nothing.
func (s *Sequence) against(m float64) float64 {
	var sum logSum
	sum.add(s.logWealth(m, above))
	sum.add(s.logWealth(m, below))
	return sum.log() - math.Ln2
}
