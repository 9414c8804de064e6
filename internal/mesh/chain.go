package mesh

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// chain returns the middleware of every call, from the outside in. The order matters:
//
//   - request and status see every call, so that every failure has an id, a reason, a metric;
//   - recover is inside of status, which turns the panic into INTERNAL;
//   - receive reads the bytes of a unary call before anything can refuse it: an answer that overtakes the request makes old versions
//     of libcurl report a broken connection;
//   - auth, policy and limits come before the bytes are decoded;
//   - validate sees the message that the service will see;
//   - idempotency comes last: what would be refused is refused again, and only what a service has done is kept.
func (s *Server) chain() []Middleware {
	return []Middleware{
		requestValues(s.log, s.tracer),
		statuses(s.config.AccessLog),
		recovery(),
		receiving(s.config.MaxMessageBytes),
		draining(&s.drain),
		authentication(s.deps.Authenticator),
		policies(s.config.MaxDeadline),
		limiting(s.config.Limits),
		validation(s.rules),
		idempotency(s.deps.Idempotency),
	}
}

func compose(chain []Middleware, m *Method, end Handler) Handler {
	h := end
	for _, c := range slices.Backward(chain) {
		h = c.Wrap(m, h)
	}
	return h
}

// receiving reads the bytes of a unary call from its connection. A client that streams gets its headers at once: it may not read while it
// sends, and what ends the stream early would be lost to it. Handlers of such methods have trailers, and no headers.
//
// A refusal that follows at once, for the key or a limit, can still leave in one write with the headers, or be read in one: grpc-go has no
// flush, and none would help with how the other side reads. libcurl 7.88 then drops both; php/client notices and asks again without messages.
func receiving(limit int) Middleware {
	return Middleware{Name: "receive", Wrap: func(m *Method, next Handler) Handler {
		return func(ctx context.Context, c *Call) error {
			c.frame.limit = limit
			if m.ClientStreams { // in the process too, so that a handler cannot send headers here and fail there
				if err := c.stream.SendHeader(nil); err != nil {
					return wireFault(err, limit)
				}
			}
			if c.decode != nil {
				defer c.frame.free()
				if err := c.decode(&c.frame); err != nil {
					return wireFault(err, limit)
				}
			}
			return next(ctx, c)
		}
	}}
}

// unary is the end of the chain of a unary method: it has the generated code receive the message and call the service.
func unary(d grpc.MethodDesc, impl any) Handler {
	return func(ctx context.Context, c *Call) error {
		reply, err := d.Handler(impl, ctx, c.receive, nil)
		c.reply = reply
		return err
	}
}

// streaming is the end of the chain of a method that streams.
func streaming(d grpc.StreamDesc, impl any) Handler {
	return func(ctx context.Context, c *Call) error {
		in := &inbound{ServerStream: c.stream, ctx: ctx, call: c}
		in.frame.limit = c.frame.limit
		return d.Handler(impl, in)
	}
}

// drain knows the streams that only wait for something to tell, such as a watch. They would keep a server from ending, so they are told
// that it shuts down; calls that are being answered are waited for.
type drain struct {
	begun    atomic.Bool // no further watch begins: it would be opened again and again
	stopped  atomic.Bool // no further call begins
	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

type watcher struct {
	grpc.ServerStream
	cancel  context.CancelCauseFunc
	sending atomic.Int32
	last    atomic.Int64 // time of the last message, Unix nanoseconds
}

// SendMsg implements grpc.ServerStream.
func (w *watcher) SendMsg(m any) error {
	w.sending.Add(1)
	defer w.sending.Add(-1)
	w.last.Store(time.Now().UnixNano())
	return w.ServerStream.SendMsg(m) //nolint:wrapcheck // grpc-go's status
}

// idleWatch is after how long without a message a stream counts as waiting.
const idleWatch = 250 * time.Millisecond

func draining(d *drain) Middleware {
	return Middleware{Name: "drain", Wrap: func(m *Method, next Handler) Handler {
		watch := m.ServerStreams && !m.ClientStreams
		return func(ctx context.Context, c *Call) error {
			if d.stopped.Load() || watch && d.begun.Load() {
				return fault.ShuttingDown()
			}
			if !watch {
				return next(ctx, c)
			}
			ctx, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			w := &watcher{ServerStream: c.stream, cancel: cancel}
			w.last.Store(c.start.UnixNano())
			c.stream = w
			d.add(w)
			defer d.remove(w)
			err := next(ctx, c)
			if cause, ok := context.Cause(ctx).(*fault.Error); ok && err != nil { //nolint:errorlint // set below, bare
				return cause
			}
			return err
		}
	}}
}

func (d *drain) add(w *watcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watchers == nil {
		d.watchers = map[*watcher]struct{}{}
	}
	d.watchers[w] = struct{}{}
}

func (d *drain) remove(w *watcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.watchers, w)
}

// endIdle ends the streams that wait.
func (d *drain) endIdle(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for w := range d.watchers {
		if w.sending.Load() == 0 && now.UnixNano()-w.last.Load() >= int64(idleWatch) {
			w.cancel(fault.ShuttingDown())
		}
	}
}
