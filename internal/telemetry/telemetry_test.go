package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func newTelemetry(t testing.TB, log *bytes.Buffer) *telemetry.Telemetry {
	t.Helper()
	o := telemetry.Options{Version: "test"}
	if log != nil {
		o.Log = log
	}
	tel, err := telemetry.New(telemetry.Default(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tel.Shutdown(context.Background()) })
	return tel
}

func scrape(t *testing.T, tel *telemetry.Telemetry) string {
	t.Helper()
	rec := httptest.NewRecorder()
	tel.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if rec.Code != 200 {
		t.Fatalf("metrics answer %d: %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func TestMetricsPageHasTheFamiliesOfTheConventions(t *testing.T) {
	t.Parallel()
	tel := newTelemetry(t, nil)
	m := tel.RPC().Method("/a.v1.S/M")
	m.Record(codes.OK, 3*time.Millisecond)
	m.Record(codes.OK, 30*time.Millisecond)
	m.Record(codes.Internal, time.Minute)
	tel.Decisions().Record(telemetry.DecisionLabels{
		Operation: "routing", Deployment: "support", Outcome: "automated", Stage: "model", ModelVersion: 3,
	}, 80*time.Microsecond)
	page := scrape(t, tel)
	for _, want := range []string{
		`rpc_server_call_duration_seconds_bucket{`,
		`rpc_method="a.v1.S/M",rpc_response_status_code="OK",rpc_system_name="grpc",le="0.005"} 1`,
		`rpc_method="a.v1.S/M",rpc_response_status_code="OK",rpc_system_name="grpc",le="0.05"} 2`,
		`error_type="INTERNAL"`,
		`switchyard_decision_count_total{`,
		`switchyard_decision_duration_seconds_bucket{`,
		`switchyard_deployment="support",switchyard_model_version="3",switchyard_operation="routing",switchyard_outcome="automated",switchyard_stage="model",le="0.0001"} 1`,
		`go_goroutines `,
		`process_resident_memory_bytes `,
		`target_info{`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("metrics page lacks %s", want)
		}
	}
	if t.Failed() {
		t.Log(page)
	}
}

func TestDecisionMetricsStayBounded(t *testing.T) {
	t.Parallel()
	tel := newTelemetry(t, nil)
	const n = telemetry.MaxDecisionSets + 50
	for i := range n {
		tel.Decisions().Record(telemetry.DecisionLabels{Operation: "routing", Deployment: fmt.Sprint("d", i)}, time.Millisecond)
	}
	page := scrape(t, tel)
	if got := strings.Count(page, "switchyard_decision_count_total{"); got != telemetry.MaxDecisionSets+1 {
		t.Errorf("page has %d label sets, want %d", got, telemetry.MaxDecisionSets+1)
	}
	if !strings.Contains(page, `switchyard_deployment="other"`) {
		t.Error("decisions beyond the bound are not counted under other")
	}
}

func TestLogLinesCarryRequestAndTrace(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	tel := newTelemetry(t, &out)
	ctx := telemetry.WithRequest(context.Background(), &telemetry.Request{
		ID: "r-1", Traceparent: traceparent, IdempotencyKey: "i-1", Logger: tel.Logger().With("service", "s"),
	})
	telemetry.Logger(ctx).Info("through the context")
	tel.Logger().With(slog.Int("n", 1)).InfoContext(ctx, "through the logger")
	for line := range strings.Lines(out.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("log line is not JSON: %v", err)
		}
		if entry["request_id"] != "r-1" || entry["trace_id"] != traceparent[3:35] || entry["span_id"] != traceparent[36:52] {
			t.Errorf("log line lacks request or trace: %s", line)
		}
		if strings.Count(line, "request_id") != 1 {
			t.Errorf("log line repeats the request id: %s", line)
		}
	}
	if telemetry.RequestID(ctx) != "r-1" || telemetry.IdempotencyKey(ctx) != "i-1" || telemetry.Traceparent(ctx) != traceparent {
		t.Error("values of the request are lost")
	}
	if telemetry.RequestID(context.Background()) != "" {
		t.Error("a request id outside of a request")
	}
}

func TestTraceparentIsChecked(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		traceparent: true,
		"":          false,
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01": false,
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g": false,
		strings.ToUpper(traceparent):                              false,
	} {
		if got := telemetry.ValidTraceparent(s); got != want {
			t.Errorf("ValidTraceparent(%q) = %v, want %v", s, got, want)
		}
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	if err := telemetry.Default().Validate(); err != nil {
		t.Fatalf("default: %v", err)
	}
	err := telemetry.Config{LogLevel: "loud", LogFormat: "xml", OTLPEndpoint: "collector", TraceRatio: 2}.Validate()
	for _, want := range []string{"log_level", "log_format", "otlp_endpoint", "trace_ratio", "service_name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("problem with %s is not reported: %v", want, err)
		}
	}
}

func BenchmarkRPCRecord(b *testing.B) {
	m := newTelemetry(b, nil).RPC().Method("/a.v1.S/M")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m.Record(codes.OK, 300*time.Microsecond)
		}
	})
}

func BenchmarkDecisionRecord(b *testing.B) {
	d := newTelemetry(b, nil).Decisions()
	l := telemetry.DecisionLabels{Operation: "routing", Deployment: "support", Outcome: "automated", Stage: "model", ModelVersion: 3}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			d.Record(l, 300*time.Microsecond)
		}
	})
}
