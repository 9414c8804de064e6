package risk

import "math"

// Bin is one bar of a reliability diagram: the items whose confidence fell into [Low, High).
type Bin struct {
	Low        float64 `json:"low"`
	High       float64 `json:"high"` // exclusive, except for the last bin, which includes 1
	Count      int     `json:"count"`
	Confidence float64 `json:"confidence"` // mean score of the items; 0 when there are none
	Accuracy   float64 `json:"accuracy"`   // share of them that was correct; 0 when there are none
	// Weight is the sum of their weights, where they have some; Confidence and Accuracy are then weighted.
	Weight float64 `json:"weight,omitempty"`
}

// Reliability sorts scores (probabilities) into n bins of equal width. An honest model has Accuracy = Confidence in every bin.
func Reliability(scores []float64, correct []bool, n int) []Bin {
	return WeightedReliability(scores, correct, nil, n)
}

// WeightedReliability is Reliability of scores that stand for different numbers of items; nil weights stand for one each.
func WeightedReliability(scores []float64, correct []bool, weights []float64, n int) []Bin {
	bins := make([]Bin, n)
	for i := range bins {
		bins[i].Low, bins[i].High = float64(i)/float64(n), float64(i+1)/float64(n)
	}
	for i, s := range scores {
		if math.IsNaN(s) {
			continue
		}
		b := &bins[min(max(int(s*float64(n)), 0), n-1)]
		w := 1.0
		if weights != nil {
			w = weights[i]
			b.Weight += w
		}
		b.Count++
		b.Confidence += w * s
		if correct[i] {
			b.Accuracy += w
		}
	}
	for i := range bins {
		if c := bins[i].stands(); c > 0 {
			bins[i].Confidence /= c
			bins[i].Accuracy /= c
		}
	}
	return bins
}

// stands is how many items a bin stands for.
func (b Bin) stands() float64 {
	if b.Weight > 0 {
		return b.Weight
	}
	return float64(b.Count)
}

// CalibrationError returns the expected calibration error of bins: the mean of |accuracy − confidence|, weighted by the number of
// items in each (Naeini, Cooper and Hauskrecht 2015). 0 is perfect, 0.1 means ten percentage points off.
func CalibrationError(bins []Bin) float64 {
	sum, n := 0.0, 0.0
	for _, b := range bins {
		sum += b.stands() * math.Abs(b.Accuracy-b.Confidence)
		n += b.stands()
	}
	if n == 0 {
		return 0
	}
	return sum / n
}
