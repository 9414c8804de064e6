package decision

import commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"

// maxLabels is how many labels a decision holds at most.
const maxLabels = 20

// Best returns the indices of the most probable labels, most probable first, at most as many as into has room for. The first of equal
// labels wins. It is an insertion sort on the few best, which for the label sets of practice beats sorting them all: one pass, and
// nearly all labels of a large set fail the first comparison.
func Best(p []float32, into []int) []int {
	room := cap(into)
	best := into[:0]
	if room == 0 {
		return best
	}
	for i, v := range p {
		if len(best) == room {
			if v <= p[best[room-1]] {
				continue
			}
		} else {
			best = append(best, i)
		}
		j := len(best) - 1
		for ; j > 0 && v > p[best[j-1]]; j-- {
			best[j] = best[j-1]
		}
		best[j] = i
	}
	return best
}

// topLabels returns the labels of a decision.
func topLabels(labels []string, p []float32) []*commonv1.LabelProbability {
	var room [maxLabels]int
	best := Best(p, room[:0])
	if len(best) == 0 {
		return nil
	}
	values := make([]commonv1.LabelProbability, len(best))
	out := make([]*commonv1.LabelProbability, len(best))
	for k, i := range best {
		values[k].Label, values[k].Probability = labels[i], float64(p[i])
		out[k] = &values[k]
	}
	return out
}
