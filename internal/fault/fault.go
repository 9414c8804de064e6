// Package fault holds the errors that callers may see. A fault carries a reason of the contract, a gRPC code, a message for
// people, details, and a hidden cause that is logged but never sent. Everything that is not a fault is a defect and reaches
// the caller as INTERNAL. The package does no I/O and knows no transport: internal/mesh and the gateway send the faults.
package fault

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// Domain is the domain of every google.rpc.ErrorInfo that Switchyard sends.
const Domain = "switchyard"

const reasonPrefix = "ERROR_REASON_"

// Error is an error that a caller may see. It is immutable: With, Field, Cause and RetryAfter return changed copies, so a
// fault can be kept and shared.
type Error struct {
	reason   commonv1.ErrorReason
	code     codes.Code
	message  string
	metadata map[string]string
	fields   []Violation
	quota    string // what is exhausted, for QuotaFailure; empty for none
	retry    time.Duration
	cause    error
}

// Violation is one broken rule of a request.
type Violation struct {
	// Field is the path of the field, such as "items[3].text".
	Field string
	// Description says what the rule asks for, without the field's name.
	Description string
}

// New returns a fault with the reason's gRPC code and the formatted message. Services use the constructors of this package;
// New is for reasons that only one place raises.
func New(reason commonv1.ErrorReason, format string, args ...any) *Error {
	message := format
	if len(args) > 0 {
		message = fmt.Sprintf(format, args...)
	}
	return &Error{reason: reason, code: CodeOf(reason), message: message}
}

// With returns a copy that carries one more entry of ErrorInfo.metadata.
func (e *Error) With(key, value string) *Error {
	c := *e
	c.metadata = make(map[string]string, len(e.metadata)+1)
	maps.Copy(c.metadata, e.metadata)
	c.metadata[key] = value
	return &c
}

// Field returns a copy with one more violation for BadRequest.fieldViolations.
func (e *Error) Field(path, description string) *Error {
	c := *e
	c.fields = append(slices.Clip(e.fields), Violation{Field: path, Description: description})
	return &c
}

// Cause returns a copy that hides err: it is part of Error and Unwrap, thus of logs, and never of Status.
func (e *Error) Cause(err error) *Error {
	c := *e
	c.cause = err
	return &c
}

// RetryAfter returns a copy that tells the caller, by google.rpc.RetryInfo, to wait for d before the next try.
func (e *Error) RetryAfter(d time.Duration) *Error {
	c := *e
	c.retry = max(d, 0)
	return &c
}

// Error returns the message and the hidden cause. It is for logs and command lines; callers get Message.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.message
	}
	return e.message + ": " + e.cause.Error()
}

// Unwrap returns the hidden cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is a fault of the same reason, so that errors.Is compares reasons.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.reason == e.reason
}

// Reason returns why the call failed.
func (e *Error) Reason() commonv1.ErrorReason { return e.reason }

// ReasonName returns the reason as it travels: the enum's name without its prefix, such as "KEY_MISSING".
func (e *Error) ReasonName() string { return ReasonName(e.reason) }

// Code returns the gRPC code.
func (e *Error) Code() codes.Code { return e.code }

// Message returns the text that the caller gets.
func (e *Error) Message() string { return e.message }

// Metadata returns one entry of ErrorInfo.metadata, "" when there is none.
func (e *Error) Metadata(key string) string { return e.metadata[key] }

// Violations returns the broken rules; the slice must not be changed.
func (e *Error) Violations() []Violation { return e.fields }

// Retry returns after how long the caller may try again, 0 when the fault does not say.
func (e *Error) Retry() time.Duration { return e.retry }

// ReasonName returns a reason as it travels, such as "KEY_MISSING".
func ReasonName(r commonv1.ErrorReason) string {
	return strings.TrimPrefix(r.String(), reasonPrefix)
}

// ParseReason returns the reason of a name without prefix, UNSPECIFIED when there is none of that name.
func ParseReason(name string) commonv1.ErrorReason {
	return commonv1.ErrorReason(commonv1.ErrorReason_value[reasonPrefix+name])
}
