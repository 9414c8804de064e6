package mesh_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

const secret = "the-cause-nobody-sees"

func routing(r *router) func(*mesh.Server) {
	return func(s *mesh.Server) { routingv1.RegisterRoutingServiceServer(s, r) }
}

type route = func(context.Context, *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error)

func TestDefectsAreLoggedAndNotSent(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]route{
		"panic": func(context.Context, *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
			panic(secret)
		},
		"error": func(context.Context, *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
			return nil, errors.New(secret)
		},
	} {
		r := &router{route: h, stream: func(grpc.BidiStreamingServer[routingv1.StreamRouteInquiryRequest, routingv1.StreamRouteInquiryResponse]) error {
			_, err := h(nil, nil)
			return err
		}}
		s := start(t, options{register: routing(r)})
		for via, conn := range s.conns() {
			c := routingv1.NewRoutingServiceClient(conn)
			ctx := metadata.AppendToOutgoingContext(withKey(keyAll), "x-request-id", "find-me")
			_, unaryErr := c.RouteInquiry(ctx, inquiry())
			stream, err := c.StreamRouteInquiry(ctx)
			if err != nil {
				t.Fatal(err)
			}
			_, streamErr := stream.Recv()
			for _, err := range []error{unaryErr, streamErr} {
				f := fault.From(err)
				if f.ReasonName() != "INTERNAL" || f.Metadata("requestId") != "find-me" || strings.Contains(status.Convert(err).String(), secret) {
					t.Errorf("%s, %s: %v", via, name, err)
				}
			}
		}
		log := s.log.String()
		if !strings.Contains(log, secret) || !strings.Contains(log, `"request_id":"find-me"`) {
			t.Errorf("%s: cause or request is not in the log: %s", name, log)
		}
		if name == "panic" && !strings.Contains(log, "failure_test.go") {
			t.Errorf("stack is not in the log: %s", log)
		}
	}
}

func TestLogHoldsNoKeysAndNoPayloads(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: routing(echoRouter()), config: func(c *mesh.Config) { c.AccessLog = mesh.AccessLogAll }})
	c := routingv1.NewRoutingServiceClient(s.tcp)
	if _, err := c.RouteInquiry(withKey(keyAll), inquiry()); err != nil {
		t.Fatal(err)
	}
	in := inquiry()
	in.Deployment = ""
	_, err := c.RouteInquiry(withKey("wrong-secret"), in)
	wantReason(t, err, "KEY_INVALID")
	_, err = c.RouteInquiry(withKey(keyAll), in)
	wantReason(t, err, "INVALID_ARGUMENT")
	log := s.log.String()
	for _, never := range []string{"wrong-secret", "Bearer", "Printer", "It does not print"} {
		if strings.Contains(log, never) {
			t.Errorf("log holds %q: %s", never, log)
		}
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(log[:strings.IndexByte(log, '\n')]), &line); err != nil {
		t.Fatal(err)
	}
	if line["project"] != "acme" || line["key_id"] != "k-all" || line["code"] != "OK" || line["request_id"] == "" {
		t.Errorf("access line is %v", line)
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	left := make(chan time.Duration, 1)
	r := &router{route: func(ctx context.Context, _ *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		end, ok := ctx.Deadline()
		if !ok {
			return nil, errors.New("no deadline")
		}
		left <- time.Until(end)
		if time.Until(end) < time.Second {
			<-ctx.Done()
			return nil, fmt.Errorf("wait: %w", ctx.Err())
		}
		return answer(), nil
	}}
	s := start(t, options{register: routing(r), config: func(c *mesh.Config) { c.MaxDeadline = 30 * time.Second }})
	contract := s.Methods()["/switchyard.routing.v1.RoutingService/RouteInquiry"].Timeout()
	for via, conn := range s.conns() {
		c := routingv1.NewRoutingServiceClient(conn)
		_, err := c.RouteInquiry(withKey(keyAll), inquiry())
		if got := <-left; got > contract || got < contract/4 {
			t.Errorf("%s: a call without a deadline has %v, contract says %v", via, got, contract)
		}
		if contract < time.Second {
			wantReason(t, err, "DEADLINE_EXCEEDED")
		}
		for want, most := range map[time.Duration]time.Duration{10 * time.Second: 10 * time.Second, time.Hour: 30 * time.Second} {
			ctx, cancel := context.WithTimeout(withKey(keyAll), want)
			if _, err := c.RouteInquiry(ctx, inquiry()); err != nil {
				t.Errorf("%s: %v", via, err)
			}
			if got := <-left; got > most || got < most-5*time.Second {
				t.Errorf("%s: a call with %v has %v, want %v", via, want, got, most)
			}
			cancel()
		}
		ctx, cancel := context.WithTimeout(withKey(keyAll), 0)
		_, err = c.RouteInquiry(ctx, inquiry())
		wantReason(t, err, "DEADLINE_EXCEEDED")
		cancel()
	}
}

