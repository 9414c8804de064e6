package monitoring_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/inbox"
	"github.com/switchyard-ai/switchyard/services/monitoring"
)

const routing = commonv1.Operation_OPERATION_ROUTING

// watchtower is a running service over a real connection, beside a registry that remembers what it was told.
type watchtower struct {
	monitoringv1.MonitoringServiceClient
	service  *monitoring.Service
	registry *registry
	clock    atomic.Int64 // nanoseconds
	seq      uint64
}

// registry stands for the registry of models: it holds deployments, tells of them and lets them be halted.
type registry struct {
	modelsv1.ModelServiceClient
	mu          sync.Mutex
	deployments map[string]*modelsv1.Deployment
	wake        chan struct{}
	fail        error // what HaltAutomation fails with
	halts       int
	reason      string                          // of the last one
	told        map[string]*modelsv1.Comparison // by the digests of both versions
}

func (r *registry) put(d *modelsv1.Deployment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d = proto.CloneOf(d)
	d.Revision = r.deployments[d.GetName()].GetRevision() + 1
	r.deployments[d.GetName()] = d
	close(r.wake)
	r.wake = make(chan struct{})
}

func (r *registry) get(name string) *modelsv1.Deployment {
	r.mu.Lock()
	defer r.mu.Unlock()
	return proto.CloneOf(r.deployments[name])
}

func (r *registry) HaltAutomation(_ context.Context, req *modelsv1.HaltAutomationRequest, _ ...grpc.CallOption) (*modelsv1.HaltAutomationResponse, error) {
	r.mu.Lock()
	fail := r.fail
	r.mu.Unlock()
	if fail != nil {
		return nil, fail
	}
	d := r.get(req.GetDeployment())
	r.mu.Lock()
	r.reason = req.GetReason()
	r.mu.Unlock()
	for i, c := range d.GetChallengers() {
		if c.GetCertificates()[0].GetCertificateId() == req.GetCertificateId() {
			d.Challengers = slices.Delete(d.Challengers, i, i+1)
			r.put(d)
			return &modelsv1.HaltAutomationResponse{Deployment: r.get(req.GetDeployment())}, nil
		}
	}
	for _, c := range d.GetCertificates() {
		if c.GetCertificateId() == req.GetCertificateId() && d.GetProject() == req.GetProject() {
			d.Halts = append(d.Halts, &modelsv1.Halt{Side: c.GetSide(), CertificateId: c.GetCertificateId(), Reason: req.GetReason(), Time: timestamppb.Now()})
			r.put(d)
			r.mu.Lock()
			r.halts++
			r.mu.Unlock()
		}
	}
	return &modelsv1.HaltAutomationResponse{Deployment: r.get(req.GetDeployment())}, nil
}

func (r *registry) WatchDeployments(ctx context.Context, _ *modelsv1.WatchDeploymentsRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[modelsv1.WatchDeploymentsResponse], error) {
	return &watch{ctx: ctx, r: r, sent: map[string]int64{}}, nil
}

// watch is a stream of what changes.
type watch struct {
	grpc.ClientStream
	ctx  context.Context
	r    *registry
	sent map[string]int64
}

func (w *watch) Recv() (*modelsv1.WatchDeploymentsResponse, error) {
	for {
		w.r.mu.Lock()
		wake := w.r.wake
		for _, name := range slices.Sorted(maps.Keys(w.r.deployments)) {
			if d := w.r.deployments[name]; d.GetRevision() > w.sent[name] {
				w.sent[name] = d.GetRevision()
				w.r.mu.Unlock()
				return &modelsv1.WatchDeploymentsResponse{Deployment: proto.CloneOf(d)}, nil
			}
		}
		w.r.mu.Unlock()
		select {
		case <-wake:
		case <-w.ctx.Done():
			return nil, w.ctx.Err()
		}
	}
}

// open runs the service on the database in dir.
func open(tb testing.TB, dir string, r *registry, change ...func(*monitoring.Deps)) *watchtower {
	tb.Helper()
	d, err := db.Open(context.Background(), dbtest.Config(tb, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		tb.Fatal(err)
	}
	if err := inbox.Migrate(context.Background(), d); err != nil {
		tb.Fatal(err)
	}
	w := &watchtower{registry: r}
	w.clock.Store(time.Now().UnixNano())
	deps := monitoring.Deps{DB: d, System: r, Now: w.now}
	for _, c := range change {
		c(&deps)
	}
	w.service = monitoring.New(deps)
	if err := w.service.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if md, _ := metadata.FromIncomingContext(ctx); len(md["test-project"]) > 0 {
			ctx = auth.WithCaller(ctx, &auth.Caller{Project: md["test-project"][0], Scopes: []string{"*"}})
		}
		res, err := next(ctx, req)
		if err != nil {
			return nil, fault.From(err).Status().Err()
		}
		return res, nil
	}))
	w.service.Register(server)
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///monitoring", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		tb.Fatal(err)
	}
	w.MonitoringServiceClient = monitoringv1.NewMonitoringServiceClient(conn)
	tb.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		w.service.Close()
		_ = d.Close()
	})
	return w
}

