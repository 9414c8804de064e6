package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// quota fails when more bytes are asked for than one row may have; the reader of rows refills it. encoding/csv itself would
// collect an unclosed quote up to the end of the file.
type quota struct {
	r    io.Reader
	left int
}

var errRow = errors.New("row too long")

func (q *quota) Read(p []byte) (int, error) {
	if q.left <= 0 {
		return 0, errRow
	}
	n, err := q.r.Read(p[:min(len(p), q.left)])
	q.left -= n
	return n, err
}

func readCSV(ctx context.Context, r *bufio.Reader, b *builder) error {
	comma := b.o.Comma
	if comma == 0 {
		comma = sniffComma(r)
	}
	q := &quota{r: r}
	rows := csv.NewReader(q)
	rows.Comma, rows.FieldsPerRecord, rows.ReuseRecord = comma, -1, false
	q.left = b.o.Limits.LineBytes
	header, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("header line: %w", csvError(err, b.o.Limits))
	}
	cols, err := b.csvColumns(header)
	if err != nil {
		return err
	}
	for {
		q.left = b.o.Limits.LineBytes
		fields, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		var bad *csv.ParseError
		switch {
		case errors.As(err, &bad):
			b.reject(bad.StartLine, BadCSV, "%v", bad.Err)
		case err != nil:
			return fmt.Errorf("after row %d: %w", b.seen+1, csvError(err, b.o.Limits))
		default:
			line, _ := rows.FieldPos(0)
			b.csvRow(line, fields, cols)
		}
		if err := b.tick(ctx); err != nil {
			return err
		}
	}
	if cols.text < 0 {
		b.inferTypes(cols)
	}
	return nil
}

func csvError(err error, l Limits) error {
	if errors.Is(err, errRow) {
		return fmt.Errorf("a row is longer than %d bytes; is a quote not closed?: %w", l.LineBytes, ErrTooLarge)
	}
	return streamError(err)
}

// sniffComma takes the separator that stands most often in the header line, outside of quotes.
func sniffComma(r *bufio.Reader) rune {
	head, _ := r.Peek(32 << 10)
	if i := bytes.IndexByte(head, '\n'); i >= 0 {
		head = head[:i]
	}
	best, most, quoted := ',', 0, false
	counts := map[rune]int{}
	for _, c := range string(head) {
		if c == '"' {
			quoted = !quoted
		} else if !quoted {
			counts[c]++
		}
	}
	for _, c := range []rune{',', ';', '\t', '|'} {
		if counts[c] > most {
			best, most = c, counts[c]
		}
	}
	return best
}

// columns are the positions of the named fields in the header, -1 where there is none.
type columns struct {
	label, text, subject int
	fields               []int // the record's fields, when there is no text
	names                []string
	about                []int // columns that say something about rows
}

func (b *builder) csvColumns(header []string) (columns, error) {
	c := columns{label: -1, text: -1, subject: -1}
	named := func(name string) bool {
		return slices.ContainsFunc(header, func(h string) bool { return strings.TrimSpace(h) == name })
	}
	if err := b.settleProbability(func(name string) bool { return named(name) && (name != b.o.RecordField || name == b.o.TextField) }); err != nil {
		return c, err
	}
	for i, name := range header {
		name = strings.TrimSpace(name)
		if !utf8.ValidString(name) {
			return c, fmt.Errorf("the header line is not UTF-8: %w", ErrFormat)
		}
		if slices.Contains(c.names, name) {
			return c, fmt.Errorf("two columns are named %q: %w", name, ErrFormat)
		}
		c.names = append(c.names, name)
		if b.o.wants(name) {
			c.about = append(c.about, i)
		}
		switch name {
		case b.o.LabelField:
			c.label = i
		case b.o.TextField:
			c.text = i
		case b.o.SubjectField:
			c.subject = i
		}
	}
	if c.label < 0 && !b.o.Unlabelled {
		return c, fmt.Errorf("no column is named %q (the label); the columns are %s: %w", b.o.LabelField, list(c.names), ErrFormat)
	}
	if c.text >= 0 {
		return c, nil
	}
	for i := range header {
		if i != c.label && b.o.feature(c.names[i]) {
			c.fields = append(c.fields, i)
		}
	}
	if len(c.fields) == 0 {
		return c, fmt.Errorf("there is no column besides %q; name the text's column or check the separator: %w", b.o.LabelField, ErrFormat)
	}
	return c, nil
}

