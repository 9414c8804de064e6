package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// role says what a leaf column of a Parquet file is to us.
type role uint8

const (
	ignored role = iota
	labelRole
	textRole
	subjectRole
	fieldRole
)

// leaf is one column of values: its role and, for record fields, its name.
type leaf struct {
	role role
	name string
	// empty is the definition level from which a null label means an empty list rather than a missing one.
	empty int
	// about is the name of a column that says something about rows, "" for others.
	about string
}

// readParquet reads a Parquet file. The footer states rows and sizes before any page is read, and both are checked; a footer that
// lies can still make one page large, so the limit on bytes is softer here than for streams.
func readParquet(ctx context.Context, r io.ReaderAt, size int64, b *builder) (err error) {
	b.set.Format = "parquet"
	// The library is written for files of its own make and panics on some damaged ones.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("parquet: damaged file: %v: %w", p, ErrFormat)
		}
	}()
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return fmt.Errorf("parquet: %w: %w", ErrFormat, err)
	}
	if f.NumRows() > int64(b.o.Limits.Rows) {
		return fmt.Errorf("%d rows, limit %d: %w", f.NumRows(), b.o.Limits.Rows, ErrTooLarge)
	}
	total := int64(0)
	for _, g := range f.Metadata().RowGroups {
		if g.TotalByteSize > 0 {
			total += g.TotalByteSize
		}
	}
	if total > b.o.Limits.Bytes || total < 0 {
		return fmt.Errorf("%d bytes after decompression, limit %d: %w", total, b.o.Limits.Bytes, ErrTooLarge)
	}
	leaves, err := b.parquetLeaves(f.Schema())
	if err != nil {
		return err
	}
	for _, g := range f.RowGroups() {
		if err := b.parquetGroup(ctx, g, leaves); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) parquetLeaves(schema *parquet.Schema) ([]leaf, error) {
	paths := schema.Columns()
	has := func(name string) bool {
		return slices.ContainsFunc(paths, func(p []string) bool { return p[0] == name })
	}
	if !has(b.o.LabelField) && !b.o.Unlabelled {
		var top []string
		for _, p := range paths {
			if !slices.Contains(top, p[0]) {
				top = append(top, p[0])
			}
		}
		return nil, fmt.Errorf("no column is named %q (the label); the columns are %s: %w", b.o.LabelField, list(top), ErrFormat)
	}
	if err := b.settleProbability(has); err != nil {
		return nil, err
	}
	leaves, fields := make([]leaf, len(paths)), 0
	for i, p := range paths {
		column, _ := schema.Lookup(p...)
		if len(p) == 1 && b.o.wants(p[0]) && scalar(column) {
			leaves[i].about = p[0]
			if !b.o.feature(p[0]) {
				continue
			}
		}
		switch {
		case p[0] == b.o.LabelField:
			leaves[i].role = labelRole
			if topOptional(schema, p[0]) {
				leaves[i].empty = 1
			}
			b.set.Lists = b.set.Lists || column.MaxRepetitionLevel > 0
		case p[0] == b.o.TextField && len(p) == 1:
			leaves[i].role = textRole
		case p[0] == b.o.SubjectField && len(p) == 1 && b.o.SubjectField != "":
			leaves[i].role = subjectRole
		case has(b.o.TextField): // other columns of a text file are of no concern
		case p[0] == b.o.RecordField && len(p) == 2, !has(b.o.RecordField) && len(p) == 1:
			if !scalar(column) {
				b.set.Ignored = append(b.set.Ignored, p[len(p)-1])
				continue
			}
			leaves[i].role, leaves[i].name = fieldRole, p[len(p)-1]
			fields++
		default:
			b.set.Ignored = append(b.set.Ignored, p[0])
		}
	}
	if fields == 0 && !has(b.o.TextField) {
		return nil, fmt.Errorf("there is neither a column %q nor any column of texts, numbers or booleans: %w", b.o.TextField, ErrFormat)
	}
	return leaves, nil
}

func topOptional(schema *parquet.Schema, name string) bool {
	for _, f := range schema.Fields() {
		if f.Name() == name {
			return f.Optional()
		}
	}
	return false
}

