package text_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

// parts are the sections of a model of two labels that a test may spoil.
type parts struct {
	header                              modelfile.Header
	shape, calibration, scales, weights []byte
}

func sound() *parts {
	le := binary.LittleEndian
	p := &parts{
		header:      modelfile.Header{Kind: engine.KindTextLinear, Task: engine.Multiclass, Labels: []string{"a", "b"}, OutOfScope: -1},
		shape:       le.AppendUint32(le.AppendUint32(nil, 1), 4096),
		calibration: le.AppendUint64(nil, math.Float64bits(1)),
		scales:      bytes.Repeat([]byte{7, 1}, 4096),
		weights:     bytes.Repeat([]byte{1, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 4096),
	}
	for range 2 {
		p.shape = le.AppendUint64(p.shape, math.Float64bits(0.5))
	}
	for range 4 {
		p.shape = le.AppendUint32(p.shape, math.Float32bits(0.25))
	}
	return p
}

func (p *parts) open(tb testing.TB) (*text.Predictor, error) {
	tb.Helper()
	b, err := modelfile.Encode(p.header, modelfile.Section{Name: "shape", Data: p.shape}, modelfile.Section{Name: "calibration", Data: p.calibration},
		modelfile.Section{Name: "scales", Data: p.scales}, modelfile.Section{Name: "weights", Data: p.weights})
	if err != nil {
		tb.Fatal(err)
	}
	f, err := modelfile.Parse(b)
	if err != nil {
		tb.Fatal(err)
	}
	return text.New(f)
}

func TestModelsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	if _, err := sound().open(t); err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for name, c := range map[string]struct {
		spoil func(p *parts)
		want  string
	}{
		"kind":            {func(p *parts) { p.header.Kind = engine.KindRecordTrees }, "record-trees"},
		"columns":         {func(p *parts) { p.header.Columns = []engine.Column{{Name: "x", Kind: engine.Bool}} }, "columns"},
		"more labels":     {func(p *parts) { p.header.Labels = []string{"a", "b", "c"} }, "shape"},
		"version":         {func(p *parts) { p.shape[0] = 2 }, "version 2"},
		"no buckets":      {func(p *parts) { le.PutUint32(p.shape[4:], 0) }, "0 buckets"},
		"many buckets":    {func(p *parts) { le.PutUint32(p.shape[4:], 1<<31) }, "2147483648 buckets"},
		"odd buckets":     {func(p *parts) { le.PutUint32(p.shape[4:], 4097) }, "4097 buckets"},
		"more buckets":    {func(p *parts) { le.PutUint32(p.shape[4:], 8192) }, "weights"},
		"share":           {func(p *parts) { le.PutUint64(p.shape[8:], math.Float64bits(math.NaN())) }, "share"},
		"bias":            {func(p *parts) { le.PutUint32(p.shape[24:], math.Float32bits(float32(math.Inf(1)))) }, "label 0"},
		"step":            {func(p *parts) { le.PutUint32(p.shape[36:], 0x7fc00000) }, "label 1"},
		"weights missing": {func(p *parts) { p.weights = p.weights[16:] }, "weights"},
		"weight of -128":  {func(p *parts) { p.weights[99] = 0x80 }, "-128"},
		"scales":          {func(p *parts) { p.scales = p.scales[1:] }, "scales"},
		"calibration":     {func(p *parts) { p.calibration = nil }, "calibration"},
		"temperature":     {func(p *parts) { p.calibration = make([]byte, 8) }, "temperature"},
		"platt": {func(p *parts) {
			p.header.Task = engine.Multilabel
			p.calibration = bytes.Repeat([]byte{0xff}, 32)
		}, "Platt"},
	} {
		p := sound()
		c.spoil(p)
		if _, err := p.open(t); !errors.Is(err, engine.ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	f, err := modelfile.Encode(sound().header)
	if err != nil {
		t.Fatal(err)
	}
	file, err := modelfile.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := text.New(file); !errors.Is(err, engine.ErrFormat) || !strings.Contains(err.Error(), `"shape" is missing`) {
		t.Errorf("no sections: %v", err)
	}
}

// FuzzNew opens models whose parts are arbitrary but whose checksums are right: either they are refused, or they answer
// probabilities.
func FuzzNew(f *testing.F) {
	p := sound()
	f.Add(byte(1), byte(2), p.shape, p.calibration, []byte{1, 2}, []byte{3, 4, 0x81}, "some text")
	f.Add(byte(2), byte(1), p.shape[:32], make([]byte, 16), []byte{0}, []byte{0x7f}, "\xff!!")
	f.Fuzz(func(t *testing.T, task, labels byte, shape, calibration, scales, weights []byte, in string) {
		p := &parts{shape: shape, calibration: calibration, scales: make([]byte, 2*4096)}
		n := int(labels)%40 + 1
		p.header = modelfile.Header{Kind: engine.KindTextLinear, Task: engine.Task(task%2 + 1), Labels: manyLabels(n), OutOfScope: -1}
		p.weights = make([]byte, 4096*((n+15)/16*16))
		for i := range p.scales {
			if len(scales) > 0 {
				p.scales[i] = scales[i%len(scales)]
			}
		}
		for i := range p.weights {
			if len(weights) > 0 {
				p.weights[i] = weights[i%len(weights)]
			}
		}
		m, err := p.open(t)
		if err != nil {
			if !errors.Is(err, engine.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		out := make([]float32, n)
		if err := m.Predict(engine.Input{Text: in}, out); err != nil {
			t.Fatal(err)
		}
		for _, x := range out {
			if !(x >= 0 && x <= 1) {
				t.Fatalf("probabilities %v", out)
			}
		}
		if _, err := m.Explain(engine.Input{Text: in}, n-1, 5); err != nil {
			t.Fatal(err)
		}
	})
}
