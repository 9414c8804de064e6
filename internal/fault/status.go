package fault

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// Status returns what is sent: code, message, ErrorInfo and, where they apply, BadRequest, RetryInfo and QuotaFailure. The
// cause is not in it.
func (e *Error) Status() *status.Status {
	details := []protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: e.ReasonName(), Domain: Domain, Metadata: e.metadata}}
	if len(e.fields) > 0 {
		bad := &errdetails.BadRequest{FieldViolations: make([]*errdetails.BadRequest_FieldViolation, len(e.fields))}
		for i, f := range e.fields {
			bad.FieldViolations[i] = &errdetails.BadRequest_FieldViolation{Field: f.Field, Description: f.Description}
		}
		details = append(details, bad)
	}
	if e.retry > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.retry)})
	}
	if e.quota != "" {
		details = append(details, &errdetails.QuotaFailure{
			Violations: []*errdetails.QuotaFailure_Violation{{Subject: e.quota, Description: e.message}},
		})
	}
	s := status.New(e.code, e.message)
	full, err := s.WithDetails(details...)
	if err != nil {
		return s // only a message with invalid UTF-8 gets here; code and message still hold
	}
	return full
}

// GRPCStatus makes grpc-go send Status for a fault that no interceptor converted.
func (e *Error) GRPCStatus() *status.Status { return e.Status() }

// From returns the fault that a caller sees for err: nil for nil; the first fault in err's chain; DEADLINE_EXCEEDED and
// CANCELLED for context errors; for the gRPC status of a peer see FromStatus; INTERNAL, hiding err, for all else.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*Error); ok { //nolint:errorlint // the usual case, without the walk
		return e
	}
	if e, ok := errors.AsType[*Error](err); ok {
		if err.Error() == e.Error() {
			return e
		}
		return e.Cause(err) // what wrapped it belongs in the log
	}
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		if st := s.GRPCStatus(); st != nil {
			return FromStatus(st)
		}
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return DeadlineExceeded().Cause(err)
	case errors.Is(err, context.Canceled):
		return Cancelled().Cause(err)
	}
	return Internal(err)
}

// FromStatus returns the fault behind a gRPC status, nil for OK. A status with our ErrorInfo keeps reason, message, metadata,
// violations and retry delay. Of any other only the kind is kept and the rest becomes the hidden cause: its text was written by
// a library or another program, and is not ours to show.
func FromStatus(s *status.Status) *Error {
	if s.Code() == codes.OK {
		return nil
	}
	e := &Error{code: s.Code(), message: s.Message()}
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() == Domain {
				e.reason, e.metadata = ParseReason(d.GetReason()), d.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				e.fields = append(e.fields, Violation{Field: v.GetField(), Description: v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			e.retry = d.GetRetryDelay().AsDuration()
		case *errdetails.QuotaFailure:
			if len(d.GetViolations()) > 0 {
				e.quota = d.GetViolations()[0].GetSubject()
			}
		}
	}
	if e.reason != commonv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
		return e
	}
	return foreign(s)
}

func foreign(s *status.Status) *Error {
	var e *Error
	switch s.Code() {
	case codes.DeadlineExceeded:
		e = DeadlineExceeded()
	case codes.Canceled:
		e = Cancelled()
	case codes.Unavailable:
		e = Unavailable("peer")
	case codes.Unimplemented:
		e = New(commonv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED, "method is not served here")
	default:
		return Internal(s.Err())
	}
	return e.Cause(s.Err())
}

// Item returns err as the error of one item of a batch or stream, nil for nil.
func Item(err error) *commonv1.ItemError {
	e := From(err)
	if e == nil {
		return nil
	}
	item := &commonv1.ItemError{Code: int32(e.code), Reason: e.ReasonName(), Message: e.message}
	if len(e.fields) > 0 {
		item.Field = e.fields[0].Field
	}
	return item
}
