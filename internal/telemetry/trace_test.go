package telemetry_test

import (
	"context"
	"net"
	"testing"
	"time"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// collector receives spans as an OpenTelemetry collector does.
type collector struct {
	collectorv1.UnimplementedTraceServiceServer
	names chan string
}

func (c *collector) Export(_ context.Context, r *collectorv1.ExportTraceServiceRequest) (*collectorv1.ExportTraceServiceResponse, error) {
	for _, res := range r.GetResourceSpans() {
		for _, scope := range res.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				c.names <- s.GetName()
			}
		}
	}
	return &collectorv1.ExportTraceServiceResponse{}, nil
}

func TestSpansReachTheCollector(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g, c := grpc.NewServer(), &collector{names: make(chan string, 8)}
	collectorv1.RegisterTraceServiceServer(g, c)
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)

	config := telemetry.Default()
	config.OTLPEndpoint, config.TraceRatio = "http://"+l.Addr().String(), 1
	tel, err := telemetry.New(config, telemetry.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := tel.TracerProvider().Tracer("test").Start(t.Context(), "one call")
	if tp := telemetry.Traceparent(ctx); !telemetry.ValidTraceparent(tp) || tp[3:35] != span.SpanContext().TraceID().String() {
		t.Errorf("traceparent of the span is %q", tp)
	}
	span.End()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := tel.Shutdown(ctx); err != nil { // sends what is left
		t.Fatal(err)
	}
	select {
	case name := <-c.names:
		if name != "one call" {
			t.Errorf("collector got %q", name)
		}
	default:
		t.Error("the span was not sent before the end")
	}
}

func TestTracingIsOffWithoutAnEndpoint(t *testing.T) {
	t.Parallel()
	if tp := newTelemetry(t, nil).TracerProvider(); tp != nil {
		t.Errorf("tracer provider is %v", tp)
	}
}
