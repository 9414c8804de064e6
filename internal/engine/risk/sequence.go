package risk

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
)

// ErrPropensity means that a selection probability is not in (0, 1].
var ErrPropensity = errors.New("selection probability out of range")

// leastPropensity bounds the weight 1/propensity that one audit can have.
const leastPropensity = 1e-6

// maxStrata bounds how many different selection probabilities are told apart.
const maxStrata = 16

// Stratum counts the audits that were drawn with one probability. For a given bet the evidence depends on these counts alone and not on the
// order of the audits, so they are all that has to be kept.
type Stratum struct {
	// Propensity is the probability with which each of them could have been drawn, in (0, 1].
	Propensity float64 `json:"propensity"`
	// Audits is how many were answered, Wrong how many of these the reviewer disagreed with.
	Audits int `json:"audits"`
	Wrong  int `json:"wrong"`
}

// Sequence is an anytime-valid confidence sequence for the rate of wrong decisions, fed by audits with known selection probabilities. Its bounds
// hold at all times together: they may be looked at after every audit, and acted on, without spoiling them (Waudby-Smith and Ramdas,
// "Estimating means of bounded random variables by betting", 2023).
//
// The evidence against "the rate is at most m" is the wealth of a gambler who bets on wrong decisions at odds that are fair when the rate is
// exactly m: a decision that is drawn with probability q and found wrong (Y = 1) or right (Y = 0) multiplies the wealth by 1 + λ·(Y−m)/q, one that is not drawn by
// 1. While the rate is at most m, the wealth does not grow on average, whatever the λ and whatever the q, so it ever passes 1/δ with probability at
// most δ (Ville's inequality). The weight 1/q makes the bets add up to the rate among all decisions, also when q changed
// meanwhile; λ is cut so that no bet loses more than the wealth, whatever q is. With one constant q the weight cancels and the bets are
// likelihood ratios of Bernoulli trials.
//
// Nobody knows the best λ beforehand, so the wealth is split evenly over a grid of them: it then grows nearly as fast as with the best one (a universal portfolio:
// Orabona and Jun, "Tight concentrations and confidence sequences from the regret of universal portfolio", 2024).
//
// The zero value is an empty sequence.
type Sequence struct {
	Strata []Stratum `json:"strata"`
}

// Observe adds the result of one audit. It fails with ErrPropensity and then adds nothing. Selection probabilities beyond the sixteenth different one count as the
// nearest of those: the bounds stay valid, the weights become a little inexact.
func (s *Sequence) Observe(propensity float64, wrong bool) error {
	if !(propensity >= leastPropensity && propensity <= 1) {
		return fmt.Errorf("propensity %v is not between %v and 1: %w", propensity, leastPropensity, ErrPropensity)
	}
	st := s.stratum(propensity)
	st.Audits++
	if wrong {
		st.Wrong++
	}
	return nil
}

func (s *Sequence) stratum(q float64) *Stratum {
	if i := slices.IndexFunc(s.Strata, func(st Stratum) bool { return st.Propensity == q }); i >= 0 {
		return &s.Strata[i]
	}
	if len(s.Strata) < maxStrata {
		s.Strata = append(s.Strata, Stratum{Propensity: q})
		return &s.Strata[len(s.Strata)-1]
	}
	nearest := 0
	for i, st := range s.Strata {
		if math.Abs(math.Log(st.Propensity/q)) < math.Abs(math.Log(s.Strata[nearest].Propensity/q)) {
			nearest = i
		}
	}
	return &s.Strata[nearest]
}

// Join adds the audits of another sequence.
func (s *Sequence) Join(o Sequence) {
	for _, st := range o.Strata {
		own := s.stratum(st.Propensity)
		own.Audits += st.Audits
		own.Wrong += st.Wrong
	}
}

// Audits returns how many audits were observed, and how many of these found the decision wrong.
func (s *Sequence) Audits() (n, wrong int) {
	for _, st := range s.Strata {
		n += st.Audits
		wrong += st.Wrong
	}
	return n, wrong
}

// Rate estimates the rate among all decisions: the share of wrong audits, each weighted by 1/propensity. It is 0 without audits.
func (s *Sequence) Rate() float64 {
	n, k := 0.0, 0.0
	for _, st := range s.Strata {
		n += float64(st.Audits) / st.Propensity
		k += float64(st.Wrong) / st.Propensity
	}
	if n == 0 {
		return 0
	}
	return k / n
}

// Lower returns the one-sided lower bound of the rate at confidence 1−delta, for all times together.
func (s *Sequence) Lower(delta float64) float64 {
	if _, wrong := s.Audits(); wrong == 0 {
		return 0
	}
	return edge(func(m float64) bool { return s.logWealth(m, above) >= -math.Log(delta) })
}