func (b *builder) csvRow(line int, fields []string, c columns) {
	if len(fields) != len(c.names) {
		b.reject(line, BadCSV, "%d fields, the header has %d", len(fields), len(c.names))
		return
	}
	for i, f := range fields {
		if !utf8.ValidString(f) {
			b.reject(line, InvalidUTF8, "column %q is not UTF-8; convert the file, for example with iconv -t utf-8", c.names[i])
			return
		}
	}
	var labels []string
	if c.label >= 0 && (fields[c.label] != "" || !b.o.Unlabelled) {
		labels = []string{fields[c.label]}
	}
	b.about = about{}
	for _, i := range c.about {
		b.about.set(b.o, c.names[i], fields[i])
	}
	if c.text >= 0 {
		subject := ""
		if c.subject >= 0 {
			subject = fields[c.subject]
		}
		b.addText(line, subject, fields[c.text], labels)
		return
	}
	// All fields are texts for now; inferTypes gives them their types when the whole column is known.
	rec := make(engine.Record, len(c.fields))
	for _, i := range c.fields {
		if fields[i] != "" {
			rec[c.names[i]] = engine.Value{Kind: engine.Text, Text: fields[i]}
		}
	}
	b.addRecord(line, rec, labels)
}

// inferTypes turns a column into numbers when every value is one, into booleans when every value is true or false, and leaves it a
// text otherwise. Spellings of "missing" (NA, null, NaN …) do not speak against a number. Digits with a leading zero are codes,
// not numbers: as numbers 007 and 7 would be one.
func (b *builder) inferTypes(c columns) {
	for _, i := range c.fields {
		name := c.names[i]
		kind := b.columnKind(name)
		if kind == engine.Text {
			continue
		}
		for _, row := range b.set.Rows {
			v, ok := row.Record[name]
			if !ok {
				continue
			}
			switch {
			case missing(v.Text):
				delete(row.Record, name)
			case kind == engine.Bool:
				if is, ok := boolean(v.Text); ok {
					row.Record[name] = engine.Value{Kind: engine.Bool, Bool: is}
				}
			default:
				if f, ok := number(v.Text); ok {
					row.Record[name] = engine.Value{Kind: engine.Number, Number: f}
				}
			}
		}
	}
}

func (b *builder) columnKind(name string) engine.ValueKind {
	for _, c := range b.o.Columns {
		if c.Name == name {
			return c.Kind
		}
	}
	numbers, booleans, values := true, true, 0
	for _, row := range b.set.Rows {
		v, ok := row.Record[name]
		if !ok || missing(v.Text) {
			continue
		}
		values++
		if numbers {
			_, numbers = number(v.Text)
			numbers = numbers && !code(v.Text)
		}
		if booleans {
			_, booleans = boolean(v.Text)
		}
		if !numbers && !booleans {
			return engine.Text
		}
	}
	switch {
	case values == 0:
		return engine.Text
	case numbers:
		return engine.Number
	case booleans:
		return engine.Bool
	}
	return engine.Text
}

func number(s string) (float64, bool) {
	s = strings.TrimSpace(s)
	f, err := strconv.ParseFloat(s, 64)
	// ParseFloat also reads hexadecimal floats, underscores and "infinity"; a table means texts by those.
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) && !strings.ContainsAny(s, "xX_pP")
}

// code says whether digits begin with a zero that a number would lose.
func code(s string) bool {
	s = strings.TrimSpace(s)
	return len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9'
}

func boolean(s string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

func missing(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "na", "n/a", "nan", "null", "none", "nil":
		return true
	}
	return false
}
