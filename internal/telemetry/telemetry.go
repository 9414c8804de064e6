// Package telemetry is how the product says what it does: logs, metrics and traces, and the values of one request that all three
// share. Never in any of them: payloads, keys, personal data.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the instrumentation scope of what the product itself measures and traces.
const Scope = "github.com/switchyard-ai/switchyard"

// Telemetry holds the instruments of one process. Nothing of it is global.
type Telemetry struct {
	logger    *slog.Logger
	registry  *prometheus.Registry
	meters    *sdkmetric.MeterProvider
	traces    *sdktrace.TracerProvider // nil when tracing is off
	rpc       *RPC
	decisions *Decisions
}

// Options are what New needs beside the configuration.
type Options struct {
	// Version of the product, for traces and metrics.
	Version string
	// Log is where log lines go; nil for standard error.
	Log io.Writer
}

// New builds the instruments. It does no I/O: with an OTLP endpoint the exporter connects in the background, and retries.
func New(c Config, o Options) (*Telemetry, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	if o.Log == nil {
		o.Log = os.Stderr
	}
	t := &Telemetry{
		logger: NewLogger(c, o.Log), registry: prometheus.NewRegistry(), rpc: newRPC(), decisions: newDecisions(),
	}
	res := resource.NewSchemaless(
		attribute.String("service.name", c.ServiceName), attribute.String("service.version", o.Version))
	t.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(t.registry),
		otelprometheus.WithProducer(t.rpc), otelprometheus.WithProducer(t.decisions), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("telemetry: make metrics exporter: %w", err)
	}
	t.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter), sdkmetric.WithResource(res))
	if c.OTLPEndpoint == "" {
		return t, nil
	}
	spans, err := otlptracegrpc.New(context.Background(), otlptracegrpc.WithEndpointURL(c.OTLPEndpoint))
	if err != nil {
		return nil, fmt.Errorf("telemetry: make trace exporter: %w", err)
	}
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans), sdktrace.WithResource(res),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.TraceRatio))))
	return t, nil
}

// Logger returns the logger of the process.
func (t *Telemetry) Logger() *slog.Logger { return t.logger }

// RPC returns what measures the calls of servers.
func (t *Telemetry) RPC() *RPC { return t.rpc }

// Decisions returns what measures decisions.
func (t *Telemetry) Decisions() *Decisions { return t.decisions }

// Meter returns a meter for instruments of a package, which appear on Handler; name is the package's import path.
func (t *Telemetry) Meter(name string) metric.Meter { return t.meters.Meter(name) }

// TracerProvider returns where spans go, nil when tracing is off.
func (t *Telemetry) TracerProvider() trace.TracerProvider {
	if t.traces == nil {
		return nil // a typed nil in the interface would not be nil
	}
	return t.traces
}

// Handler serves the metrics in the Prometheus and OpenMetrics formats.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(t.logger.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
		EnableOpenMetrics: true,
	})
}

// Shutdown sends what is not sent yet, and ends.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var errs []error
	if t.traces != nil {
		errs = append(errs, t.traces.Shutdown(ctx))
	}
	errs = append(errs, t.meters.Shutdown(ctx))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("shut telemetry down: %w", err)
	}
	return nil
}