// Upper returns the one-sided upper bound of the rate at confidence 1−delta, for all times together.
func (s *Sequence) Upper(delta float64) float64 {
	if n, wrong := s.Audits(); n == wrong {
		return 1
	}
	return 1 - edge(func(m float64) bool { return s.logWealth(1-m, below) >= -math.Log(delta) })
}

// Interval returns both bounds at confidence 1−delta, for all times together.
func (s *Sequence) Interval(delta float64) (lower, upper float64) {
	return s.Lower(delta / 2), s.Upper(delta / 2)
}

const (
	edgeSteps   = 96
	edgeHalving = 24
)

// edge returns where refuted, which holds at 0, ends to hold for the first time on the way to 1. The steps are even in log-odds, from 0.03 % to 99.97 %.
func edge(refuted func(m float64) bool) float64 {
	lo := 0.0
	for i := range edgeSteps {
		hi := fromLogit(gridLow - 2*gridLow*float64(i)/(edgeSteps-1))
		if refuted(hi) {
			lo = hi
			continue
		}
		for range edgeHalving {
			if mid := (lo + hi) / 2; refuted(mid) {
				lo = mid
			} else {
				hi = mid
			}
		}
		break
	}
	return lo
}

// side says which alternative a bet is on.
type side bool

const (
	above side = true  // the rate is above m
	below side = false // the rate is below m
)

// The grid of alternatives θ, even in log-odds: from 0.03 % to 98 %. A θ stands for the λ that is best when the rate is θ, (θ−m)/(m·(1−m)).
const (
	gridLow, gridHigh = -8.0, 4.0
	gridSize          = 192
	// mostLoss is the largest share of the wealth that a weighted bet may lose.
	mostLoss = 0.95
)

// bet is one alternative with its logarithms.
type bet struct{ theta, log, logRest float64 }

var bets = sync.OnceValue(func() []bet {
	all := make([]bet, gridSize)
	for i := range all {
		all[i] = betOn(fromLogit(gridLow + (gridHigh-gridLow)*float64(i)/(gridSize-1)))
	}
	return all
})

func betOn(theta float64) bet { return bet{theta, math.Log(theta), math.Log1p(-theta)} }

func fromLogit(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// logWealth returns the logarithm of the evidence against "the rate is at most m" (above) or "at least m" (below); 0 is none.
func (s *Sequence) logWealth(m float64, to side) float64 {
	if m <= 0 || m >= 1 || len(s.Strata) == 0 {
		return 0
	}
	return s.logWealthOf(bets(), m, to)
}

// logWealthOf is logWealth for bets on the given alternatives alone.
func (s *Sequence) logWealthOf(grid []bet, m float64, to side) float64 {
	ref, logM, logRest := s.Strata[0].Propensity, math.Log(m), math.Log1p(-m)
	var sum logSum
	idle := 0.0 // parts of the wealth that are not bet
	for _, b := range grid {
		if (b.theta > m) != bool(to) {
			idle++
			continue
		}
		total := 0.0
		for _, st := range s.Strata {
			k, rest := float64(st.Wrong), float64(st.Audits-st.Wrong)
			if st.Propensity == ref {
				total += k*(b.log-logM) + rest*(b.logRest-logRest)
				continue
			}
			onWrong, onRight := weighted(b.theta, m, ref/st.Propensity)
			total += k*onWrong + rest*onRight
		}
		sum.add(total)
	}
	if idle > 0 {
		sum.add(math.Log(idle))
	}
	return sum.log() - math.Log(float64(len(grid)))
}

// weighted returns the logarithms of what a bet of weight v multiplies the wealth with, when a decision was found wrong and when it was found right. The
// bet is cut where it could lose more than mostLoss of the wealth.
func weighted(theta, m, v float64) (onWrong, onRight float64) {
	stake := v * (theta - m) / (m * (1 - m)) // below 0: on right decisions
	stake = max(-mostLoss/(1-m), min(stake, mostLoss/m))
	return math.Log1p(stake * (1 - m)), math.Log1p(-stake * m)
}

// logSum adds up numbers of which only logarithms are known.
type logSum struct {
	top, sum float64
	any      bool
}

func (l *logSum) add(x float64) {
	switch {
	case !l.any:
		l.top, l.sum, l.any = x, 1, true
	case x <= l.top:
		l.sum += math.Exp(x - l.top)
	default:
		l.sum = l.sum*math.Exp(l.top-x) + 1
		l.top = x
	}
}

func (l *logSum) log() float64 { return l.top + math.Log(l.sum) }
