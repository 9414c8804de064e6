package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

const (
	operation  = commonv1.Operation_OPERATION_ROUTING
	deployment = "support"
)

// product is the running binary. Everything is asked of it as its users ask: over gRPC and REST with keys that may do what they need, and with the commands.
type product struct {
	bin, dir string
	server   *process.Server
	conns    []*grpc.ClientConn
	admin    patient      // with the development key
	again    atomic.Int64 // calls that were sent again
}

// startProduct starts a server on the data folder dir, which it makes, with more environment.
func startProduct(ctx context.Context, bin, dir string, env ...string) (*product, error) {
	server, err := process.Start(ctx, process.Options{
		Bin: bin, DataDir: filepath.Join(dir, "data"), Args: []string{"--socket", "none", "--no-starter"},
		Env: append([]string{
			"SWITCHYARD_LAKE_FLUSH=1s", // the day is over in a minute
			// The ticket system that webhooks go to is on this machine, which they would otherwise refuse to call.
			"SWITCHYARD_EVENTS_WEBHOOKS_ALLOW_HTTP=true", "SWITCHYARD_EVENTS_WEBHOOKS_ALLOW_NETWORKS=127.0.0.0/8",
		}, env...),
	})
	if err != nil {
		return nil, err
	}
	p := &product{bin: bin, dir: dir, server: server}
	if p.admin, err = p.dial(server.Key); err != nil {
		_ = p.kill()
		return nil, err
	}
	return p, nil
}

func (p *product) dial(key string) (patient, error) {
	conn, err := process.Dial(p.server.GRPC, key)
	if err == nil {
		p.conns = append(p.conns, conn)
	}
	return patient{conn, &p.again}, err
}

// key makes a key with the scopes, and returns it with a connection that carries it.
func (p *product) key(ctx context.Context, name string, scopes ...string) (string, patient, error) {
	r, err := identityv1.NewIdentityServiceClient(p.admin).CreateKey(ctx, &identityv1.CreateKeyRequest{Name: name, Scopes: scopes})
	if err != nil {
		return "", patient{}, fmt.Errorf("make the key of %s: %w", name, err)
	}
	conn, err := p.dial(r.GetSecret())
	return r.GetSecret(), conn, err
}

// train runs "switchyard train" and returns what it prints.
func (p *product) train(ctx context.Context, input, test string, seed uint64) (*summary.Model, error) {
	out, _, err := p.server.Command(ctx, p.bin, "train", "--operation", "routing", "--deployment", deployment, "--input", input, "--test", test,
		"--seed", fmt.Sprint(seed), "--report", filepath.Join(p.dir, "model.html"), "--quiet", "--json")
	if err != nil {
		return nil, err
	}
	var e struct {
		Model    string
		Version  int32
		Digest   string
		Accuracy float64
		Data     struct{ TrainingRows, CalibrationRows, CertificationRows int }
	}
	if err := json.Unmarshal(out, &e); err != nil {
		return nil, fmt.Errorf("read what train prints: %w", err)
	}
	return &summary.Model{
		Name: e.Model, Version: e.Version, Digest: e.Digest, Accuracy: e.Accuracy,
		TrainingRows: e.Data.TrainingRows, CalibrationRows: e.Data.CalibrationRows, CertificationRows: e.Data.CertificationRows,
	}, nil
}

// setPolicy sets prices and the share of audits, and keeps the rest of the promise.
func (p *product) setPolicy(ctx context.Context, set func(*modelsv1.Policy)) (*modelsv1.Deployment, error) {
	models := modelsv1.NewModelServiceClient(p.admin)
	d, err := models.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: operation, Deployment: deployment})
	if err != nil {
		return nil, err
	}
	policy := d.GetDeployment().GetPolicy()
	set(policy)
	r, err := models.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{
		Operation: operation, Deployment: deployment, Policy: policy, ExpectedRevision: d.GetDeployment().GetRevision(),
	})
	return r.GetDeployment(), err
}

// setQueue sets up the review queue for the speed of the clock. Waiting doubles what an item weighs every minute at the shortest, which is half a day here; so what is old comes up by its due time.
func (w *World) setQueue(ctx context.Context) error {
	_, err := reviewv1.NewReviewServiceClient(w.lead).UpdateQueue(ctx, &reviewv1.UpdateQueueRequest{
		Operation: operation, Deployment: deployment, Settings: &reviewv1.QueueSettings{
			SecondOpinionShare: w.o.SecondOpinions, GoldShare: w.o.Gold, Lease: durationpb.New(w.lease()), UndoWindow: durationpb.New(undoWindow),
			DueAfter: durationpb.New(w.Clock.Real(dueAfter)), AgeDoubling: durationpb.New(max(time.Minute, w.Clock.Real(4*time.Hour))),
		},
	})
	return err
}

// lakeFiles lists what the lake holds, by table, with "switchyard lake ls".
func (p *product) lakeFiles(ctx context.Context) ([]summary.Table, error) {
	out, err := p.local(ctx, "lake", "ls", "--json")
	if err != nil {
		return nil, err
	}
	tables := []summary.Table{{Name: "decisions"}, {Name: "verdicts"}, {Name: "feedback"}, {Name: "deployments"}}
	for line := range strings.Lines(out) {
		var f struct {
			Table       string
			Rows, Bytes int64
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			return nil, fmt.Errorf("read what lake ls prints: %w", err)
		}
		for i := range tables {
			if tables[i].Name == f.Table {
				tables[i].Files, tables[i].Rows, tables[i].Bytes = tables[i].Files+1, tables[i].Rows+f.Rows, tables[i].Bytes+f.Bytes
			}
		}
	}
	return tables, nil
}

// local runs a command that works on the data folder, and returns what it prints.
func (p *product) local(ctx context.Context, args ...string) (string, error) {
	var out, errs strings.Builder
	cmd := exec.CommandContext(ctx, p.bin, append(args, "--data-dir", filepath.Join(p.dir, "data"))...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("switchyard %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// readLake reads a table with "switchyard lake export" and calls fn for each row.
func readLake[T any](ctx context.Context, p *product, table string, fn func(*T)) error {
	path := filepath.Join(p.dir, table+".jsonl")
	if _, err := p.local(ctx, "lake", "export", table, "--output", path); err != nil {
		return err
	}
	defer func() { _ = os.Remove(path) }()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for d := json.NewDecoder(file); d.More(); {
		row := new(T)
		if err := d.Decode(row); err != nil {
			return fmt.Errorf("read a row of %s: %w", table, err)
		}
		fn(row)
	}
	return nil
}

// stop ends the server as its operators do; what is left is sent and written first.
func (p *product) stop() error {
	p.hangUp()
	return p.server.Stop()
}

func (p *product) kill() error {
	p.hangUp()
	return p.server.Kill()
}

func (p *product) hangUp() {
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}
