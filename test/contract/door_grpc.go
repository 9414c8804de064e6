package contract

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Door is one way into the product.
type Door interface {
	Call(ctx context.Context, c *Case, key string) (*Answer, error)
}

// GRPC calls over a gRPC connection, of whatever kind.
type GRPC struct{ Conn grpc.ClientConnInterface }

var _ Door = GRPC{}

// Call sends the requests and collects the answers; an error of the call is part of the answer.
func (g GRPC) Call(ctx context.Context, c *Case, key string) (*Answer, error) {
	if key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
	}
	requests, err := c.messages()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	full := fmt.Sprintf("/%s/%s", c.method.Parent().FullName(), c.method.Name())
	if !c.method.IsStreamingClient() && !c.method.IsStreamingServer() {
		response := newMessage(c.method.Output())
		if err := g.Conn.Invoke(ctx, full, requests[0], response); err != nil {
			return &Answer{Error: errorAnswer(err)}, nil
		}
		return collect([]proto.Message{response})
	}
	return g.stream(ctx, c, full, requests)
}

func (g GRPC) stream(ctx context.Context, c *Case, full string, requests []proto.Message) (*Answer, error) {
	stream, err := g.Conn.NewStream(ctx, &grpc.StreamDesc{
		ClientStreams: c.method.IsStreamingClient(), ServerStreams: c.method.IsStreamingServer(),
	}, full)
	if err != nil {
		return &Answer{Error: errorAnswer(err)}, nil
	}
	for _, r := range requests {
		if err := stream.SendMsg(r); err != nil {
			break // the reason comes with RecvMsg
		}
	}
	_ = stream.CloseSend()
	var responses []proto.Message
	for {
		response := newMessage(c.method.Output())
		err := stream.RecvMsg(response)
		if errors.Is(err, io.EOF) {
			return collect(responses)
		}
		if err != nil {
			answer, cerr := collect(responses)
			if cerr != nil {
				return nil, cerr
			}
			answer.Error = errorAnswer(err)
			return answer, nil
		}
		responses = append(responses, response)
	}
}

func (c *Case) messages() ([]proto.Message, error) {
	list, err := c.Requests()
	if err != nil {
		return nil, err
	}
	out := make([]proto.Message, len(list))
	for i, data := range list {
		out[i] = newMessage(c.method.Input())
		if err := protojson.Unmarshal(data, out[i]); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
	}
	return out, nil
}

func newMessage(d protoreflect.MessageDescriptor) proto.Message {
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		panic(err) // cannot be: the case was resolved from the same registry
	}
	return t.New().Interface()
}

// collect decodes messages as JSON values, the form in which all doors are compared.
func collect(messages []proto.Message) (*Answer, error) {
	answer := &Answer{}
	for _, m := range messages {
		data, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
		if err != nil {
			return nil, err
		}
		var value any
		if err := json.Unmarshal(data, &value); err != nil {
			return nil, err
		}
		answer.Messages = append(answer.Messages, value)
	}
	return answer, nil
}

func errorAnswer(err error) *ErrorAnswer {
	s, _ := status.FromError(err)
	f := fault.FromStatus(s)
	answer := &ErrorAnswer{Code: codeName(int(s.Code())), Reason: f.ReasonName(), Message: s.Message()}
	if v := f.Violations(); len(v) > 0 {
		answer.Field = v[0].Field
	}
	return answer
}
