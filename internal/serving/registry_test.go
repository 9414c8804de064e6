package serving_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/serving"
)

const routing = commonv1.Operation_OPERATION_ROUTING

// registry stands for services/models, which serving must not know: it tells what a test says is deployed.
type registry struct {
	modelsv1.UnimplementedModelServiceServer

	mu          sync.Mutex
	deployments map[serving.Key]*modelsv1.Deployment
	artifacts   map[string][]byte // by model
	changed     chan struct{}     // closed and replaced at every change
	broken      chan struct{}     // closed and replaced to break the watches
	downloads   atomic.Int64
	refuse      atomic.Bool // downloads fail
}

func newRegistry(tb testing.TB) (*registry, modelsv1.ModelServiceClient) {
	tb.Helper()
	r := &registry{
		deployments: map[serving.Key]*modelsv1.Deployment{}, artifacts: map[string][]byte{},
		changed: make(chan struct{}), broken: make(chan struct{}),
	}
	server := grpc.NewServer()
	modelsv1.RegisterModelServiceServer(server, r)
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	tb.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:///registry", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return r, modelsv1.NewModelServiceClient(conn)
}

func keyOf(name string) serving.Key {
	return serving.Key{Project: "acme", Operation: routing, Name: name}
}

// deploy lets the artifact answer under the name.
func (r *registry) deploy(name string, artifact []byte, change ...func(*modelsv1.Deployment)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := keyOf(name)
	d := &modelsv1.Deployment{
		Project: key.Project, Operation: routing, Name: name, Revision: r.deployments[key].GetRevision() + 1, Policy: &modelsv1.Policy{},
		Champion: &modelsv1.ModelVersion{Model: string(artifact), Version: 1, Digest: digest(artifact), Operation: routing},
	}
	for _, c := range change {
		c(d)
	}
	r.artifacts[string(artifact)] = artifact
	r.deployments[key] = d
	r.signal(&r.changed)
}

func (r *registry) remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.deployments, keyOf(name))
}

func (r *registry) breakWatches() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signal(&r.broken)
}

func (r *registry) signal(c *chan struct{}) {
	close(*c)
	*c = make(chan struct{})
}

func (r *registry) WatchDeployments(q *modelsv1.WatchDeploymentsRequest, stream grpc.ServerStreamingServer[modelsv1.WatchDeploymentsResponse]) error {
	if !q.GetAllProjects() {
		return errors.New("serving must watch all projects")
	}
	r.mu.Lock()
	broken := r.broken
	r.mu.Unlock()
	sent := map[serving.Key]*modelsv1.Deployment{}
	for first := true; ; first = false {
		r.mu.Lock()
		changed := r.changed
		var out []*modelsv1.WatchDeploymentsResponse
		for k, d := range r.deployments {
			if sent[k] != d {
				sent[k] = d
				out = append(out, &modelsv1.WatchDeploymentsResponse{Deployment: d})
			}
		}
		r.mu.Unlock()
		if first {
			out = append(out, &modelsv1.WatchDeploymentsResponse{Synced: true})
		}
		for _, m := range out {
			if err := stream.Send(m); err != nil {
				return err
			}
		}
		select {
		case <-changed:
		case <-broken:
			return fault.ShuttingDown()
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

func (r *registry) DownloadArtifact(q *modelsv1.DownloadArtifactRequest, stream grpc.ServerStreamingServer[modelsv1.DownloadArtifactResponse]) error {
	r.downloads.Add(1)
	if r.refuse.Load() {
		return fault.Unavailable("artifact store")
	}
	r.mu.Lock()
	b, ok := r.artifacts[q.GetModel()]
	r.mu.Unlock()
	if !ok || q.GetProject() != "acme" {
		return fault.ModelNotFound(q.GetModel())
	}
	for len(b) > 0 {
		n := min(len(b), 4)
		if err := stream.Send(&modelsv1.DownloadArtifactResponse{Chunk: b[:n]}); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// zoo opens stub models and watches over their lives.
type zoo struct {
	opened, closed atomic.Int64
}

func (z *zoo) open(path string) (engine.Predictor, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(string(b), "model ") {
		return nil, fmt.Errorf("open model %s: %w", path, engine.ErrFormat)
	}
	z.opened.Add(1)
	return &stub{zoo: z, info: engine.Info{Kind: engine.KindTextLinear, Labels: []string{"a", "b"}, OutOfScope: -1, Digest: digest(b)}}, nil
}

// stub is a model that knows when it is used after its end.
type stub struct {
	zoo       *zoo
	info      engine.Info
	running   atomic.Int64
	predicted atomic.Int64
	closed    atomic.Bool
}

var errUseAfterClose = errors.New("model was used after it was closed")

func (s *stub) Info() *engine.Info { return &s.info }

func (s *stub) Predict(_ engine.Input, p []float32) error {
	s.running.Add(1)
	defer s.running.Add(-1)
	if s.closed.Load() {
		return errUseAfterClose
	}
	p[0], p[1] = 0.5, 0.5
	s.predicted.Add(1)
	if s.closed.Load() {
		return errUseAfterClose
	}
	return nil
}

func (s *stub) Explain(engine.Input, int, int) ([]engine.Evidence, error) { return nil, nil }

func (s *stub) Close() error {
	if s.closed.Swap(true) || s.running.Load() != 0 {
		panic("model was closed twice, or while a call was running")
	}
	s.zoo.closed.Add(1)
	return nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
