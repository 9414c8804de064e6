package record

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
)

// smallModels are trained once for all tests.
var smallModels = map[Method]func() (*Model, error){
	Linear: sync.OnceValues(func() (*Model, error) { return trainSmall(Linear) }),
	Trees:  sync.OnceValues(func() (*Model, error) { return trainSmall(Trees) }),
}

func small(tb testing.TB, method Method) *Model {
	tb.Helper()
	m, err := smallModels[method]()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// trainSmall trains a model with all types of field, missing values and trees with splits of both sorts.
func trainSmall(method Method) (*Model, error) {
	random := rand.New(rand.NewPCG(3, 4))
	var rows []Row
	for range 400 {
		n, c, b := random.IntN(40), random.IntN(6), random.IntN(2) == 0
		r := engine.Record{
			"b": {Kind: engine.Bool, Bool: b}, "n": {Kind: engine.Number, Number: float64(n)},
			"c": {Kind: engine.Text, Text: fmt.Sprint("c", c)}, "m": {Kind: engine.Number, Number: random.Float64()},
		}
		if n%5 == 0 {
			delete(r, "m")
		}
		label := int32(0)
		switch {
		case c%3 == 1 && n > 10:
			label = 1
		case b && n < 30:
			label = 2
		}
		rows = append(rows, Row{Record: r, Labels: []int32{label}})
	}
	s := DefaultSettings()
	s.Method, s.Rounds, s.Leaves, s.TreeBins, s.LinearBins = method, 6, 8, 16, 16
	return Train(context.Background(), rows, nil, []string{"x", "y", "z"}, -1, s, nil)
}

var sectionsOf = map[Method][]string{
	Linear: {sectionColumns, sectionBounds, sectionEnds, sectionCategories, sectionBias, sectionWeights, sectionCalibration},
	Trees:  {sectionColumns, sectionBounds, sectionEnds, sectionCategories, sectionBias, sectionTrees, sectionNodes, sectionSets, sectionCalibration},
}

// reopen stores a model with other sections and opens it.
func reopen(m *Model, p parts, columns []engine.Column) (*Predictor, error) {
	var sections []modelfile.Section
	for name, b := range p {
		sections = append(sections, modelfile.Section{Name: name, Data: b})
	}
	b, err := modelfile.Encode(modelfile.Header{Kind: m.kind, Task: m.goal.task, Labels: m.labels, OutOfScope: -1, Columns: columns}, sections...)
	if err != nil {
		return nil, err
	}
	f, err := modelfile.Parse(b)
	if err != nil {
		return nil, err
	}
	return New(f)
}

// use answers and explains records of all sorts; answers must be finite and sum to 1.
func use(tb testing.TB, p *Predictor) {
	tb.Helper()
	records := []engine.Record{{}, {}, {}}
	for i, r := range records {
		for _, c := range p.columns {
			switch {
			case i == 0 && c.optional:
			case c.kind == engine.Number:
				r[c.name] = engine.Value{Kind: c.kind, Number: math.Pow(-40, float64(i))}
			case c.kind == engine.Text:
				r[c.name] = engine.Value{Kind: c.kind, Text: fmt.Sprint("c", i)}
			default:
				r[c.name] = engine.Value{Kind: c.kind, Bool: i == 1}
			}
		}
	}
	probs := make([]float32, p.goal.labels)
	for _, r := range records {
		if err := p.Predict(engine.Input{Record: r}, probs); err != nil {
			tb.Fatal(err)
		}
		sum := 0.0
		for _, v := range probs {
			sum += float64(v)
		}
		if !(math.Abs(sum-1) < 1e-3) {
			tb.Fatalf("probabilities %v", probs)
		}
		if _, err := p.Explain(engine.Input{Record: r}, 1, 3); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestHostileModelsAreRefused(t *testing.T) {
	t.Parallel()
	set32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint32(b[at:], v); return b }
	}
	set64 := func(at int, v float64) func([]byte) []byte {
		return func(b []byte) []byte { le.PutUint64(b[at:], math.Float64bits(v)); return b }
	}
	setByte := func(at int, v byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = v; return b }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	grow := func(n int) func([]byte) []byte { return func(b []byte) []byte { return append(b, make([]byte, n)...) } }
	nan := math.Float32bits(float32(math.NaN()))
	// Columns in order: b boolean, c text, m number, n number. The first node of the first tree divides rows.
	for _, c := range []struct {
		name    string
		method  Method
		section string
		change  func([]byte) []byte
	}{
		{"child is the node itself", Trees, sectionNodes, func(b []byte) []byte { le.PutUint32(b[nodeSize+4:], 1); return b }},
		{"child is the root", Trees, sectionNodes, func(b []byte) []byte { le.PutUint32(b[2*nodeSize+4:], 1); return b }},
		{"child is in another tree", Trees, sectionNodes, set32(4, 1<<20)},
		{"child overflows", Trees, sectionNodes, set32(4, math.MaxUint32)},
		{"column does not exist", Trees, sectionNodes, setByte(12, 200)},
		{"set does not exist", Trees, sectionNodes, func(b []byte) []byte { b[15] = flagSet; b[14] = 0; le.PutUint32(b[8:], 1<<30); return b }},
		{"unknown flag", Trees, sectionNodes, setByte(15, 128)},
		{"both flags", Trees, sectionNodes, setByte(15, flagSet|flagMissingRight)},
		{"value is not a number", Trees, sectionNodes, set32(0, nan)},
		{"value is huge", Trees, sectionNodes, set32(0, math.Float32bits(1e30))},
		{"half a node", Trees, sectionNodes, cut(8)},
		{"a node too many", Trees, sectionNodes, grow(nodeSize)},
		{"no nodes", Trees, sectionNodes, func([]byte) []byte { return nil }},
		{"half a set", Trees, sectionSets, grow(7)},
		{"no sets", Trees, sectionSets, func([]byte) []byte { return nil }},
		{"no trees at all", Trees, sectionTrees, func([]byte) []byte { return nil }},
		{"trees do not ascend", Trees, sectionTrees, set32(4, 0)},
		{"trees begin late", Trees, sectionTrees, set32(0, 1)},
		{"trees beyond the nodes", Trees, sectionTrees, set32(8, math.MaxUint32)},
		{"a tree too few", Trees, sectionTrees, cut(4)},
		{"weight is not a number", Linear, sectionWeights, set32(0, nan)},
		{"a weight too few", Linear, sectionWeights, cut(4)},
		{"a weight too many", Linear, sectionWeights, grow(4)},
		{"bias is infinite", Linear, sectionBias, set64(0, math.Inf(1))},
		{"a bias too few", Linear, sectionBias, cut(8)},
		{"type differs from the header", Linear, sectionColumns, setByte(0, byte(engine.Text))},
		{"type is unknown", Linear, sectionColumns, setByte(0, 9)},
		{"optional is neither yes nor no", Linear, sectionColumns, setByte(1, 2)},
		{"reserved bytes in use", Linear, sectionColumns, setByte(2, 1)},
		{"bounds of a boolean", Linear, sectionColumns, set32(4, 1)},
		{"too many bounds", Linear, sectionColumns, set32(2*columnSize+4, 255)},
		{"bounds overflow", Linear, sectionColumns, set32(2*columnSize+4, math.MaxUint32)},
		{"too many categories", Linear, sectionColumns, set32(columnSize+8, 255)},
		{"a category too few", Linear, sectionColumns, set32(columnSize+8, 5)},
		{"a column too few", Linear, sectionColumns, cut(columnSize)},
		{"bounds not ascending", Linear, sectionBounds, set64(8, -1e9)},
		{"bound is not a number", Linear, sectionBounds, set64(0, math.NaN())},
		{"a bound too many", Linear, sectionBounds, grow(8)},
		{"category outside", Linear, sectionEnds, set32(4, 1000)},
		{"categories descend", Linear, sectionEnds, set32(4, 1)},
		{"category cut off", Linear, sectionCategories, cut(1)},
		{"category twice", Linear, sectionCategories, func(b []byte) []byte { copy(b[2:4], b[0:2]); return b }},
		{"temperature zero", Linear, sectionCalibration, set64(0, 0)},
		{"temperature negative", Trees, sectionCalibration, set64(0, -1)},
		{"temperature is not a number", Trees, sectionCalibration, set64(0, math.NaN())},
		{"temperature missing", Trees, sectionCalibration, cut(8)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := small(t, c.method)
			p := maps.Clone(m.parts)
			p[sectionCalibration] = m.calibration.bytes(m.goal)
			good, err := reopen(m, p, m.columns)
			if err != nil {
				t.Fatal(err)
			}
			use(t, good)
			p[c.section] = c.change(append([]byte(nil), p[c.section]...))
			if _, err := reopen(m, p, m.columns); !errors.Is(err, engine.ErrFormat) {
				t.Errorf("got %v, want %v", err, engine.ErrFormat)
			}
			delete(p, c.section)
			if _, err := reopen(m, p, m.columns); !errors.Is(err, engine.ErrFormat) {
				t.Errorf("without section %s: got %v, want %v", c.section, err, engine.ErrFormat)
			}
		})
	}
}

