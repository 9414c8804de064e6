package risk

import (
	"fmt"
	"slices"
)

// ReviewerError bounds how often reviewers are wrong: with probability 1−Delta the true rate is between Low and High, at all times.
type ReviewerError struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
	// Rate is the best guess, for estimates; no bound depends on it.
	Rate float64 `json:"rate"`
	// Delta is the chance that the bounds are wrong. It is part of the δ of whatever they are used for; 0 for an assumption.
	Delta float64 `json:"delta"`
}

// KnownReviewerError returns the bounds for an error rate that is taken as known.
func KnownReviewerError(rate float64) ReviewerError {
	return ReviewerError{Low: rate, High: rate, Rate: rate}
}

// MeasureReviewers bounds the error rate of reviewers from answers whose truth is known, such as test items, wrong of them false. The bounds are anytime-valid.
func MeasureReviewers(wrong, answers int, delta float64) ReviewerError {
	s := Sequence{Strata: []Stratum{{Propensity: 1, Audits: answers, Wrong: min(wrong, answers)}}}
	low, high := s.Interval(delta)
	return ReviewerError{Low: low, High: high, Rate: s.Rate(), Delta: delta}
}

// Valid says whether the bounds are rates in order that leave reviewers better than a coin.
func (r ReviewerError) Valid() bool {
	return r.Low >= 0 && r.Low <= r.High && r.High < 0.5 && r.Delta >= 0 && r.Delta < 1
}

// Disagreement between reviewer and decision comes from two sources: a wrong decision that the reviewer sees, and a right one that the reviewer errs on:
//
//	observed = p·(1−e₂) + (1−p)·e₁
//
// with p the error of the decisions, e₁ how often a reviewer rejects what is right, e₂ how often one accepts what is wrong; both are at most High. The
// bounds below take of both whatever is worst for the statement that is made.

// Alarm returns the rate of disagreement above which the error must be above alpha: alpha + (1−alpha)·High. Below it, erring reviewers alone may explain
// what is seen.
func (r ReviewerError) Alarm(alpha float64) float64 { return alpha + (1-alpha)*r.High }

// Allowance returns the rate of disagreement up to which the error is at most alpha: alpha·(1−High) + (1−alpha)·Low. Low credits what reviewers reject
// by mistake; it must be 0 when they may be better on the items in question than on those that they were measured on.
func (r ReviewerError) Allowance(alpha float64) float64 { return alpha*(1-r.High) + (1-alpha)*r.Low }

// Correct turns bounds of the observed disagreement into bounds of the error.
func (r ReviewerError) Correct(lower, upper float64) (errorLower, errorUpper float64) {
	return max(0, (lower-r.High)/(1-r.High)), max(0, min(1, (upper-r.Low)/(1-r.High-r.Low)))
}

// Estimate turns an observed rate of disagreement into an estimate of the error, taking the best guess for e₁ and 0 for e₂ (Rogan and Gladen 1978).
func (r ReviewerError) Estimate(observed float64) float64 {
	return max(0, (observed-r.Rate)/(1-r.Rate))
}

// CertifyReviewed is Certify for points whose truth was said by reviewers who err: Point.Correct means that the reviewer agreed. The certificate is
// about the true error. Without the correction, a reviewer who overlooks a share e₂ of the errors lets a certificate of α cover an error of α/(1−e₂).
//
// It fails with ErrBudget, also when the bounds take all of delta.
func CertifyReviewed(points []Point, alpha, delta float64, r ReviewerError) (Certificate, error) {
	if err := ValidBudget(alpha, delta); err != nil {
		return Certificate{}, err
	}
	if !r.Valid() || r.Delta >= delta {
		return Certificate{}, fmt.Errorf("reviewer error %v to %v at delta %v: %w", r.Low, r.High, r.Delta, ErrBudget)
	}
	return r.certify("", points, len(points), alpha, delta), nil
}

// certify is certify for one side of a reviewed sample; budget and bounds have been checked.
func (r ReviewerError) certify(side string, points []Point, total int, alpha, delta float64) Certificate {
	c := certify(side, points, total, r.Allowance(alpha), delta-r.Delta)
	c.Alpha, c.Delta, c.ReviewerError = alpha, delta, r.High
	return c
}

// AssumedReviewerError is how often reviewers are taken to err where nobody says anything else.
const AssumedReviewerError = 0.03

// Reviewers is what is known of those who labelled the reviewed points of a sample. The zero value says that they never err.
type Reviewers struct {
	// Answers is how many of their answers were held against what is known to be right, or against another person's; Wrong how many of those were false. With Answers
	// above 0 their errors are measured by them.
	Answers, Wrong int
	// Assumed is how often they are taken to err while Answers is 0.
	Assumed float64
}

// Error bounds how often they err, for a promise whose chance to be broken is delta: a measured bound takes a fifth of that. They are credited with nothing that they reject by mistake (Low
// is 0): what a model is surest of is easier than what they were measured on, so they may be better there.
func (r Reviewers) Error(delta float64) ReviewerError {
	e := KnownReviewerError(r.Assumed)
	if r.Answers > 0 {
		e = MeasureReviewers(r.Wrong, r.Answers, delta/5)
	}
	e.Low = 0
	return e
}

// certify is certify for points of which some may be reviewed. One is enough for the stricter limit: nobody knows where the overlooked errors are, so what is asked of a sample that is reviewed as a
// whole is asked of a mixture too. Where nothing shows that reviewers are better than a coin, nothing is certified, and more of their labels would not help.
func (r Reviewers) certify(side string, points []Point, total int, alpha, delta float64) Certificate {
	if r == (Reviewers{}) || !slices.ContainsFunc(points, func(p Point) bool { return p.Reviewed && !p.Abstain }) {
		return certify(side, points, total, alpha, delta)
	}
	e := r.Error(delta)
	if !e.Valid() {
		return Certificate{Side: side, Alpha: alpha, Delta: delta, Sample: total, Eligible: len(points), PValue: 1, ReviewerError: e.High, MoreLabels: -1}
	}
	return e.certify(side, points, total, alpha, delta)
}