func TestBrokenRulesNameTheFields(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: func(s *mesh.Server) { everything(t, s) }})
	for via, conn := range s.conns() {
		c := routingv1.NewRoutingServiceClient(conn)
		in := inquiry()
		in.Body = strings.Repeat("x", 5<<20)
		_, err := c.RouteInquiry(withKey(keyAll), in)
		f := fault.From(err)
		if f.ReasonName() != "INVALID_ARGUMENT" || len(f.Violations()) == 0 || f.Violations()[0].Field != "body" || !strings.HasPrefix(f.Message(), "body: ") {
			t.Errorf("%s: %v, violations %v", via, err, f.Violations())
		}
		stream, err := c.StreamRouteInquiry(withKey(keyAll))
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&routingv1.StreamRouteInquiryRequest{Deployment: strings.Repeat("x", 65)}); err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		if f := fault.From(err); f == nil || f.ReasonName() != "INVALID_ARGUMENT" || len(f.Violations()) == 0 {
			t.Errorf("%s: stream with a bad message ends with %v", via, err)
		}
	}
}

// raw is a codec that sends bytes as they are.
type raw struct{}

func (raw) Name() string { return "proto" }
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}
func (raw) Unmarshal(mem.BufferSlice, any) error { return nil }

func TestUnreadableMessagesHaveAReason(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	s := start(t, options{register: func(s *mesh.Server) { everything(t, s) }, config: func(c *mesh.Config) { c.MaxMessageBytes = limit }})
	const method = "/switchyard.routing.v1.RoutingService/RouteInquiry"
	text := func(n int) []byte { // field 1, n bytes of text
		b := append([]byte{0x0a}, varint(n)...)
		return append(b, bytes.Repeat([]byte("a"), n)...)
	}
	for name, c := range map[string]struct {
		body []byte
		want string
		opts []grpc.CallOption
	}{
		"not protobuf":         {[]byte{0xff, 0xff}, "MALFORMED_REQUEST", nil},
		"invalid UTF-8":        {[]byte{0x0a, 1, 0xff}, "MALFORMED_REQUEST", nil},
		"too large":            {text(limit), "REQUEST_TOO_LARGE", nil},
		"too large compressed": {text(limit + 1), "REQUEST_TOO_LARGE", []grpc.CallOption{grpc.UseCompressor(grpcgzip.Name)}},
		"as large as allowed":  {text(limit - 4), "INVALID_ARGUMENT", nil},
	} {
		opts := append(slices.Clone(c.opts), grpc.ForceCodecV2(raw{}))
		wantReason(t, s.tcp.Invoke(withKey(keyAll), method, c.body, nil, opts...), c.want)
		stream, err := s.tcp.NewStream(withKey(keyAll), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
			"/switchyard.routing.v1.RoutingService/StreamRouteInquiry", opts...)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.SendMsg(c.body); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		want := c.want
		if name == "invalid UTF-8" || name == "too large compressed" || name == "as large as allowed" {
			continue // the stream's message has another first field
		}
		if got := reason(stream.RecvMsg(&[]byte{})); got != want {
			t.Errorf("stream, %s: %q, want %q", name, got, want)
		}
	}
	// Far beyond the limit grpc-go refuses by itself: the code is right, the reason is missing.
	err := s.tcp.Invoke(withKey(keyAll), method, text(3*limit), nil, grpc.ForceCodecV2(raw{}))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("message of three times the limit: %v", err)
	}
	if err := s.tcp.Invoke(withKey(keyAll), method, bomb(t, 64<<20), nil, grpc.ForceCodecV2(raw{})); reason(err) != "MALFORMED_REQUEST" {
		t.Errorf("gzip data without its header: %v", err)
	}
	// Without a key nothing is decoded, whatever it is.
	wantReason(t, s.tcp.Invoke(t.Context(), method, []byte{0xff, 0xff}, nil, grpc.ForceCodecV2(raw{})), "KEY_MISSING")
}

