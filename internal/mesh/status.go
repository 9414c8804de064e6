package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc/codes"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// What is logged about calls.
const (
	AccessLogErrors = "errors" // calls that failed through the server's fault, with their cause
	AccessLogAll    = "all"    // one line for every call
	AccessLogOff    = "off"    // defects only
)

// statuses makes of any error what the caller may see, counts the call, and logs what the caller may not see.
func statuses(accessLog string) Middleware {
	return Middleware{Name: "status", Wrap: func(m *Method, next Handler) Handler {
		return func(ctx context.Context, c *Call) error {
			err := next(ctx, c)
			if err == nil {
				took := time.Since(c.start)
				m.metrics.Record(codes.OK, took)
				if accessLog == AccessLogAll {
					logCall(ctx, c, slog.LevelInfo, took, nil)
				}
				return nil
			}
			f := fault.From(err)
			if f.Reason() == commonv1.ErrorReason_ERROR_REASON_INTERNAL && f.Metadata("requestId") == "" {
				f = f.With("requestId", c.request.ID)
			}
			took := time.Since(c.start)
			m.metrics.Record(f.Code(), took)
			report(ctx, c, accessLog, took, f)
			return f.Status().Err()
		}
	}}
}

func report(ctx context.Context, c *Call, accessLog string, took time.Duration, f *fault.Error) {
	level := slog.LevelDebug
	switch {
	case f.Code() == codes.Internal:
		level = slog.LevelError
	case accessLog == AccessLogOff:
		return
	case f.Reason() == commonv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN: // an orderly end is no trouble
	case telemetry.IsServerError(f.Code()) && f.Code() != codes.Unimplemented:
		level = slog.LevelWarn
	case accessLog == AccessLogAll:
		level = slog.LevelInfo
	}
	// An outage makes every call fail; ten lines a second of one method say as much as ten thousand.
	if accessLog != AccessLogAll && !c.Method.logLimit.Allow() {
		return
	}
	logCall(ctx, c, level, took, f)
}

func logCall(ctx context.Context, c *Call, level slog.Level, took time.Duration, f *fault.Error) {
	log := c.request.Logger
	if !log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 8)
	attrs = append(attrs, slog.String("method", c.Method.FullName[1:]), slog.Float64("seconds", took.Seconds()))
	if c.Caller != nil {
		attrs = append(attrs, slog.String("project", c.Caller.Project), slog.String("key_id", c.Caller.KeyID))
	}
	if f == nil {
		log.LogAttrs(ctx, level, "call answered", append(attrs, slog.String("code", telemetry.CodeName(codes.OK)))...)
		return
	}
	attrs = append(attrs, slog.String("code", telemetry.CodeName(f.Code())), slog.String("reason", f.ReasonName()))
	if cause := f.Unwrap(); cause != nil {
		attrs = append(attrs, slog.String("cause", cause.Error()))
		if p, ok := errors.AsType[*panicError](cause); ok {
			attrs = append(attrs, slog.String("stack", string(p.stack)))
		}
	}
	log.LogAttrs(ctx, level, "call failed", attrs...)
}

type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// recovery makes INTERNAL of a panic in the rest of the chain or in the service. The stack is logged.
func recovery() Middleware {
	return Middleware{Name: "recover", Wrap: func(_ *Method, next Handler) Handler {
		return func(ctx context.Context, c *Call) (err error) {
			defer func() {
				if p := recover(); p != nil {
					err = fault.Internal(&panicError{value: p, stack: debug.Stack()})
				}
			}()
			return next(ctx, c)
		}
	}}
}
