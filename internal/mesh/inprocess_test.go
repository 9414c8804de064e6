package mesh_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/dynamicpb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

type bidi = grpc.BidiStreamingServer[routingv1.StreamRouteInquiryRequest, routingv1.StreamRouteInquiryResponse]

// TestSameAnswersOnBothPaths compares messages, headers, trailers and errors of the two kinds of connection.
func TestSameAnswersOnBothPaths(t *testing.T) {
	t.Parallel()
	r := &router{
		route: func(ctx context.Context, in *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
			_ = grpc.SetHeader(ctx, metadata.Pairs("x-header", "h"))
			_ = grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "t"))
			if in.GetSubject() == "refuse" {
				return nil, fault.ModelNotFound("m").Cause(errors.New("hidden"))
			}
			a := answer()
			a.Decision.Deployment = in.GetDeployment()
			return a, nil
		},
		stream: func(s bidi) error {
			if s.SendHeader(nil) == nil {
				return errors.New("headers were not sent at once")
			}
			s.SetTrailer(metadata.Pairs("x-trailer", "t"))
			for i := int64(0); ; i++ {
				in, err := s.Recv()
				if errors.Is(err, io.EOF) {
					return fault.ModelNotFound("m")
				}
				if err != nil {
					return err
				}
				if err := s.Send(&routingv1.StreamRouteInquiryResponse{Index: i + int64(len(in.GetDeployment()))}); err != nil {
					return err
				}
			}
		},
	}
	s := start(t, options{register: routing(r)})
	want := answer()
	for via, conn := range s.conns() {
		c := routingv1.NewRoutingServiceClient(conn)
		var h, tr metadata.MD
		got, err := c.RouteInquiry(withKey(keyAll), inquiry(), grpc.Header(&h), grpc.Trailer(&tr))
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" || err != nil {
			t.Errorf("%s: %v %s", via, err, diff)
		}
		if h.Get("x-header")[0] != "h" || tr.Get("x-trailer")[0] != "t" {
			t.Errorf("%s: header %v, trailer %v", via, h, tr)
		}
		in := inquiry()
		in.Subject = "refuse"
		_, err = c.RouteInquiry(withKey(keyAll), in)
		if diff := cmp.Diff(fault.ModelNotFound("m").Status().Proto(), status.Convert(err).Proto(), protocmp.Transform()); diff != "" {
			t.Errorf("%s: error differs: %s", via, diff)
		}
		exchange(t, via, c)
	}
}

