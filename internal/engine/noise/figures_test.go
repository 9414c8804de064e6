package noise_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/engine/noise"
	"github.com/switchyard-ai/switchyard/internal/testkit/data"
)

// TestFigureFlippedLabelsAreFound flips a fifth of the labels of real sets and looks for them.
func TestFigureFlippedLabelsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("trains six models of each set")
	}
	for name, operation := range map[string]string{"banking77/train.jsonl.gz": "classification", "it_tickets/valid.jsonl.gz": "routing", "sms_spam/train.jsonl.gz": "moderation"} {
		t.Run(name, func(t *testing.T) {
			set, err := dataset.Read(context.Background(), data.Path(t, name), dataset.Options{})
			if err != nil {
				t.Fatal(err)
			}
			o := fit.Options{Operation: operation, Seed: 1, Buckets: 1 << 14}
			before, err := fit.OutOfFold(t.Context(), set, o, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			labels := before.Labels
			random := rand.New(rand.NewPCG(1, 1))
			flipped := map[int]bool{}
			noisy := *set
			noisy.Rows = slices.Clone(set.Rows)
			for i := range noisy.Rows {
				if random.Float64() >= 0.2 {
					continue
				}
				at := slices.Index(labels, noisy.Rows[i].Labels[0])
				noisy.Rows[i].Labels = []string{labels[(at+1+random.IntN(len(labels)-1))%len(labels)]}
				flipped[i] = true
			}
			after, err := fit.OutOfFold(t.Context(), &noisy, o, 3, nil)
			if err != nil {
				t.Fatal(err)
			}
			found := noise.Find(after)
			hits := 0
			for _, s := range found {
				if flipped[s.Row] {
					hits++
				}
			}
			precision, recall := float64(hits)/float64(len(found)), float64(hits)/float64(len(flipped))
			clean, share := noise.Share(before), noise.Share(after)
			t.Logf("as it is: %.1f %% estimated; with 20 %% flipped: %.1f %% estimated, of %d suspects %.1f %% are flipped, of %d flipped %.1f %% are found",
				100*clean, 100*share, len(found), 100*precision, len(flipped), 100*recall)
			if share < 0.17 || recall < 0.55 || precision < 0.55 {
				t.Errorf("share %.3f, precision %.3f, recall %.3f", share, precision, recall)
			}
		})
	}
}
