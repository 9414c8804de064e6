package text

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
)

var _ engine.Predictor = (*Predictor)(nil)

// Predictor answers from a model file, in place: nothing is decoded but a few numbers a label.
type Predictor struct {
	file   *modelfile.File
	scorer scorer
	cal    Calibration
}

// New returns the predictor of a text model and takes over the file: Close closes it. When the file is no sound text model,
// the error wraps [engine.ErrFormat] and the file stays the caller's.
func New(f *modelfile.File) (*Predictor, error) {
	p := &Predictor{file: f}
	info := f.Info()
	if info.Kind != engine.KindTextLinear {
		return nil, damaged("kind is %s, want %s", info.Kind, engine.KindTextLinear)
	}
	if len(info.Columns) > 0 {
		return nil, damaged("a text model has no columns")
	}
	var parts [4][]byte
	for i, name := range [...]string{sectionShape, sectionWeights, sectionScales, sectionCalibration} {
		var err error
		if parts[i], err = f.Section(name); err != nil {
			return nil, fmt.Errorf("text model: %w", err)
		}
	}
	if err := p.scorer.open(len(info.Labels), parts[0], parts[1], parts[2]); err != nil {
		return nil, err
	}
	if err := p.cal.open(info.Task, len(info.Labels), parts[3]); err != nil {
		return nil, err
	}
	folded() // the first text shall not wait for the tables
	multipliers()
	return p, nil
}

// open checks the parts of a file and points the scorer at them.
func (s *scorer) open(labels int, shape, weights, scales []byte) error {
	le := binary.LittleEndian
	if len(shape) != 24+8*labels {
		return damaged("section %s has %d bytes, want %d", sectionShape, len(shape), 24+8*labels)
	}
	if v := le.Uint32(shape); v != readingVersion {
		return damaged("texts are read in version %d, this release knows %d", v, readingVersion)
	}
	buckets := le.Uint32(shape[4:])
	if buckets < 1<<minBucketBits || buckets > 1<<maxBucketBits || buckets&(buckets-1) != 0 {
		return damaged("%d buckets, want a power of two from 2^%d to 2^%d", buckets, minBucketBits, maxBucketBits)
	}
	s.labels, s.buckets, s.stride = labels, int(buckets), strideOf(labels)
	for c := range channels {
		s.share[c] = math.Float64frombits(le.Uint64(shape[8+8*c:]))
		if !(s.share[c] >= 0 && s.share[c] <= 1) {
			return damaged("share of channel %d is %v, want 0 to 1", c, s.share[c])
		}
	}
	s.bias, s.step = make([]float32, labels), make([]float32, labels)
	for l := range labels {
		s.bias[l] = math.Float32frombits(le.Uint32(shape[24+8*l:]))
		s.step[l] = math.Float32frombits(le.Uint32(shape[28+8*l:]))
		if !bounded(s.bias[l]) || !bounded(s.step[l]) {
			return damaged("bias or step of label %d is not a number below 2^40", l)
		}
	}
	if len(weights) != s.buckets*s.stride {
		return damaged("section %s has %d bytes, want %d", sectionWeights, len(weights), s.buckets*s.stride)
	}
	// -128 would overflow the 16-bit sums, which count on at most 127.
	if bytes.IndexByte(weights, 0x80) >= 0 {
		return damaged("section %s holds a weight of -128", sectionWeights)
	}
	if len(scales) != 2*s.buckets {
		return damaged("section %s has %d bytes, want %d", sectionScales, len(scales), 2*s.buckets)
	}
	s.weights, s.scales = weights, scales
	return nil
}

func bounded(x float32) bool { return x > -(1<<40) && x < 1<<40 }

func damaged(format string, args ...any) error {
	return fmt.Errorf("text model: "+format+": %w", append(args, engine.ErrFormat)...)
}

// Info describes the model.
func (p *Predictor) Info() *engine.Info { return p.file.Info() }

// Predict writes the calibrated probability of each label into out.
func (p *Predictor) Predict(in engine.Input, out []float32) error {
	if in.Record != nil {
		return fmt.Errorf("predict: a record was given to a text model: %w", engine.ErrInput)
	}
	if len(out) != p.scorer.labels {
		return fmt.Errorf("predict: room for %d probabilities, model has %d labels: %w", len(out), p.scorer.labels, engine.ErrInput)
	}
	p.scorer.logits(in.Text, out)
	p.cal.apply(out)
	return nil
}

// Explain returns the n-grams that weighed most for a label. N-grams that share a bucket stand as the first of them, with
// their common weight.
func (p *Predictor) Explain(in engine.Input, label, top int) ([]engine.Evidence, error) {
	if in.Record != nil {
		return nil, fmt.Errorf("explain: a record was given to a text model: %w", engine.ErrInput)
	}
	if label < 0 || label >= p.scorer.labels {
		return nil, fmt.Errorf("explain: label %d of %d: %w", label, p.scorer.labels, engine.ErrInput)
	}
	evidence := p.scorer.explain(in.Text, label)
	slices.SortStableFunc(evidence, func(a, b engine.Evidence) int { return cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight)) })
	return evidence[:min(max(top, 0), len(evidence))], nil
}

// explain returns all evidence in the order of the text, n-grams without weight included.
func (s *scorer) explain(text string, label int) []engine.Evidence {
	r, w := borrow(s.buckets), works.Get().(*work)
	defer giveBack(r)
	defer putWork(w)
	r.trace = true
	r.read(text)
	s.weigh(r, w)
	evidence := make([]engine.Evidence, len(r.grams))
	var next [channels]int
	for i, g := range r.grams {
		c := words
		if uint64(g.bucket) >= r.split {
			c = chars
		}
		m := w.lists[c][next[c]].count
		next[c]++
		q := int8(s.weights[int(g.bucket)*s.stride+label])
		x := float64(float64(int64(q)*int64(m)) * w.inverse[c])
		src := r.source[i]
		evidence[i] = engine.Evidence{Feature: src.feature, Start: src.start, End: src.end, Weight: float64(s.step[label]) * x}
	}
	return evidence
}

// Bias returns the score that a label has before any n-gram is read.
func (p *Predictor) Bias(label int) float64 { return float64(p.scorer.bias[label]) }

// Logits writes the score of each label before calibration.
func (p *Predictor) Logits(text string, out []float32) { p.scorer.logits(text, out[:p.scorer.labels]) }

// Close unmaps the file.
func (p *Predictor) Close() error {
	p.scorer = scorer{}
	return p.file.Close()
}
