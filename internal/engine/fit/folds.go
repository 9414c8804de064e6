package fit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
)

// OutOfFold answers every row by a model that did not learn from it, nor from any row of its group: the rows are divided into folds, and each fold is answered by a
// model of the others. The answers are in the order of the rows. It fails as Run does.
func OutOfFold(ctx context.Context, set *dataset.Set, o Options, folds int, progress func(Event)) (*eval.Sample, error) {
	if progress == nil {
		progress = func(Event) {}
	}
	r := &run{ctx: ctx, o: o.withDefaults(), set: set, progress: func(Event) {}}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("answer out of fold: %w", err)
	}
	sample := &eval.Sample{
		Labels: r.index.names, Multilabel: r.index.multilabel, OutOfScope: r.index.outOfScope, Moderation: r.o.Operation == eval.Moderation, Harmless: r.index.harmless,
		Probs: make([]float32, len(r.index.names)*len(set.Rows)), Truth: make([][]int32, len(set.Rows)),
	}
	sample.Weights = weights(set.Rows)
	for fold, held := range r.folds(folds) {
		progress(Event{Stage: StageTrain, Done: float64(fold) / float64(folds), Message: fmt.Sprintf("fold %d of %d", fold+1, folds)})
		if err := r.fold(held, sample); err != nil {
			return nil, fmt.Errorf("answer fold %d: %w", fold+1, err)
		}
	}
	return sample, nil
}

// folds divides the row numbers; groups stay together and labels keep their proportions.
func (r *run) folds(n int) [][]int {
	out := make([][]int, n)
	random := rand.New(rand.NewPCG(r.o.Seed, 0x666f6c64)) // repeatable, not secret
	next := 0
	for _, stratum := range stratify(r.set.Rows) {
		random.Shuffle(len(stratum), func(i, j int) { stratum[i], stratum[j] = stratum[j], stratum[i] })
		for _, group := range stratum {
			out[next%n] = append(out[next%n], group...)
			next++
		}
	}
	return out
}

// fold trains on the rows that are not held and answers those that are.
func (r *run) fold(held []int, sample *eval.Sample) error {
	isHeld := make(map[int]bool, len(held))
	for _, i := range held {
		isHeld[i] = true
	}
	r.parts = parts{}
	for i := range r.set.Rows {
		switch {
		case isHeld[i]:
		case i%20 == 7: // enough for a temperature
			r.parts.calibrate = append(r.parts.calibrate, i)
		default:
			r.parts.train = append(r.parts.train, i)
		}
	}
	m, err := r.train()
	if err != nil {
		return err
	}
	r.calibrate(m)
	artifact, err := m.Encode(r.meta())
	if err != nil {
		return err
	}
	p, err := load.Parse(artifact)
	if err != nil {
		return err
	}
	defer p.Close()
	return r.answerHeld(p, held, sample)
}

func (r *run) answerHeld(p engine.Predictor, held []int, sample *eval.Sample) error {
	slices.Sort(held)
	rows := make([]dataset.Row, len(held))
	for k, i := range held {
		rows[k] = r.set.Rows[i]
	}
	part, err := r.score(p, rows)
	if err != nil {
		return err
	}
	for k, i := range held {
		copy(sample.Row(i), part.Row(k))
		sample.Truth[i] = part.Truth[k]
	}
	return nil
}
