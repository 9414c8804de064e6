package text

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"github.com/switchyard-ai/switchyard/internal/cores"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
)

// Row is a labelled text: exactly one label for a multiclass model, any number for a multilabel one.
type Row struct {
	Text   string
	Labels []int32 // indexes into the list of labels
}

// Settings steer training. DefaultSettings serves all data sets that we measured.
type Settings struct {
	Task      engine.Task
	Buckets   int     // a power of two, 2^12 to 2^20
	Seed      uint64  // of the order in which rows are visited
	MaxEpochs int     // passes over the rows; 0 chooses by the number of rows
	L2        float64 // regularisation: the weights decay by L2 divided by the number of rows, per row and at learning rate 1
	Rate      float64 // learning rate at the start; it falls to 0 in a straight line
	Batch     int     // rows whose gradients are taken at the same weights
	Balance   float64 // rows of a label with n rows weigh (mean/n)^Balance; 0 counts all rows alike, 1 all labels alike
	WordShare float64 // weight of the word n-grams against that of the character n-grams, 1 is equal
	// InverseFrequency and Relevance are the exponents of the two factors of an n-gram's weight: its inverse document frequency,
	// and how far the labels of the rows that hold it differ from those of all rows.
	InverseFrequency, Relevance float64
	// Dropout is the share of a row's n-grams that is left out, by chance and anew at each visit; Smoothing the share of its label
	// that is spread over all labels (multiclass only; Szegedy et al. 2016). Both stand in for rows that there are too few of, and fade
	// with more than 150 rows a label.
	Dropout, Smoothing float64
}

// DefaultSettings returns the settings for multiclass models. For multilabel ones only Task differs.
func DefaultSettings() Settings {
	return Settings{
		Task: engine.Multiclass, Buckets: 1 << 16, Seed: 1, L2: 0.08, Rate: 5, Batch: 32, Balance: 0.5, WordShare: 1.1,
		InverseFrequency: 0.4, Relevance: 0.35, Dropout: 0.5, Smoothing: 0.1,
	}
}

// Progress is reported after each epoch. ValidLoss and ValidAccuracy are 0 without validation rows; for multilabel models
// accuracy is the share of label decisions at probability 0.5 that are right.
type Progress struct {
	Epoch, MaxEpochs               int
	Loss, ValidLoss, ValidAccuracy float64
}

// Train fits a model on rows. Validation rows, which may be empty, only steer early stopping; without them training takes its
// full number of epochs. outOfScope is the index of the label that means "none of the others", -1 for none. The same rows,
// labels and settings give the same model on any machine. report may be nil.
func Train(ctx context.Context, rows, valid []Row, labels []string, outOfScope int, s Settings, report func(Progress)) (*Model, error) {
	if err := s.check(rows, valid, labels, outOfScope); err != nil {
		return nil, fmt.Errorf("train text model: %w", err)
	}
	s.L2 = min(s.L2/float64(len(rows)), 0.01/max(s.Rate, 1)) // with very few rows the decay would reach the whole weight
	if s.MaxEpochs == 0 {
		s.MaxEpochs = min(max(epochRows/len(rows), minEpochs), maxEpochs)
	}
	t := newTrainer(s, rows, valid, len(labels))
	if err := t.run(ctx, report); err != nil {
		return nil, fmt.Errorf("train text model: %w", err)
	}
	m := &Model{task: s.Task, labels: labels, outOfScope: outOfScope, report: t.kept}
	t.quantise(&m.scorer)
	return m, nil
}

const (
	epochRows = 150_000
	minEpochs = 12
	maxEpochs = 50
	// maxWeights bounds labels times buckets, of which training holds four bytes each, twice while stopping early.
	maxWeights = 1 << 28
)

func (s Settings) check(rows, valid []Row, labels []string, outOfScope int) error {
	positive := func(x float64) bool { return x >= 0 && x <= 1e6 }
	switch {
	case s.Task != engine.Multiclass && s.Task != engine.Multilabel:
		return fmt.Errorf("task %d is unknown", s.Task)
	case s.Buckets < 1<<minBucketBits || s.Buckets > 1<<maxBucketBits || bits.OnesCount(uint(s.Buckets)) != 1:
		return fmt.Errorf("%d buckets, want a power of two from 4096 to 1048576", s.Buckets)
	case s.MaxEpochs < 0 || s.MaxEpochs > 10000 || s.Batch < 1 || s.Batch > 4096:
		return fmt.Errorf("%d epochs in batches of %d, want at most 10000 and 1 to 4096", s.MaxEpochs, s.Batch)
	case !positive(s.L2) || !positive(s.Rate) || !positive(s.Balance) || !positive(s.WordShare) || !positive(s.InverseFrequency) || !positive(s.Relevance):
		return fmt.Errorf("a setting is negative or too large: %+v", s)
	case !(s.Dropout >= 0 && s.Dropout <= 0.9) || !(s.Smoothing >= 0 && s.Smoothing <= 0.9):
		return fmt.Errorf("dropout %v and smoothing %v, want 0 to 0.9", s.Dropout, s.Smoothing)
	case len(rows) == 0:
		return fmt.Errorf("there are no rows")
	case len(labels) < 2 && s.Task == engine.Multiclass:
		return fmt.Errorf("%d labels: a model needs at least 2 to choose between", len(labels))
	case len(labels) < 1 || len(labels) > modelfile.MaxLabels:
		return fmt.Errorf("%d labels, want 1 to %d", len(labels), modelfile.MaxLabels)
	case outOfScope < -1 || outOfScope >= len(labels):
		return fmt.Errorf("out-of-scope label %d of %d", outOfScope, len(labels))
	case s.Buckets*strideOf(len(labels)) > maxWeights:
		return fmt.Errorf("%d labels times %d buckets is beyond %d weights: use fewer buckets", len(labels), s.Buckets, maxWeights)
	}
	seen := map[int32]bool{}
	for i, r := range append(slices.Clip(rows), valid...) {
		if s.Task == engine.Multiclass && len(r.Labels) != 1 {
			return fmt.Errorf("row %d has %d labels, want 1", i, len(r.Labels))
		}
		for _, l := range r.Labels {
			if l < 0 || int(l) >= len(labels) {
				return fmt.Errorf("row %d has label %d of %d", i, l, len(labels))
			}
			if i < len(rows) {
				seen[l] = true
			}
		}
	}
	if s.Task == engine.Multiclass && len(seen) < 2 {
		return fmt.Errorf("all rows have the same label: a model needs at least 2 to choose between")
	}
	return nil
}

// parallel calls f for 0 to n-1, each in its own goroutine, and waits.
func parallel(n int, f func(k int)) {
	if n == 1 {
		f(0)
		return
	}
	var wg sync.WaitGroup
	for k := range n {
		wg.Go(func() { f(k) })
	}
	wg.Wait()
}

// cores is how many goroutines share the work; no result depends on it.
func threads() int { return min(cores.Count(), 16) }
