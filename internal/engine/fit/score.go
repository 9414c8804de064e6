package fit

import (
	"context"
	"errors"
	"math"
	"sync"

	"github.com/switchyard-ai/switchyard/internal/cores"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
)

// score asks the finished model about the rows, on all cores. A row that does not fit the model is refused, as it would be when
// serving; any other error ends the run.
func (r *run) score(p engine.Predictor, rows []dataset.Row) (*eval.Sample, error) {
	s := &eval.Sample{
		Labels: r.index.names, Multilabel: r.index.multilabel, OutOfScope: r.index.outOfScope,
		Moderation: r.o.Operation == eval.Moderation, Harmless: r.index.harmless,
	}
	return s, ask(r.ctx, p, rows, r.index, s)
}

// Score asks any finished model about rows, which may have labels that it does not know. harmless are the indices of the labels that mean "nothing wrong",
// nil unless for moderation.
func Score(ctx context.Context, p engine.Predictor, rows []dataset.Row, moderation bool, harmless []int) (*eval.Sample, error) {
	info := p.Info()
	x := &index{names: info.Labels, number: make(map[string]int32, len(info.Labels))}
	for i, l := range info.Labels {
		x.number[l] = int32(i)
	}
	s := &eval.Sample{Labels: info.Labels, Multilabel: info.Task == engine.Multilabel, OutOfScope: info.OutOfScope, Moderation: moderation, Harmless: harmless}
	return s, ask(ctx, p, rows, x, s)
}

// ask fills in the answers and truths of a sample.
func ask(ctx context.Context, p engine.Predictor, rows []dataset.Row, x *index, s *eval.Sample) error {
	s.Probs, s.Truth = make([]float32, len(s.Labels)*len(rows)), make([][]int32, len(rows))
	workers := max(1, min(cores.Count(), len(rows)/64))
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(rows) && errs[w] == nil; i += workers {
				if i%1024 < workers {
					if errs[w] = ctx.Err(); errs[w] != nil {
						return
					}
				}
				s.Truth[i] = x.truth(rows[i])
				errs[w] = answer(p, rows[i], s.Row(i))
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func answer(p engine.Predictor, row dataset.Row, out []float32) error {
	err := p.Predict(engine.Input{Text: row.Text, Record: row.Record}, out)
	if errors.Is(err, engine.ErrInput) {
		for i := range out {
			out[i] = float32(math.NaN())
		}
		return nil
	}
	return err
}
