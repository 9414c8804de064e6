package record

import (
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// InputError says which field of a record does not fit the model, and why. It wraps engine.ErrInput.
type InputError struct {
	// Field is the name of the field; empty when the input is no record at all.
	Field string
	// Problem says what is wrong, without the name of the field: "want number, got text".
	Problem string
}

// Error names the field and the problem.
func (e *InputError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("%v: %s", engine.ErrInput, e.Problem)
	}
	return fmt.Sprintf("%v: field %q: %s", engine.ErrInput, e.Field, e.Problem)
}

// Unwrap returns engine.ErrInput.
func (e *InputError) Unwrap() error { return engine.ErrInput }

func kindName(k engine.ValueKind) string {
	switch k {
	case engine.Number:
		return "number"
	case engine.Text:
		return "text"
	case engine.Bool:
		return "boolean"
	}
	return fmt.Sprintf("unknown type %d", k)
}
