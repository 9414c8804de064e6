package dataset

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// builder collects rows and rejections; the readers of all formats end here, so that all judge rows alike.
type builder struct {
	o    Options
	set  *Set
	seen int
	// about is what the file says about the row that is added next.
	about about
}

func newBuilder(name string, o Options) *builder {
	return &builder{o: o, set: &Set{Name: name, RejectedByReason: map[string]int{}}}
}

// tick counts a row and fails when there are too many or when the caller has given up.
func (b *builder) tick(ctx context.Context) error {
	if b.seen++; b.seen > b.o.Limits.Rows {
		return fmt.Errorf("more than %d rows: %w", b.o.Limits.Rows, ErrTooLarge)
	}
	if b.seen%1024 == 0 {
		return ctx.Err()
	}
	return nil
}

func (b *builder) reject(line int, reason, format string, args ...any) {
	b.set.RejectedByReason[reason]++
	if len(b.set.Rejected) < b.o.Limits.Errors {
		b.set.Rejected = append(b.set.Rejected, RowError{Line: line, Reason: reason, Detail: fmt.Sprintf(format, args...)})
	}
}

// addText judges a text row and keeps or rejects it.
func (b *builder) addText(line int, subject, text string, labels []string) {
	if subject = strings.TrimSpace(subject); subject != "" {
		text = strings.TrimRight(subject+"\n"+text, "\n")
	}
	if strings.TrimSpace(text) == "" {
		b.reject(line, EmptyText, "field %q is empty", b.o.TextField)
		return
	}
	if n := utf8.RuneCountInString(text); n > b.o.Limits.TextChars {
		b.reject(line, TextTooLong, "text has %d characters, limit %d", n, b.o.Limits.TextChars)
		return
	}
	b.add(Row{Line: line, Text: text, Labels: labels}, Text)
}

// addRecord judges a record row and keeps or rejects it.
func (b *builder) addRecord(line int, rec engine.Record, labels []string) {
	if len(rec) == 0 {
		b.reject(line, EmptyRecord, "no field has a value")
		return
	}
	if len(rec) > b.o.Limits.Fields {
		b.reject(line, RecordTooLarge, "record has %d fields, limit %d", len(rec), b.o.Limits.Fields)
		return
	}
	for name, v := range rec {
		if v.Kind == engine.Text && utf8.RuneCountInString(v.Text) > b.o.Limits.ValueChars {
			b.reject(line, RecordTooLarge, "field %q has more than %d characters", name, b.o.Limits.ValueChars)
			return
		}
	}
	b.add(Row{Line: line, Record: rec, Labels: labels}, Record)
}

func (b *builder) add(row Row, kind Kind) {
	if problem := b.about.problem(); problem != "" {
		b.reject(row.Line, BadProbability, "%s", problem)
		return
	}
	labels := make([]string, 0, len(row.Labels))
	for _, l := range row.Labels {
		if b.o.LabelSeparator != "" {
			b.set.Lists = true
			for part := range strings.SplitSeq(l, b.o.LabelSeparator) {
				labels = append(labels, strings.TrimSpace(part))
			}
			continue
		}
		labels = append(labels, strings.TrimSpace(l))
	}
	kept := labels[:0]
	for _, l := range labels {
		if l == "" {
			b.reject(row.Line, EmptyLabel, "field %q is empty", b.o.LabelField)
			return
		}
		if n := utf8.RuneCountInString(l); n > b.o.Limits.LabelChars {
			b.reject(row.Line, LabelTooLong, "label has %d characters, limit %d", n, b.o.Limits.LabelChars)
			return
		}
		if !slices.Contains(kept, l) {
			kept = append(kept, l)
		}
	}
	if b.set.Kind == "" {
		b.set.Kind = kind
	}
	if kind != b.set.Kind {
		b.reject(row.Line, MixedKind, "a %s row in a file of %s rows", kind, b.set.Kind)
		return
	}
	row.Labels = kept
	row.Person, row.Time, row.Attributes, row.Sampling = b.about.person, b.about.time, b.about.attributes, b.about.sampling
	b.set.Rows = append(b.set.Rows, row)
}

// finish settles what only the whole file can tell: the type of each record field.
func (b *builder) finish() *Set {
	if b.set.Kind == Record {
		b.settleTypes()
	}
	return b.set
}

// settleTypes gives each field the type that most rows have (of Options.Columns, if it stands there) and rejects the rows that
// differ: a model cannot read a field that is a number here and a text there, and a guess would hide a broken export.
func (b *builder) settleTypes() {
	counts := map[string]*[4]int{}
	for _, row := range b.set.Rows {
		for name, v := range row.Record {
			if counts[name] == nil {
				counts[name] = &[4]int{}
			}
			counts[name][v.Kind&3]++
		}
	}
	kinds := make(map[string]engine.ValueKind, len(counts))
	for name, c := range counts {
		best := engine.Number
		for _, k := range []engine.ValueKind{engine.Text, engine.Bool} {
			if c[k] > c[best] {
				best = k
			}
		}
		kinds[name] = best
	}
	for _, c := range b.o.Columns {
		if _, ok := kinds[c.Name]; ok {
			kinds[c.Name] = c.Kind
		}
	}
	kept := b.set.Rows[:0]
rows:
	for _, row := range b.set.Rows {
		for _, name := range slices.Sorted(maps.Keys(row.Record)) {
			if have, want := row.Record[name].Kind, kinds[name]; have != want {
				b.reject(row.Line, WrongType, "field %q is a %s here and a %s in most rows", name, typeName(have), typeName(want))
				continue rows
			}
		}
		kept = append(kept, row)
	}
	b.set.Rows = kept
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		b.set.Columns = append(b.set.Columns, engine.Column{Name: name, Kind: kinds[name]})
	}
}

func typeName(k engine.ValueKind) string {
	switch k {
	case engine.Number:
		return "number"
	case engine.Text:
		return "text"
	case engine.Bool:
		return "boolean"
	}
	return "nothing"
}
