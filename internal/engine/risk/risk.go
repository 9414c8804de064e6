// Package risk turns scores into promises. It calibrates probabilities (temperature, Platt), measures how honest they are
// (calibration error, reliability), and certifies thresholds: above the threshold the error is at most α with confidence 1−δ.
// Everything here is a pure function of its arguments; nothing here knows models, texts or policies.
//
// # The promise
//
// A threshold that is tuned until the observed error on a labelled sample is at most α breaks its promise in 25–46 % of
// deployments. Certify tests thresholds instead (fixed-sequence testing: Angelopoulos, Bates, Candès, Jordan and Lei,
// "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control", 2021, section 4): it walks from strict to lax in
// an order that is fixed before any answer is looked at, asks at every step whether "the error is above α" can be rejected by
// the exact binomial tail, and stops at the first step where it cannot. Each sample is used once, and the walk needs no
// correction for the number of steps, because the first true hypothesis that it meets is rejected with probability at most δ.
//
// # What counts as an error of automation
//
//   - Multi-class: the answer differs from the truth. An item whose truth is out of scope but which was answered with another
//     label is an error like any other. An item that was answered "out of scope" is never automated (Point.Abstain): nobody is
//     there to act on it, it goes to a person.
//   - Multi-label: any label of the answered set differs from the true set.
//   - Moderation: removing what is harmless, allowing what is not. The two are different errors with a budget each (see Sides).
package risk

// Names of the two sides of a moderation decision, as they stand in Point.Side and Certificate.Side.
const (
	SideRemove = "remove"
	SideAllow  = "allow"
)

// Point is one labelled item of a certification sample: what the model would have done and whether that would have been right.
type Point struct {
	// Score orders items by confidence, larger is surer; usually a probability between 0 and 1.
	Score float64 `json:"score"`
	// Correct says whether acting on the answer would have been right.
	Correct bool `json:"correct"`
	// Side is the budget that the answer falls under: SideRemove or SideAllow for moderation, the answered label otherwise.
	Side string `json:"side,omitempty"`
	// Abstain marks an item that is never automated whatever its score (answered out of scope). It counts in the sample size,
	// so that coverage stays a share of all items.
	Abstain bool `json:"abstain,omitempty"`
	// Weight is how many items of the traffic it stands for, 0 for one, where items were chosen with different probabilities. Measurements are weighted by it. Certificates are not: their
	// sample has to be one in which all items count alike.
	Weight float64 `json:"weight,omitempty"`
	// Reviewed says that Correct is what a reviewer said, who may err; else the truth is known. See Reviewers.
	Reviewed bool `json:"reviewed,omitempty"`
}

// Stands returns how many items of the traffic the point stands for.
func (p Point) Stands() float64 {
	if p.Weight == 0 {
		return 1
	}
	return p.Weight
}

// Certificate states "above Threshold the error is at most Alpha, with confidence 1−Delta" and the labelled items behind it.
type Certificate struct {
	// Side is the budget that this certificate covers: "" for all answers (that have no budget of their own), SideRemove or
	// SideAllow for moderation, a label where that label has its own budget.
	Side string `json:"side"`
	// Alpha is the promised error rate, Delta the chance that the promise is broken; both in (0, 1).
	Alpha float64 `json:"alpha"`
	Delta float64 `json:"delta"`
	// Certified is false when no threshold passed: nothing may be automated then, and Threshold means nothing.
	Certified bool `json:"certified"`
	// Threshold: an answer of this side is automated when its score is at or above it.
	Threshold float64 `json:"threshold"`
	// Sample is the size of the whole certification sample, Eligible the part that was answered on this side,
	// Accepted the part at or above Threshold, Errors the wrong ones among those.
	Sample   int `json:"sample"`
	Eligible int `json:"eligible"`
	Accepted int `json:"accepted"`
	Errors   int `json:"errors"`
	// PValue is P(Binomial(Accepted, Alpha) ≤ Errors); at most Delta when certified. With a ReviewerError it is that of the stricter limit that leaves room for it.
	PValue float64 `json:"pValue"`
	// ReviewerError is how often at most those err who labelled the sample, as the certificate allows for it; 0 where the labels are the truth.
	ReviewerError float64 `json:"reviewerError,omitempty"`
	// Coverage is Accepted/Sample: the share of all items that this certificate automates. Coverages of the sides add up.
	Coverage float64 `json:"coverage"`
	// MoreLabels estimates how many more labelled items would certify Alpha: 0 when certified, -1 when more labels alone
	// would not help because even the surest answers are wrong more often than Alpha. See MoreLabels.
	MoreLabels int `json:"moreLabels"`
}

// Accepts says whether an answer with that score may be automated under the certificate.
func (c Certificate) Accepts(score float64) bool {
	return c.Certified && score >= c.Threshold
}