func (w *watchtower) now() time.Time { return time.Unix(0, w.clock.Load()) }

func newRegistry() *registry {
	return &registry{deployments: map[string]*modelsv1.Deployment{}, wake: make(chan struct{})}
}

func start(tb testing.TB) *watchtower { tb.Helper(); return open(tb, tb.TempDir(), newRegistry()) }

func as(ctx context.Context, project string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "test-project", project)
}

// support is a deployment whose version is certified at 5 %.
func support(version int32, certificate string) *modelsv1.Deployment {
	return &modelsv1.Deployment{
		Project: "p1", Operation: routing, Name: "support", UpdateTime: timestamppb.Now(),
		Champion: &modelsv1.ModelVersion{Model: "support", Version: version, Digest: fmt.Sprintf("sha256:v%d", version)},
		Policy:   &modelsv1.Policy{MaxError: 0.05, Confidence: 0.95, AuditRate: 0.1},
		Certificates: []*modelsv1.Certificate{{
			CertificateId: certificate, MaxError: 0.05, Confidence: 0.95, Threshold: 0.8, Rows: 1000, Accepted: 800, Coverage: 0.8, Certified: true,
		}},
	}
}

// deploy puts a deployment into the registry and waits until the service has heard of it.
func (w *watchtower) deploy(tb testing.TB, d *modelsv1.Deployment) {
	tb.Helper()
	w.registry.put(d)
	want := w.registry.get(d.GetName()).GetRevision()
	w.until(tb, "the deployment is known", func(p *monitoringv1.Promise) bool { return p.GetRevision() >= want })
}

// promise asks for the promise of support.
func (w *watchtower) promise(tb testing.TB) *monitoringv1.Promise {
	tb.Helper()
	res, err := w.GetPromise(as(tb.Context(), "p1"), &monitoringv1.GetPromiseRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		return nil
	}
	return res.GetPromise()
}

func (w *watchtower) until(tb testing.TB, what string, done func(*monitoringv1.Promise) bool) *monitoringv1.Promise {
	tb.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		p := w.promise(tb)
		if p != nil && done(p) {
			return p
		}
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain until %s: %v", what, p)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// audited returns the events of a decision of support that was drawn with a probability, and of the verdict on it.
func (w *watchtower) audited(id, certificate string, propensity float64, agrees bool) (decision, verdict monitoring.Event) {
	w.seq += 2
	audit := &commonv1.Audit{Selected: true, Probability: propensity}
	record := &commonv1.DecisionRecord{Decision: &commonv1.Decision{
		DecisionId: id, Project: "p1", Operation: routing, Deployment: "support", Time: timestamppb.New(w.now()), Outcome: commonv1.Outcome_OUTCOME_AUTOMATED,
		Reason: commonv1.DecisionReason_DECISION_REASON_CERTIFIED, CertificateId: certificate, Audit: audit,
		Model: &commonv1.ModelRef{Name: "support", Version: 1, Digest: "sha256:v1"},
	}}
	label := "hardware"
	if !agrees {
		label = "billing"
	}
	v := &reviewv1.Verdict{
		VerdictId: "v-" + id, ItemId: id, DecisionId: id, Project: "p1", Operation: routing, Deployment: "support", Final: true, Agrees: agrees,
		Role: reviewv1.VerdictRole_VERDICT_ROLE_FIRST, Outcome: commonv1.Outcome_OUTCOME_AUTOMATED, Audit: audit, DecideTime: timestamppb.New(w.now()),
		Answer: &reviewv1.Answer{Labels: []string{label}},
	}
	return monitoring.Event{Kind: monitoring.DecisionEvents, ID: "d|" + id, Seq: w.seq, Data: encode(record)},
		monitoring.Event{Kind: monitoring.VerdictEvents, ID: "v|" + id, Seq: w.seq + 1, Data: encode(v)}
}

// audit applies n audits of which wrong disagree, spread evenly.
func (w *watchtower) audit(tb testing.TB, prefix, certificate string, n, wrong int) {
	tb.Helper()
	var events []monitoring.Event
	for i := range n {
		d, v := w.audited(fmt.Sprintf("%s-%d", prefix, i), certificate, 0.1, (i+1)*wrong/n == i*wrong/n)
		events = append(events, d, v)
	}
	w.apply(tb, events...)
}

func (w *watchtower) apply(tb testing.TB, events ...monitoring.Event) {
	tb.Helper()
	if err := w.service.Apply(tb.Context(), "stream", events); err != nil {
		tb.Fatal(err)
	}
}

func encode(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}
