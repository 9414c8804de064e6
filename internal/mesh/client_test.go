package mesh_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

func TestServiceConfigRetriesIdempotentMethodsOnly(t *testing.T) {
	t.Parallel()
	var c struct {
		MethodConfig []struct {
			Name []struct{ Service, Method string }
		}
	}
	if err := json.Unmarshal([]byte(mesh.ServiceConfig()), &c); err != nil {
		t.Fatal(err)
	}
	retried := map[string]bool{}
	for _, m := range c.MethodConfig {
		for _, n := range m.Name {
			retried["/"+n.Service+"/"+n.Method] = true
		}
	}
	s := start(t, options{config: noTCP, register: func(s *mesh.Server) { everything(t, s) }})
	for name, m := range s.Methods() {
		if retried[name] != m.Policy.GetIdempotent() {
			t.Errorf("%s: retried is %v, contract says %v", name, retried[name], m.Policy.GetIdempotent())
		}
	}
}

// flaky is an identity service that is down for its first answers.
type flaky struct {
	identityv1.UnimplementedIdentityServiceServer
	down  atomic.Int32
	calls atomic.Int32
}

func (f *flaky) fail() error {
	f.calls.Add(1)
	if f.down.Add(-1) >= 0 {
		return fault.Unavailable("disk")
	}
	return nil
}

func (f *flaky) ListKeys(context.Context, *identityv1.ListKeysRequest) (*identityv1.ListKeysResponse, error) {
	return &identityv1.ListKeysResponse{}, f.fail()
}

func (f *flaky) CreateKey(context.Context, *identityv1.CreateKeyRequest) (*identityv1.CreateKeyResponse, error) {
	return &identityv1.CreateKeyResponse{}, f.fail()
}

func TestDialRetriesWhatMayBeRepeated(t *testing.T) {
	t.Parallel()
	f := &flaky{}
	s := start(t, options{register: func(s *mesh.Server) { identityv1.RegisterIdentityServiceServer(s, f) }})
	conn, err := mesh.Dial(s.Addr().String(), mesh.DialOptions{Key: keyAll})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	c := identityv1.NewIdentityServiceClient(conn)
	f.down.Store(2)
	if _, err := c.ListKeys(t.Context(), &identityv1.ListKeysRequest{}); err != nil || f.calls.Load() != 3 {
		t.Errorf("idempotent method: %v after %d calls", err, f.calls.Load())
	}
	f.down.Store(1)
	f.calls.Store(0)
	_, err = c.CreateKey(t.Context(), &identityv1.CreateKeyRequest{Name: "n", Scopes: []string{"*"}})
	wantReason(t, err, "DEPENDENCY_UNAVAILABLE")
	if n := f.calls.Load(); n != 1 {
		t.Errorf("a method that is not idempotent was called %d times", n)
	}
}

