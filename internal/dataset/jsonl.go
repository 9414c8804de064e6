package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

func readJSONL(ctx context.Context, r *bufio.Reader, b *builder) error {
	var line []byte
	for number := 1; ; number++ {
		var tooLong bool
		var err error
		line, tooLong, err = readLine(r, line[:0], b.o.Limits.LineBytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: %w", number, streamError(err))
		}
		end := errors.Is(err, io.EOF)
		if tooLong {
			b.reject(number, LineTooLong, "limit %d bytes", b.o.Limits.LineBytes)
		} else if line = bytes.TrimSpace(line); len(line) > 0 {
			b.jsonRow(number, line)
		}
		if tooLong || len(line) > 0 {
			if err := b.tick(ctx); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
}

// readLine appends the next line, without its line feed, to buf. A line longer than limit is read to its end but not kept.
func readLine(r *bufio.Reader, buf []byte, limit int) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(buf)+len(part) > limit+1 {
			tooLong, buf = true, buf[:0]
		}
		if !tooLong {
			buf = append(buf, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		return bytes.TrimSuffix(buf, []byte("\n")), tooLong, err
	}
}

// streamError names a damaged or truncated compressed stream for what it is.
func streamError(err error) error {
	if errors.Is(err, ErrTooLarge) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("the file ends early or is damaged: %w: %w", ErrFormat, err)
}

func (b *builder) jsonRow(number int, line []byte) {
	// encoding/json would replace invalid bytes in silence.
	if !utf8.Valid(line) {
		b.reject(number, InvalidUTF8, "the line is not UTF-8; convert it, for example with iconv -t utf-8")
		return
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		b.reject(number, BadJSON, "%s", jsonCause(err))
		return
	}
	labels, ok := b.jsonLabels(number, fields)
	if !ok {
		return
	}
	b.jsonAbout(fields, nil)
	if raw, ok := present(fields, b.o.TextField); ok {
		var text, subject string
		if json.Unmarshal(raw, &text) != nil {
			b.reject(number, WrongType, "field %q is a %s, want a text", b.o.TextField, jsonType(raw))
			return
		}
		if raw, ok := present(fields, b.o.SubjectField); ok && json.Unmarshal(raw, &subject) != nil {
			b.reject(number, WrongType, "field %q is a %s, want a text", b.o.SubjectField, jsonType(raw))
			return
		}
		b.addText(number, subject, text, labels)
		return
	}
	raw, ok := present(fields, b.o.RecordField)
	if !ok {
		b.reject(number, MissingInput, "neither %q nor %q is there; the fields are %s", b.o.TextField, b.o.RecordField, names(fields))
		return
	}
	rec, detail := jsonRecord(raw)
	if detail != "" {
		b.reject(number, WrongType, "%s", detail)
		return
	}
	b.jsonAbout(fields, rec)
	delete(rec, b.o.PersonField)
	delete(rec, b.o.TimeField)
	b.addRecord(number, rec, labels)
}

func (b *builder) jsonLabels(number int, fields map[string]json.RawMessage) ([]string, bool) {
	raw, ok := present(fields, b.o.LabelField)
	if !ok {
		if b.o.Unlabelled {
			return nil, true
		}
		b.reject(number, MissingLabel, "field %q is not there; the fields are %s", b.o.LabelField, names(fields))
		return nil, false
	}
	if raw[0] != '[' {
		label, ok := jsonScalar(raw)
		if !ok {
			b.reject(number, WrongType, "field %q is a %s, want a text or a list of texts", b.o.LabelField, jsonType(raw))
			return nil, false
		}
		return []string{label}, true
	}
	var items []json.RawMessage
	_ = json.Unmarshal(raw, &items) // the line as a whole has been parsed: this cannot fail
	labels := make([]string, len(items))
	for i, item := range items {
		if labels[i], ok = jsonScalar(item); !ok {
			b.reject(number, WrongType, "element %d of %q is a %s, want a text", i+1, b.o.LabelField, jsonType(item))
			return nil, false
		}
	}
	b.set.Lists = true
	return labels, true
}

// jsonScalar returns a text as it is, a number or boolean as it is written.
func jsonScalar(raw json.RawMessage) (string, bool) {
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err == nil
	case '{', '[', 'n':
		return "", false
	}
	return string(raw), true
}

func jsonRecord(raw json.RawMessage) (rec engine.Record, detail string) {
	if raw[0] != '{' {
		return nil, fmt.Sprintf("the record is a %s, want an object", jsonType(raw))
	}
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(raw, &fields)
	rec = make(engine.Record, len(fields))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		v := fields[name]
		switch v[0] {
		case 'n': // null: missing
		case 't', 'f':
			rec[name] = engine.Value{Kind: engine.Bool, Bool: v[0] == 't'}
		case '"':
			var s string
			_ = json.Unmarshal(v, &s)
			rec[name] = engine.Value{Kind: engine.Text, Text: s}
		case '{', '[':
			return nil, fmt.Sprintf("field %q is a %s, want a text, number or boolean", name, jsonType(v))
		default:
			f, err := strconv.ParseFloat(string(v), 64)
			if err != nil || math.IsInf(f, 0) {
				return nil, fmt.Sprintf("field %q is a number beyond the range of a float64", name)
			}
			rec[name] = engine.Value{Kind: engine.Number, Number: f}
		}
	}
	return rec, ""
}

// present returns a field that is there and not null.
func present(fields map[string]json.RawMessage, name string) (json.RawMessage, bool) {
	raw, ok := fields[name]
	if !ok || name == "" || len(raw) == 0 || raw[0] == 'n' {
		return nil, false
	}
	return raw, true
}

func jsonType(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "object"
	case '[':
		return "list"
	case '"':
		return "text"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

// jsonCause keeps the part of the decoder's message that a person can use; it quotes at most one character of the line.
func jsonCause(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "the line is a " + wrong.Value + ", want an object"
	}
	return err.Error()
}

// names lists at most ten field names.
func names(fields map[string]json.RawMessage) string {
	return list(slices.Sorted(maps.Keys(fields)))
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	more := ""
	if len(names) > 10 {
		more, names = fmt.Sprintf(" and %d more", len(names)-10), names[:10]
	}
	short := make([]string, len(names))
	for i, n := range names {
		if short[i] = n; len(n) > 60 {
			short[i] = strings.ToValidUTF8(n[:60], "") + "…"
		}
	}
	return strings.Join(short, ", ") + more
}
