package models_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/models"
)

const (
	moderation     = commonv1.Operation_OPERATION_MODERATION
	routing        = commonv1.Operation_OPERATION_ROUTING
	classification = commonv1.Operation_OPERATION_CLASSIFICATION
)

// registry is a running service over a real connection, and the folder that it keeps its data in.
type registry struct {
	modelsv1.ModelServiceClient
	service *models.Service
	dir     string
}

// start runs the registry on the data in dir.
func start(tb testing.TB, dir string, change ...func(*models.Config)) *registry {
	tb.Helper()
	cfg := models.Default()
	for _, c := range change {
		c(&cfg)
	}
	d, err := db.Open(context.Background(), dbtest.Config(tb, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	blobs, err := blob.Open(filepath.Join(dir, "artifacts"), cfg.MaxArtifactBytes)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = blobs.Close() })
	service := models.New(models.Deps{DB: d, Blobs: blobs, Open: openStub, Config: cfg})
	if err := service.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	server := grpc.NewServer(grpc.UnaryInterceptor(callerUnary), grpc.StreamInterceptor(callerStream))
	service.Register(server)
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///registry", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return &registry{modelsv1.NewModelServiceClient(conn), service, dir}
}

// as calls for a project, with all its scopes and those given.
func as(ctx context.Context, project string, scopes ...string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "test-project", project, "test-scopes", strings.Join(scopes, " "))
}

// withCaller stands for the chain of internal/mesh, which knows the caller by the key.
func withCaller(ctx context.Context) context.Context {
	md, _ := metadata.FromIncomingContext(ctx)
	if len(md["test-project"]) == 0 {
		return ctx
	}
	return auth.WithCaller(ctx, &auth.Caller{
		Project: md["test-project"][0], KeyID: "testkey", Scopes: append(strings.Fields(md["test-scopes"][0]), "*"),
	})
}

func callerUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	res, err := next(withCaller(ctx), req)
	if err != nil {
		return nil, fault.From(err).Status().Err()
	}
	return res, nil
}

func callerStream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := next(srv, callerOf{s, withCaller(s.Context())}); err != nil {
		return fault.From(err).Status().Err()
	}
	return nil
}

type callerOf struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // a stream has its context
}

func (s callerOf) Context() context.Context { return s.ctx }

// stub is a model whose file says what it is: "stub " and its labels, then a line of salt.
type stub struct{ info engine.Info }

var _ engine.Predictor = (*stub)(nil)

func artifact(salt string, labels ...string) []byte {
	return []byte("stub " + strings.Join(labels, ",") + "\n" + salt)
}

// openStub opens a stub, and what is none as production does.
func openStub(path string) (engine.Predictor, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	head, _, ok := strings.Cut(string(b), "\n")
	labels, isStub := strings.CutPrefix(head, "stub ")
	if !ok || !isStub {
		return load.Open(path)
	}
	sum := sha256.Sum256(b)
	info := engine.Info{
		Kind: engine.KindTextLinear, Task: engine.Multiclass, Labels: strings.Split(labels, ","), OutOfScope: -1,
		Digest: "sha256:" + hex.EncodeToString(sum[:]),
	}
	for i, l := range info.Labels {
		if l == "oos" {
			info.OutOfScope = i
		}
	}
	return &stub{info}, nil
}

func (s *stub) Info() *engine.Info                                        { return &s.info }
func (s *stub) Predict(engine.Input, []float32) error                     { return nil }
func (s *stub) Explain(engine.Input, int, int) ([]engine.Evidence, error) { return nil, nil }
func (s *stub) Close() error                                              { return nil }

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// sample is a certification sample of n rows, every tenth of the less sure half wrong: certifiable at 5 % for about half of the rows.
func sample(side string, n int) *modelsv1.CertificationSample {
	s := &modelsv1.CertificationSample{Side: side}
	for i := range n {
		s.Scores = append(s.Scores, 1-float32(i)/float32(2*n))
		s.Correct = append(s.Correct, i < n/2 || i%5 != 0)
	}
	return s
}

func spec(model string, op commonv1.Operation, b []byte) *modelsv1.VersionSpec {
	s := &modelsv1.VersionSpec{
		Model: model, Operation: op, Digest: digest(b), Metrics: &modelsv1.Metrics{Rows: 2000, Accuracy: 0.9},
		Lineage: &modelsv1.Lineage{TrainRows: 10_000, CertificationRows: 2000, Seed: 7}, EvaluationJson: `{"accuracy":0.9}`,
	}
	if op == moderation {
		s.Samples = []*modelsv1.CertificationSample{sample("remove", 500), sample("allow", 1500)}
	} else {
		s.Samples = []*modelsv1.CertificationSample{sample("", 2000)}
	}
	return s
}

// register uploads the artifact in pieces of ten bytes.
func (r *registry) register(ctx context.Context, s *modelsv1.VersionSpec, b []byte) (*modelsv1.RegisterVersionResponse, error) {
	stream, err := r.RegisterVersion(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Spec{Spec: s}})
	for len(b) > 0 && err == nil {
		n := min(10, len(b))
		err = stream.Send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Chunk{Chunk: b[:n]}})
		b = b[n:]
	}
	if err != nil && !errors.Is(err, io.EOF) { // EOF: the server has answered already
		return nil, err
	}
	return stream.CloseAndRecv()
}

// upload registers an artifact in pieces of 1 MiB.
func (r *registry) upload(ctx context.Context, s *modelsv1.VersionSpec, b []byte) error {
	stream, err := r.RegisterVersion(ctx)
	if err != nil {
		return err
	}
	err = stream.Send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Spec{Spec: s}})
	for len(b) > 0 && err == nil {
		n := min(1<<20, len(b))
		err = stream.Send(&modelsv1.RegisterVersionRequest{Part: &modelsv1.RegisterVersionRequest_Chunk{Chunk: b[:n]}})
		b = b[n:]
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = stream.CloseAndRecv()
	return err
}

// mustRegister registers a version of a model with two labels.
func (r *registry) mustRegister(tb testing.TB, ctx context.Context, model string, op commonv1.Operation, salt string) *modelsv1.ModelVersion {
	tb.Helper()
	b := artifact(salt, "a", "b")
	res, err := r.register(ctx, spec(model, op, b), b)
	if err != nil {
		tb.Fatal(err)
	}
	return res.GetVersion()
}

func (r *registry) mustDeploy(tb testing.TB, ctx context.Context, req *modelsv1.DeployRequest) *modelsv1.Deployment {
	tb.Helper()
	res, err := r.Deploy(ctx, req)
	if err != nil {
		tb.Fatal(err)
	}
	return res.GetDeployment()
}

// reason returns the reason of the error that a caller sees.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return fault.FromStatus(status.Convert(err)).ReasonName()
}

func wantReason(tb testing.TB, what string, err error, want string) {
	tb.Helper()
	if got := reason(err); got != want {
		tb.Errorf("%s: reason %q (%v), want %q", what, got, err, want)
	}
}

// deadline bounds what a test waits for.
func deadline(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	tb.Cleanup(cancel)
	return ctx
}
