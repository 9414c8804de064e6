package risk

import (
	"math"
	"slices"
)

// The two beta distributions that Changed bets with: rates before a change are mostly below some percent, those after it mostly below a fifth.
const (
	beforeWrong, beforeRight = 0.5, 10
	afterWrong, afterRight   = 1, 14
	// leastBefore is how many audits there must be before a start, or "before" says nothing.
	leastBefore = 2 * blockAudits
)

// LogChange returns the logarithm of the evidence that what is counted happens more often since one of the starts than it did before it. Under
// the hypothesis that its rate, whatever it is, never changed, the evidence ever passes 1/δ with probability at most δ.
//
// For every start j the audits since are set against those before. Two gamblers who know neither rate (their bets are averaged over a beta distribution each) share the
// work, and the wealth that they make together is divided by the likelihood of the one rate that explains all audits best. Whatever the true common rate is, it explains
// them at most as well, so the quotient is at most wealth in a fair game (universal inference: Wasserman, Ramdas and Balakrishnan 2020). The starts share one wealth by the
// weights of LogEvidence. Starts since which the rate did not rise are left out, which only takes from the sum.
//
// It needs no limit to compare with and nothing known of the reviewers: who errs alike before and after errs in neither's favour. Selection probabilities are not weighted with;
// they may change with time, as long as they do not depend on the item.
func (d *Detector) LogChange() float64 {
	all := d.Total()
	n, k := all.Audits()
	var sum logSum
	d.rises(func(logWealth float64, _ int) { sum.add(logWealth) })
	if !sum.any {
		return math.Inf(-1)
	}
	return sum.log() - logLikelihood(float64(k), float64(n-k))
}

// rises calls back for every start since which the rate is higher than before it, the latest first, with the logarithm of the wealth made by betting on a change there, and the audits since.
func (d *Detector) rises(yield func(logWealth float64, since int)) {
	all := d.Total()
	n, k := all.Audits()
	since, rising := 0, 0
	for _, b := range slices.Backward(d.Blocks) {
		bn, bk := b.Audits()
		since, rising = since+bn, rising+bk
		before, wrong := n-since, k-rising
		if before < leastBefore || float64(rising)*float64(before) <= float64(wrong)*float64(since) {
			continue
		}
		yield(logWeight(b.Start)+logBets(wrong, before-wrong, beforeWrong, beforeRight)+logBets(rising, since-rising, afterWrong, afterRight), since)
	}
}

// logLikelihood is that of the rate k/(k+rest), the best one.
func logLikelihood(k, rest float64) float64 {
	l := 0.0
	if k > 0 {
		l += k * math.Log(k/(k+rest))
	}
	if rest > 0 {
		l += rest * math.Log(rest/(k+rest))
	}
	return l
}

// logBets is the likelihood of k and rest in any one order, averaged over a beta distribution of the rate.
func logBets(k, rest int, a, b float64) float64 {
	return logBeta(float64(k)+a, float64(rest)+b) - logBeta(a, b)
}

func logBeta(a, b float64) float64 {
	x, _ := math.Lgamma(a)
	y, _ := math.Lgamma(b)
	z, _ := math.Lgamma(a + b)
	return x + y - z
}

// Watch is what audits of one certificate show: which decisions were wrong, and which inputs belonged to none of the labels. The second is a kind of error that a model makes
// all the more often the further the world moves away from what it was trained on, and hardly ever before. The zero value is an empty watch.
type Watch struct {
	Errors  Detector `json:"detector"`
	Foreign Detector `json:"foreign"`
}

// Observe adds the result of one audit: whether the decision was wrong, and whether its input belongs to none of the labels. It fails with
// ErrPropensity and then adds nothing.
func (w *Watch) Observe(propensity float64, wrong, foreign bool) error {
	if err := w.Errors.Observe(propensity, wrong); err != nil {
		return err
	}
	return w.Foreign.Observe(propensity, foreign)
}

// Break says how audits show that a promise does not hold.
type Break int

const (
	// Kept means that they do not show it.
	Kept Break = iota
	// TooManyErrors means that the error was proved to be above what was promised.
	TooManyErrors
	// WorldChanged means that inputs that belong to none of the labels were proved to have become more frequent, and that since then more decisions were found wrong than the promise and
	// erring reviewers explain. The certificate speaks of a world that is gone.
	WorldChanged
)

// changeShare is the part of delta that is spent on WorldChanged. That test decides quickly, so it needs little; what is left makes the other hardly slower.
const changeShare = 0.3

// Judge says whether the promise of an error of at most alpha is broken. While it is kept and the world stays as it is, an answer other than Kept is ever given with probability at most
// delta. r bounds the errors of the reviewers who audit. Once it is not Kept it should be acted on at once; with further audits it may become Kept again.
func (w *Watch) Judge(alpha, delta float64, r ReviewerError) Break {
	if w.Errors.Exceeded(alpha, r.Delta+(1-changeShare)*(delta-r.Delta), r) {
		return TooManyErrors
	}
	if !(delta > r.Delta) || w.Foreign.LogChange() < -math.Log(changeShare*(delta-r.Delta)) {
		return Kept
	}
	since := w.SinceChange()
	if since.Rate() > r.Alarm(alpha) {
		return WorldChanged
	}
	return Kept
}

// SinceChange returns the audits, wrong or right, since inputs that belong to none of the labels became more frequent, as far as one can tell.
func (w *Watch) SinceChange() Sequence {
	return w.Errors.Recent(w.Foreign.changed())
}

// changed returns how many audits there were since the start at which the change is clearest; 0 when nothing rose.
func (d *Detector) changed() (audits int) {
	most := math.Inf(-1)
	d.rises(func(logWealth float64, since int) {
		if logWealth > most {
			most, audits = logWealth, since
		}
	})
	return audits
}
