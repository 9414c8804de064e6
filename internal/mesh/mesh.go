// Package mesh is every gRPC server and client of the product: who may call, for how long, how often, with what, and what the
// caller learns when it fails. One chain of middleware answers calls from the network and from inside the process alike. The
// package knows the contract's method policies and no service.
package mesh

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// Handler answers one call, unary or stream. What it returns is any error; the chain makes a status of it.
type Handler func(ctx context.Context, c *Call) error

// Middleware is one link of the chain. Wrap runs once per method, when its service is registered, so that everything that follows
// from the contract is looked up then and not on every call. There is one Wrap and not a pair for unary and stream: a stream cannot
// miss a check that a unary call has.
type Middleware struct {
	// Name is what the link is called in tests and documentation.
	Name string
	// Wrap returns the handler that does the link's work around next.
	Wrap func(m *Method, next Handler) Handler
}

// Call is one call on its way through the chain.
type Call struct {
	// Method is what is called.
	Method *Method
	// InProcess is true for a call that did not come over a connection.
	InProcess bool
	// Caller is who calls, once the chain knows.
	Caller *auth.Caller

	request   telemetry.Request
	span      trace.Span // nil without tracing
	start     time.Time
	system    bool         // AsSystem; only InProcess sets it
	inherited *auth.Caller // of the call that a handler is answering, for calls without a key of their own

	decode func(into any) error // reads the bytes of a unary call from the connection; nil in the process
	frame  frame                // the bytes of a unary call, read but not decoded
	args   any                  // the message of a unary call inside the process
	reply  any                  // the answer of a unary call
	stream grpc.ServerStream    // of a stream
	check  func(msg any) error  // what every received message must pass

	received func(msg any) error // told of the checked message of a unary call; an error ends the call. nil for nothing
}

// receive gives the method's handler the message of a unary call, checked.
func (c *Call) receive(into any) error {
	if c.args != nil {
		if err := handOver(into, c.args); err != nil {
			return err
		}
	} else if err := c.frame.decode(into); err != nil {
		return err
	}
	if c.check != nil {
		if err := c.check(into); err != nil {
			return err
		}
	}
	if c.received == nil {
		return nil
	}
	return c.received(into)
}
