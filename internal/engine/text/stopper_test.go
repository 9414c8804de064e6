package text

import "testing"

func TestTrainingStopsWhenValidationGetsClearlyWorse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		accuracy   []float64
		kept, seen int
	}{
		"better to the end":         {[]float64{0.5, 0.6, 0.7, 0.7, 0.8}, 5, 5},
		"a little worse at the end": {[]float64{0.5, 0.8, 0.799, 0.798, 0.798}, 5, 5},
		"clearly worse":             {[]float64{0.5, 0.8, 0.7, 0.7, 0.6, 0.9}, 2, 5},
		"worse for a moment":        {[]float64{0.5, 0.8, 0.7, 0.7, 0.8, 0.7}, 5, 6},
		"never right":               {[]float64{0, 0, 0}, 3, 3},
	} {
		s := &stopper{n: 1000}
		kept, seen := 0, 0
		for i, a := range c.accuracy {
			keep, end := s.see(Progress{ValidAccuracy: a})
			if seen++; keep {
				kept = i + 1
			}
			if end {
				break
			}
		}
		if kept != c.kept || seen != c.seen {
			t.Errorf("%s: kept epoch %d of %d, want %d of %d", name, kept, seen, c.kept, c.seen)
		}
	}
}
