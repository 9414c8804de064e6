package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/bus/bustest"
)

// node is one nats-server process of a cluster.
type node struct {
	name string
	url  string
	args []string
	bin  string
	cmd  *exec.Cmd
	log  lockedBuffer
}

func (n *node) start(t *testing.T) {
	t.Helper()
	n.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), n.bin, n.args...)
	n.cmd.Stderr = &n.log
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill ends the process without warning and waits until it is gone.
func (n *node) kill() {
	if n.cmd != nil {
		_ = n.cmd.Process.Signal(syscall.SIGKILL)
		_ = n.cmd.Wait()
		n.cmd = nil
	}
}

// processes starts a cluster of three nats-server processes on the loopback interface. The test is skipped where the binary is not named.
func processes(t *testing.T) (nodes []*node, urls string) {
	t.Helper()
	bin := os.Getenv("SWITCHYARD_TEST_NATS_SERVER")
	if bin == "" {
		t.Skip("SWITCHYARD_TEST_NATS_SERVER does not name a nats-server: make test-engines installs one")
	}
	ports := freePorts(t, 6)
	var routes, clients []string
	for i := range 3 {
		routes = append(routes, "nats-route://127.0.0.1:"+ports[i])
	}
	for i := range 3 {
		dir := t.TempDir()
		config := filepath.Join(dir, "nats.conf")
		text := fmt.Sprintf(`server_name: n%d
listen: "127.0.0.1:%s"
max_payload: %d
jetstream { store_dir: %q, sync_interval: always }
cluster { name: c, listen: "127.0.0.1:%s", routes: [%s] }
`, i, ports[3+i], bus.Default().MessageBytes, filepath.Join(dir, "js"), ports[i], strings.Join(routes, ", "))
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n := &node{name: fmt.Sprint("n", i), url: "nats://127.0.0.1:" + ports[3+i], bin: bin, args: []string{"-c", config}}
		n.start(t)
		t.Cleanup(func() {
			n.kill()
			if t.Failed() {
				text := n.log.String()
				t.Logf("log of %s:\n%s", n.name, text[max(0, len(text)-3000):])
			}
		})
		nodes, clients = append(nodes, n), append(clients, n.url)
	}
	for _, n := range nodes {
		address := strings.TrimPrefix(n.url, "nats://")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		until(ctx, t, n.name+" answers", func() bool {
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
		cancel()
	}
	return nodes, strings.Join(clients, ",")
}

// freePorts returns ports that were free a moment ago, all different.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for range n {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all at the end, so that none is given out twice
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

// TestClusterOfProcesses runs the suite against three nats-server processes, and then kills them one after the other.
func TestClusterOfProcesses(t *testing.T) {
	nodes, urls := processes(t)
	bustest.RunOneByOne(t, func(tb testing.TB, c bus.Config) *bus.Bus { return clustered(tb, urls, c) })
	t.Run("EveryNodeMayBeKilledInTurn", func(t *testing.T) {
		b := clustered(t, urls, bus.Default())
		wait(t, b)
		const batch = 100
		msgs := bustest.Messages("p", "a", batch*len(nodes))
		for i, n := range nodes {
			n.kill()
			lost := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			// What was published before is repeated with what is new: a publisher cannot know what the lost node took.
			until(ctx, t, "publishing without "+n.name, func() bool { return b.PublishBatch(ctx, msgs[:batch*(i+1)]) == nil })
			t.Logf("publishing again %v after %s was killed", time.Since(lost).Round(time.Millisecond), n.name)
			n.start(t)
			// The next one may go when this one holds everything again, and not before.
			until(ctx, t, n.name+" has caught up", func() bool { return current(ctx, b) })
			cancel()
		}
		if n := len(bustest.Stored(t, b, bus.Subjects)); n != len(msgs) {
			t.Fatalf("%d messages, want %d", n, len(msgs))
		}
	})
}

// current says whether every replica of the stream is there and up to date.
func current(ctx context.Context, b *bus.Bus) bool {
	// A question that reached a node just before it learnt of the others may never be answered: it is asked again.
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := b.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return false
	}
	c := s.CachedInfo().Cluster
	if c == nil || c.Leader == "" || len(c.Replicas) != 2 {
		return false
	}
	for _, r := range c.Replicas {
		if r.Offline || !r.Current {
			return false
		}
	}
	return true
}

// lockedBuffer collects a process's log while tests read it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