func exchange(t *testing.T, via string, c routingv1.RoutingServiceClient) {
	t.Helper()
	stream, err := c.StreamRouteInquiry(withKey(keyAll))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil { // before anything was sent
		t.Errorf("%s: stream header: %v", via, err)
	}
	for i := range int64(100) {
		if err := stream.Send(&routingv1.StreamRouteInquiryRequest{Deployment: "abc"}); err != nil {
			t.Fatal(err)
		}
		if got, err := stream.Recv(); err != nil || got.GetIndex() != i+3 {
			t.Fatalf("%s: answer %d is %v, %v", via, i, got, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	_, err = stream.Recv()
	wantReason(t, err, "MODEL_NOT_FOUND")
	if len(stream.Trailer().Get("x-trailer")) != 1 {
		t.Errorf("%s: trailer %v", via, stream.Trailer())
	}
}

func TestInProcessStreamsCarryAll(t *testing.T) {
	t.Parallel()
	const n = 10 * 16                         // many times the depth of the pipe
	r := &router{stream: func(s bidi) error { // answers only when all were received
		var all []string
		for {
			in, err := s.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			all = append(all, in.GetDeployment())
		}
		for i := range all {
			if err := s.Send(&routingv1.StreamRouteInquiryResponse{Index: int64(i)}); err != nil {
				return err
			}
		}
		return nil
	}}
	s := start(t, options{register: routing(r), config: noTCP})
	stream, err := routingv1.NewRoutingServiceClient(s.Conn()).StreamRouteInquiry(withKey(keyAll))
	if err != nil {
		t.Fatal(err)
	}
	for range n {
		if err := stream.Send(&routingv1.StreamRouteInquiryRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&routingv1.StreamRouteInquiryRequest{}); err == nil {
		t.Error("a message was accepted after the close")
	}
	for i := range int64(n) {
		if got, err := stream.Recv(); err != nil || got.GetIndex() != i {
			t.Fatalf("message %d is %v, %v", i, got, err)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("stream ends with %v", err)
	}
}

func TestInProcessStreamsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	r := &router{stream: func(s bidi) error {
		_, err := s.Recv()
		ended <- err
		return err
	}}
	s := start(t, options{register: routing(r), config: noTCP})
	ctx, cancel := context.WithCancel(withKey(keyAll))
	stream, err := routingv1.NewRoutingServiceClient(s.Conn()).StreamRouteInquiry(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = stream.Recv()
	if status.Code(err) != codes.Canceled {
		t.Errorf("client's end: %v", err)
	}
	wantReason(t, <-ended, "CANCELLED")
	// A handler that ends early ends the sender.
	r.stream = func(bidi) error { return fault.ModelNotFound("m") }
	stream, err = routingv1.NewRoutingServiceClient(s.Conn()).StreamRouteInquiry(withKey(keyAll))
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = stream.Send(&routingv1.StreamRouteInquiryRequest{})
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("send after the end: %v", err)
	}
	_, err = stream.Recv()
	wantReason(t, err, "MODEL_NOT_FOUND")
}

// uploads is a model service that counts the bytes of an upload.
type uploads struct {
	modelsv1.UnimplementedModelServiceServer
	fail error
}

func (u *uploads) RegisterVersion(s grpc.ClientStreamingServer[modelsv1.RegisterVersionRequest, modelsv1.RegisterVersionResponse]) error {
	n := int32(0)
	for {
		_, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		n++
	}
	if err := s.SendAndClose(&modelsv1.RegisterVersionResponse{Version: &modelsv1.ModelVersion{Version: n}}); err != nil {
		return err
	}
	return u.fail
}

func TestClientStreams(t *testing.T) {
	t.Parallel()
	u := &uploads{}
	s := start(t, options{register: func(s *mesh.Server) { modelsv1.RegisterModelServiceServer(s, u) }})
	for _, fail := range []error{nil, fault.ArtifactInvalid(errors.New("too short"))} {
		u.fail = fail
		for via, conn := range s.conns() {
			up, err := modelsv1.NewModelServiceClient(conn).RegisterVersion(withKey(keyAll))
			if err != nil {
				t.Fatal(err)
			}
			for range 40 {
				if err := up.Send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Chunk{Chunk: []byte("x")}}); err != nil {
					t.Fatal(err)
				}
			}
			got, err := up.CloseAndRecv()
			if fail == nil && (err != nil || got.GetVersion().GetVersion() != 40) {
				t.Errorf("%s: %v, %v", via, got, err)
			}
			if fail != nil {
				wantReason(t, err, "ARTIFACT_INVALID")
			}
		}
	}
}

func TestInProcessTakesForeignMessageTypes(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: routing(echoRouter()), config: noTCP})
	in, out := dynamicpb.NewMessage(inquiry().ProtoReflect().Descriptor()), dynamicpb.NewMessage(answer().ProtoReflect().Descriptor())
	proto.Merge(in, inquiry())
	if err := s.Conn().Invoke(withKey(keyAll), "/switchyard.routing.v1.RoutingService/RouteInquiry", in, out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer(), out, protocmp.Transform()); diff != "" {
		t.Errorf("answer differs: %s", diff)
	}
}

type tokenCreds string

func (c tokenCreds) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(c)}, nil
}
func (tokenCreds) RequireTransportSecurity() bool { return false }

var _ credentials.PerRPCCredentials = tokenCreds("")

