package record

import (
	"math"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// scorer computes logits from the sections of a model, in place. Training and prediction share it, so a model answers the same
// before and after it was stored. All indexes in the sections were checked by newScorer; scoring cannot leave them.
type scorer struct {
	goal    objective
	columns []column
	bias    []float64

	offsets []int  // linear: first weight row of each column
	weights []byte // linear

	trees, nodes, sets []byte // trees
}

// newScorer checks the sections of a model of that kind in time proportional to their size.
func newScorer(kind engine.Kind, task engine.Task, labels int, fields []engine.Column, p parts) (*scorer, error) {
	if task != engine.Multiclass && task != engine.Multilabel || labels < 1 || task == engine.Multiclass && labels < 2 {
		return nil, damaged("task %d with %d labels", task, labels)
	}
	columns, err := readColumns(p, fields)
	if err != nil {
		return nil, err
	}
	s := &scorer{goal: newObjective(task, labels), columns: columns}
	if s.bias, err = readFloats(sectionBias, p[sectionBias], s.goal.outputs, maxWeight); err != nil {
		return nil, err
	}
	switch kind {
	case engine.KindRecordLinear:
		err = s.openLinear(p)
	case engine.KindRecordTrees:
		err = s.openTrees(p)
	default:
		err = damaged("kind %v is not a record model", kind)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *scorer) openLinear(p parts) error {
	at, total := offsets(s.columns)
	s.offsets, s.weights = at, p[sectionWeights]
	if len(s.weights) != 4*total*s.goal.outputs {
		return damaged("weights have %d bytes, want %d", len(s.weights), 4*total*s.goal.outputs)
	}
	for i := 0; i < len(s.weights); i += 4 {
		if w := single(s.weights[i:]); !(math.Abs(w) <= maxWeight) {
			return damaged("weight %d is %g", i/4, w)
		}
	}
	return nil
}

func (s *scorer) openTrees(p parts) error {
	s.trees, s.nodes, s.sets = p[sectionTrees], p[sectionNodes], p[sectionSets]
	if len(s.trees)%4 != 0 || len(s.trees) < 4 || len(s.nodes)%nodeSize != 0 || len(s.sets)%setSize != 0 || (len(s.trees)/4-1)%s.goal.outputs != 0 {
		return damaged("%d bytes of trees, %d of nodes, %d of sets", len(s.trees), len(s.nodes), len(s.sets))
	}
	last := uint64(0)
	if le.Uint32(s.trees) != 0 {
		return damaged("the first tree does not begin at the first node")
	}
	for i := 4; i < len(s.trees); i += 4 {
		next := uint64(le.Uint32(s.trees[i:]))
		if next <= last || next > uint64(len(s.nodes)/nodeSize) {
			return damaged("tree %d has no nodes or too many", i/4-1)
		}
		if err := s.checkTree(s.nodes[last*nodeSize : next*nodeSize]); err != nil {
			return err
		}
		last = next
	}
	if last != uint64(len(s.nodes)/nodeSize) {
		return damaged("nodes follow the last tree")
	}
	return nil
}

// checkTree makes sure that every walk through the tree ends: children stand behind their parent and inside the tree.
func (s *scorer) checkTree(nodes []byte) error {
	count := uint64(len(nodes) / nodeSize)
	for i := range count {
		n := readNode(nodes, int(i))
		ok := math.Abs(float64(n.value)) <= maxWeight
		switch n.left {
		case 0:
			ok = ok && n.set == 0 && n.column == 0 && n.bin == 0 && n.flags == 0
		default:
			ok = ok && uint64(n.left) > i && uint64(n.left)+1 < count && int(n.column) < len(s.columns)
			if ok && n.flags == flagSet {
				ok = int(n.set) < len(s.sets)/setSize && n.bin == 0
			} else {
				ok = ok && n.flags&^flagMissingRight == 0 && n.set == 0
			}
		}
		if !ok {
			return damaged("node %d of a tree is damaged", i)
		}
	}
	return nil
}

func single(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) }

func readNode(nodes []byte, i int) node {
	b := nodes[i*nodeSize:][:nodeSize:nodeSize]
	low, high := le.Uint64(b), le.Uint64(b[8:])
	return node{
		value: math.Float32frombits(uint32(low)), left: uint32(low >> 32),
		set: uint32(high), column: uint16(high >> 32), bin: uint8(high >> 48), flags: uint8(high >> 56),
	}
}

// goesLeft is tree.left on the bytes of a file.
func (s *scorer) goesLeft(n *node, b uint8) bool {
	if n.flags&flagSet != 0 {
		return s.sets[int(n.set)*setSize+int(b>>3)]>>(b&7)&1 != 0 // little endian: bit b of the set is bit b%8 of byte b/8
	}
	return b-n.flags>>1 <= n.bin
}

// encode turns a record into bins, one a column.
func (s *scorer) encode(r engine.Record, bins []uint8) error {
	found := 0
	for i := range s.columns {
		c := &s.columns[i]
		v, ok := r[c.name]
		if !ok {
			if !c.optional {
				return s.refuse(r, &InputError{Field: c.name, Problem: "the field is missing; it had a value in every training row"})
			}
			bins[i] = binMissing
			continue
		}
		found++
		b, problem := c.bin(v)
		if problem != "" {
			return s.refuse(r, &InputError{Field: c.name, Problem: problem})
		}
		bins[i] = b
	}
	if found < len(r) {
		return s.refuse(r, nil)
	}
	return nil
}

// refuse names the first unknown field if there is one, because a misspelt field explains a missing one; otherwise it returns err.
func (s *scorer) refuse(r engine.Record, err error) error {
	unknown := ""
	for name := range r {
		if !s.knows(name) && (unknown == "" || name < unknown) {
			unknown = name
		}
	}
	if unknown == "" && err != nil {
		return err
	}
	return &InputError{Field: unknown, Problem: "the model was not trained on this field"}
}

func (s *scorer) knows(name string) bool {
	for i := range s.columns {
		if s.columns[i].name == name {
			return true
		}
	}
	return false
}

// score writes the score of each output into z.
func (s *scorer) score(bins []uint8, z []float64) {
	copy(z, s.bias)
	if s.offsets != nil {
		for c, b := range bins {
			row := s.weights[(s.offsets[c]+int(b))*4*len(z):]
			for k := range z {
				z[k] += single(row[4*k:])
			}
		}
		return
	}
	k := 0
	for t := 0; t+4 < len(s.trees); t += 4 {
		z[k] += s.walk(int(le.Uint32(s.trees[t:])), bins)
		if k++; k == len(z) {
			k = 0
		}
	}
}

// walk returns the answer of the tree whose nodes begin at first. Most of the time of a prediction is spent here, waiting for
// branches that nobody can foresee; the choice of the child is therefore arithmetic.
func (s *scorer) walk(first int, bins []uint8) float64 {
	nodes := s.nodes[first*nodeSize:]
	at := 0
	for {
		b := nodes[at*nodeSize:][:nodeSize:nodeSize]
		low := le.Uint64(b)
		left := int(low >> 32)
		if left == 0 {
			return float64(math.Float32frombits(uint32(low)))
		}
		high := le.Uint64(b[8:])
		bin := uint64(bins[high>>32&0xFFFF])
		var right int
		if high>>56&flagSet == 0 {
			right = int((high>>48&0xFF - (bin-high>>57)&0xFF) >> 63)
		} else {
			right = 1 - int(s.sets[(high&0xFFFFFFFF)*setSize+bin>>3]>>(bin&7)&1)
		}
		at = left + right
	}
}

// share returns how much of a unit of an output's score goes to the logit of a label: two exclusive labels divide one score.
func (o objective) share(label int) (output int, factor float64) {
	if o.task == engine.Multiclass && o.outputs == 1 {
		return 0, float64(label) - 0.5
	}
	return label, 1
}
