package mesh_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/emptypb"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/mesh"
)

// call makes one call of any method with empty messages and returns how it ended.
func call(ctx context.Context, conn grpc.ClientConnInterface, name string, d protoreflect.MethodDescriptor) error {
	in, out := dynamicpb.NewMessage(d.Input()), dynamicpb.NewMessage(d.Output())
	if !d.IsStreamingClient() && !d.IsStreamingServer() {
		return conn.Invoke(ctx, name, in, out)
	}
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{
		StreamName: string(d.Name()), ClientStreams: d.IsStreamingClient(), ServerStreams: d.IsStreamingServer(),
	}, name)
	if err != nil {
		return err
	}
	if err := s.SendMsg(in); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	return s.RecvMsg(out)
}

// TestEveryMethodIsGuarded calls every method of every contract with every kind of wrong credential.
func TestEveryMethodIsGuarded(t *testing.T) {
	t.Parallel()
	var all map[string]protoreflect.MethodDescriptor
	s := start(t, options{register: func(s *mesh.Server) { all = everything(t, s) }})
	if len(all) < 30 {
		t.Fatalf("only %d methods found", len(all))
	}
	bearer := func(v ...string) context.Context {
		ctx := context.Background()
		for _, h := range v {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", h)
		}
		return ctx
	}
	for via, conn := range s.conns() {
		for name, d := range all {
			denied := "SCOPE_MISSING"
			if mesh.PolicyOf(d).GetAnyKey() {
				denied = ""
			}
			for what, c := range map[string]struct {
				ctx  context.Context
				want string
			}{
				"no key":        {context.Background(), "KEY_MISSING"},
				"wrong key":     {bearer("Bearer nonsense"), "KEY_INVALID"},
				"no scheme":     {bearer(keyAll), "KEY_INVALID"},
				"other scheme":  {bearer("Basic " + keyAll), "KEY_INVALID"},
				"two keys":      {bearer("Bearer "+keyAll, "Bearer "+keyNothing), "KEY_INVALID"},
				"expired key":   {bearer("Bearer " + keyExpired), "KEY_EXPIRED"},
				"revoked key":   {bearer("bearer " + keyRevoked), "KEY_REVOKED"},
				"without scope": {bearer("Bearer " + keyNothing), denied},
			} {
				err := call(c.ctx, conn, name, d)
				if got := reason(err); got != c.want && (c.want != "" || got != "INVALID_ARGUMENT") {
					t.Errorf("%s, %s, %s: %q (%v), want %q", via, name, what, got, err, c.want)
				}
			}
			switch got := reason(call(withKey(keyAll), conn, name, d)); got {
			case "", "INVALID_ARGUMENT":
			default:
				t.Errorf("%s, %s with every scope: %q", via, name, got)
			}
			if strings.HasPrefix(mesh.PolicyOf(d).GetScope(), "platform:") {
				wantReason(t, call(withKey(keyOther), conn, name, d), "SCOPE_MISSING") // "*" is not the platform
			}
		}
	}
}

// TestEveryContractHasAPolicy keeps a method from being added that nobody can call, or that everybody can.
func TestEveryContractHasAPolicy(t *testing.T) {
	t.Parallel()
	s := start(t, options{config: noTCP, register: func(s *mesh.Server) { everything(t, s) }})
	for name, m := range s.Methods() {
		switch {
		case m.Open:
		case m.Policy == nil, (m.Policy.GetScope() == "") != m.Policy.GetAnyKey():
			t.Errorf("%s has no usable policy: %v", name, m.Policy)
		case m.Policy.GetScope() != "" && !slices.Contains(auth.Scopes, m.Policy.GetScope()):
			t.Errorf("%s needs the scope %s, which no key can hold", name, m.Policy.GetScope())
		case m.Timeout() <= 0:
			t.Errorf("%s has no deadline", name)
		}
	}
}

func noTCP(c *mesh.Config) { c.Address = "" }

// TestUnaryAndStreamHaveOneChain looks at the list itself: there is one, and it is complete.
func TestUnaryAndStreamHaveOneChain(t *testing.T) {
	t.Parallel()
	s := start(t, options{config: noTCP})
	var names []string
	for _, m := range s.Chain() {
		names = append(names, m.Name)
		if m.Wrap == nil {
			t.Errorf("%s does nothing", m.Name)
		}
	}
	want := []string{"request", "status", "recover", "receive", "drain", "auth", "policy", "limits", "validate", "idempotency"}
	if !slices.Equal(names, want) {
		t.Errorf("chain is %v, want %v", names, want)
	}
}

func TestMethodWithoutPolicyIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: func(s *mesh.Server) {
		s.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Bare", Methods: []grpc.MethodDesc{{
			MethodName: "Do",
			Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
				return &emptypb.Empty{}, nil
			},
		}}}, nil)
	}})
	for _, conn := range s.conns() {
		wantReason(t, conn.Invoke(withKey(keyAll), "/test.Bare/Do", &emptypb.Empty{}, &emptypb.Empty{}), "UNIMPLEMENTED")
	}
	wantReason(t, s.Conn().Invoke(mesh.AsSystem(context.Background()), "/test.Bare/Do", &emptypb.Empty{}, &emptypb.Empty{}), "UNIMPLEMENTED")
}