// TestNestedCallsInheritTheRequest: a handler that calls on keeps the caller, the request id and the deadline, and passes on neither
// the caller's headers nor the mark of the system.
func TestNestedCallsInheritTheRequest(t *testing.T) {
	t.Parallel()
	type seen struct {
		caller  *auth.Caller
		id      string
		out     metadata.MD
		in      metadata.MD
		hasEnd  bool
		nested  error
		subject string
	}
	var calls []seen
	var s *started
	r := &router{}
	r.route = func(ctx context.Context, in *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		v := seen{caller: auth.FromContext(ctx), id: telemetry.RequestID(ctx), subject: in.GetSubject()}
		v.out, _ = metadata.FromOutgoingContext(ctx)
		v.in, _ = metadata.FromIncomingContext(ctx)
		_, v.hasEnd = ctx.Deadline()
		if in.GetSubject() != "inner" {
			inner := inquiry()
			inner.Subject = "inner"
			if in.GetSubject() == "outer as system" {
				ctx = mesh.AsSystem(ctx)
			}
			_, v.nested = routingv1.NewRoutingServiceClient(s.Conn()).RouteInquiry(ctx, inner)
		}
		calls = append(calls, v)
		return answer(), nil
	}
	s = start(t, options{register: routing(r)})
	c := routingv1.NewRoutingServiceClient(s.Conn())
	for _, subject := range []string{"outer", "outer as system"} {
		calls = nil
		in := inquiry()
		in.Subject = subject
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "r-9", "x-own", "v")
		if _, err := c.RouteInquiry(ctx, in, grpc.PerRPCCredentials(tokenCreds(keyAll))); err != nil {
			t.Fatal(err)
		}
		if len(calls) != 2 {
			t.Fatalf("%d calls", len(calls))
		}
		inner, outer := calls[0], calls[1]
		if outer.nested != nil || outer.caller.Project != "acme" || len(outer.in.Get("x-own")) != 1 || len(outer.out) != 0 {
			t.Errorf("outer call is %+v", outer)
		}
		if inner.caller.System != (subject == "outer as system") || inner.id != "r-9" || !inner.hasEnd || len(inner.in) != 0 || len(inner.out) != 0 {
			t.Errorf("inner call of %s is %+v, caller %+v", subject, inner, inner.caller)
		}
	}
}

func TestInProcessRefusesEndedContexts(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: routing(echoRouter()), config: noTCP})
	ctx, cancel := context.WithDeadline(withKey(keyAll), time.Now().Add(-time.Second))
	defer cancel()
	c := routingv1.NewRoutingServiceClient(s.Conn())
	_, err := c.RouteInquiry(ctx, inquiry())
	wantReason(t, err, "DEADLINE_EXCEEDED")
	_, err = c.StreamRouteInquiry(ctx)
	wantReason(t, err, "DEADLINE_EXCEEDED")
}

// TestSendingToWhatHasEnded sends to a call that was refused before its message came: generated code of a method with one message hands on what SendMsg returns, so that the
// reason would be lost.
func TestSendingToWhatHasEnded(t *testing.T) {
	t.Parallel()
	var all map[string]protoreflect.MethodDescriptor
	s := start(t, options{register: func(s *mesh.Server) { all = everything(t, s) }})
	for via, conn := range s.conns() {
		for name, d := range all {
			if !d.IsStreamingClient() && !d.IsStreamingServer() {
				continue
			}
			desc := &grpc.StreamDesc{StreamName: string(d.Name()), ClientStreams: d.IsStreamingClient(), ServerStreams: d.IsStreamingServer()}
			stream, err := conn.NewStream(t.Context(), desc, name)
			if err != nil {
				t.Fatalf("%s, %s: %v", via, name, err)
			}
			// Without headers it returns when the call has ended. A client that streams has them at once, so that the end is waited for.
			_, _ = stream.Header()
			err = stream.SendMsg(dynamicpb.NewMessage(d.Input()))
			for deadline := time.Now().Add(5 * time.Second); d.IsStreamingClient() && err == nil && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
				err = stream.SendMsg(dynamicpb.NewMessage(d.Input()))
			}
			if ended := errors.Is(err, io.EOF); err != nil && !ended || ended != d.IsStreamingClient() {
				t.Errorf("%s, %s: sending afterwards: %v", via, name, err)
			}
			if err := stream.RecvMsg(dynamicpb.NewMessage(d.Output())); status.Code(err) != codes.Unauthenticated {
				t.Errorf("%s, %s: the reason is %v, want that there is no key", via, name, err)
			}
		}
	}
}
