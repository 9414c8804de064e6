package record

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
)

// evaluator adds reusable memory to a scorer.
type evaluator struct {
	*scorer
	pool sync.Pool
}

type scratch struct {
	bins []uint8
	z    []float64 // an output each
}

func (e *evaluator) take() *scratch {
	if s, ok := e.pool.Get().(*scratch); ok {
		return s
	}
	return &scratch{bins: make([]uint8, len(e.columns)), z: make([]float64, e.goal.outputs)}
}

func (e *evaluator) logits(r engine.Record, out []float32) error {
	if len(out) != e.goal.labels {
		return fmt.Errorf("score record: room for %d labels, the model has %d", len(out), e.goal.labels)
	}
	s := e.take()
	defer e.pool.Put(s)
	if err := e.encode(r, s.bins); err != nil {
		return err
	}
	e.score(s.bins, s.z)
	for label := range out {
		k, factor := e.goal.share(label)
		out[label] = float32(factor * s.z[k])
	}
	return nil
}

// Predictor answers with an opened model file of either kind. A record must have exactly the fields of the model:
// an unknown field, a field of another type, a number that is not finite, and a missing field that had a value in every training
// row are an InputError. A text value that was not seen in training is "other".
type Predictor struct {
	file        *modelfile.File
	calibration []float64
	evaluator
}

var _ engine.Predictor = (*Predictor)(nil)

// New checks the sections of a record model and returns its predictor, which owns the file from then on. A file of
// another kind, or one that is damaged, fails with engine.ErrFormat and stays open.
func New(f *modelfile.File) (*Predictor, error) {
	info := f.Info()
	p := parts{}
	names := []string{sectionColumns, sectionBounds, sectionEnds, sectionCategories, sectionBias, sectionCalibration}
	switch info.Kind {
	case engine.KindRecordLinear:
		names = append(names, sectionWeights)
	case engine.KindRecordTrees:
		names = append(names, sectionTrees, sectionNodes, sectionSets)
	default:
		return nil, damaged("kind %v is not a record model", info.Kind)
	}
	for _, name := range names {
		b, err := f.Section(name)
		if err != nil {
			return nil, fmt.Errorf("record model: %w", err)
		}
		p[name] = b
	}
	s, err := newScorer(info.Kind, info.Task, len(info.Labels), info.Columns, p)
	if err != nil {
		return nil, err
	}
	calibration, err := readCalibration(p[sectionCalibration], s.goal)
	if err != nil {
		return nil, err
	}
	return &Predictor{file: f, calibration: calibration, evaluator: evaluator{scorer: s}}, nil
}

// Info describes the model.
func (p *Predictor) Info() *engine.Info { return p.file.Info() }

// Close releases the file.
func (p *Predictor) Close() error { return p.file.Close() }

// Logits writes the uncalibrated score of each label into out.
func (p *Predictor) Logits(r engine.Record, out []float32) error { return p.logits(r, out) }

// Predict writes the calibrated probability of each label into out.
func (p *Predictor) Predict(in engine.Input, out []float32) error {
	if in.Record == nil {
		return &InputError{Problem: "want a record, got a text"}
	}
	if err := p.logits(in.Record, out); err != nil {
		return err
	}
	p.calibrate(out)
	return nil
}

func (p *Predictor) calibrate(out []float32) {
	if p.goal.task == engine.Multilabel {
		for k, z := range out {
			out[k] = float32(sigmoid(p.calibration[2*k]*float64(z) + p.calibration[2*k+1]))
		}
		return
	}
	top, sum := slices.Max(out), 0.0
	for k, z := range out {
		e := math.Exp((float64(z) - float64(top)) / p.calibration[0])
		out[k] = float32(e)
		sum += e
	}
	for k := range out {
		out[k] = float32(float64(out[k]) / sum)
	}
}

// Bias returns the logit of a label before any evidence: that of the average training row.
func (p *Predictor) Bias(label int) float64 {
	k, factor := p.goal.share(label)
	sum := p.bias[k]
	for t := k; p.offsets == nil && t < len(p.trees)/4-1; t += p.goal.outputs {
		sum += float64(readNode(p.nodes, int(le.Uint32(p.trees[4*t:]))).value)
	}
	return factor * sum
}

// Explain returns the fields that moved the logit of a label most, away from that of the average training row (Bias).
// For linear models that is the weight of the field's bin. For trees it is path attribution (Saabas 2014, "Interpreting random
// forests"): each split contributes the change of the mean answer to the field that it asks. Both sum with the bias
// to the logit exactly, up to rounding. A missing field stands as "field is missing".
func (p *Predictor) Explain(in engine.Input, label, top int) ([]engine.Evidence, error) {
	if in.Record == nil {
		return nil, &InputError{Problem: "want a record, got a text"}
	}
	if label < 0 || label >= p.goal.labels {
		return nil, fmt.Errorf("explain record: label %d, the model has %d", label, p.goal.labels)
	}
	bins := make([]uint8, len(p.columns))
	if err := p.encode(in.Record, bins); err != nil {
		return nil, err
	}
	k, factor := p.goal.share(label)
	weights := p.contributions(bins, k)
	var out []engine.Evidence
	for c, w := range weights {
		if w != 0 {
			out = append(out, engine.Evidence{Feature: p.columns[c].describeValue(in.Record), Weight: factor * w})
		}
	}
	slices.SortStableFunc(out, func(a, b engine.Evidence) int {
		switch x, y := math.Abs(a.Weight), math.Abs(b.Weight); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	return out[:min(len(out), max(0, top))], nil
}

// contributions returns what each column added to an output.
func (s *scorer) contributions(bins []uint8, output int) []float64 {
	out := make([]float64, len(bins))
	if s.offsets != nil {
		for c, b := range bins {
			out[c] = single(s.weights[((s.offsets[c]+int(b))*s.goal.outputs+output)*4:])
		}
		return out
	}
	for t := output; t < len(s.trees)/4-1; t += s.goal.outputs {
		first := int(le.Uint32(s.trees[4*t:]))
		n := readNode(s.nodes, first)
		for n.left != 0 {
			at := first + int(n.left)
			if !s.goesLeft(&n, bins[n.column]) {
				at++
			}
			child := readNode(s.nodes, at)
			out[n.column] += float64(child.value) - float64(n.value)
			n = child
		}
	}
	return out
}

// maxFeatureBytes is the longest value that an explanation repeats.
const maxFeatureBytes = 200

func (c *column) describeValue(r engine.Record) string {
	v, ok := r[c.name]
	if !ok {
		return c.name + " is missing"
	}
	switch v.Kind {
	case engine.Number:
		return c.name + "=" + strconv.FormatFloat(v.Number, 'g', -1, 64)
	case engine.Bool:
		return c.name + "=" + strconv.FormatBool(v.Bool)
	case engine.Text:
	}
	text := v.Text
	if len(text) > maxFeatureBytes {
		cut := maxFeatureBytes
		for cut > 0 && text[cut]&0xC0 == 0x80 { // not in the middle of a character
			cut--
		}
		text = text[:cut] + "…"
	}
	return c.name + "=" + text
}
