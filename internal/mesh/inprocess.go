package mesh

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// InProcess is a connection to the services of the same process: the same chain, the same statuses, and no serialisation. Messages
// are handed over by shallow copy, so neither side may change a message after it was sent or received.
//
// A unary call runs on the caller's goroutine and therefore ends when its handler does: handlers have to heed their context. A call
// without a key of its own is made by whoever called the handler that makes it, or with AsSystem by the system.
type InProcess struct {
	server *Server
	mu     sync.Mutex
	live   map[*localStream]struct{}
	idle   *sync.Cond
	unary  int
}

func newInProcess(s *Server) *InProcess {
	c := &InProcess{server: s, live: map[*localStream]struct{}{}}
	c.idle = sync.NewCond(&c.mu)
	return c
}

type systemKey struct{}

// AsSystem returns a context whose calls are made by the product itself and not by whoever is being answered: through InProcess by
// the system caller, through a connection of Dial by the owner of its key. The mark is not visible to the handlers that are called,
// and nothing that comes from the network can set it.
func AsSystem(ctx context.Context) context.Context { return context.WithValue(ctx, systemKey{}, true) }

func isSystem(ctx context.Context) bool {
	on, _ := ctx.Value(systemKey{}).(bool)
	return on
}

// serverSide is the context of a handler called in the process: it ends with the caller's and carries its trace, not its powers.
type serverSide struct{ context.Context }

// Value implements context.Context.
func (c serverSide) Value(key any) any {
	if _, ok := key.(systemKey); ok {
		return nil
	}
	return c.Context.Value(key)
}

// begin prepares a call as its server side sees it.
func (c *InProcess) begin(ctx context.Context, m *Method, opts []grpc.CallOption) (context.Context, *Call, *localTransport, error) {
	out, hasOut := metadata.FromOutgoingContext(ctx) // a copy
	for _, o := range opts {
		if creds, ok := o.(grpc.PerRPCCredsCallOption); ok {
			more, err := credentialsOf(ctx, creds.Creds)
			if err != nil {
				return nil, nil, nil, err
			}
			out, hasOut = metadata.Join(out, more), true
		}
	}
	call := &Call{Method: m, InProcess: true, system: isSystem(ctx), inherited: auth.FromContext(ctx)}
	t := &localTransport{method: m.FullName}
	var side context.Context = serverSide{ctx}
	side = metadata.NewIncomingContext(side, out)
	if hasOut {
		side = metadata.NewOutgoingContext(side, nil) // what the caller sends is not what the handler sends on
	}
	return grpc.NewContextWithServerTransportStream(side, t), call, t, nil
}

func credentialsOf(ctx context.Context, creds credentials.PerRPCCredentials) (metadata.MD, error) {
	values, err := creds.GetRequestMetadata(ctx)
	if err != nil {
		return nil, status.Error(codes.Unauthenticated, "no credentials: "+err.Error())
	}
	return metadata.New(values), nil
}

func (c *InProcess) find(method string, unary bool) (*Method, error) {
	m := c.server.Methods()[method]
	if m == nil || m.Unary() != unary {
		return nil, fault.Unimplemented(method).Status().Err()
	}
	return m, nil
}

// Invoke implements grpc.ClientConnInterface.
func (c *InProcess) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if err := ctx.Err(); err != nil {
		return fault.From(err).Status().Err()
	}
	m, err := c.find(method, true)
	if err != nil {
		return err
	}
	side, call, t, err := c.begin(ctx, m, opts)
	if err != nil {
		return err
	}
	call.args = args
	c.enter(1)
	err = m.handle(side, call)
	c.enter(-1)
	if len(opts) > 0 {
		t.report(opts)
	}
	if err != nil {
		return err
	}
	if err := handOver(reply, call.reply); err != nil {
		return fault.Internal(err).Status().Err()
	}
	return nil
}

// NewStream implements grpc.ClientConnInterface.
func (c *InProcess) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.From(err).Status().Err()
	}
	m, err := c.find(method, false)
	if err != nil {
		return nil, err
	}
	side, call, t, err := c.begin(ctx, m, opts)
	if err != nil {
		return nil, err
	}
	s := newLocalStream(ctx, side, desc, t, opts)
	call.stream = serverEnd{s}
	c.mu.Lock()
	c.live[s] = struct{}{}
	c.mu.Unlock()
	go func() {
		s.finish(m.handle(s.side, call))
		c.mu.Lock()
		delete(c.live, s)
		c.idle.Broadcast()
		c.mu.Unlock()
	}()
	return s, nil
}

func (c *InProcess) enter(n int) {
	c.mu.Lock()
	c.unary += n
	if c.unary == 0 {
		c.idle.Broadcast()
	}
	c.mu.Unlock()
}

// wait returns when no call is in flight.
func (c *InProcess) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.unary > 0 || len(c.live) > 0 {
		c.idle.Wait()
	}
}

// cancelAll ends the contexts of the streams in flight.
func (c *InProcess) cancelAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.live {
		s.cancel(fault.ShuttingDown())
	}
}

// localTransport takes the headers and trailers that a handler sets.
type localTransport struct {
	method  string
	mu      sync.Mutex
	header  metadata.MD
	trailer metadata.MD
	sent    bool
	ready   chan struct{} // closed when the header is sent; nil for unary calls
}

// Method implements grpc.ServerTransportStream.
func (t *localTransport) Method() string { return t.method }

// SetHeader implements grpc.ServerTransportStream.
func (t *localTransport) SetHeader(md metadata.MD) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent {
		return status.Error(codes.Internal, "header was sent already")
	}
	t.header = metadata.Join(t.header, md)
	return nil
}

// SendHeader implements grpc.ServerTransportStream.
func (t *localTransport) SendHeader(md metadata.MD) error {
	if err := t.SetHeader(md); err != nil {
		return err
	}
	t.send()
	return nil
}

func (t *localTransport) send() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.sent && t.ready != nil {
		close(t.ready)
	}
	t.sent = true
}

// SetTrailer implements grpc.ServerTransportStream.
func (t *localTransport) SetTrailer(md metadata.MD) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trailer = metadata.Join(t.trailer, md)
	return nil
}

// report fills what the caller asked for by call options.
func (t *localTransport) report(opts []grpc.CallOption) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = t.header
		case grpc.TrailerCallOption:
			*o.TrailerAddr = t.trailer
		case grpc.PeerCallOption:
			*o.PeerAddr = peer.Peer{}
		}
	}
}

var errSendAfterClose = errors.New("send after the stream was closed")

// isEnd reports whether err is the ordinary end of a stream.
func isEnd(err error) bool { return err == io.EOF } //nolint:errorlint // always bare
