package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

func TestARestartKeepsDataAndKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := startIn(t, dir, "--no-starter")
	if _, _, err := s.Command(t.Context(), binary, "train", "--operation", "routing", "--deployment", "desk", "--input", file(t, "tickets.jsonl", tickets(600)), "--report", "-"); err != nil {
		t.Fatal(err)
	}
	inquiry := object{"deployment": "desk", "body": "my printer and the cable do not work"}
	before := asObject(post(t, s, "/v1/routing/inquiries:route", inquiry)["decision"])
	stop(t, s)

	again := startIn(t, dir, "--no-starter")
	if again.Key != s.Key {
		t.Error("the key file holds another key after a restart")
	}
	after := asObject(post(t, again, "/v1/routing/inquiries:route", inquiry)["decision"])
	if fmt.Sprint(before["labels"], before["model"]) != fmt.Sprint(after["labels"], after["model"]) {
		t.Errorf("the same inquiry is answered differently after a restart:\n%v\n%v", before, after)
	}
	get(t, again, "/v1/models/desk/versions")
	stop(t, again)
}

func TestASecondServerOnTheSameFolderIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	startIn(t, dir)
	second, err := process.Start(t.Context(), process.Options{Bin: binary, DataDir: dir, Args: []string{"--socket", "none"}})
	if err == nil {
		_ = second.Kill()
		t.Fatal("two servers run on one data folder")
	}
}

func TestListeningBeyondLoopbackIsRefused(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--grpc", "--http"} {
		s, err := process.Start(t.Context(), process.Options{Bin: binary, DataDir: filepath.Join(t.TempDir(), "data"), Args: []string{flag, "0.0.0.0:0"}})
		if err == nil {
			_ = s.Kill()
			t.Fatalf("%s 0.0.0.0:0 without TLS is accepted", flag)
		}
		if !strings.Contains(err.Error(), "TLS") && !strings.Contains(err.Error(), "tls") {
			t.Errorf("%s: the refusal does not say what helps: %v", flag, err)
		}
	}
}

// TestTrainingSwapsTheModelWithoutAFailedCall trains new versions while callers call.
func TestTrainingSwapsTheModelWithoutAFailedCall(t *testing.T) {
	t.Parallel()
	s := start(t, "--no-starter")
	train := func(seed string) {
		t.Helper()
		_, _, err := s.Command(t.Context(), binary, "train", "--operation", "routing", "--deployment", "desk", "--seed", seed, "--quiet",
			"--input", file(t, "tickets.jsonl", tickets(600)), "--report", "-")
		if err != nil {
			t.Fatal(err)
		}
	}
	train("1")
	client := routingv1.NewRoutingServiceClient(dial(t, s, s.Key))
	var newest atomic.Int32
	var failures sync.Map
	l := startLoad(t.Context(), 8, func(context.Context, int) {
		r, err := client.RouteInquiry(context.Background(), &routingv1.RouteInquiryRequest{Deployment: "desk", Body: "my screen is dark"})
		if err != nil {
			failures.Store(err.Error(), true)
			return
		}
		for v := r.GetDecision().GetModel().GetVersion(); ; {
			if old := newest.Load(); v <= old || newest.CompareAndSwap(old, v) {
				return
			}
		}
	})
	for version := int32(2); version <= 3; version++ {
		train(fmt.Sprint(version))
		eventually(t, fmt.Sprintf("version %d answers", version), 10*time.Second, func() bool { return newest.Load() == version })
	}
	l.end()
	failures.Range(func(err, _ any) bool { t.Error(err); return true })
	t.Logf("%d calls", l.calls.Load())
}