func varint(n int) (b []byte) {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

func bomb(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestHeaderListIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: routing(echoRouter())})
	c := routingv1.NewRoutingServiceClient(s.tcp)
	if _, err := c.RouteInquiry(metadata.AppendToOutgoingContext(withKey(keyAll), "x-a", strings.Repeat("a", 16<<10)), inquiry()); err != nil {
		t.Errorf("16 KiB of headers: %v", err)
	}
	_, err := c.RouteInquiry(metadata.AppendToOutgoingContext(withKey(keyAll), "x-a", strings.Repeat("a", 40<<10)), inquiry())
	if err == nil {
		t.Error("40 KiB of headers were accepted")
	}
}

func TestCallsAreMeasured(t *testing.T) {
	t.Parallel()
	s := start(t, options{register: routing(echoRouter())})
	for _, conn := range s.conns() {
		c := routingv1.NewRoutingServiceClient(conn)
		if _, err := c.RouteInquiry(withKey(keyAll), inquiry()); err != nil {
			t.Fatal(err)
		}
		_, err := c.RouteInquiry(context.Background(), inquiry())
		wantReason(t, err, "KEY_MISSING")
		_ = conn.Invoke(context.Background(), "/no.Such/Method", inquiry(), inquiry())
	}
	page := metricsPage(t, s.tel)
	for _, want := range []string{
		`rpc_method="switchyard.routing.v1.RoutingService/RouteInquiry",rpc_response_status_code="OK",rpc_system_name="grpc",le="+Inf"} 2`,
		`rpc_method="switchyard.routing.v1.RoutingService/RouteInquiry",rpc_response_status_code="UNAUTHENTICATED",rpc_system_name="grpc",le="+Inf"} 2`,
		`rpc_method="_OTHER",rpc_response_status_code="UNIMPLEMENTED"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("metrics lack %s in\n%s", want, page)
		}
	}
	if strings.Contains(page, "no.Such") {
		t.Error("a caller's invention became a label")
	}
}

func TestRequestValuesReachTheHandler(t *testing.T) {
	t.Parallel()
	const tp = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	var id, trace, idem string
	r := &router{route: func(ctx context.Context, _ *routingv1.RouteInquiryRequest) (*routingv1.RouteInquiryResponse, error) {
		id, trace, idem = telemetry.RequestID(ctx), telemetry.Traceparent(ctx), telemetry.IdempotencyKey(ctx)
		return answer(), nil
	}}
	s := start(t, options{register: routing(r)})
	for via, conn := range s.conns() {
		ctx := metadata.AppendToOutgoingContext(withKey(keyAll), "x-request-id", "r-1", "traceparent", tp, "idempotency-key", "i-1")
		if _, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(ctx, inquiry()); err != nil {
			t.Fatal(err)
		}
		if id != "r-1" || trace != tp || idem != "i-1" {
			t.Errorf("%s: values are %q, %q, %q", via, id, trace, idem)
		}
		ctx = metadata.AppendToOutgoingContext(withKey(keyAll), "x-request-id", "bad id", "traceparent", "nonsense", "idempotency-key", strings.Repeat("x", 200))
		if _, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(ctx, inquiry()); err != nil {
			t.Fatal(err)
		}
		if len(id) != 36 || id[14] != '7' || trace != "" || idem != "" {
			t.Errorf("%s: hostile values became %q, %q, %q", via, id, trace, idem)
		}
	}
}

func TestRequestIDsAreSortableAndUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	now := time.UnixMilli(1_800_000_000_000)
	for range 10_000 {
		id := mesh.NewRequestID(now)
		if seen[id] || id[14] != '7' || !strings.ContainsRune("89ab", rune(id[19])) || len(id) != 36 {
			t.Fatalf("request id %s came twice or is no UUIDv7", id)
		}
		seen[id] = true
	}
	if a, b := mesh.NewRequestID(now), mesh.NewRequestID(now.Add(time.Millisecond)); a[:13] >= b[:13] {
		t.Errorf("%s does not sort before %s", a, b)
	}
}
