package record

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Note is something about a field that whoever trains should know: it is constant, empty, or its values were capped.
type Note struct {
	Field, Text string
}

// field is what a pass over all rows tells about one field before it is divided into bins.
type field struct {
	name     string
	kind     engine.ValueKind
	firstRow int
	count    int
}

// fields finds the fields of all rows, sorted by name. Rows are numbered from 1, those of each set after those of the one before.
func fields(sets ...[]Row) ([]field, int, error) {
	found := map[string]*field{}
	total := 0
	for _, rows := range sets {
		for i := range rows {
			total++
			if err := addFields(found, rows[i].Record, total); err != nil {
				return nil, 0, err
			}
		}
	}
	if len(found) == 0 {
		return nil, 0, fmt.Errorf("the %d records have no fields", total)
	}
	if len(found) > MaxColumns {
		return nil, 0, fmt.Errorf("the records have %d different fields, limit %d", len(found), MaxColumns)
	}
	out := make([]field, 0, len(found))
	for _, f := range found {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return out, total, nil
}

func addFields(found map[string]*field, r engine.Record, row int) error {
	var bad *InputError
	fail := func(name, format string, args ...any) {
		if bad == nil || name < bad.Field { // maps have no order; the answer must
			bad = &InputError{Field: name, Problem: fmt.Sprintf(format, args...)}
		}
	}
	for name, v := range r {
		f := found[name]
		switch {
		case name == "" || len(name) > maxNameBytes || !utf8.ValidString(name):
			fail(name, "the name of a field must be 1 to %d bytes of UTF-8", maxNameBytes)
		case v.Kind < engine.Number || v.Kind > engine.Bool:
			fail(name, "%s", kindName(v.Kind))
		case v.Kind == engine.Number && (math.IsNaN(v.Number) || math.IsInf(v.Number, 0)):
			fail(name, "the number is not finite; leave the field out where the value is unknown")
		case f == nil:
			found[name] = &field{name: name, kind: v.Kind, firstRow: row, count: 1}
		case f.kind != v.Kind:
			fail(name, "%s here but %s in row %d; give the field one type in all rows", kindName(v.Kind), kindName(f.kind), f.firstRow)
		default:
			f.count++
		}
	}
	if bad != nil {
		return fmt.Errorf("row %d: %w", row, bad)
	}
	return nil
}

// binning says how fine the bins of a schema are.
type binning struct {
	numberBins, categories, minCategoryRows, workers int
}

// schema divides the fields into columns. Types and missing values come from all rows, bins only from the training rows.
func schema(all []field, total int, rows []Row, b binning) ([]column, []Note) {
	columns, notes := make([]column, len(all)), make([][]Note, len(all))
	each(b.workers, len(all), func(i int) {
		f := all[i]
		c := &columns[i]
		c.name, c.kind, c.optional = f.name, f.kind, f.count < total
		var distinct, count int
		switch f.kind {
		case engine.Number:
			distinct, count = c.fitNumbers(rows, b)
		case engine.Text:
			distinct, count = c.fitTexts(rows, b)
		case engine.Bool:
			distinct, count = c.fitBools(rows)
		}
		notes[i] = c.describe(distinct, count, len(rows))
	})
	return columns, slices.Concat(notes...)
}

func (c *column) fitNumbers(rows []Row, b binning) (distinct, count int) {
	values := make([]float64, 0, len(rows))
	for i := range rows {
		if v, ok := rows[i].Record[c.name]; ok {
			values = append(values, v.Number)
		}
	}
	c.bounds = cutpoints(values, b.numberBins, min(3, 1+len(values)/100))
	for i, v := range values {
		if i == 0 || v != values[i-1] {
			distinct++
		}
	}
	return distinct, len(values)
}

func (c *column) fitTexts(rows []Row, b binning) (distinct, count int) {
	counts := map[string]int{}
	for i := range rows {
		if v, ok := rows[i].Record[c.name]; ok {
			counts[v.Text]++
			count++
		}
	}
	names := make([]string, 0, len(counts))
	for s, n := range counts {
		if n >= b.minCategoryRows && len(s) <= maxCategoryBytes {
			names = append(names, s)
		}
	}
	sort.Slice(names, func(i, j int) bool {
		if counts[names[i]] != counts[names[j]] {
			return counts[names[i]] > counts[names[j]]
		}
		return names[i] < names[j]
	})
	c.setNames(slices.Clone(names[:min(len(names), b.categories)]))
	return len(counts), count
}

func (c *column) fitBools(rows []Row) (distinct, count int) {
	var seen [2]bool
	for i := range rows {
		if v, ok := rows[i].Record[c.name]; ok {
			count++
			if v.Bool {
				seen[1] = true
			} else {
				seen[0] = true
			}
		}
	}
	for _, s := range seen {
		if s {
			distinct++
		}
	}
	return distinct, count
}

func (c *column) describe(distinct, count, rows int) []Note {
	note := func(format string, args ...any) []Note {
		return []Note{{Field: c.name, Text: fmt.Sprintf(format, args...)}}
	}
	switch {
	case count == 0:
		return note("has no value in any training row and is not used")
	case distinct == 1 && count == rows:
		return note("has the same value in every training row and is not used")
	case c.kind == engine.Text && len(c.names) == 0:
		return note("has %d different values, none frequent enough to learn from (an identifier or free text?)", distinct)
	case c.kind == engine.Text && len(c.names) < distinct:
		return note("has %d different values; the %d rarest are treated as one, \"other\"", distinct, distinct-len(c.names))
	}
	return nil
}
