package mesh

import (
	"context"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// Headers of a request, beside those of gRPC.
const (
	headerRequestID      = "x-request-id"
	headerTraceparent    = "traceparent"
	headerTracestate     = "tracestate"
	headerIdempotencyKey = "idempotency-key"
	headerAuthorization  = "authorization"
)

const maxHeaderValue = 128 // of a request id or an idempotency key, bytes

// requestValues puts the request id, the trace and the logger into the context, and with tracing on starts a span. Calls in the
// process keep the request id of the call that a handler is answering.
func requestValues(log *slog.Logger, tracer trace.Tracer) Middleware {
	return Middleware{Name: "request", Wrap: func(m *Method, next Handler) Handler {
		return func(ctx context.Context, c *Call) error {
			c.start = time.Now()
			c.request.Logger = log
			c.request.ID = header(ctx, headerRequestID)
			c.request.Traceparent = header(ctx, headerTraceparent)
			c.request.IdempotencyKey = header(ctx, headerIdempotencyKey)
			if !plain(c.request.IdempotencyKey) {
				c.request.IdempotencyKey = ""
			}
			if !telemetry.ValidTraceparent(c.request.Traceparent) {
				c.request.Traceparent = ""
			}
			if c.InProcess {
				inherit(ctx, &c.request)
				if c.request.Seed = telemetry.GivenSeed(ctx); c.request.Seed != "" {
					c.request.BegunAfter, c.request.Begun = telemetry.GivenBegun(ctx)
					ctx = telemetry.WithSeed(ctx, "") // it is this call's, not that of calls which the handler makes
				}
			}
			if c.request.ID == "" || !plain(c.request.ID) {
				c.request.ID = newRequestID(c.start)
			}
			ctx = telemetry.WithRequest(ctx, &c.request)
			if tracer == nil {
				return next(ctx, c)
			}
			ctx, c.span = startSpan(ctx, tracer, m, c)
			err := next(ctx, c)
			endSpan(c.span, err)
			return err
		}
	}}
}

func inherit(ctx context.Context, r *telemetry.Request) {
	outer := telemetry.RequestFrom(ctx)
	if outer == nil {
		return
	}
	if r.ID == "" {
		r.ID = outer.ID
	}
	if r.Traceparent == "" {
		r.Traceparent = outer.Traceparent
	}
}

func startSpan(ctx context.Context, tracer trace.Tracer, m *Method, c *Call) (context.Context, trace.Span) {
	if tp := c.request.Traceparent; tp != "" && !trace.SpanContextFromContext(ctx).IsValid() {
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{
			headerTraceparent: tp, headerTracestate: header(ctx, headerTracestate),
		})
	}
	name := strings.TrimPrefix(m.FullName, "/")
	return tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes( //nolint:spancheck // the caller ends it
		attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", name)))
}

func endSpan(span trace.Span, err error) {
	if span.IsRecording() {
		code := status.Code(err)
		span.SetAttributes(attribute.String("rpc.response.status_code", telemetry.CodeName(code)))
		if code != codes.OK && telemetry.IsServerError(code) {
			span.SetStatus(otelcodes.Error, status.Convert(err).Message())
		}
	}
	span.End()
}

// header returns the only value of a request header, "" when there is none or several.
func header(ctx context.Context, name string) string {
	if v := metadata.ValueFromIncomingContext(ctx, name); len(v) == 1 {
		return v[0]
	}
	return ""
}

// plain reports whether a value that callers choose may stand in logs and records: short, printable ASCII without spaces.
func plain(s string) bool {
	if len(s) > maxHeaderValue {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// newRequestID returns a UUIDv7 (RFC 9562). It has to be unique, not secret, so the runtime's generator serves.
func newRequestID(now time.Time) string {
	var id [16]byte
	ms := uint64(now.UnixMilli())
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6], id[7] = 0x70|byte(hi>>8)&0x0f, byte(hi)
	for i := range 8 {
		id[8+i] = byte(lo >> (8 * i))
	}
	id[8] = id[8]&0x3f | 0x80
	var out [36]byte
	hex.Encode(out[0:8], id[0:4])
	hex.Encode(out[9:13], id[4:6])
	hex.Encode(out[14:18], id[6:8])
	hex.Encode(out[19:23], id[8:10])
	hex.Encode(out[24:36], id[10:16])
	out[8], out[13], out[18], out[23] = '-', '-', '-', '-'
	return string(out[:])
}