// TestSIGTERMDrains sends SIGTERM under load: every call that began before it is answered.
func TestSIGTERMDrains(t *testing.T) {
	t.Parallel()
	s := start(t)
	client := routingv1.NewRoutingServiceClient(dial(t, s, s.Key))
	items := make([]*routingv1.InquiryItem, 1000)
	rest := make([]object, len(items))
	for i := range items {
		body := strings.Repeat("the printer and the cable do not work since monday ", 20)
		items[i], rest[i] = &routingv1.InquiryItem{Body: body}, object{"body": body}
	}
	restBody, err := json.Marshal(object{"deployment": "support", "items": rest})
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		began time.Time
		what  string
		err   error
	}
	outcomes := make(chan outcome, 10_000)
	try := func(what string, do func() error) {
		began := time.Now()
		err := do()
		outcomes <- outcome{began, what, err}
		if err != nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
	l := startLoad(t.Context(), 12, func(_ context.Context, caller int) {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		switch {
		case caller < 2:
			try("batch over gRPC", func() error {
				_, err := client.BatchRouteInquiry(ctx, &routingv1.BatchRouteInquiryRequest{Deployment: "support", Items: items})
				return err
			})
		case caller < 4:
			try("batch over REST", func() error {
				// A connection of its own: an idle kept one may be closed in the very moment of its next use.
				a, err := s.Do(ctx, http.MethodPost, "/v1/routing/inquiries:batchRoute", restBody,
					map[string]string{"Authorization": "Bearer " + s.Key, "Content-Type": "application/json", "Connection": "close"})
				if err == nil && a.Status != 200 {
					err = fmt.Errorf("HTTP %d: %.200s", a.Status, a.Body)
				}
				return err
			})
		default:
			try("call over gRPC", func() error {
				_, err := client.RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: "support", Body: "my screen is dark"})
				return err
			})
		}
	})
	eventually(t, "calls are answered", 20*time.Second, func() bool { return l.calls.Load() > 200 })
	signalled := time.Now()
	if err := s.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	l.end()
	close(outcomes)
	before, failed := 0, 0
	for o := range outcomes {
		// A call that began within the last instant may reach the server after the signal did.
		if o.began.After(signalled.Add(-2 * time.Millisecond)) {
			if o.err != nil && strings.Contains(o.what, "gRPC") && status.Code(o.err) != codes.Unavailable {
				t.Errorf("%s after SIGTERM: %v, want UNAVAILABLE", o.what, o.err)
			}
			continue
		}
		before++
		if errors.Is(o.err, syscall.ECONNRESET) && strings.Contains(o.what, "REST") {
			// The connection waited in the kernel's queue when the listener was closed: the server never had the call.
			continue
		}
		if o.err != nil {
			failed++
			t.Errorf("%s began %v before SIGTERM and failed: %v", o.what, signalled.Sub(o.began), o.err)
		}
	}
	t.Logf("%d calls began before SIGTERM, %d failed", before, failed)
	if strings.Contains(s.Stderr(), `"level":"ERROR"`) {
		t.Errorf("the drain logs errors:\n%s", last(s.Stderr(), 2000))
	}
}

func TestTwoProcessesAnswerAsOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	registry := startIn(t, filepath.Join(dir, "registry"), "--target", "models,identity,training")
	front := startWith(t, process.Options{
		DataDir: filepath.Join(dir, "front"), KeyFile: registry.KeyFile,
		Args: []string{"--socket", "none", "--target", "moderation,routing,classification,decisions,review,monitoring,events,jobs,gateway"},
		Env: []string{
			"SWITCHYARD_PEERS=models=" + registry.GRPC + ",identity=" + registry.GRPC + ",training=" + registry.GRPC,
			"SWITCHYARD_PEER_KEY_FILE=" + registry.KeyFile,
		},
	})
	inquiry := object{"deployment": "support", "body": "my printer does not work"}
	eventually(t, "the front has the models", 20*time.Second, func() bool {
		a, err := front.Get(t.Context(), "/readyz")
		return err == nil && a.Status == 200
	})
	checkDecision(t, "front", post(t, front, "/v1/routing/inquiries:route", inquiry)["decision"])
	get(t, front, "/v1/models")

	if _, _, err := registry.Command(t.Context(), binary, "train", "--operation", "routing", "--deployment", "desk", "--input", file(t, "tickets.jsonl", tickets(600)), "--report", "-", "--quiet"); err != nil {
		t.Fatal(err)
	}
	inquiry["deployment"] = "desk"
	eventually(t, "the front answers with a model trained at the registry", 10*time.Second, func() bool {
		a, err := front.Post(t.Context(), "/v1/routing/inquiries:route", `{"deployment":"desk","body":"my printer does not work"}`)
		return err == nil && a.Status == 200
	})
	// Without its registry, the front goes on with what it has.
	if err := registry.Kill(); err != nil {
		t.Fatal(err)
	}
	a, err := front.Post(t.Context(), "/v1/routing/inquiries:route", `{"deployment":"desk","body":"my printer does not work"}`)
	if err != nil || a.Status != 200 {
		t.Errorf("without the registry: %v, HTTP %d %s", errors.Join(err), a.Status, a.Body)
	}
	stop(t, front)
}

func TestTheKeyFileIsPrivate(t *testing.T) {
	t.Parallel()
	s := start(t, "--no-starter")
	info, err := os.Stat(s.KeyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v, want 0600", err, info.Mode())
	}
}

func TestThereIsNoSocketWhereNoneIsAskedFor(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := startIn(t, dir, "--no-starter") // which asks for none
	if s.Socket != "" {
		t.Errorf("the server says that it listens on %s", s.Socket)
	}
	if _, err := os.Stat(filepath.Join(dir, "switchyard.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a socket: %v", err)
	}
}
