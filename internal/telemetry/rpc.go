package telemetry

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
)

// The family, its attributes and its buckets are those of otelgrpc 0.72 (semantic conventions 1.43): rpc.server.call.duration by
// rpc.system.name, rpc.method, rpc.response.status_code and error.type. internal/mesh records it, so that calls inside the process
// count as well.
const (
	rpcMetric      = "rpc.server.call.duration"
	rpcDescription = "Measures the duration of an incoming Remote Procedure Call (RPC)."
)

var rpcBounds = milliseconds(5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)

// RPC measures the calls that the servers of this process answer.
type RPC struct {
	start   time.Time
	mu      sync.Mutex
	methods map[string]*Method
}

// Method measures the calls of one method.
type Method struct {
	name  string // "package.Service/Method"
	codes [codes.Unauthenticated + 1]atomic.Pointer[histogram]
}

func newRPC() *RPC { return &RPC{start: time.Now(), methods: map[string]*Method{}} }

// Method returns the recorder of a full method, such as "/switchyard.routing.v1.RoutingService/RouteInquiry". Servers ask once per
// method, at registration: the name must come from a descriptor and never from a caller, for it becomes a label.
func (r *RPC) Method(full string) *Method {
	r.mu.Lock()
	defer r.mu.Unlock()
	name := strings.TrimPrefix(full, "/")
	m, ok := r.methods[name]
	if !ok {
		m = &Method{name: name}
		r.methods[name] = m
	}
	return m
}

// Record counts one call that ended with code after d. A nil Method records nothing.
func (m *Method) Record(code codes.Code, d time.Duration) {
	if m == nil {
		return
	}
	if int(code) >= len(m.codes) {
		code = codes.Unknown
	}
	h := m.codes[code].Load()
	if h == nil {
		m.codes[code].CompareAndSwap(nil, newHistogram(rpcBounds, rpcAttributes(m.name, code)...))
		h = m.codes[code].Load()
	}
	h.record(d)
}

// Produce implements sdk/metric.Producer.
func (r *RPC) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	r.mu.Lock()
	var all []*histogram
	for _, m := range r.methods {
		for i := range m.codes {
			if h := m.codes[i].Load(); h != nil {
				all = append(all, h)
			}
		}
	}
	r.mu.Unlock()
	if len(all) == 0 {
		return nil, nil
	}
	return []metricdata.ScopeMetrics{{
		Scope:   instrumentation.Scope{Name: Scope},
		Metrics: []metricdata.Metrics{histogramMetric(rpcMetric, rpcDescription, rpcBounds, r.start, all)},
	}}, nil
}

func rpcAttributes(method string, code codes.Code) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		attribute.String("rpc.system.name", "grpc"),
		attribute.String("rpc.method", method),
		attribute.String("rpc.response.status_code", CodeName(code)),
	}
	if IsServerError(code) {
		attrs = append(attrs, attribute.String("error.type", CodeName(code)))
	}
	return attrs
}

// IsServerError reports whether the conventions count a code as an error of the server, rather than of the call.
func IsServerError(code codes.Code) bool {
	switch code { //nolint:exhaustive // the rest is the caller's
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	}
	return false
}

var codeNames = [...]string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE",
	"DATA_LOSS", "UNAUTHENTICATED",
}

// CodeName returns a gRPC code as the conventions and JSON write it, such as "NOT_FOUND".
func CodeName(code codes.Code) string {
	if int(code) < len(codeNames) {
		return codeNames[code]
	}
	return "UNKNOWN"
}
