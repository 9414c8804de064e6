package dataset

import (
	"encoding/json"
	"fmt"
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
	sampling   Sampling
	bad        string // what is wrong with a probability
}

// wants says whether a column is one that says something about rows.
func (o Options) wants(name string) bool {
	return name != "" && (name == o.PersonField || name == o.TimeField || o.sampling(name) || slices.Contains(o.Attributes, name))
}

// feature says whether a column may be a field of a record: who somebody is, when it was and how it was chosen are not for a model to learn.
func (o Options) feature(name string) bool {
	return name == "" || name != o.PersonField && name != o.TimeField && !o.sampling(name)
}

// sampling says whether a column tells how rows were chosen.
func (o Options) sampling(name string) bool {
	return o.ProbabilityField != "" && (name == o.ProbabilityField || name == LeastField)
}

// settleProbability decides whether the column of probabilities is one in a file with columns. It fails where a column was named and is not there.
func (b *builder) settleProbability(has func(name string) bool) error {
	switch o := &b.o; {
	case o.ProbabilityField == "" || has(o.ProbabilityField) && !o.ProbabilityWithInput:
	case !o.ProbabilityWithInput:
		return fmt.Errorf("no column is named %q (the probability): %w", o.ProbabilityField, ErrFormat)
	case !has(o.ProbabilityField) || !has(o.TextField) && !has(o.RecordField):
		o.ProbabilityField = ""
	}
	return nil
}

// leastProbability is the smallest one that a row can have: it stands for a billion others then, and more would leave nothing of all others.
const leastProbability = 1e-9

// setSampling notes what a column says of how the row was chosen.
func (a *about) setSampling(o Options, name, value string) {
	p, err := strconv.ParseFloat(value, 64)
	switch {
	case name == o.ProbabilityField && (err != nil || !(p == 0 || p >= leastProbability && p <= 1)):
		a.bad = fmt.Sprintf("field %q is %s, must be %g to 1, or 0 where nobody knows", name, quoted(value), leastProbability)
	case name == o.ProbabilityField && p == 0:
		a.sampling.Probability = Unknown
	case name == o.ProbabilityField:
		a.sampling.Probability = p
	case err != nil || !(p <= 0 || p >= leastProbability && p <= 1):
		a.bad = fmt.Sprintf("field %q is %s, must be %g to the probability, or 0 for none", name, quoted(value), leastProbability)
	case p <= 0:
		a.sampling.Least = Unknown
	default:
		a.sampling.Least = p
	}
}

// quoted is the begin of a value, for a person.
func quoted(value string) string {
	const most = 20
	if len(value) > most {
		return strconv.Quote(strings.ToValidUTF8(value[:most], "")) + "…"
	}
	return strconv.Quote(value)
}

// problem says what is wrong with how the row was chosen; "" when nothing is.
func (a *about) problem() string {
	s := a.sampling
	if a.bad == "" && s.Least > 0 && (s.Probability < 0 || s.Probability > 0 && s.Least > s.Probability) {
		return fmt.Sprintf("%q is %g, above the probability of the row", LeastField, s.Least)
	}
	return a.bad
}

// set notes what a column says. What cannot be read as a time is none.
func (a *about) set(o Options, name, value string) {
	if value = strings.TrimSpace(value); value == "" {
		return
	}
	if o.sampling(name) {
		a.setSampling(o, name, value)
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
	for _, name := range []string{b.o.ProbabilityField, LeastField} {
		if raw, ok := present(fields, name); ok && b.o.sampling(name) {
			value, ok := jsonScalar(raw)
			if !ok {
				value = jsonType(raw) // which is none
			}
			b.about.set(b.o, name, value)
		}
	}
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
