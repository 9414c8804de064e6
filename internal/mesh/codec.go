package mesh

import (
	"context"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // so that servers and clients understand it
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// grpc-go answers a message that it cannot read by itself, with a status that has no reason. So the server lets it read a little
// more than the limit and decode nothing: a frame keeps the bytes, and the chain decides about them when it knows who calls.
// Memory that a decoded message takes is thus never given to a caller without a key.
type frame struct {
	limit int
	data  mem.BufferSlice
}

// wireSlack is how far beyond the limit grpc-go reads, as a factor. A message within it gets a typed REQUEST_TOO_LARGE; a larger one is
// not read at all and gets grpc-go's bare RESOURCE_EXHAUSTED.
const wireSlack = 2

func (f *frame) free() {
	f.data.Free()
	f.data = nil
}

func (f *frame) decode(into any) error {
	defer f.free()
	if n := f.data.Len(); n > f.limit {
		return fault.RequestTooLarge(int64(f.limit))
	}
	msg, ok := into.(proto.Message)
	if !ok {
		return fault.Internal(errNotProto(into))
	}
	buf := f.data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	if err := proto.Unmarshal(buf.ReadOnlyData(), msg); err != nil {
		return fault.Malformed("request is not a valid %s message: %v", msg.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// codec is grpc-go's, and understands frames.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(encodingproto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return c.CodecV2.Unmarshal(data, v) //nolint:wrapcheck // grpc-go wraps it
	}
	f.free() // a second message where one is allowed; grpc-go refuses the call
	data.Ref()
	f.data = data
	return nil
}

// wireFault says what reading from the connection failed with. io.EOF, the end of a stream, stays.
func wireFault(err error, limit int) error {
	if err == nil || err == io.EOF { //nolint:errorlint // grpc-go returns it bare
		return err
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	switch s.Code() { //nolint:exhaustive // the rest is handled alike
	case codes.ResourceExhausted:
		return fault.RequestTooLarge(int64(limit)).Cause(err)
	case codes.Internal, codes.Unimplemented:
		return fault.Malformed("%s", s.Message()).Cause(err)
	}
	return err
}

// inbound is a server stream whose messages are measured, decoded and checked like those of unary calls.
type inbound struct {
	grpc.ServerStream
	ctx   context.Context //nolint:containedctx // grpc.ServerStream asks for it
	call  *Call
	frame frame
}

// Context implements grpc.ServerStream: it carries what the chain put into the context.
func (s *inbound) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *inbound) RecvMsg(into any) error {
	if s.call.InProcess {
		if err := s.ServerStream.RecvMsg(into); err != nil {
			return err //nolint:wrapcheck // io.EOF must stay
		}
	} else {
		if err := s.ServerStream.RecvMsg(&s.frame); err != nil {
			return wireFault(err, s.frame.limit)
		}
		if err := s.frame.decode(into); err != nil {
			return err
		}
	}
	if s.call.check == nil {
		return nil
	}
	return s.call.check(into)
}
