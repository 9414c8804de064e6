package dataset_test

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/dataset"
)

func TestARowSaysHowItCameToBeLabelled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		s                  dataset.Sampling
		weight, rate, keep float64
	}{
		"everything was labelled":           {dataset.Sampling{}, 1, 1, 1},
		"an audit":                          {dataset.Sampling{Probability: 0.05, Least: 0.05}, 20, 0.05, 1},
		"left to people beside audits":      {dataset.Sampling{Probability: 1, Least: 0.05}, 1, 0.05, 0.05},
		"chosen among those left to people": {dataset.Sampling{Probability: 0.5, Least: 0.05}, 2, 0.05, 0.1},
		"nobody knows":                      {dataset.Sampling{Probability: dataset.Unknown, Least: 0.05}, 0, 0, 0},
		"nothing even can be drawn":         {dataset.Sampling{Probability: 1, Least: dataset.Unknown}, 1, 0, 0},
		"less than the least":               {dataset.Sampling{Probability: 0.1, Least: 0.5}, 10, 0.1, 1},
	} {
		rate, keep := c.s.Thinned()
		if c.s.Weight() != c.weight || rate != c.rate || keep != c.keep {
			t.Errorf("%s: weight %v, rate %v, keep %v; want %v, %v, %v", name, c.s.Weight(), rate, keep, c.weight, c.rate, c.keep)
		}
	}
	if dataset.Even([]dataset.Row{{}, {Sampling: dataset.Sampling{Probability: 1, Least: 0.05}}}) || !dataset.Even([]dataset.Row{{}, {Sampling: dataset.Sampling{Probability: 1, Least: 1}}}) {
		t.Error("what is even was not told from what is not")
	}
}
