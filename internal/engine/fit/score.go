package fit

import (
	"errors"
	"math"
	"runtime"
	"sync"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
)

// score asks the finished model about the rows, on all cores. A row that does not fit the model is refused, as it would be when
// serving; any other error ends the run.
func (r *run) score(p engine.Predictor, rows []dataset.Row) (*eval.Sample, error) {
	labels := len(r.index.names)
	s := &eval.Sample{
		Labels: r.index.names, Multilabel: r.index.multilabel, OutOfScope: r.index.outOfScope,
		Moderation: r.o.Operation == eval.Moderation, Harmless: r.index.harmless,
		Probs: make([]float32, labels*len(rows)), Truth: make([][]int32, len(rows)),
	}
	workers := max(1, min(runtime.GOMAXPROCS(0), len(rows)/64))
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(rows) && errs[w] == nil; i += workers {
				if i%1024 < workers {
					if errs[w] = r.ctx.Err(); errs[w] != nil {
						return
					}
				}
				s.Truth[i] = r.index.truth(rows[i])
				errs[w] = answer(p, rows[i], s.Row(i))
			}
		})
	}
	wg.Wait()
	return s, errors.Join(errs...)
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
