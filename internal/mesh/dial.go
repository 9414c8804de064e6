package mesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// DialOptions say how to reach a peer, and as whom.
type DialOptions struct {
	// TLS names the files of mutual TLS; with a CAFile or CertFile, or with UseTLS, the connection is encrypted.
	TLS TLSFiles
	// UseTLS encrypts and trusts the authorities of the system.
	UseTLS bool
	// ServerName is the name that the peer's certificate must have; empty for the target's host.
	ServerName string
	// Plaintext allows keys to travel in the clear to another machine, such as through a proxy that encrypts.
	Plaintext bool
	// Key is the process's own API key: for calls AsSystem, and for calls that have no other.
	Key string
	// Forward sends the key of the call that is being answered, so that the peer answers the same caller.
	Forward bool
	// Patience is the least time that a unary call without a deadline is given, for callers who had rather wait than fail; 0 for what the contract says.
	Patience time.Duration
	// MaxMessageBytes is the size of one message; 0 for 64 MiB.
	MaxMessageBytes int
	// TracerProvider receives spans; nil for none.
	TracerProvider trace.TracerProvider
}

// Dial returns a connection to a peer: "HOST:PORT", any grpc-go target such as "dns:///models:7070", or "unix:PATH". It does no I/O:
// grpc-go connects with the first call, and again whenever the connection breaks. Deadlines, retries and balancing follow the contract:
// a unary call without a deadline gets that of its method's policy; idempotent methods are retried after UNAVAILABLE, within a budget;
// calls go round-robin over all addresses of the name.
func Dial(target string, o DialOptions) (*grpc.ClientConn, error) {
	creds, err := o.credentials(target)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	size := o.MaxMessageBytes
	if size == 0 {
		size = 64 << 20
	}
	f := forwarder{key: o.Key, forward: o.Forward, traced: o.TracerProvider != nil}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		grpc.WithDisableServiceConfig(), // one that DNS names would override the contract's
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(size), grpc.MaxCallSendMsgSize(size)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithIdleTimeout(0),
		grpc.WithChainUnaryInterceptor(deadlines(o.Patience), f.unary),
		grpc.WithChainStreamInterceptor(f.stream),
	}
	if o.TracerProvider != nil {
		opts = append(opts, grpc.WithStatsHandler(otelgrpc.NewClientHandler(
			otelgrpc.WithTracerProvider(o.TracerProvider), otelgrpc.WithPropagators(propagation.TraceContext{}),
			otelgrpc.WithMeterProvider(noopmetric.NewMeterProvider()))))
	}
	conn, err := grpc.NewClient(target, opts...)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", target, err)
	}
	return conn, nil
}

func (o DialOptions) credentials(target string) (credentials.TransportCredentials, error) {
	if err := o.TLS.validate(); err != nil {
		return nil, err
	}
	if o.UseTLS || o.TLS.CertFile != "" || o.TLS.CAFile != "" {
		k, err := openKeyring(o.TLS)
		if err != nil {
			return nil, err
		}
		return credentials.NewTLS(k.client(o.ServerName)), nil
	}
	if !o.Plaintext && !isLocal(target) {
		return nil, errors.New("the peer is on another machine, and keys would travel in the clear: set TLS, or allow plaintext")
	}
	return insecure.NewCredentials(), nil
}

// isLocal reports whether a target is a unix socket or on loopback.
func isLocal(target string) bool {
	if strings.HasPrefix(target, "unix:") || strings.HasPrefix(target, "unix-abstract:") {
		return true
	}
	for _, scheme := range []string{"dns:///", "passthrough:///", "dns:"} {
		target = strings.TrimPrefix(target, scheme)
	}
	host, _, err := net.SplitHostPort(target)
	return err == nil && isLoopback(host)
}

// serviceConfig returns grpc-go's service config for all methods of the contracts
// (https://github.com/grpc/grpc/blob/master/doc/service_config.md).
func serviceConfig() string {
	type name struct {
		Service string `json:"service"`
		Method  string `json:"method"`
	}
	type retry struct {
		MaxAttempts          int      `json:"maxAttempts"`
		InitialBackoff       string   `json:"initialBackoff"`
		MaxBackoff           string   `json:"maxBackoff"`
		BackoffMultiplier    float64  `json:"backoffMultiplier"`
		RetryableStatusCodes []string `json:"retryableStatusCodes"`
	}
	type method struct {
		Name        []name `json:"name"`
		RetryPolicy *retry `json:"retryPolicy,omitempty"`
	}
	retried := method{RetryPolicy: &retry{4, "0.05s", "1s", 2, []string{"UNAVAILABLE"}}}
	eachMethod(func(full string, d protoreflect.MethodDescriptor) {
		if PolicyOf(d).GetIdempotent() {
			service, m, _ := strings.Cut(full[1:], "/")
			retried.Name = append(retried.Name, name{service, m})
		}
	})
	config := map[string]any{
		"loadBalancingConfig": []map[string]any{{"round_robin": map[string]any{}}},
		"retryThrottling":     map[string]any{"maxTokens": 100, "tokenRatio": 0.1},
	}
	if len(retried.Name) > 0 {
		config["methodConfig"] = []method{retried}
	}
	out, err := json.Marshal(config)
	if err != nil {
		return "{}" // cannot happen: strings and numbers only
	}
	return string(out)
}

// deadlines gives unary calls without a deadline that of the contract. A service config cannot: there a caller's longer deadline would
// be cut to it.
func deadlines(least time.Duration) grpc.UnaryClientInterceptor {
	timeouts := map[string]time.Duration{}
	eachMethod(func(full string, d protoreflect.MethodDescriptor) {
		if t := PolicyOf(d).GetTimeout().AsDuration(); t > 0 {
			timeouts[full] = t
		}
	})
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if t, ok := timeouts[method]; ok {
			if _, has := ctx.Deadline(); !has {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, max(t, least))
				defer cancel()
			}
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
}

// forwarder adds to outgoing calls who makes them and on behalf of which request.
type forwarder struct {
	key     string
	forward bool
	traced  bool // the trace is sent by the stats handler
}

func (f forwarder) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(f.outgoing(ctx), method, req, reply, cc, opts...)
}

func (f forwarder) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return open(f.outgoing(ctx), desc, cc, method, opts...)
}

func (f forwarder) outgoing(ctx context.Context) context.Context {
	set, _ := metadata.FromOutgoingContext(ctx)
	var add []string
	if id := telemetry.RequestID(ctx); id != "" && len(set[headerRequestID]) == 0 {
		add = append(add, headerRequestID, id)
	}
	if !f.traced && len(set[headerTraceparent]) == 0 {
		if tp := telemetry.Traceparent(ctx); tp != "" {
			add = append(add, headerTraceparent, tp)
		}
	}
	if len(set[headerAuthorization]) == 0 {
		if a := f.authorization(ctx); a != "" {
			add = append(add, headerAuthorization, a)
		}
	}
	if len(add) == 0 {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, add...)
}

func (f forwarder) authorization(ctx context.Context) string {
	if f.forward && !isSystem(ctx) {
		if a := header(ctx, headerAuthorization); a != "" {
			return a
		}
	}
	if f.key == "" {
		return ""
	}
	return "Bearer " + f.key
}
