package mesh_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	_ "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// keyring is an authenticator over a fixed set of keys.
type keyring struct{}

const (
	keyAll     = "all"
	keyOther   = "other"
	keyNothing = "nothing"
	keyExpired = "expired"
	keyRevoked = "revoked"
)

func (keyring) Authenticate(_ context.Context, key string) (*auth.Caller, error) {
	switch key {
	case keyAll:
		return &auth.Caller{Project: "acme", KeyID: "k-all", Scopes: []string{"*", "platform:admin", "platform:serve"}}, nil
	case keyOther:
		return &auth.Caller{Project: "globex", KeyID: "k-other", Scopes: []string{"*"}}, nil
	case keyNothing:
		return &auth.Caller{Project: "acme", KeyID: "k-nothing"}, nil
	case keyExpired:
		return nil, fault.KeyExpired("k-expired", time.Unix(0, 0))
	case keyRevoked:
		return nil, fault.KeyRevoked("k-revoked")
	}
	return nil, fault.KeyInvalid()
}

func withKey(key string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+key)
}

// router is a routing service whose methods are functions of the test.
type router struct {
	routingv1.UnimplementedRoutingServiceServer
	route  func(context.Context, *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error)
	stream func(grpc.BidiStreamingServer[routingv1.StreamRouteInquiryRequest, routingv1.StreamRouteInquiryResponse]) error
}

func (r *router) RouteInquiry(ctx context.Context, in *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
	return r.route(ctx, in)
}

func (r *router) StreamRouteInquiry(s grpc.BidiStreamingServer[routingv1.StreamRouteInquiryRequest, routingv1.StreamRouteInquiryResponse]) error {
	return r.stream(s)
}

func inquiry() *routingv1.RouteInquiryRequest {
	return &routingv1.RouteInquiryRequest{Deployment: "support", Subject: "Printer", Body: "It does not print."}
}

// models is a model service whose watch is a function of the test.
type models struct {
	modelsv1.UnimplementedModelServiceServer
	watch func(grpc.ServerStreamingServer[modelsv1.WatchDeploymentsResponse]) error
}

func (m *models) WatchDeployments(_ *modelsv1.WatchDeploymentsRequest, s grpc.ServerStreamingServer[modelsv1.WatchDeploymentsResponse]) error {
	return m.watch(s)
}

// everything registers a service for every contract; unary methods answer an empty message, streams one after the client's last.
func everything(t testing.TB, s grpc.ServiceRegistrar) map[string]protoreflect.MethodDescriptor {
	t.Helper()
	all := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			d := f.Services().Get(i)
			if !strings.HasPrefix(string(d.FullName()), "switchyard.") {
				continue
			}
			s.RegisterService(fakeService(t, d, all), nil)
		}
		return true
	})
	return all
}

func fakeService(t testing.TB, d protoreflect.ServiceDescriptor, all map[string]protoreflect.MethodDescriptor) *grpc.ServiceDesc {
	sd := &grpc.ServiceDesc{ServiceName: string(d.FullName())}
	for j := range d.Methods().Len() {
		m := d.Methods().Get(j)
		all["/"+string(d.FullName())+"/"+string(m.Name())] = m
		if !m.IsStreamingClient() && !m.IsStreamingServer() {
			sd.Methods = append(sd.Methods, grpc.MethodDesc{MethodName: string(m.Name()), Handler: func(_ any, _ context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				if err := dec(newMessage(t, m.Input())); err != nil {
					return nil, err
				}
				return newMessage(t, m.Output()), nil
			}})
			continue
		}
		sd.Streams = append(sd.Streams, grpc.StreamDesc{
			StreamName: string(m.Name()), ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer(),
			Handler: func(_ any, s grpc.ServerStream) error {
				for {
					err := s.RecvMsg(newMessage(t, m.Input()))
					if errors.Is(err, io.EOF) {
						break
					}
					if err != nil {
						return err
					}
				}
				return s.SendMsg(newMessage(t, m.Output()))
			},
		})
	}
	return sd
}

func newMessage(t testing.TB, d protoreflect.MessageDescriptor) proto.Message {
	mt, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	if err != nil {
		t.Error(err)
		return nil
	}
	return mt.New().Interface()
}

// started is a running server.
type started struct {
	*mesh.Server
	tcp  *grpc.ClientConn // nil without a TCP address
	stop func()           // ends Serve and waits for it
	log  *logBuffer
	tel  *telemetry.Telemetry
}

type options struct {
	config   func(*mesh.Config)
	register func(*mesh.Server)
	deps     func(*mesh.Deps)
}

func start(t testing.TB, o options) *started {
	t.Helper()
	c := mesh.Default()
	c.Address = "127.0.0.1:0"
	c.DrainTimeout = 10 * time.Second
	if o.config != nil {
		o.config(&c)
	}
	log := &logBuffer{}
	tel, err := telemetry.New(telemetry.Config{LogLevel: "debug", LogFormat: "json", ServiceName: "t"}, telemetry.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	d := mesh.Deps{Authenticator: keyring{}, Logger: tel.Logger(), RPC: tel.RPC()}
	if o.deps != nil {
		o.deps(&d)
	}
	s, err := mesh.NewServer(c, d)
	if err != nil {
		t.Fatal(err)
	}
	if o.register != nil {
		o.register(s)
	}
	s.SetServing("", true)
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	out := &started{Server: s, log: log, tel: tel}
	out.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(out.stop)
	if s.Addr() != nil && c.TLS.CertFile == "" {
		out.tcp = plain(t, s.Addr().String())
	}
	return out
}

// plain returns a connection of grpc-go with nothing added.
func plain(t testing.TB, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *started) conns() map[string]grpc.ClientConnInterface {
	return map[string]grpc.ClientConnInterface{"tcp": s.tcp, "in process": s.Conn()}
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// reason returns the reason of an error, "" for none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).ReasonName()
}

func wantReason(t *testing.T, err error, want string) {
	t.Helper()
	if got := reason(err); got != want {
		t.Errorf("call ended with %q (%v), want %q", got, err, want)
	}
}

func metricsPage(t *testing.T, tel *telemetry.Telemetry) string {
	t.Helper()
	rec := httptest.NewRecorder()
	tel.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	return rec.Body.String()
}
