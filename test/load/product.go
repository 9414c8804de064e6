package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

const (
	// The same model answers under two names: one records before the answer, the other soon after it.
	recordSync  = "support"
	recordAsync = "support-async"
)

// shared is what several measurements use, made by the first that needs it.
type shared struct {
	server  *process.Server
	conns   []*grpc.ClientConn
	texts   []string
	answer  string // file with a real answer of the product, for the other side
	trained *trainedModel
}

func (s *shared) stop() {
	for _, c := range s.conns {
		_ = c.Close()
	}
	if s.server != nil {
		_ = s.server.Kill() // its data goes away with the folder
	}
}

// trainedModel is the JSON of "train --json" and what the training cost.
type trainedModel struct {
	Accuracy   float64  `json:"accuracy"`
	AUC        *float64 `json:"auc"`
	Model      string   `json:"model"`
	Version    int32    `json:"version"`
	Automation []struct {
		Alpha         float64 `json:"alpha"`
		Share         float64 `json:"share"`
		RealisedError float64 `json:"realisedError"`
		Policy        bool    `json:"policy"`
	} `json:"automation"`
	Scope *struct {
		InScopeAccuracy float64 `json:"inScopeAccuracy"`
	} `json:"scope"`

	cpu, wall time.Duration
	peakMiB   float64
}

// train trains through the command line, as a user does, and measures the process.
func (b *bench) train(ctx context.Context, s *process.Server, operation, deployment, set, test string, args ...string) (*trainedModel, error) {
	input, err := b.dataFile(set + "/train.jsonl.gz")
	if err != nil {
		return nil, err
	}
	args = append([]string{
		"train", "--operation", operation, "--deployment", deployment, "--input", input, "--json", "--quiet", "--report", "-",
		"--server", s.GRPC, "--key-file", s.KeyFile,
	}, args...)
	if test != "" {
		args = append(args, "--test", filepath.Join(b.data, filepath.FromSlash(test)))
	}
	cmd := exec.CommandContext(ctx, b.bin, args...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("train on %s: %w", set, err)
	}
	m := &trainedModel{wall: time.Since(start), cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		m.peakMiB = float64(usage.Maxrss) / 1024
	}
	return m, json.Unmarshal(out, m)
}

// product returns the server that most measurements call: all of it in one process with the defaults, the it_tickets model deployed.
func (b *bench) product(ctx context.Context) (*shared, error) {
	s := &b.shared
	if s.server != nil {
		return s, nil
	}
	server, err := b.startProduct(ctx, "product")
	if err != nil {
		return nil, err
	}
	s.server = server
	if s.trained, err = b.train(ctx, server, "routing", recordSync, "it_tickets", "it_tickets/valid.jsonl.gz"); err != nil {
		return nil, err
	}
	if s.texts, err = b.readTexts("it_tickets/valid.jsonl.gz"); err != nil {
		return nil, err
	}
	for range connections {
		conn, err := process.Dial(server.GRPC, server.Key)
		if err != nil {
			return nil, err
		}
		s.conns = append(s.conns, conn)
	}
	if err := deployAsync(ctx, s.conns[0], s.trained); err != nil {
		return nil, err
	}
	return s, b.captureAnswer(ctx)
}

// deployAsync lets the model answer under a second name whose records are written soon after the answer.
func deployAsync(ctx context.Context, conn *grpc.ClientConn, m *trainedModel) error {
	_, err := modelsv1.NewModelServiceClient(conn).Deploy(ctx, &modelsv1.DeployRequest{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: recordAsync, Model: m.Model, Version: m.Version,
		Policy: &modelsv1.Policy{Record: modelsv1.RecordMode_RECORD_MODE_ASYNC},
	})
	if err != nil {
		return fmt.Errorf("deploy %s: %w", recordAsync, err)
	}
	// The deployment answers as soon as the server has heard of it.
	client := routingv1.NewRoutingServiceClient(conn)
	for range 500 {
		if _, err = client.RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: recordAsync, Body: "printer"}); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

// captureAnswer keeps a real answer, so that the other side sends a message of the same size and shape.
func (b *bench) captureAnswer(ctx context.Context) error {
	s := &b.shared
	answer, err := routingv1.NewRoutingServiceClient(s.conns[0]).RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: recordSync, Body: s.texts[0]})
	if err != nil {
		return err
	}
	data, err := proto.Marshal(answer)
	if err != nil {
		return err
	}
	s.answer = filepath.Join(b.work, "answer.binpb")
	return os.WriteFile(s.answer, data, 0o600)
}

// readTexts returns the texts of a data set.
func (b *bench) readTexts(set string) ([]string, error) {
	path, err := b.dataFile(set)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var texts []string
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var row struct {
			Text string `json:"text"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("read %s: %w", set, err)
		}
		texts = append(texts, row.Text)
	}
	return texts, lines.Err()
}
