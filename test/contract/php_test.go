package contract

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// phpRunner is one PHP process that makes call after call with the generated clients. Not for use by several goroutines at once.
type phpRunner struct {
	in  io.Writer
	out *bufio.Reader
}

// startPHP starts a runner that ends with the test; it skips the test where PHP or its curl extension is missing.
func startPHP(t *testing.T) *phpRunner {
	t.Helper()
	if err := exec.CommandContext(t.Context(), "php", "-r", `exit(PHP_VERSION_ID >= 80200 && extension_loaded("curl") ? 0 : 1);`).Run(); err != nil {
		t.Skipf("PHP 8.2 with ext-curl is not installed (%v); script/test-deps installs it", err)
	}
	// Not t.Context: it ends before the cleanup that lets the process end in order.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "php", "-d", "display_errors=stderr", "../../php/client/tests/contract/runner.php")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("php: %v", err)
		}
	})
	return &phpRunner{in: in, out: bufio.NewReader(out)}
}

// PHP calls from PHP, over the connection that a DSN of php/client names.
type PHP struct {
	Runner *phpRunner
	DSN    string
}

var _ Door = PHP{}

// Call has the runner make the call.
func (p PHP) Call(_ context.Context, c *Case, key string) (*Answer, error) {
	requests, err := c.Requests()
	if err != nil {
		return nil, err
	}
	raw := make([]json.RawMessage, len(requests))
	for i, r := range requests {
		raw[i] = r
	}
	line, err := json.Marshal(map[string]any{"dsn": p.DSN, "key": key, "call": c.Call, "requests": raw})
	if err != nil {
		return nil, err
	}
	if _, err := p.Runner.in.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("php: %w", err)
	}
	line, err = p.Runner.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("php: %w", err)
	}
	var answer struct {
		Answer
		Broken string `json:"broken"`
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, fmt.Errorf("php: %w: %s", err, line)
	}
	if answer.Broken != "" {
		return nil, errors.New("php: " + answer.Broken)
	}
	return &answer.Answer, nil
}

func TestSameAnswersFromPHP(t *testing.T) {
	t.Parallel()
	php := startPHP(t)
	plain := testkit.Start(t)
	f := prepare(t, plain.Dial(plain.Key), plain.Key)
	certFile, keyFile := certificate(t)
	secure := testkit.Start(t, func(c *app.Config) {
		c.GRPC.TLS = mesh.TLSFiles{CertFile: certFile, KeyFile: keyFile}
	})
	doors := []door{
		{"Go", GRPC{plain.DialSocket("")}, f},
		{"PHP over a unix socket", PHP{php, "unix://" + plain.Addresses.Socket}, f},
		{"PHP over TCP", PHP{php, "tcp://" + plain.Addresses.GRPC}, f},
		{"PHP over TLS", PHP{php, "tls://" + secure.Addresses.GRPC + "?ca=" + certFile}, prepare(t, secure.DialTLS(secure.Key, certFile), secure.Key)},
	}
	want := map[string]*Answer{}
	for i, d := range doors {
		files, err := Load(".", d.fixture.vars)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range slices.Sorted(maps.Keys(files)) {
			for _, c := range files[file] {
				name := file + ": " + c.Name
				answer := runCase(t, d, name, &c)
				if i == 0 {
					want[name] = answer
					continue
				}
				if diff := cmp.Diff(comparable(want[name]), comparable(answer)); diff != "" {
					t.Errorf("%s: Go (-) and %s (+) get different answers:\n%s", name, d.name, diff)
				}
			}
		}
	}
	t.Logf("%d cases over %d doors", len(want), len(doors))
}