func TestDialForwardsTheCallerAndTheRequest(t *testing.T) {
	t.Parallel()
	const tp = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	type seen struct {
		project, id, trace string
		left               time.Duration
	}
	var got seen
	back := start(t, options{register: routing(&router{route: func(ctx context.Context, _ *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		got = seen{auth.FromContext(ctx).Project, telemetry.RequestID(ctx), telemetry.Traceparent(ctx), 0}
		if end, ok := ctx.Deadline(); ok {
			got.left = time.Until(end)
		}
		return answer(), nil
	}})})
	for name, c := range map[string]struct {
		options mesh.DialOptions
		system  bool
		want    string
	}{
		"forward":               {mesh.DialOptions{Forward: true, Key: keyOther}, false, "acme"},
		"forward as system":     {mesh.DialOptions{Forward: true, Key: keyOther}, true, "globex"},
		"own key":               {mesh.DialOptions{Key: keyOther}, false, "globex"},
		"forward without a key": {mesh.DialOptions{Forward: true}, false, "acme"},
	} {
		client := dial(t, back.Addr().String(), c.options)
		front := start(t, options{register: routing(&router{route: func(ctx context.Context, in *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
			if c.system {
				ctx = mesh.AsSystem(ctx)
			}
			return client.RouteInquiry(ctx, in)
		}})})
		ctx := metadata.AppendToOutgoingContext(withKey(keyAll), "x-request-id", "r-7", "traceparent", tp)
		if _, err := routingv1.NewRoutingServiceClient(front.tcp).RouteInquiry(ctx, inquiry()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got.project != c.want || got.id != "r-7" || got.trace != tp || got.left <= 0 {
			t.Errorf("%s: peer saw %+v", name, got)
		}
	}
	client := dial(t, back.Addr().String(), mesh.DialOptions{Key: keyAll})
	if _, err := client.RouteInquiry(t.Context(), inquiry()); err != nil {
		t.Fatal(err)
	}
	contract := back.Methods()["/switchyard.routing.v1.RoutingService/RouteInquiry"].Timeout()
	if got.left > contract || got.left <= 0 {
		t.Errorf("a call without a deadline has %v, contract says %v", got.left, contract)
	}
}

// TestPeersKeepReasons: what a peer refuses is refused for the same reason, and a dead peer is a dependency that is down.
func TestPeersKeepReasons(t *testing.T) {
	t.Parallel()
	back := start(t, options{register: routing(&router{route: func(context.Context, *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		return nil, fault.ModelNotFound("m")
	}})})
	client := dial(t, back.Addr().String(), mesh.DialOptions{Forward: true})
	front := start(t, options{register: routing(&router{route: func(ctx context.Context, in *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		out, err := client.RouteInquiry(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("ask peer: %w", err)
		}
		return out, nil
	}})})
	_, err := routingv1.NewRoutingServiceClient(front.tcp).RouteInquiry(withKey(keyAll), inquiry())
	wantReason(t, err, "MODEL_NOT_FOUND")
	back.stop()
	ctx, cancel := context.WithTimeout(withKey(keyAll), 20*time.Second)
	defer cancel()
	_, err = routingv1.NewRoutingServiceClient(front.tcp).RouteInquiry(ctx, inquiry())
	wantReason(t, err, "DEPENDENCY_UNAVAILABLE")
	if strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("the peer's address is shown: %v", err)
	}
}

// registry is an identity service that answers about keys.
type registry struct {
	identityv1.UnimplementedIdentityServiceServer
	mu      sync.Mutex
	answer  func() (*identityv1.Key, error)
	asked   int
	release chan struct{} // nil: answer at once
}

func (r *registry) GetCaller(context.Context, *identityv1.GetCallerRequest) (*identityv1.GetCallerResponse, error) {
	r.mu.Lock()
	r.asked++
	answer, release := r.answer, r.release
	r.mu.Unlock()
	if release != nil {
		<-release
	}
	k, err := answer()
	return &identityv1.GetCallerResponse{Key: k}, err
}

func (r *registry) set(k *identityv1.Key, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = func() (*identityv1.Key, error) { return k, err }
}

func (r *registry) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// trusting is an authenticator that lets every key ask about itself.
type trusting struct{}

func (trusting) Authenticate(context.Context, string) (*auth.Caller, error) {
	return &auth.Caller{Project: "p"}, nil
}

