package decision

import (
	"math"
	"unicode/utf8"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// The contract's rules for requests are checked by the interceptor chain. The rules for the items of batches and streams are checked by
// the services, with the functions of this file, so that one bad item is answered with an error and the others with decisions.

// Text is a field and the most characters that it may hold.
type Text struct {
	Field, Value string
	Max          int
}

// CheckTexts refuses texts that are too long or not valid UTF-8.
func CheckTexts(texts ...Text) error {
	for i := range texts {
		t := &texts[i]
		if t.Value == "" {
			continue
		}
		if !utf8.ValidString(t.Value) {
			return fault.InvalidField(t.Field, "must be valid UTF-8")
		}
		if len(t.Value) <= t.Max { // never more characters than bytes
			continue
		}
		if n := utf8.RuneCountInString(t.Value); n > t.Max {
			return fault.InvalidField(t.Field, "has %d characters, limit %d", n, t.Max)
		}
	}
	return nil
}

// maxFieldText is how many characters a text field of a record may hold.
const maxFieldText = 10000

// CheckFields refuses records with too many fields, with names that are empty or too long, and values that are absent or out of range.
func CheckFields(name string, fields map[string]*commonv1.FieldValue, maxFields, maxName int) error {
	if len(fields) > maxFields {
		return fault.InvalidField(name, "has %d fields, limit %d", len(fields), maxFields)
	}
	for key, v := range fields {
		if key == "" {
			return fault.InvalidField(name, "has a field without a name")
		}
		if n := utf8.RuneCountInString(key); n > maxName {
			return fault.InvalidField(name, "has a field whose name has %d characters, limit %d", n, maxName)
		}
		if !utf8.ValidString(key) {
			return fault.InvalidField(name, "has a field whose name is not valid UTF-8")
		}
		switch v := v.GetValue().(type) {
		case nil:
			return fault.InvalidField(name+"."+key, "must hold a value; leave the field out when there is none")
		case *commonv1.FieldValue_Number:
			if math.IsNaN(v.Number) || math.IsInf(v.Number, 0) {
				return fault.InvalidField(name+"."+key, "must be a finite number")
			}
		case *commonv1.FieldValue_Text:
			if err := CheckTexts(Text{Field: name + "." + key, Value: v.Text, Max: maxFieldText}); err != nil {
				return err
			}
		}
	}
	return nil
}

// FieldsSize estimates the bytes that a record holds.
func FieldsSize(fields map[string]*commonv1.FieldValue) int {
	n := 0
	for key, v := range fields {
		n += len(key) + len(v.GetText()) + 64
	}
	return n
}

// Limits of a batch. The bytes bound the memory that one call takes, whatever the transport lets through.
const (
	maxBatch      = 1000
	maxBatchBytes = 8 << 20
)

// CheckBatch refuses batches without items, with more than 1,000, or with more than 8 MiB of input.
func CheckBatch[T any](items []T, size func(T) int) error {
	switch {
	case len(items) == 0:
		return fault.InvalidField("items", "must hold at least one item")
	case len(items) > maxBatch:
		return fault.InvalidField("items", "holds %d items, limit %d", len(items), maxBatch)
	}
	total := 0
	for _, item := range items {
		if total += size(item); total > maxBatchBytes {
			return fault.RequestTooLarge(maxBatchBytes)
		}
	}
	return nil
}
