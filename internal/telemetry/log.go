package telemetry

import (
	"context"
	"io"
	"log/slog"
)

// NewLogger returns a logger that writes one line per entry to w in the configured level and format. A line that is logged with a
// context carries request_id and trace_id. Payloads, keys and personal data have no place in a log.
func NewLogger(c Config, w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: c.level()}
	var h slog.Handler = slog.NewJSONHandler(w, opts)
	if c.LogFormat == FormatText {
		h = slog.NewTextHandler(w, opts)
	}
	return slog.New(&handler{inner: h})
}

// handler adds the request id and the trace to each line, from the context that it was bound to or that the line is logged with.
type handler struct {
	inner slog.Handler
	ctx   context.Context //nolint:containedctx // a logger of one call, dropped with it; never used for cancellation
}

func bind(h slog.Handler, ctx context.Context) slog.Handler {
	if own, ok := h.(*handler); ok {
		h = own.inner
	}
	return &handler{inner: h, ctx: ctx}
}

func (h *handler) Enabled(ctx context.Context, l slog.Level) bool { return h.inner.Enabled(ctx, l) }

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if h.ctx != nil {
		ctx = h.ctx
	}
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	if tp := Traceparent(ctx); tp != "" {
		r.AddAttrs(slog.String("trace_id", tp[3:35]), slog.String("span_id", tp[36:52]))
	}
	return h.inner.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{inner: h.inner.WithAttrs(attrs), ctx: h.ctx}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{inner: h.inner.WithGroup(name), ctx: h.ctx}
}