func TestUnknownMethodsHaveAReason(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: func(s *mesh.Server) { everything(t, s) }})
	for via, conn := range s.conns() {
		for _, name := range []string{"/switchyard.routing.v1.RoutingService/Foo", "/no.Such/Method"} {
			err := conn.Invoke(withKey(keyAll), name, &emptypb.Empty{}, &emptypb.Empty{})
			f := fault.From(err)
			if f.ReasonName() != "UNIMPLEMENTED" || f.Code() != codes.Unimplemented || f.Metadata("method") != name {
				t.Errorf("%s: %s ends with %v", via, name, err)
			}
		}
	}
}

func TestHealthAndReflectionNeedNoKey(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: func(s *mesh.Server) { routingv1.RegisterRoutingServiceServer(s, echoRouter()) }})
	ctx := t.Context()
	h := healthpb.NewHealthClient(s.tcp)
	got, err := h.Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Errorf("health is %v, %v", got, err)
	}
	s.SetServing("", false)
	if got, _ := h.Check(ctx, &healthpb.HealthCheckRequest{}); got.GetStatus() != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Errorf("health is %v after it was withdrawn", got)
	}
	if _, err := h.Check(ctx, &healthpb.HealthCheckRequest{Service: "no.such"}); status.Code(err) != codes.Internal && status.Code(err) != codes.NotFound {
		t.Errorf("health of an unknown service: %v", err)
	}
	r, err := reflectionpb.NewServerReflectionClient(s.tcp).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	list, err := r.Recv()
	if err != nil || !strings.Contains(list.String(), "switchyard.routing.v1.RoutingService") {
		t.Errorf("reflection lists %v, %v", list, err)
	}
	if err := r.CloseSend(); err != nil {
		t.Error(err)
	}
}

// TestSystemIsOnlyInside: nothing that a client sends makes it the system.
func TestSystemIsOnlyInside(t *testing.T) {
	t.Parallel()
	var got *auth.Caller
	s := start(t, options{register: func(s *mesh.Server) {
		r := echoRouter()
		r.route = func(ctx context.Context, _ *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
			got = auth.FromContext(ctx)
			return answer(), nil
		}
		routingv1.RegisterRoutingServiceServer(s, r)
	}})
	ctx := mesh.AsSystem(context.Background())
	_, err := routingv1.NewRoutingServiceClient(s.tcp).RouteInquiry(ctx, inquiry())
	wantReason(t, err, "KEY_MISSING")
	ctx = metadata.AppendToOutgoingContext(context.Background(), "x-system", "true", "system", "true")
	_, err = routingv1.NewRoutingServiceClient(s.tcp).RouteInquiry(ctx, inquiry())
	wantReason(t, err, "KEY_MISSING")
	_, err = routingv1.NewRoutingServiceClient(s.Conn()).RouteInquiry(mesh.AsSystem(context.Background()), inquiry())
	if err != nil || !got.System {
		t.Errorf("caller is %+v (%v), want the system", got, err)
	}
	_, err = routingv1.NewRoutingServiceClient(s.Conn()).RouteInquiry(auth.WithCaller(t.Context(), &auth.Caller{Project: "p", Scopes: []string{"*"}}), inquiry())
	if err != nil || got.System || got.Project != "p" {
		t.Errorf("caller is %+v (%v), want the one whose call is being answered", got, err)
	}
	// A key wins over the caller that is being answered.
	ctx = metadata.AppendToOutgoingContext(auth.WithCaller(t.Context(), &auth.Caller{Project: "p", Scopes: []string{"*"}}), "authorization", "Bearer "+keyAll)
	if _, err = routingv1.NewRoutingServiceClient(s.Conn()).RouteInquiry(ctx, inquiry()); err != nil || got.Project != "acme" {
		t.Errorf("caller is %+v (%v), want the key's", got, err)
	}
}

// impostor is an authenticator with a defect.
type impostor struct{}

func (impostor) Authenticate(context.Context, string) (*auth.Caller, error) {
	return auth.System(), nil
}

func TestAuthenticatorCannotMakeSystemCallers(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		deps:     func(d *mesh.Deps) { d.Authenticator = impostor{} },
		register: func(s *mesh.Server) { routingv1.RegisterRoutingServiceServer(s, echoRouter()) },
	})
	_, err := routingv1.NewRoutingServiceClient(s.tcp).RouteInquiry(withKey("any"), inquiry())
	wantReason(t, err, "INTERNAL")
}

func TestServerNeedsAnAuthenticator(t *testing.T) {
	t.Parallel()
	if _, err := mesh.NewServer(mesh.Default(), mesh.Deps{}); err == nil {
		t.Error("a server without authentication was made")
	}
}
