package review

import (
	"math"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// The order of a queue is by expected harm × uncertainty × 2^(age/doubling), each with its weight as an exponent. Its logarithm at time t is
//
//	w_h·log2(harm) + w_u·log2(uncertainty) + w_p·priority + (t − since)/doubling
//
// and t/doubling is the same for every item of a queue: what is left never changes, so that it can be stored and the order can be an index.
// A plain factor age would let items overtake each other at times that depend on both, and no stored number could say when. An item that weighs 2^k times
// less than newer ones is before all of them that come k doublings later, so that nothing waits for ever.

// leastUncertainty bounds the logarithm: an item that the model is sure of is at most six doublings behind.
const (
	leastUncertainty = 1.0 / 64
	leastHarm        = 1.0 / 1024
)

// rankSteps is how many steps a rank has for each doubling of an item's weight: items whose weights differ by less than 2.2 % may stand in one step, and go by id, which is by age. Without steps a new
// item lies anywhere in the index of all that wait, in a page of its own; with them it is the last of its step, and a transaction's items share the last pages of a few dozen.
const rankSteps = 32

// epoch is the zero of stored ranks: small numbers keep their precision.
var epoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// rank returns the constant part of an item's rank under the settings.
func rank(s *reviewv1.QueueSettings, harm, uncertainty float64, priority int, since time.Time) float64 {
	r := s.GetHarmWeight()*math.Log2(max(harm, leastHarm)) +
		s.GetUncertaintyWeight()*math.Log2(min(1, max(uncertainty, leastUncertainty))) +
		s.GetPriorityWeight()*float64(priority)
	return math.Round((r-doublings(s, since))*rankSteps) / rankSteps
}

// doublings is the time since the epoch in units of the queue's doubling. Added to a stored rank it gives the rank at that time, which can
// be compared between queues.
func doublings(s *reviewv1.QueueSettings, t time.Time) float64 {
	return t.Sub(epoch).Seconds() / s.GetAgeDoubling().AsDuration().Seconds()
}

// expectedHarm returns the queue's harm of each label times its probability, summed. What the labels leave open counts as a label without a name.
func expectedHarm(s *reviewv1.QueueSettings, labels []*commonv1.LabelProbability) float64 {
	harm, sum := 0.0, 0.0
	for _, l := range labels {
		h, ok := s.GetLabelHarm()[l.GetLabel()]
		if !ok {
			h = 1
		}
		harm += h * l.GetProbability()
		sum += l.GetProbability()
	}
	return harm + max(0, 1-sum)
}

// uncertaintyOf returns the entropy of the probabilities as a share of the largest possible, 0 to 1. Probabilities that sum to more than one belong to labels
// that exclude nothing: then it is the largest entropy of a single label, present or not. Without probabilities nothing is known: 1.
func uncertaintyOf(labels []*commonv1.LabelProbability) float64 {
	if len(labels) == 0 {
		return 1
	}
	sum, entropy, largest, n := 0.0, 0.0, 0.0, 0
	for _, l := range labels {
		p := min(1, max(0, l.GetProbability()))
		sum += p
		entropy += bits(p)
		largest = max(largest, bits(p)+bits(1-p))
		n++
	}
	if sum > 1.01 {
		return min(1, largest)
	}
	if rest := 1 - sum; rest > 1e-6 {
		entropy += bits(rest)
		n++
	}
	if n < 2 {
		return 0
	}
	return min(1, entropy/math.Log2(float64(n)))
}

func bits(p float64) float64 {
	if p <= 0 {
		return 0
	}
	return -p * math.Log2(p)
}

// priorityOf returns the priority of an item: routing decisions bring one, LOW 1 to URGENT 4.
func priorityOf(r *commonv1.DecisionRecord) int {
	if r.GetDecision().GetOperation() != commonv1.Operation_OPERATION_ROUTING || r.GetAction() < 1 || r.GetAction() > 4 {
		return 0
	}
	return int(r.GetAction()) - 2
}
