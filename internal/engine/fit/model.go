package fit

import (
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/record"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

// model is a trained model before it becomes a file: of texts or of records.
type model interface {
	logits(row dataset.Row, out []float32) error
	setTemperature(t float64)
	setSigmoids(s []sigmoid)
	// again returns the model that learns from all rows of the numbers as long as this one learned, with its calibration; itself where
	// that is not done.
	again(r *run, numbers []int) (model, error)
	Encode(meta map[string]string) ([]byte, error)
}

// sigmoid is p = 1/(1+exp(−(A·logit+B))).
type sigmoid = struct{ A, B float64 }

func (r *run) train() (model, error) {
	r.say(StageTrain, 0, "%d rows, %d labels", len(r.parts.train), len(r.index.names))
	if r.set.Kind == dataset.Text {
		return r.trainText()
	}
	return r.trainRecord()
}

func (r *run) task() engine.Task {
	if r.index.multilabel {
		return engine.Multilabel
	}
	return engine.Multiclass
}

type textModel struct {
	*text.Model
	calibration text.Calibration
}

func (m *textModel) logits(row dataset.Row, out []float32) error {
	m.Logits(row.Text, out)
	return nil
}
func (m *textModel) setTemperature(t float64) { m.set(text.Calibration{Temperature: t}) }
func (m *textModel) setSigmoids(s []sigmoid)  { m.set(text.Calibration{Platt: s}) }

func (m *textModel) set(c text.Calibration) {
	m.calibration = c
	m.SetCalibration(c)
}

func (m *textModel) again(r *run, numbers []int) (model, error) {
	s := r.textSettings()
	s.MaxEpochs = m.Progress().Epoch
	r.say(StageRefit, 0, "%d rows", len(numbers))
	refitted, err := text.Train(r.ctx, r.textRows(numbers), nil, r.index.names, r.index.outOfScope, s, func(p text.Progress) {
		r.say(StageRefit, float64(p.Epoch)/float64(max(p.MaxEpochs, 1)), "epoch %d, loss %.4f", p.Epoch, p.Loss)
	})
	if err != nil {
		return nil, err
	}
	out := &textModel{Model: refitted}
	out.set(m.calibration)
	return out, nil
}

func (r *run) textSettings() text.Settings {
	s := text.DefaultSettings()
	s.Task, s.Seed = r.task(), r.o.Seed
	if r.o.Buckets > 0 {
		s.Buckets = r.o.Buckets
	}
	r.o.Tuning.text(&s)
	return s
}

func (r *run) textRows(numbers []int) []text.Row {
	out := make([]text.Row, len(numbers))
	for i, n := range numbers {
		out[i] = text.Row{Text: r.set.Rows[n].Text, Labels: r.index.truth(r.set.Rows[n])}
	}
	return out
}

func (r *run) trainText() (model, error) {
	// Few rows stop training by luck: 300 rows of banking77 cost up to 0.7 points of accuracy against the full number of epochs.
	var watch []text.Row
	if len(r.parts.calibrate) >= leastStopping {
		watch = r.textRows(r.parts.calibrate)
	}
	m, err := text.Train(r.ctx, r.textRows(r.parts.train), watch, r.index.names, r.index.outOfScope, r.textSettings(), func(p text.Progress) {
		seen := ""
		if len(watch) > 0 {
			seen = fmt.Sprintf(", accuracy on held-out rows %.1f %%", 100*p.ValidAccuracy)
		}
		r.say(StageTrain, float64(p.Epoch)/float64(max(p.MaxEpochs, 1)), "epoch %d, loss %.4f%s", p.Epoch, p.Loss, seen)
	})
	if err != nil {
		return nil, err
	}
	return &textModel{Model: m}, nil
}

type recordModel struct{ *record.Model }

func (m recordModel) logits(row dataset.Row, out []float32) error { return m.Logits(row.Record, out) }

func (m recordModel) setTemperature(t float64) {
	m.SetCalibration(record.Calibration{Temperature: t})
}
func (m recordModel) setSigmoids(s []sigmoid) { m.SetCalibration(record.Calibration{Platt: s}) }

// again keeps the model: its calibration rows also chose the method and the number of trees, which more rows would choose anew.
func (m recordModel) again(*run, []int) (model, error) { return m, nil }

func (r *run) trainRecord() (model, error) {
	s := record.DefaultSettings()
	s.Task, s.Seed = r.task(), r.o.Seed
	switch r.o.Method {
	case MethodLinear:
		s.Method = record.Linear
	case MethodTrees:
		s.Method = record.Trees
	}
	r.o.Tuning.record(&s)
	rows := func(numbers []int) []record.Row {
		out := make([]record.Row, len(numbers))
		for i, n := range numbers {
			out[i] = record.Row{Record: r.set.Rows[n].Record, Labels: r.index.truth(r.set.Rows[n])}
		}
		return out
	}
	m, err := record.Train(r.ctx, rows(r.parts.train), rows(r.parts.calibrate), r.index.names, r.index.outOfScope, s, func(p record.Progress) {
		r.say(StageTrain, float64(p.Round)/float64(max(p.MaxRounds, 1)), "%s, round %d, loss %.4f, accuracy on held-out rows %.1f %%", p.Method, p.Round, p.Loss, 100*p.ValidAccuracy)
	})
	if err != nil {
		return nil, err
	}
	for _, n := range m.Notes() {
		r.findings = append(r.findings, dataset.Finding{Severity: dataset.Note, Code: "field", Count: 1, Message: fmt.Sprintf("field %q: %s", n.Field, n.Text)})
	}
	return recordModel{m}, nil
}
