package dataset

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// about is what a file says of a row beside its input and labels.
type about struct {
	person     string
	time       time.Time
	attributes map[string]string
}

// wants says whether a column is one that says something about rows.
func (o Options) wants(name string) bool {
	return name != "" && (name == o.PersonField || name == o.TimeField || slices.Contains(o.Attributes, name))
}

// feature says whether a column may be a field of a record: who somebody is and when it was are not for a model to learn.
func (o Options) feature(name string) bool {
	return name == "" || name != o.PersonField && name != o.TimeField
}

// set notes what a column says. What cannot be read as a time is none.
func (a *about) set(o Options, name, value string) {
	if value = strings.TrimSpace(value); value == "" {
		return
	}
	if name == o.PersonField {
		a.person = value
	}
	if name == o.TimeField {
		a.time = parseTime(value)
	}
	if slices.Contains(o.Attributes, name) {
		if a.attributes == nil {
			a.attributes = map[string]string{}
		}
		if len(value) > maxAttribute {
			value = strings.ToValidUTF8(value[:maxAttribute], "")
		}
		a.attributes[name] = value
	}
}

// maxAttribute is how many bytes of an attribute's value are kept: longer ones name no group.
const maxAttribute = 100

// jsonAbout reads what a line says about itself, of the row or of its record.
func (b *builder) jsonAbout(fields map[string]json.RawMessage, rec engine.Record) {
	b.about = about{}
	for _, name := range append([]string{b.o.PersonField, b.o.TimeField}, b.o.Attributes...) {
		if raw, ok := present(fields, name); ok {
			if value, ok := jsonScalar(raw); ok {
				b.about.set(b.o, name, value)
			}
			continue
		}
		if v, ok := rec[name]; ok {
			b.about.set(b.o, name, valueText(v))
		}
	}
}

// valueText writes a value of a record as the name of a group.
func valueText(v engine.Value) string {
	switch v.Kind {
	case engine.Number:
		return strconv.FormatFloat(v.Number, 'g', -1, 64)
	case engine.Bool:
		return strconv.FormatBool(v.Bool)
	case engine.Text:
		return v.Text
	}
	return ""
}

// parseTime reads RFC 3339, a date, a date with a time, or seconds since 1970.
func parseTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	switch {
	case err != nil || !(f > 0 && f < 1e17):
		return time.Time{}
	case f >= 1e14: // how Parquet and data frames write microseconds
		return time.UnixMicro(int64(f)).UTC()
	case f >= 1e11: // and milliseconds
		return time.UnixMilli(int64(f)).UTC()
	}
	return time.UnixMicro(int64(f * 1e6)).UTC()
}
