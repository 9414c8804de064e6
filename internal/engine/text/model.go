// Package text is the linear text model: hashed word and character n-grams, logistic regression, int8 weights. It trains
// models, writes them as files and answers from files that are mapped into memory. It knows nothing of thresholds.
package text

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
)

const (
	minBucketBits = 12
	maxBucketBits = 20

	// readingVersion changes whenever a text would be read into other buckets or multipliers.
	readingVersion = 1

	sectionShape       = "shape"       // reading version u32, buckets u32, share f64 of words and of characters, then bias f32 and step f32 a label
	sectionWeights     = "weights"     // int8, a row of labels (padded to 16) a bucket
	sectionScales      = "scales"      // uint16 a bucket
	sectionCalibration = "calibration" // f64: the temperature, or A and B a label
)

// Model is a trained model in memory.
type Model struct {
	task       engine.Task
	labels     []string
	outOfScope int
	scorer     scorer
	cal        Calibration
	report     Progress
}

// Labels returns the number of labels.
func (m *Model) Labels() int { return len(m.labels) }

// Progress returns the figures of the epoch whose weights the model has.
func (m *Model) Progress() Progress { return m.report }

// Logits writes the score of each label before calibration, computed with the int8 weights: exactly what the stored model
// will answer. The length of out is the number of labels. It may be called from many goroutines.
func (m *Model) Logits(text string, out []float32) { m.scorer.logits(text, out[:len(m.labels)]) }

// SetCalibration sets how logits become probabilities. Encode fails when the calibration does not fit the model.
func (m *Model) SetCalibration(c Calibration) {
	c.Platt = slices.Clone(c.Platt)
	m.cal = c
}

// Encode returns the model as a file, with meta as its notes. The same model gives the same bytes.
func (m *Model) Encode(meta map[string]string) ([]byte, error) {
	if err := m.cal.check(m.task, len(m.labels)); err != nil {
		return nil, fmt.Errorf("encode text model: %w", err)
	}
	s, le := &m.scorer, binary.LittleEndian
	shape := le.AppendUint32(nil, readingVersion)
	shape = le.AppendUint32(shape, uint32(s.buckets))
	for _, x := range s.share {
		shape = le.AppendUint64(shape, math.Float64bits(x))
	}
	for l := range m.labels {
		shape = le.AppendUint32(shape, math.Float32bits(s.bias[l]))
		shape = le.AppendUint32(shape, math.Float32bits(s.step[l]))
	}
	h := modelfile.Header{Kind: engine.KindTextLinear, Task: m.task, Labels: m.labels, OutOfScope: m.outOfScope, Meta: meta}
	return modelfile.Encode(h,
		modelfile.Section{Name: sectionShape, Data: shape},
		modelfile.Section{Name: sectionCalibration, Data: m.cal.encode(m.task, len(m.labels))},
		modelfile.Section{Name: sectionScales, Data: s.scales},
		modelfile.Section{Name: sectionWeights, Data: s.weights})
}
