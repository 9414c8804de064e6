// Package noise finds rows that are probably mislabelled, by confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset
// Labels", 2021): out-of-fold probabilities are held against what the model usually says of rows with each label, so that a model that is unsure
// of a label everywhere accuses nobody of it.
package noise

import (
	"cmp"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// Suspect is a row whose label is probably wrong.
type Suspect struct {
	// Row is its number in the sample.
	Row int
	// Given is the index of its label, Likely that of the label that it probably should have.
	Given, Likely int32
	// Margin is how much more probable Likely is than Given, in (0, 1].
	Margin float64
}

// Find returns the suspects of a sample of out-of-fold answers, the surest first. Rows of multi-label samples are suspects when a label that is not
// given is nearly certain, or one that is given nearly excluded.
func Find(s *eval.Sample) []Suspect {
	var out []Suspect
	if s.Multilabel {
		out = multi(s)
	} else {
		out = single(s)
	}
	slices.SortStableFunc(out, func(a, b Suspect) int { return cmp.Compare(b.Margin, a.Margin) })
	return out
}

// Share estimates the share of the rows that are mislabelled: the off-diagonal of the confident joint, with each label's part scaled to all of its rows, and
// rows that were chosen to be labelled weighted. Of multi-label samples it is the share of suspects.
func Share(s *eval.Sample) float64 {
	if len(s.Truth) == 0 {
		return 0
	}
	if s.Multilabel {
		return float64(len(multi(s))) / float64(len(s.Truth))
	}
	threshold := usual(s)
	sure, off, rows, all := make([]float64, len(s.Labels)), make([]float64, len(s.Labels)), make([]float64, len(s.Labels)), 0.0
	for i, truth := range s.Truth {
		w := s.Weight(i)
		all += w
		if s.Refused(i) || len(truth) == 0 || truth[0] < 0 {
			continue
		}
		rows[truth[0]] += w
		if likely := confident(s.Row(i), threshold); likely >= 0 {
			if sure[truth[0]] += w; likely != truth[0] {
				off[truth[0]] += w
			}
		}
	}
	wrong := 0.0
	for l := range rows {
		if sure[l] > 0 {
			wrong += rows[l] * off[l] / sure[l]
		}
	}
	if all == 0 {
		return 0
	}
	return wrong / all
}

// confident returns the most probable of the labels that reach their thresholds, -1 when none does.
func confident(row []float32, threshold []float64) int32 {
	likely := int32(-1)
	for l, p := range row {
		if float64(p) >= threshold[l] && (likely < 0 || p > row[likely]) {
			likely = int32(l)
		}
	}
	return likely
}

// usual returns for each label the mean probability that rows with it get.
func usual(s *eval.Sample) []float64 {
	sum, n := make([]float64, len(s.Labels)), make([]int, len(s.Labels))
	for i, truth := range s.Truth {
		if s.Refused(i) || len(truth) == 0 || truth[0] < 0 {
			continue
		}
		sum[truth[0]] += float64(s.Row(i)[truth[0]])
		n[truth[0]]++
	}
	for l := range sum {
		if n[l] == 0 {
			sum[l] = 2 // never reached
			continue
		}
		sum[l] /= float64(n[l])
	}
	return sum
}

func single(s *eval.Sample) []Suspect {
	threshold := usual(s)
	var out []Suspect
	for i, truth := range s.Truth {
		if s.Refused(i) || len(truth) == 0 || truth[0] < 0 {
			continue
		}
		row, given := s.Row(i), truth[0]
		likely := confident(row, threshold)
		if top, _ := risk.Top(row); likely < 0 || likely == given || int(likely) != top {
			continue
		}
		out = append(out, Suspect{Row: i, Given: given, Likely: likely, Margin: float64(row[likely] - row[given])})
	}
	return out
}

// nearly is the probability from which a label counts as certain, and below one minus which it counts as excluded.
const nearly = 0.9

func multi(s *eval.Sample) []Suspect {
	var out []Suspect
	for i, truth := range s.Truth {
		if s.Refused(i) {
			continue
		}
		worst := Suspect{Row: i, Given: -1, Likely: -1}
		for l, p := range s.Row(i) {
			has, q := slices.Contains(truth, int32(l)), float64(p)
			if has {
				q = 1 - q
			}
			if q < nearly || q <= worst.Margin {
				continue
			}
			worst.Margin, worst.Given, worst.Likely = q, -1, -1
			if has {
				worst.Given = int32(l)
			} else {
				worst.Likely = int32(l)
			}
		}
		if worst.Margin > 0 {
			out = append(out, worst)
		}
	}
	return out
}
