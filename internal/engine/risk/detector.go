package risk

import (
	"math"
	"slices"
)

const (
	// blockAudits is how many audits share a start: a change inside a block is noticed from the next one on.
	blockAudits = 20
	// maxBlocks bounds what is kept. When there are more, the two neighbours among the older ones that hold the fewest audits become one.
	maxBlocks = 64
	// recentBlocks are never joined: changes are looked for where they would be new.
	recentBlocks = 32
)

// Block is the audits between two starts.
type Block struct {
	// Start is the number of the start at which the block begins, from 0; joined blocks leave gaps.
	Start int `json:"start"`
	Sequence
}

// Detector watches for a rate that is, or has become, too high. A single sequence over all audits averages a drift away: after 5,000 good ones it takes
// some thousand bad ones until the mean shows it. The detector therefore bets again from zero every 20 audits, on alternatives that begin there, and
// adds up the evidence of all starts with weights that sum to 1: half for the first, the rest falling slowly with the number of the start. The sum is
// again wealth that does not grow while the rate never was above m, so it ever passes 1/δ with probability at most δ, however long it is watched
// (mixtures over start times: Shin, Ramdas and Rinaldo, "E-detectors", 2024, who bound the mean time to a false alarm instead; a bound on ever having
// one is what a promise needs). A start among the first hundred costs evidence of a factor of about 5,000, some 60 to 150 audits of a rate that doubled
// or tripled.
//
// Forgetting a start only takes from the sum, so old blocks are joined and the state stays small. The zero value is an empty detector.
type Detector struct {
	// Blocks are the audits, oldest first; the last one is being filled.
	Blocks []Block `json:"blocks"`
	// Starts is how many starts there were.
	Starts int `json:"starts"`
}

// Observe adds the result of one audit. It fails with ErrPropensity and then adds nothing.
func (d *Detector) Observe(propensity float64, wrong bool) error {
	if !(propensity >= leastPropensity && propensity <= 1) {
		return (&Sequence{}).Observe(propensity, wrong)
	}
	if n := len(d.Blocks); n == 0 || full(&d.Blocks[n-1]) {
		d.Blocks = append(d.Blocks, Block{Start: d.Starts})
		d.Starts++
		d.shrink()
	}
	return d.Blocks[len(d.Blocks)-1].Observe(propensity, wrong)
}

func full(b *Block) bool {
	n, _ := b.Audits()
	return n >= blockAudits
}

// shrink joins old blocks until there are few enough.
func (d *Detector) shrink() {
	for len(d.Blocks) > maxBlocks {
		best, fewest := 1, math.MaxInt
		for i := 1; i < len(d.Blocks)-recentBlocks; i++ {
			a, _ := d.Blocks[i].Audits()
			b, _ := d.Blocks[i+1].Audits()
			if a+b < fewest {
				best, fewest = i, a+b
			}
		}
		d.Blocks[best].Join(d.Blocks[best+1].Sequence)
		d.Blocks = append(d.Blocks[:best+1], d.Blocks[best+2:]...)
	}
}

// Total returns all audits as one sequence: the rate since the beginning.
func (d *Detector) Total() Sequence {
	var s Sequence
	for _, b := range d.Blocks {
		s.Join(b.Sequence)
	}
	return s
}

// Recent returns at least the last n audits as one sequence, or all when there are fewer.
func (d *Detector) Recent(n int) Sequence {
	var s Sequence
	for i := len(d.Blocks) - 1; i >= 0 && n > 0; i-- {
		audits, _ := d.Blocks[i].Audits()
		n -= audits
		s.Join(d.Blocks[i].Sequence)
	}
	return s
}

// LogEvidence returns the logarithm of the evidence that the rate has been above m at some time since the beginning; m is between 0 and 1.
func (d *Detector) LogEvidence(m float64) float64 {
	var sum logSum
	var since Sequence
	grid := alarms(m)
	for _, b := range slices.Backward(d.Blocks) {
		since.Join(b.Sequence)
		sum.add(logWeight(b.Start) + since.logAlarm(grid, m))
	}
	if !sum.any {
		return 0
	}
	return sum.log()
}

func (s *Sequence) logAlarm(grid []bet, m float64) float64 {
	if len(grid) == 0 || len(s.Strata) == 0 {
		return 0
	}
	return s.logWealthOf(grid, m, above)
}

// alarms are the alternatives that a detector bets on: rates whose odds are 1.15 to 13 times those of m. What is closer takes thousands of audits to tell, and what is
// further away is found as well by the last of these. Betting on fewer alternatives than a sequence does saves evidence of a factor of four.
func alarms(m float64) []bet {
	const size, low, high = 32, 0.14, 2.6
	if m <= 0 || m >= 1 {
		return nil
	}
	grid, at := make([]bet, 0, size), math.Log(m)-math.Log1p(-m)
	for i := range size {
		if theta := fromLogit(at + low + (high-low)*float64(i)/(size-1)); theta > m && theta < 1 {
			grid = append(grid, betOn(theta))
		}
	}
	return grid
}

// firstShare is the part of the wealth that the first start begins with.
const firstShare = 0.25

// logWeight returns the logarithm of the share of the wealth that a start begins with: a quarter for the first, and of the rest ln 12·(1/ln(j+11) − 1/ln(j+12)) for start j from 1 on. These
// sum to 1, and fall little faster than 1/j.
func logWeight(start int) float64 {
	if start <= 0 {
		return math.Log(firstShare)
	}
	a, b := math.Log(float64(start)+11), math.Log(float64(start)+12)
	return math.Log((1 - firstShare) * math.Log(12) * (b - a) / (a * b))
}

// Exceeded says whether the audits prove, with confidence 1−delta for all times together, that the error was above alpha at some time. Reviewers
// who err see errors where there are none, so what they disagree with must be above what alpha and their own errors explain.
//
// Once true it should be acted on at once; with further audits it may become false again.
func (d *Detector) Exceeded(alpha, delta float64, r ReviewerError) bool {
	threshold := -math.Log(delta - r.Delta)
	if !(delta > r.Delta) || d.LogEvidence(r.Alarm(alpha)) < threshold {
		return false
	}
	// The bound on the reviewers may have moved between two looks. The proof stands when every rate that it might have allowed is refuted.
	const looks = 16
	for i := range looks {
		if d.LogEvidence(alpha+(r.Alarm(alpha)-alpha)*float64(i)/looks) < threshold {
			return false
		}
	}
	return true
}

// Strongest returns the audits since the start that speaks most clearly for a rate above m: where a drift began, as far as one can tell.
func (d *Detector) Strongest(m float64) Sequence {
	var since, best Sequence
	most, grid := math.Inf(-1), alarms(m)
	for _, b := range slices.Backward(d.Blocks) {
		since.Join(b.Sequence)
		if e := logWeight(b.Start) + since.logAlarm(grid, m); e > most {
			most, best = e, Sequence{Strata: slices.Clone(since.Strata)}
		}
	}
	return best
}
