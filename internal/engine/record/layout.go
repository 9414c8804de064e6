package record

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Names of the sections. All numbers are little endian.
//
//	columns      12 bytes a column: type u8, 1 if it may be missing u8, zero u16, number of bounds u32, number of categories u32
//	bounds       f64: the bounds of all columns, one column after the other, ascending
//	ends         u32: where each category ends in categories
//	categories   the categories of all columns, one after the other
//	bias         f64 an output; two exclusive labels share one output, the log odds of the second
//	weights      linear: f32, bins of all columns × outputs
//	trees        u32: index of the first node of each tree, then the number of nodes; tree r·outputs+k belongs to output k
//	nodes        16 bytes a node: value f32, left child u32 (in its tree; the right one follows; 0 at a leaf), set u32, column u16, bin u8, flags u8
//	sets         32 bytes a set of bins that go left
//	calibration  f64: the temperature, or A and B of each label
const (
	sectionColumns     = "columns"
	sectionBounds      = "bounds"
	sectionEnds        = "ends"
	sectionCategories  = "categories"
	sectionBias        = "bias"
	sectionWeights     = "weights"
	sectionTrees       = "trees"
	sectionNodes       = "nodes"
	sectionSets        = "sets"
	sectionCalibration = "calibration"

	columnSize, nodeSize, setSize = 12, 16, 32
)

// maxWeight bounds every number that is added up, so that no sum overflows.
const maxWeight = 1e12

var le = binary.LittleEndian

// parts are the sections of a model by name.
type parts map[string][]byte

func linearParts(columns []column, l *linear) parts {
	p := columnParts(columns)
	p[sectionBias] = floats(l.bias)
	for _, w := range l.weights {
		p[sectionWeights] = le.AppendUint32(p[sectionWeights], math.Float32bits(float32(w)))
	}
	return p
}

func forestParts(columns []column, f *forest) parts {
	p := columnParts(columns)
	p[sectionBias] = floats(f.bias)
	var trees, nodes, sets []byte
	for _, t := range f.trees {
		trees = le.AppendUint32(trees, uint32(len(nodes)/nodeSize))
		first := uint32(len(sets) / setSize)
		for _, n := range t.nodes {
			if n.flags&flagSet != 0 {
				n.set += first
			}
			nodes = le.AppendUint32(nodes, math.Float32bits(n.value))
			nodes = le.AppendUint32(nodes, n.left)
			nodes = le.AppendUint32(nodes, n.set)
			nodes = le.AppendUint16(nodes, n.column)
			nodes = append(nodes, n.bin, n.flags)
		}
		for _, s := range t.sets {
			for _, word := range s {
				sets = le.AppendUint64(sets, word)
			}
		}
	}
	p[sectionTrees] = le.AppendUint32(trees, uint32(len(nodes)/nodeSize))
	p[sectionNodes], p[sectionSets] = nodes, sets
	return p
}

func columnParts(columns []column) parts {
	var head, bounds, ends, categories []byte
	for i := range columns {
		c := &columns[i]
		optional := byte(0)
		if c.optional {
			optional = 1
		}
		head = append(head, byte(c.kind), optional, 0, 0)
		head = le.AppendUint32(head, uint32(len(c.bounds)))
		head = le.AppendUint32(head, uint32(len(c.names)))
		bounds = append(bounds, floats(c.bounds)...)
		for _, s := range c.names {
			categories = append(categories, s...)
			ends = le.AppendUint32(ends, uint32(len(categories)))
		}
	}
	return parts{sectionColumns: head, sectionBounds: bounds, sectionEnds: ends, sectionCategories: categories}
}

func floats(values []float64) (b []byte) {
	for _, v := range values {
		b = le.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("record model: %w: %s", engine.ErrFormat, fmt.Sprintf(format, args...))
}

// readFloats decodes a section of exactly n numbers, each of which must be at most limit away from zero.
func readFloats(name string, b []byte, n int, limit float64) ([]float64, error) {
	if len(b) != 8*n {
		return nil, damaged("section %s has %d bytes, want %d", name, len(b), 8*n)
	}
	out := make([]float64, n)
	for i := range out {
		out[i] = math.Float64frombits(le.Uint64(b[8*i:]))
		if !(math.Abs(out[i]) <= limit) {
			return nil, damaged("section %s: number %d is %g, limit %g", name, i, out[i], limit)
		}
	}
	return out, nil
}

// readColumns decodes the schema and checks it against the fields that the header names.
func readColumns(p parts, fields []engine.Column) ([]column, error) {
	head := p[sectionColumns]
	if len(fields) == 0 || len(fields) > MaxColumns || len(head) != columnSize*len(fields) {
		return nil, damaged("%d fields with %d bytes of columns", len(fields), len(head))
	}
	r := &columnReader{bounds: p[sectionBounds], ends: p[sectionEnds], categories: p[sectionCategories]}
	columns := make([]column, len(fields))
	for i := range columns {
		c, b := &columns[i], head[i*columnSize:]
		c.name, c.kind, c.optional = fields[i].Name, fields[i].Kind, b[1] == 1
		if i > 0 && c.name <= fields[i-1].Name {
			return nil, damaged("fields are not in order at %q", c.name)
		}
		if c.kind < engine.Number || c.kind > engine.Bool || byte(c.kind) != b[0] || b[1] > 1 || b[2] != 0 || b[3] != 0 {
			return nil, damaged("column %q: head is damaged", c.name)
		}
		if err := r.read(c, le.Uint32(b[4:]), le.Uint32(b[8:])); err != nil {
			return nil, err
		}
	}
	if len(r.bounds) != 0 || len(r.ends) != 0 || r.at != len(r.categories) {
		return nil, damaged("bounds or categories are left over")
	}
	return columns, nil
}

type columnReader struct {
	bounds, ends, categories []byte
	at                       int
}

func (r *columnReader) read(c *column, bounds, names uint32) (err error) {
	if bounds > maxBins-2 || names > maxBins-firstCategory || bounds > 0 && c.kind != engine.Number || names > 0 && c.kind != engine.Text {
		return damaged("column %q: %d bounds and %d categories", c.name, bounds, names)
	}
	if len(r.bounds) < 8*int(bounds) || len(r.ends) < 4*int(names) {
		return damaged("column %q: bounds or categories are cut off", c.name)
	}
	if c.bounds, err = readFloats(sectionBounds, r.bounds[:8*bounds], int(bounds), math.MaxFloat64); err != nil {
		return err
	}
	r.bounds = r.bounds[8*bounds:]
	for i := 1; i < len(c.bounds); i++ {
		if c.bounds[i] <= c.bounds[i-1] {
			return damaged("column %q: bounds are not ascending", c.name)
		}
	}
	list := make([]string, names)
	for i := range list {
		end := int(le.Uint32(r.ends[4*i:]))
		if end < r.at || end > len(r.categories) {
			return damaged("column %q: category %d is out of place", c.name, i)
		}
		list[i] = string(r.categories[r.at:end])
		r.at = end
	}
	r.ends = r.ends[4*names:]
	if c.kind != engine.Text {
		return nil
	}
	if c.setNames(list); len(c.index) != len(list) {
		return damaged("column %q: a category stands twice", c.name)
	}
	return nil
}
