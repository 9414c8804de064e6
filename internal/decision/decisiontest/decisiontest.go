// Package decisiontest lets tests call the operation services over real gRPC connections, with deployments and models that they make up.
package decisiontest

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// Project is the project that calls.
const Project = "acme"

// Model is a predictor whose probabilities are given by words: a text gets those of the first key that it contains.
type Model struct {
	ModelInfo engine.Info
	Words     map[string][]float32
	Default   []float32
	Fail      error
	Evidence  []engine.Evidence
}

var _ engine.Predictor = (*Model)(nil)

// Info implements engine.Predictor.
func (m *Model) Info() *engine.Info { return &m.ModelInfo }

// Predict implements engine.Predictor.
func (m *Model) Predict(in engine.Input, p []float32) error {
	if m.Fail != nil {
		return m.Fail
	}
	if (m.ModelInfo.Columns != nil) != (in.Record != nil) {
		return engine.ErrInput
	}
	copy(p, m.Default)
	for w, given := range m.Words {
		if strings.Contains(in.Text, w) {
			copy(p, given)
		}
	}
	return nil
}

// Explain implements engine.Predictor.
func (m *Model) Explain(_ engine.Input, _, top int) ([]engine.Evidence, error) {
	return m.Evidence[:min(top, len(m.Evidence))], nil
}

// Close implements engine.Predictor.
func (m *Model) Close() error { return nil }

// Deployment is a deployment as a test wants it.
type Deployment struct {
	Name       string
	Model      engine.Predictor   // nil for rules only
	Thresholds map[string]float64 // by side; "" covers all others. The certificate id is "cert-" and the side
	Policy     *modelsv1.Policy
	Harmless   []string

	mu   sync.Mutex
	open int
}

// Threshold implements decision.Live.
func (d *Deployment) Threshold(side string) (float64, string, bool) {
	if t, ok := d.Thresholds[side]; ok {
		return t, "cert-" + side, true
	}
	t, ok := d.Thresholds[""]
	return t, "cert-", ok
}

// Release implements decision.Live.
func (d *Deployment) Release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open--
}

// Open returns how often the deployment was acquired and not yet released.
func (d *Deployment) Open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// Source holds deployments by name, for every operation.
type Source map[string]*Deployment

var _ decision.Source = Source(nil)

// Acquire implements decision.Source.
func (s Source) Acquire(project string, op commonv1.Operation, name string) (decision.Target, error) {
	d := s[name]
	if d == nil || project != Project {
		return decision.Target{}, fault.DeploymentNotFound(op, name)
	}
	d.mu.Lock()
	d.open++
	d.mu.Unlock()
	return d.Target(op), nil
}

// Target returns the deployment as a service sees it.
func (d *Deployment) Target(op commonv1.Operation) decision.Target {
	t := decision.Target{
		Live: d, Predictor: d.Model,
		Deployment: &modelsv1.Deployment{
			Project: Project, Operation: op, Name: d.Name, Policy: d.Policy, PolicyDigest: "sha256:policy",
			Champion: &modelsv1.ModelVersion{Model: d.Name, Version: 1, HarmlessLabels: d.Harmless},
		},
	}
	if d.Model != nil {
		t.Ref = &commonv1.ModelRef{Name: d.Name, Version: 1, Digest: d.Model.Info().Digest}
	}
	return t
}

// Recorder keeps records in memory.
type Recorder struct {
	mu      sync.Mutex
	records []*commonv1.DecisionRecord
	batches int
	async   int
	Fail    error
}

var _ decision.Recorder = (*Recorder)(nil)

// Record implements decision.Recorder.
func (r *Recorder) Record(_ context.Context, rec *commonv1.DecisionRecord) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keep(rec)
}

// RecordBatch implements decision.Recorder.
func (r *Recorder) RecordBatch(_ context.Context, recs []*commonv1.DecisionRecord) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches++
	return r.keep(recs...)
}

// RecordAsync implements decision.Recorder.
func (r *Recorder) RecordAsync(rec *commonv1.DecisionRecord) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.async++
	return r.keep(rec)
}

func (r *Recorder) keep(recs ...*commonv1.DecisionRecord) error {
	if r.Fail != nil {
		return r.Fail
	}
	for _, rec := range recs {
		r.records = append(r.records, proto.CloneOf(rec))
	}
	return nil
}

// Records returns what was recorded, oldest first.
func (r *Recorder) Records() []*commonv1.DecisionRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*commonv1.DecisionRecord(nil), r.records...)
}

// Batches returns how often RecordBatch was called, and how many records came by RecordAsync.
func (r *Recorder) Batches() (batches, async int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.batches, r.async
}

// Context returns a context as the interceptor chain makes it.
func Context(ctx context.Context) context.Context {
	ctx = auth.WithCaller(ctx, &auth.Caller{Project: Project, KeyID: "key1", Scopes: []string{"*"}})
	return telemetry.WithRequest(ctx, &telemetry.Request{
		ID: "req-1", Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", IdempotencyKey: "idem-1",
	})
}

// Dial serves what register adds on a real gRPC server, whose calls come from Project, and returns a connection to it.
func Dial(tb testing.TB, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	tb.Helper()
	server := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			res, err := next(Context(ctx), req)
			return res, answer(err)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			return answer(next(srv, &stream{ServerStream: ss, ctx: Context(ss.Context())}))
		}),
	)
	register(server)
	listener := bufconn.Listen(1 << 20)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-done
	})
	return conn
}

func answer(err error) error {
	if err == nil {
		return nil
	}
	return fault.From(err)
}

type stream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *stream) Context() context.Context { return s.ctx }

// Reason returns the reason of an error that came over gRPC.
func Reason(err error) commonv1.ErrorReason {
	if err == nil {
		return commonv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	}
	return fault.From(err).Reason()
}
