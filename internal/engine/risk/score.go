package risk

import "slices"

// The functions of this file say what is compared with a threshold. The trainer that certifies and the service that decides
// both call them: a certificate holds only for exactly the score that it was issued for.

// Top returns the most probable label and its probability: answer and score of a multi-class model. The first of equal
// labels wins. It returns -1 and 0 when p is empty.
func Top(p []float32) (label int, score float64) {
	if len(p) == 0 {
		return -1, 0
	}
	top := p[0]
	for i, v := range p {
		if v > top {
			label, top = i, v
		}
	}
	return label, float64(top)
}

// SetThreshold is the probability from which a label belongs to the answer of a multi-label model.
const SetThreshold = 0.5

// SetScore returns the score of a multi-label answer (all labels with p ≥ SetThreshold): the certainty of its least certain label,
// min over labels of max(p, 1−p). It lies between 0.5 and 1; 0 when p is empty.
func SetScore(p []float32) float64 {
	if len(p) == 0 {
		return 0
	}
	score := float32(1)
	for _, v := range p {
		score = min(score, max(v, 1-v))
	}
	return float64(score)
}

// Harm returns the probability that a text must not stand: for multi-class models 1 − Σ p over the harmless labels, for
// multi-label models the largest p over the labels that are not harmless. harmless holds label indices. The allow side's score is
// 1 − Harm.
func Harm(p []float32, harmless []int, multilabel bool) float64 {
	if !multilabel {
		sum := 0.0
		for _, i := range harmless {
			sum += float64(p[i])
		}
		return min(1, max(0, 1-sum))
	}
	top := float32(0)
	for i, v := range p {
		if !slices.Contains(harmless, i) {
			top = max(top, v)
		}
	}
	return min(1, max(0, float64(top)))
}

// Lean returns the side that moderation leans to and the score of that side, at least 0.5. Only that side's threshold is
// consulted, so an item can never be removed and allowed at once however lax the thresholds are.
func Lean(harm float64) (side string, score float64) {
	if harm >= 0.5 {
		return SideRemove, harm
	}
	return SideAllow, 1 - harm
}
