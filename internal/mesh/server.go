package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// Deps is what a server needs from the rest of the process.
type Deps struct {
	// Authenticator knows the keys. Required: there is no server without authentication.
	Authenticator auth.Authenticator
	// Logger receives the log; nil for slog.Default.
	Logger *slog.Logger
	// RPC measures calls; nil for not at all.
	RPC *telemetry.RPC
	// Idempotency keeps answers of calls with an idempotency key; nil keeps none, and the key is only recorded.
	Idempotency IdempotencyStore
	// TracerProvider receives spans; nil for none.
	TracerProvider trace.TracerProvider
}

// Server answers calls over TCP, over a unix socket and from inside the process, all through one chain. Use: New, RegisterService
// for each service, Listen, Serve.
type Server struct {
	config  Config
	deps    Deps
	log     *slog.Logger
	tracer  trace.Tracer // nil without tracing
	rules   compiled
	links   []Middleware
	methods atomic.Pointer[map[string]*Method] // by full name; replaced as a whole
	unknown Handler
	health  *health.Server
	drain   drain
	local   *InProcess

	mu        sync.Mutex
	services  []registration
	listeners []listener
	servers   []*grpc.Server
}

type registration struct {
	desc *grpc.ServiceDesc
	impl any
}

type listener struct {
	net.Listener
	creds credentials.TransportCredentials // nil for none
}

var (
	_ grpc.ServiceRegistrar          = (*Server)(nil)
	_ reflection.ServiceInfoProvider = (*Server)(nil)
	_ interface{ Conn() *InProcess } = (*Server)(nil)
	_ grpc.ClientConnInterface       = (*InProcess)(nil)
	_ grpc.ServerTransportStream     = (*localTransport)(nil)
)

// NewServer returns a server with health and, if configured, reflection. It does no I/O.
func NewServer(c Config, d Deps) (*Server, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("mesh: %w", err)
	}
	if d.Authenticator == nil {
		return nil, errors.New("mesh: a server needs an authenticator")
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	s := &Server{config: c, deps: d, log: d.Logger, rules: compileRules(), health: health.NewServer()}
	if d.TracerProvider != nil {
		s.tracer = d.TracerProvider.Tracer(telemetry.Scope)
	}
	s.links = s.chain()
	s.methods.Store(&map[string]*Method{})
	s.local = newInProcess(s)
	s.unknown = s.unknownMethod()
	healthpb.RegisterHealthServer(s, s.health)
	s.health.SetServingStatus("", healthpb.HealthCheckResponse_NOT_SERVING)
	if c.Reflection {
		reflection.Register(s)
	}
	return s, nil
}

// RegisterService implements grpc.ServiceRegistrar. From then on Conn reaches the service; the network does after Listen. It panics
// when the service is registered twice, or after Listen: both are mistakes of the program.
func (s *Server) RegisterService(desc *grpc.ServiceDesc, impl any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listeners != nil {
		panic("mesh: register " + desc.ServiceName + " after Listen") //nolint:forbidigo // the interface has no error
	}
	next := map[string]*Method{}
	maps.Copy(next, *s.methods.Load())
	add := func(name string, clientStreams, serverStreams bool, end Handler) {
		m := newMethod(desc.ServiceName, name, clientStreams, serverStreams)
		if next[m.FullName] != nil {
			panic("mesh: register " + desc.ServiceName + " twice") //nolint:forbidigo // the interface has no error
		}
		if m.Policy == nil && !m.Open {
			s.log.Error("method has no policy in its contract and is refused to everybody", "method", m.FullName)
		}
		if s.deps.RPC != nil {
			m.metrics = s.deps.RPC.Method(m.FullName)
		}
		m.handle = compose(s.links, m, end)
		next[m.FullName] = m
	}
	for _, d := range desc.Methods {
		add(d.MethodName, false, false, unary(d, impl))
	}
	for _, d := range desc.Streams {
		add(d.StreamName, d.ClientStreams, d.ServerStreams, streaming(d, impl))
	}
	s.methods.Store(&next)
	s.services = append(s.services, registration{desc: desc, impl: impl})
}

// GetServiceInfo returns the registered services; reflection asks for it.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]grpc.ServiceInfo, len(s.services))
	for _, r := range s.services {
		info := grpc.ServiceInfo{Metadata: r.desc.Metadata}
		for _, m := range r.desc.Methods {
			info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
		}
		for _, m := range r.desc.Streams {
			info.Methods = append(info.Methods, grpc.MethodInfo{
				Name: m.StreamName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams,
			})
		}
		out[r.desc.ServiceName] = info
	}
	return out
}

// Chain returns the middleware of every call, from the outside in.
func (s *Server) Chain() []Middleware { return s.links }

// Methods returns what is served, by full name. The map must not be changed.
func (s *Server) Methods() map[string]*Method { return *s.methods.Load() }

// Conn returns a connection to this server inside the process.
func (s *Server) Conn() *InProcess { return s.local }

// SetServing tells health checks whether a service, or with "" the whole server, answers. A new server does not.
func (s *Server) SetServing(service string, serving bool) {
	status := healthpb.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthpb.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus(service, status)
}

// describe returns the descriptor of a service with handlers that go through the chain.
func (s *Server) describe(r registration) *grpc.ServiceDesc {
	d := *r.desc
	d.Methods, d.Streams = nil, nil
	for _, m := range r.desc.Methods {
		method := s.Methods()["/"+d.ServiceName+"/"+m.MethodName]
		d.Methods = append(d.Methods, grpc.MethodDesc{
			MethodName: m.MethodName,
			Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				c := &Call{Method: method, decode: decode}
				err := method.handle(ctx, c)
				return c.reply, err
			},
		})
	}
	for _, st := range r.desc.Streams {
		method := s.Methods()["/"+d.ServiceName+"/"+st.StreamName]
		st.Handler = func(_ any, stream grpc.ServerStream) error {
			return method.handle(stream.Context(), &Call{Method: method, stream: stream})
		}
		d.Streams = append(d.Streams, st)
	}
	return &d
}

// unknownMethod answers calls of methods that are not here. All of them are one method for the metrics: callers choose the names.
func (s *Server) unknownMethod() Handler {
	m := newMethod("", "_OTHER", true, true)
	m.FullName = "/_OTHER" // the conventions' name for methods that a server does not know
	if s.deps.RPC != nil {
		m.metrics = s.deps.RPC.Method(m.FullName)
	}
	end := func(ctx context.Context, c *Call) error {
		name, _ := grpc.Method(ctx)
		return fault.Unimplemented(name)
	}
	h := compose(s.links[:4], m, end) // up to receive: nothing to authorise
	return func(ctx context.Context, c *Call) error {
		c.Method = m
		return h(ctx, c)
	}
}

func (s *Server) newGRPC(creds credentials.TransportCredentials) *grpc.Server {
	c := s.config
	opts := []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxConcurrentStreams(c.MaxConcurrentStreams),
		grpc.MaxHeaderListSize(c.MaxHeaderBytes),
		grpc.MaxRecvMsgSize(c.MaxMessageBytes * wireSlack),
		grpc.ConnectionTimeout(c.ConnectionTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: c.KeepaliveTime, Timeout: c.KeepaliveTimeout, MaxConnectionIdle: c.MaxConnectionIdle,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: c.KeepaliveMinTime, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
		grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
			return s.unknown(stream.Context(), &Call{stream: stream})
		}),
	}
	if creds != nil {
		opts = append(opts, grpc.Creds(creds))
	}
	g := grpc.NewServer(opts...)
	for _, r := range s.services {
		g.RegisterService(s.describe(r), r.impl)
	}
	return g
}
