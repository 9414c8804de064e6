package risk

import (
	"math"
	"sort"
)

// MoreLabels estimates how many more labelled items, drawn like the points, would let Certify certify alpha at confidence
// 1−delta for some of the items. 0 means that the points suffice already, -1 that more labels alone do not help: even the
// surest answers are wrong too often, and only a better model or a laxer alpha would.
//
// The estimate assumes that a larger sample has the same error rate among its surest items as this one (measured on no fewer
// than 30 of them, and counted half an error higher) and looks for the least size at which the first step
// of the walk would pass with an even chance. It is a plan, not a promise: half of the time a little more is needed, and a certificate is only ever
// issued by Certify.
func MoreLabels(points []Point, alpha, delta float64) (int, error) {
	c, err := Certify(points, alpha, delta)
	return c.MoreLabels, err
}

const (
	// hopeless bounds the search: a plan for ten million labels is no plan.
	hopeless = 10_000_000
	// fewest is the least number of items whose error rate says anything.
	fewest = 30
)

func moreLabels(steps []step, total int, alpha, delta float64) int {
	least, eligible := MinAccepted(alpha, delta), 0
	if len(steps) > 0 {
		eligible = steps[len(steps)-1].accepted
	}
	if eligible == 0 {
		return max(least-total, 1) // nothing is known about this side; at the very least the start must be reached
	}
	comfort := 2 * comfortable(alpha, delta)
	for n := max(eligible+1, least); n < hopeless; n += max(1, n/50) {
		m := max(least, min(comfort, n/4)) // Start(n, alpha, delta)
		group := m * eligible / n
		rate := errorRate(at(steps, max(fewest, group)), alpha)
		if likely(rate, m, alpha, delta) {
			// The items of this side come at their present share of all items.
			return max(1, int(math.Ceil(float64(n)*float64(total)/float64(eligible)))-total)
		}
		if m == comfort && group < fewest {
			break // from here on a larger sample looks the same
		}
	}
	return -1
}

// errorRate is the observed error rate of the accepted items, half an error higher: without that most plans would be too
// small. Where nothing was wrong, or where there are too few items to say, it is at most a fifth of alpha: then nothing speaks
// against a certificate yet.
func errorRate(s step, alpha float64) float64 {
	rate := (float64(s.errors) + 0.5) / (float64(s.accepted) + 1)
	if s.errors == 0 || s.accepted < fewest {
		rate = min(rate, alpha/5)
	}
	return rate
}

// likely says whether m accepted items with that true error rate would certify alpha at least half of the time.
func likely(rate float64, m int, alpha, delta float64) bool {
	k := sort.Search(m, func(k int) bool { return BinomialTail(k, m, alpha) > delta }) - 1 // the most errors that pass
	return k >= 0 && BinomialTail(k, m, rate) >= 0.5
}

// at returns the strictest step that accepts at least m items, the laxest one when none does.
func at(steps []step, m int) step {
	i := sort.Search(len(steps), func(i int) bool { return steps[i].accepted >= m })
	return steps[min(i, len(steps)-1)]
}
