package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Request holds what belongs to one call from its arrival on. internal/mesh puts it into the context of every call.
type Request struct {
	// ID names the call in logs, answers and records: the caller's x-request-id, or a UUIDv7.
	ID string
	// Traceparent is the W3C traceparent header as the caller sent it, "" when there was none or it was malformed.
	Traceparent string
	// IdempotencyKey is the caller's idempotency-key header, "" when there was none.
	IdempotencyKey string
	// Seed is a UUIDv7 that is the same whenever a call with this idempotency key is made, also after a crash; "" without a key. Handlers take
	// the ids of what they make from it.
	Seed string
	// Begun says that a call with this seed was begun before and not answered: what it did may be there.
	Begun bool
	// BegunAfter is before anything that a begun call did; zero when that follows from the seed's time.
	BegunAfter time.Time
	// Logger is what Logger builds on; nil for slog.Default.
	Logger *slog.Logger
}

type requestKey struct{}

// WithRequest returns a context that carries r, which must not change afterwards.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom returns the request of the context, nil when there is none.
func RequestFrom(ctx context.Context) *Request {
	r, _ := ctx.Value(requestKey{}).(*Request)
	return r
}

// RequestID returns the id of the call, "" outside of one.
func RequestID(ctx context.Context) string {
	if r := RequestFrom(ctx); r != nil {
		return r.ID
	}
	return ""
}

// IdempotencyKey returns the caller's idempotency key, "" when none was sent.
func IdempotencyKey(ctx context.Context) string {
	if r := RequestFrom(ctx); r != nil {
		return r.IdempotencyKey
	}
	return ""
}

// Seed returns the UUIDv7 that belongs to the call's idempotency key, "" when none was sent.
func Seed(ctx context.Context) string {
	if r := RequestFrom(ctx); r != nil {
		return r.Seed
	}
	return ""
}

// Begun says whether a call with the seed of this one was begun before and not answered.
func Begun(ctx context.Context) bool {
	r := RequestFrom(ctx)
	return r != nil && r.Begun
}

type seedKey struct{}

// WithSeed returns a context whose next call inside the process has the seed, as a call with an idempotency key has: for work that is begun
// again after a crash and whose answers are kept elsewhere.
func WithSeed(ctx context.Context, seed string) context.Context {
	return context.WithValue(ctx, seedKey{}, seed)
}

// GivenSeed returns the seed of WithSeed, "" when there is none.
func GivenSeed(ctx context.Context) string {
	seed, _ := ctx.Value(seedKey{}).(string)
	return seed
}

type begunKey struct{}

// WithBegun returns a context whose next call inside the process counts as begun before, under the seed that it has and not before that time.
func WithBegun(ctx context.Context, after time.Time) context.Context {
	return context.WithValue(ctx, begunKey{}, after)
}

// GivenBegun returns the time of WithBegun, and whether it was called.
func GivenBegun(ctx context.Context) (after time.Time, ok bool) {
	after, ok = ctx.Value(begunKey{}).(time.Time)
	return after, ok
}

// BegunAfter returns a time before anything that a call did which was begun before; zero when that is the time of its seed.
func BegunAfter(ctx context.Context) time.Time {
	if r := RequestFrom(ctx); r != nil {
		return r.BegunAfter
	}
	return time.Time{}
}

// Traceparent returns the W3C traceparent of the current span, else the one that the caller sent, else "".
func Traceparent(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
	}
	if r := RequestFrom(ctx); r != nil {
		return r.Traceparent
	}
	return ""
}

// Logger returns a logger whose lines carry the request id and the trace of the context.
func Logger(ctx context.Context) *slog.Logger {
	base := slog.Default()
	if r := RequestFrom(ctx); r != nil && r.Logger != nil {
		base = r.Logger
	}
	return slog.New(bind(base.Handler(), ctx))
}

// ValidTraceparent reports whether s has the form of a W3C traceparent header of version 00
// (https://www.w3.org/TR/trace-context/#traceparent-header).
func ValidTraceparent(s string) bool {
	if len(s) != 55 || s[0:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return false
	}
	return isHex(s[3:35]) && isHex(s[36:52]) && isHex(s[53:55]) &&
		strings.Trim(s[3:35], "0") != "" && strings.Trim(s[36:52], "0") != ""
}

func isHex(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
