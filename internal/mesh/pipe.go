package mesh

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// pipeDepth is how many messages may be under way in one direction before the sender waits: enough to keep both sides busy, few
// enough to bound the memory of a slow reader.
const pipeDepth = 16

// localStream is a stream inside the process; it is the client's end, serverEnd is the other.
type localStream struct {
	*localTransport
	desc   *grpc.StreamDesc
	ctx    context.Context         //nolint:containedctx // grpc.ClientStream asks for it
	side   context.Context         //nolint:containedctx // the server's view of ctx
	cancel context.CancelCauseFunc // of side
	opts   []grpc.CallOption

	up   chan any // client to server
	down chan any // server to client

	once sync.Once     // closes up
	half atomic.Bool   // up is closed
	done chan struct{} // closed when the handler returned
	err  error         // its status, valid after done
}

func newLocalStream(ctx, side context.Context, desc *grpc.StreamDesc, t *localTransport, opts []grpc.CallOption) *localStream {
	t.ready = make(chan struct{})
	s := &localStream{
		localTransport: t, desc: desc, ctx: ctx, opts: opts,
		up: make(chan any, pipeDepth), down: make(chan any, pipeDepth), done: make(chan struct{}),
	}
	s.side, s.cancel = context.WithCancelCause(side)
	return s
}

// finish ends the stream with the handler's status.
func (s *localStream) finish(err error) {
	s.err = err
	s.send()
	close(s.done)
	s.cancel(nil)
}

// Header implements grpc.ClientStream.
func (s *localStream) Header() (metadata.MD, error) {
	select {
	case <-s.ready:
	case <-s.ctx.Done():
		return nil, fault.From(s.ctx.Err()).Status().Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header, nil
}

// Trailer implements grpc.ClientStream.
func (s *localStream) Trailer() metadata.MD {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trailer
}

// Context implements grpc.ClientStream.
func (s *localStream) Context() context.Context { return s.ctx }

// CloseSend implements grpc.ClientStream.
func (s *localStream) CloseSend() error {
	s.once.Do(func() {
		s.half.Store(true)
		close(s.up)
	})
	return nil
}

// over is what sending to a handler that has ended returns. Generated code of a method that takes one message hands it on instead of asking RecvMsg
// for the reason, so that it must be nil there.
func (s *localStream) over() error {
	if !s.desc.ClientStreams {
		return nil
	}
	return io.EOF
}

// SendMsg implements grpc.ClientStream. Like grpc-go's it returns io.EOF when the handler of a stream of messages has ended; RecvMsg then tells why.
func (s *localStream) SendMsg(m any) error {
	if s.half.Load() {
		return fault.Internal(errSendAfterClose).Status().Err()
	}
	c, err := snapshot(m)
	if err != nil {
		return fault.Internal(err).Status().Err()
	}
	select {
	case <-s.done:
		return s.over()
	default:
	}
	select {
	case s.up <- c:
	case <-s.done:
		return s.over()
	case <-s.ctx.Done():
		return fault.From(s.ctx.Err()).Status().Err()
	}
	if !s.desc.ClientStreams {
		return s.CloseSend()
	}
	return nil
}

// RecvMsg implements grpc.ClientStream.
func (s *localStream) RecvMsg(m any) error {
	msg, err := s.next()
	if err != nil {
		return s.end(err)
	}
	if err := handOver(m, msg); err != nil {
		return fault.Internal(err).Status().Err()
	}
	if s.desc.ServerStreams {
		return nil
	}
	// The one answer of a client stream counts only if the call succeeds.
	if _, err := s.next(); !isEnd(err) {
		return s.end(err)
	}
	s.report(s.opts)
	return nil
}

func (s *localStream) end(err error) error {
	s.report(s.opts)
	return err
}

// next returns the next message of the handler, or how it ended. Messages sent before the end come first.
func (s *localStream) next() (any, error) {
	select {
	case m := <-s.down:
		return m, nil
	default:
	}
	select {
	case m := <-s.down:
		return m, nil
	case <-s.done:
		select {
		case m := <-s.down:
			return m, nil
		default:
		}
		if s.err != nil {
			return nil, s.err
		}
		return nil, io.EOF
	case <-s.ctx.Done():
		return nil, fault.From(s.ctx.Err()).Status().Err()
	}
}

// serverEnd is what the handler sees of a stream.
type serverEnd struct{ s *localStream }

var _ grpc.ServerStream = serverEnd{}

// Context implements grpc.ServerStream.
func (e serverEnd) Context() context.Context { return e.s.side }

// SetHeader implements grpc.ServerStream.
func (e serverEnd) SetHeader(md metadata.MD) error { return e.s.SetHeader(md) }

// SendHeader implements grpc.ServerStream.
func (e serverEnd) SendHeader(md metadata.MD) error { return e.s.SendHeader(md) }

// SetTrailer implements grpc.ServerStream.
func (e serverEnd) SetTrailer(md metadata.MD) { _ = e.s.SetTrailer(md) }

// SendMsg implements grpc.ServerStream.
func (e serverEnd) SendMsg(m any) error {
	c, err := snapshot(m)
	if err != nil {
		return fault.Internal(err)
	}
	e.s.send()
	if e.s.side.Err() != nil {
		return ended(e.s.side)
	}
	select {
	case e.s.down <- c:
		return nil
	case <-e.s.side.Done():
		return ended(e.s.side)
	}
}

// RecvMsg implements grpc.ServerStream.
func (e serverEnd) RecvMsg(m any) error {
	select {
	case msg, ok := <-e.s.up:
		if !ok {
			return io.EOF
		}
		return handOver(m, msg)
	case <-e.s.side.Done():
		return ended(e.s.side)
	}
}

// ended says why a context ended.
func ended(ctx context.Context) error { return fault.From(context.Cause(ctx)) }
