package record

import (
	"fmt"
	"maps"
	"math"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
)

// Model is a trained model that was not stored yet. Its methods may be called from many goroutines, except SetCalibration.
type Model struct {
	kind        engine.Kind
	labels      []string
	outOfScope  int
	columns     []engine.Column
	parts       parts
	notes       []Note
	meta        map[string]string
	calibration Calibration
	evaluator
}

func newModel(m Method, p parts, goal objective, labels []string, outOfScope int, columns []column, notes []Note) (*Model, error) {
	model := &Model{kind: engine.KindRecordLinear, labels: labels, outOfScope: outOfScope, parts: p, notes: notes, meta: map[string]string{}}
	if m == Trees {
		model.kind = engine.KindRecordTrees
	}
	for i := range columns {
		model.columns = append(model.columns, engine.Column{Name: columns[i].name, Kind: columns[i].kind})
	}
	s, err := newScorer(model.kind, goal.task, goal.labels, model.columns, p)
	if err != nil {
		return nil, err
	}
	model.scorer = s
	return model, nil
}

// Kind returns whether the model is linear or made of trees.
func (m *Model) Kind() engine.Kind { return m.kind }

// Columns returns the fields of the model, sorted by name.
func (m *Model) Columns() []engine.Column { return m.columns }

// Notes returns what was remarkable about the fields, sorted by field.
func (m *Model) Notes() []Note { return m.notes }

// Logits writes the uncalibrated score of each label into out, exactly as the stored model answers. It fails as Predict does.
func (m *Model) Logits(r engine.Record, out []float32) error { return m.logits(r, out) }

// SetCalibration sets how logits become probabilities once the model is stored.
func (m *Model) SetCalibration(c Calibration) { m.calibration = c }

// Encode returns the model as the bytes of a model file, with what the trainer noted and meta. It fails when the calibration
// does not fit the task.
func (m *Model) Encode(meta map[string]string) ([]byte, error) {
	all := maps.Clone(m.meta)
	maps.Copy(all, meta)
	p := maps.Clone(m.parts)
	p[sectionCalibration] = m.calibration.bytes(m.goal)
	if _, err := readCalibration(p[sectionCalibration], m.goal); err != nil {
		return nil, fmt.Errorf("encode record model: %w", err)
	}
	names := []string{sectionColumns, sectionBounds, sectionEnds, sectionCategories, sectionBias, sectionCalibration}
	if m.kind == engine.KindRecordLinear {
		names = append(names, sectionWeights)
	} else {
		names = append(names, sectionTrees, sectionNodes, sectionSets)
	}
	var sections []modelfile.Section
	for _, name := range names {
		sections = append(sections, modelfile.Section{Name: name, Data: p[name]})
	}
	b, err := modelfile.Encode(modelfile.Header{
		Kind: m.kind, Task: m.goal.task, Labels: m.labels, OutOfScope: m.outOfScope, Columns: m.columns, Meta: all,
	}, sections...)
	if err != nil {
		return nil, fmt.Errorf("encode record model: %w", err)
	}
	return b, nil
}

func (c Calibration) bytes(o objective) []byte {
	if o.task == engine.Multiclass {
		t := c.Temperature
		if t == 0 {
			t = 1
		}
		return floats([]float64{t})
	}
	var values []float64
	for _, p := range c.Platt {
		values = append(values, p.A, p.B)
	}
	if len(values) == 0 {
		for range o.labels {
			values = append(values, 1, 0)
		}
	}
	return floats(values)
}

// readCalibration returns the temperature, or A and B of each label in turn.
func readCalibration(b []byte, o objective) ([]float64, error) {
	if o.task != engine.Multiclass {
		return readFloats(sectionCalibration, b, 2*o.labels, 1e6)
	}
	v, err := readFloats(sectionCalibration, b, 1, 1000)
	if err != nil {
		return nil, err
	}
	if !(v[0] >= 1e-3) || math.IsInf(v[0], 0) {
		return nil, damaged("temperature is %g, want 0.001 to 1000", v[0])
	}
	return v, nil
}