func TestModelsOfOtherKindsAreRefused(t *testing.T) {
	t.Parallel()
	b, err := modelfile.Encode(modelfile.Header{Kind: engine.KindTextLinear, Task: engine.Multiclass, Labels: []string{"a", "b"}, OutOfScope: -1})
	if err != nil {
		t.Fatal(err)
	}
	f, err := modelfile.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(f); !errors.Is(err, engine.ErrFormat) {
		t.Errorf("got %v, want %v", err, engine.ErrFormat)
	}
	m := small(t, Trees)
	p := maps.Clone(m.parts)
	p[sectionCalibration] = m.calibration.bytes(m.goal)
	swapped := append([]engine.Column(nil), m.columns...)
	swapped[2], swapped[3] = swapped[3], swapped[2]
	if _, err := reopen(m, p, swapped); !errors.Is(err, engine.ErrFormat) {
		t.Errorf("fields out of order: got %v, want %v", err, engine.ErrFormat)
	}
	if _, err := reopen(m, p, nil); !errors.Is(err, engine.ErrFormat) {
		t.Errorf("no fields: got %v, want %v", err, engine.ErrFormat)
	}
}

// FuzzOpen changes one section of a good model and opens the result, with valid checksums: what is accepted must answer.
func FuzzOpen(f *testing.F) {
	models := map[Method]*Model{Linear: small(f, Linear), Trees: small(f, Trees)}
	for method, names := range sectionsOf {
		for i := range names {
			f.Add(uint8(method), uint8(i), uint32(4), []byte{1, 0, 0, 0}, uint16(0))
			f.Add(uint8(method), uint8(i), uint32(0), []byte{255, 255, 255, 255}, uint16(1))
		}
	}
	f.Fuzz(func(t *testing.T, method, section uint8, at uint32, with []byte, cut uint16) {
		m := models[Method(method%2)+Linear]
		names := sectionsOf[Method(method%2)+Linear]
		name := names[int(section)%len(names)]
		p := maps.Clone(m.parts)
		p[sectionCalibration] = m.calibration.bytes(m.goal)
		b := append([]byte(nil), p[name]...)
		if len(b) > 0 {
			copy(b[int(at)%len(b):], with)
		}
		p[name] = b[:max(0, len(b)-int(cut))]
		opened, err := reopen(m, p, m.columns)
		if err != nil {
			if !errors.Is(err, engine.ErrFormat) {
				t.Fatalf("refused with %v, want %v", err, engine.ErrFormat)
			}
			return
		}
		use(t, opened)
	})
}
