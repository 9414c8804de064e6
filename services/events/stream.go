package events

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Message is one event of the stream.
type Message struct {
	cloudevent.Event
	Seq    uint64    // its place in the stream, from 1
	Stored time.Time // when the stream took it
	Data   []byte
}

// Start is a place in the stream; the zero value is its beginning.
type Start struct {
	Seq  uint64    // the first message has at least this number
	Time time.Time // else: it was stored at or after this time
}

// Stream is where events are read from. Subjects are filters such as "switchyard.acme.decisions" and "switchyard.acme.>". Its errors are faults.
type Stream interface {
	// Bounds returns the numbers of the oldest and the newest message; first is last+1 when there is none.
	Bounds(ctx context.Context) (first, last uint64, err error)
	// Read calls fn for the messages up to the present end, in order.
	Read(ctx context.Context, from Start, subjects []string, fn func(*Message) error) error
	// Follow calls fn for the messages that are there and that come, in order, and with none after about idle without one; until the context ends.
	Follow(ctx context.Context, from Start, subjects []string, idle time.Duration, fn func([]*Message) error) error
}

// Consumer gives the messages of the stream to a handler, each until it returned nil, from where it was when the process ended. From says where it begins the first time.
type Consumer interface {
	Consume(ctx context.Context, name string, from time.Time, subjects []string, fn func(context.Context, []*Message) error) error
}

// filter is an EventFilter, ready for use.
type filter struct {
	subjects              []string
	operation, deployment string
}

func newFilter(project string, f *eventsv1.EventFilter) filter {
	out := filter{deployment: f.GetDeployment()}
	if op := f.GetOperation(); op != commonv1.Operation_OPERATION_UNSPECIFIED {
		out.operation = fault.OperationName(op)
	}
	for _, kind := range f.GetKinds() {
		out.subjects = append(out.subjects, "switchyard."+project+"."+kind)
	}
	if out.subjects == nil {
		out.subjects = []string{"switchyard." + project + ".>"}
	}
	return out
}

// holds says whether the filter lets through an event that came under one of its subjects.
func (f *filter) holds(m *Message) bool {
	return (f.operation == "" || m.Operation == f.operation) && (f.deployment == "" || m.Deployment == f.deployment)
}

// event returns a message as the contract has it.
func (m *Message) event() *eventsv1.Event {
	e := &eventsv1.Event{
		Cursor: cursor{seq: m.Seq}.String(), Id: m.ID, Source: m.Source, Type: m.Type, Time: timestamppb.New(m.Time), Kind: m.Kind, Subject: m.Subject,
		Operation: operation(m.Operation), Deployment: m.Deployment, Traceparent: m.Traceparent,
	}
	if message := m.message(); message != nil {
		e.Data = &anypb.Any{TypeUrl: "type.googleapis.com/" + m.Schema, Value: m.Data}
	} else {
		e.RawData, e.RawContentType = m.Data, m.ContentType
	}
	return e
}

// message decodes the data. It returns nil when they are not a message that this process knows.
func (m *Message) message() proto.Message {
	if m.Schema == "" || m.ContentType != cloudevent.Protobuf {
		return nil
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(m.Schema))
	if err != nil {
		return nil
	}
	message := t.New().Interface()
	if proto.Unmarshal(m.Data, message) != nil {
		return nil
	}
	return message
}

var operations = func() map[string]commonv1.Operation {
	out := map[string]commonv1.Operation{}
	for n := range commonv1.Operation_name {
		out[fault.OperationName(commonv1.Operation(n))] = commonv1.Operation(n)
	}
	return out
}()

func operation(name string) commonv1.Operation { return operations[name] }
