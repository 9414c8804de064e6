package record

import (
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// table holds rows as bins, one byte slice a column, and their labels.
type table struct {
	rows   int
	bins   [][]uint8
	labels labels
}

// labels holds the truth of each row: an index (multiclass) or a set of flags (multilabel).
type labels struct {
	class []int32
	flags []uint8
	count int
}

func newTable(columns []column, rows []Row, task engine.Task, count, workers int) *table {
	t := &table{rows: len(rows), bins: make([][]uint8, len(columns)), labels: newLabels(rows, task, count)}
	each(workers, len(columns), func(i int) {
		c := &columns[i]
		bins := make([]uint8, len(rows))
		for r := range rows {
			if v, ok := rows[r].Record[c.name]; ok {
				bins[r], _ = c.bin(v) // fields has checked the types
			}
		}
		t.bins[i] = bins
	})
	return t
}

func newLabels(rows []Row, task engine.Task, count int) labels {
	l := labels{count: count}
	if task == engine.Multilabel {
		l.flags = make([]uint8, len(rows)*count)
		for i := range rows {
			for _, k := range rows[i].Labels {
				l.flags[i*count+int(k)] = 1
			}
		}
		return l
	}
	l.class = make([]int32, len(rows))
	for i := range rows {
		l.class[i] = rows[i].Labels[0]
	}
	return l
}

// has says whether row i has label k.
func (l *labels) has(i, k int) bool {
	if l.class != nil {
		return l.class[i] == int32(k)
	}
	return l.flags[i*l.count+k] != 0
}

// counts returns the number of rows of each label.
func (l *labels) counts(rows int) []int {
	out := make([]int, l.count)
	for i := range rows {
		for k := range out {
			if l.has(i, k) {
				out[k]++
			}
		}
	}
	return out
}

// checkLabels refuses rows whose labels do not fit the task, and training rows that teach nothing.
func checkLabels(rows, valid []Row, names []string, outOfScope int, task engine.Task) error {
	if len(names) < 2 && task == engine.Multiclass || len(names) == 0 {
		return fmt.Errorf("%d labels: a model needs at least two answers to choose from", len(names))
	}
	if outOfScope < -1 || outOfScope >= len(names) {
		return fmt.Errorf("out-of-scope label has index %d, want -1 to %d", outOfScope, len(names)-1)
	}
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			return fmt.Errorf("label %q stands twice", name)
		}
		seen[name] = true
	}
	for i := range len(rows) + len(valid) {
		r := at(rows, valid, i)
		if task == engine.Multiclass && len(r.Labels) != 1 {
			return fmt.Errorf("row %d has %d labels, want 1", i+1, len(r.Labels))
		}
		for _, k := range r.Labels {
			if k < 0 || int(k) >= len(names) {
				return fmt.Errorf("row %d has label %d, want 0 to %d", i+1, k, len(names)-1)
			}
		}
	}
	return checkVariety(rows, names, task)
}

func checkVariety(rows []Row, names []string, task engine.Task) error {
	truth := newLabels(rows, task, len(names))
	learnable, present := 0, ""
	for k, n := range truth.counts(len(rows)) {
		if n > 0 && n < len(rows) {
			learnable++
		}
		if n > 0 {
			present = names[k]
		}
	}
	if learnable > 0 {
		return nil
	}
	if task == engine.Multilabel {
		return fmt.Errorf("no label is present in some of the %d training rows and absent in others; add rows of both sorts", len(rows))
	}
	return fmt.Errorf("all %d training rows have the label %q; add rows with another label", len(rows), present)
}

// at returns row i of both sets as if they were one.
func at(rows, valid []Row, i int) *Row {
	if i < len(rows) {
		return &rows[i]
	}
	return &valid[i-len(rows)]
}
