// Package e2e tests the built binary as real processes: what users and operators do to it, from the first start to kill -9.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// binary is the product, built once for all tests of the package.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "switchyard-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if binary, err = process.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// start starts a server with the starter models on a folder of the test's own and ends it with the test. A socket would have a path
// that is too long, so there is none unless the test asks for it.
func start(t *testing.T, args ...string) *process.Server {
	t.Helper()
	return startIn(t, filepath.Join(t.TempDir(), "data"), args...)
}

func startIn(t *testing.T, dir string, args ...string) *process.Server {
	t.Helper()
	return startWith(t, process.Options{DataDir: dir, Args: append([]string{"--socket", "none"}, args...)})
}

func startWith(t *testing.T, o process.Options) *process.Server {
	t.Helper()
	o.Bin = binary
	s, err := process.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.Kill()
		if log := s.Stderr(); strings.Contains(log, "panic") || strings.Contains(log, "goroutine ") {
			t.Errorf("the server panicked:\n%s", log)
		}
		if t.Failed() {
			t.Logf("log of the server:\n%s", last(s.Stderr(), 4000))
		}
	})
	return s
}

func stop(t *testing.T, s *process.Server) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
}

func last(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}

func dial(t *testing.T, s *process.Server, key string) *grpc.ClientConn {
	t.Helper()
	conn, err := process.Dial(s.GRPC, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// object is a JSON object as a caller without generated code sees it.
type object map[string]any

// post calls a REST path and returns the answer, which must be a success.
func post(t *testing.T, s *process.Server, path string, body any) object {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Post(t.Context(), path, string(data))
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, path, a)
}

func get(t *testing.T, s *process.Server, path string) object {
	t.Helper()
	a, err := s.Get(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, path, a)
}

func decode(t *testing.T, path string, a process.Answer) object {
	t.Helper()
	if a.Status != http.StatusOK {
		t.Fatalf("%s answers %d: %s", path, a.Status, a.Body)
	}
	var out object
	if err := json.Unmarshal(a.Body, &out); err != nil {
		t.Fatalf("%s answers no JSON object: %v: %s", path, err, a.Body)
	}
	return out
}

// topics are the words of the made-up training data: learnable, and no data set is needed.
var topics = map[string][]string{
	"hardware": {"printer", "screen", "laptop", "keyboard", "cable", "mouse", "battery", "dock"},
	"access":   {"password", "login", "locked", "account", "permission", "token", "role", "denied"},
	"billing":  {"invoice", "payment", "refund", "charge", "price", "tax", "receipt", "amount"},
}

// tickets returns so many labelled lines.
func tickets(n int) []byte {
	names := []string{"hardware", "access", "billing"}
	var out bytes.Buffer
	for i := range n {
		label := names[i%3]
		w := topics[label]
		fmt.Fprintf(&out, `{"text":"please help, my %s and the %s do not work since day %d, see %s","label":%q}`+"\n", w[i/3%8], w[i/5%8], i, w[i/7%8], label)
	}
	return out.Bytes()
}

// file writes data into a folder of the test and returns the path.
func file(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort returns a port that was free a moment ago.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// load calls do from several callers until it is ended.
type load struct {
	calls  atomic.Int64
	cancel context.CancelFunc
	done   chan struct{}
}

func startLoad(ctx context.Context, callers int, do func(ctx context.Context, caller int)) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, done: make(chan struct{})}
	ended := make(chan struct{})
	for c := range callers {
		go func() {
			for ctx.Err() == nil {
				do(ctx, c)
				l.calls.Add(1)
			}
			ended <- struct{}{}
		}()
	}
	go func() {
		for range callers {
			<-ended
		}
		close(l.done)
	}()
	return l
}

// end stops the callers and waits for them.
func (l *load) end() {
	l.cancel()
	<-l.done
}