// scalar says whether a column can be a record's field: not a list, and not a number in a disguise that this reader would misread.
func scalar(c parquet.LeafColumn) bool {
	if c.MaxRepetitionLevel > 0 || c.Node.Type().Kind() == parquet.Int96 {
		return false
	}
	logical := c.Node.Type().LogicalType()
	if logical == nil {
		return true
	}
	switch logical.Value.(type) {
	case *format.DecimalType, *format.Float16Type, *format.BsonType, *format.UUIDType:
		return false
	}
	return true
}

func (b *builder) parquetGroup(ctx context.Context, g parquet.RowGroup, leaves []leaf) error {
	rows := g.Rows()
	defer rows.Close()
	buf := make([]parquet.Row, 128)
	for {
		n, err := rows.ReadRows(buf)
		for _, values := range buf[:n] {
			if err := b.tick(ctx); err != nil {
				return err
			}
			b.parquetRow(b.seen, values, leaves)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("row %d: %w", b.seen+1, streamError(err))
		}
		if n == 0 {
			return fmt.Errorf("row %d: the file holds fewer rows than its footer says: %w", b.seen+1, ErrFormat)
		}
	}
}

func (b *builder) parquetRow(line int, values parquet.Row, leaves []leaf) {
	var text, subject string
	var labels []string
	var hasText, hasLabel bool
	rec := engine.Record{}
	b.about = about{}
	for _, v := range values {
		if v.Column() < 0 || v.Column() >= len(leaves) {
			continue
		}
		l := leaves[v.Column()]
		if l.role == labelRole && v.IsNull() && b.set.Lists && v.DefinitionLevel() >= l.empty {
			hasLabel = true // an empty list is an answer: none of the labels
		}
		if l.role == ignored && l.about == "" || v.IsNull() {
			continue
		}
		value, ok := parquetValue(v)
		if !ok {
			b.reject(line, InvalidUTF8, "column %d is not UTF-8", v.Column()+1)
			return
		}
		if l.about != "" {
			b.about.set(b.o, l.about, valueText(value))
		}
		switch l.role {
		case labelRole:
			hasLabel, labels = true, append(labels, v.String())
		case textRole, subjectRole:
			if value.Kind != engine.Text {
				b.reject(line, WrongType, "the text column holds a %s", typeName(value.Kind))
				return
			}
			if l.role == textRole {
				text, hasText = value.Text, true
			} else {
				subject = value.Text
			}
		case ignored: // left out above, or about the row only
		case fieldRole:
			if math.IsInf(value.Number, 0) {
				b.reject(line, WrongType, "field %q is infinite", l.name)
				return
			}
			if !math.IsNaN(value.Number) { // NaN is how data frames write "missing"
				rec[l.name] = value
			}
		}
	}
	if !hasLabel && !b.o.Unlabelled {
		b.reject(line, MissingLabel, "column %q is null", b.o.LabelField)
		return
	}
	if slices.ContainsFunc(leaves, func(l leaf) bool { return l.role == textRole }) {
		if !hasText {
			b.reject(line, MissingInput, "column %q is null", b.o.TextField)
			return
		}
		b.addText(line, subject, text, labels)
		return
	}
	b.addRecord(line, rec, labels)
}

func parquetValue(v parquet.Value) (engine.Value, bool) {
	switch v.Kind() {
	case parquet.Boolean:
		return engine.Value{Kind: engine.Bool, Bool: v.Boolean()}, true
	case parquet.Int32:
		return engine.Value{Kind: engine.Number, Number: float64(v.Int32())}, true
	case parquet.Int64:
		return engine.Value{Kind: engine.Number, Number: float64(v.Int64())}, true
	case parquet.Float:
		return engine.Value{Kind: engine.Number, Number: float64(v.Float())}, true
	case parquet.Double:
		return engine.Value{Kind: engine.Number, Number: v.Double()}, true
	case parquet.ByteArray, parquet.FixedLenByteArray, parquet.Int96: // Int96 was left out by scalar
	}
	s := string(v.ByteArray()) // a copy: the page's memory is used again
	return engine.Value{Kind: engine.Text, Text: s}, utf8.ValidString(s)
}