func newKey(t *testing.T) string {
	t.Helper()
	key, _, _, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestPeerAuthenticator(t *testing.T) {
	t.Parallel()
	r := &registry{}
	s := start(t, options{
		deps:     func(d *mesh.Deps) { d.Authenticator = trusting{} },
		register: func(s *mesh.Server) { identityv1.RegisterIdentityServiceServer(s, r) },
	})
	now := time.Now()
	p := mesh.NewPeerAuthenticator(s.tcp)
	p.SetClock(func() time.Time { return now })
	key, ctx := newKey(t), t.Context()
	good := &identityv1.Key{KeyId: "k", Project: "acme", Scopes: []string{"models:read"}, ExpireTime: timestamppb.New(now.Add(time.Hour))}

	if _, err := p.Authenticate(ctx, "syk_mistyped"); reason(err) != "KEY_INVALID" || r.count() != 0 {
		t.Errorf("mistyped key: %v after %d questions", err, r.count())
	}
	r.set(good, nil)
	for range 3 {
		c, err := p.Authenticate(ctx, key)
		if err != nil || c.Project != "acme" || !c.Has("models:read") || c.System {
			t.Fatalf("caller is %+v, %v", c, err)
		}
	}
	if r.count() != 1 {
		t.Errorf("asked %d times for one key", r.count())
	}
	r.set(nil, fault.KeyRevoked("k"))
	now = now.Add(2 * time.Second)
	for range 2 {
		_, err := p.Authenticate(ctx, key)
		wantReason(t, err, "KEY_REVOKED")
	}
	if r.count() != 2 {
		t.Errorf("asked %d times, refusals are not kept", r.count())
	}
	now = now.Add(2 * time.Second)
	r.set(nil, errors.New("broken"))
	_, err := p.Authenticate(ctx, key)
	wantReason(t, err, "DEPENDENCY_UNAVAILABLE")
	r.set(good, nil)
	if _, err := p.Authenticate(ctx, key); err != nil {
		t.Errorf("a failure to ask was kept: %v", err)
	}
	good.ExpireTime = timestamppb.New(now.Add(time.Second))
	now = now.Add(2 * time.Second)
	r.set(good, nil)
	_, err = p.Authenticate(ctx, key)
	wantReason(t, err, "KEY_EXPIRED") // between two questions too
}

func TestPeerAuthenticatorAsksOnceForMany(t *testing.T) {
	t.Parallel()
	r := &registry{release: make(chan struct{})}
	r.set(&identityv1.Key{Project: "acme"}, nil)
	s := start(t, options{
		deps:     func(d *mesh.Deps) { d.Authenticator = trusting{} },
		register: func(s *mesh.Server) { identityv1.RegisterIdentityServiceServer(s, r) },
	})
	p, key := mesh.NewPeerAuthenticator(s.tcp), newKey(t)
	gone, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		_, err := p.Authenticate(gone, key)
		first <- err
	}()
	for r.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel() // the first leaves; the others still get their answer
	wantReason(t, <-first, "CANCELLED")
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := p.Authenticate(t.Context(), key); err != nil {
				t.Error(err)
			}
		})
	}
	close(r.release)
	wg.Wait()
	if n := r.count(); n > 2 { // one, unless some came after the answer and before it was kept
		t.Errorf("asked %d times", n)
	}
}

func TestSpansFollowTheCall(t *testing.T) {
	t.Parallel()
	rec := tracetest.NewSpanRecorder()
	tp := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(rec))
	traced := func(d *mesh.Deps) { d.TracerProvider = tp }
	back := start(t, options{deps: traced, register: routing(echoRouter())})
	client := dial(t, back.Addr().String(), mesh.DialOptions{Forward: true, TracerProvider: tp})
	front := start(t, options{deps: traced, register: routing(&router{route: func(ctx context.Context, in *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		return client.RouteInquiry(ctx, in)
	}})})
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	ctx := metadata.AppendToOutgoingContext(withKey(keyAll), "traceparent", parent)
	if _, err := routingv1.NewRoutingServiceClient(front.tcp).RouteInquiry(ctx, inquiry()); err != nil {
		t.Fatal(err)
	}
	front.stop()
	back.stop()
	spans := rec.Ended()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want server, client, server", len(spans))
	}
	for _, s := range spans {
		if s.SpanContext().TraceID().String() != parent[3:35] || s.Name() != "switchyard.routing.v1.RoutingService/RouteInquiry" {
			t.Errorf("span %s of trace %s", s.Name(), s.SpanContext().TraceID())
		}
	}
}
