// Package testkit starts the whole product in a test, the way users run it: real SQLite (or Postgres, with
// SWITCHYARD_TEST_DB=postgres), real journal, embedded JetStream, real
// listeners on loopback.
package testkit

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/mesh"
)

// System is the running product.
type System struct {
	App *app.App
	// Key is the development key: everything in project default, and the platform.
	Key string
	// Addresses are where it listens.
	Addresses app.Addresses

	dir  string
	tb   testing.TB
	log  *logBuffer
	stop context.CancelFunc
	done chan struct{}
}

// Option changes the configuration before the start.
type Option func(*app.Config)

// Start starts the product with an empty data folder and ends it with the test. The test fails when it does not end in order.
func Start(tb testing.TB, options ...Option) *System {
	tb.Helper()
	dir := tb.TempDir()
	config := app.Default()
	config.DataDir = filepath.Join(dir, "data")
	config.GRPC.Address, config.HTTP = "127.0.0.1:0", "127.0.0.1:0"
	// The path of a socket is limited to 108 bytes, which a test's own folder may exceed.
	config.GRPC.Socket = filepath.Join(shortDir(tb), "s")
	config.DevKeyFile = filepath.Join(dir, "dev.key")
	config.Starter = false
	config.Telemetry.LogLevel = "warn"
	for _, o := range options {
		o(&config)
	}
	if config.DB.URL == "" { // the folder of an option has its database too
		config.DB = dbtest.Config(tb, filepath.Join(config.DataDir, "switchyard.db"))
	}
	s := &System{dir: config.DataDir, tb: tb, log: &logBuffer{}, done: make(chan struct{})}
	a, err := app.Start(tb.Context(), config, app.Options{Version: "test", Log: s.log})
	if err != nil {
		tb.Fatalf("start: %v\n%s", err, s.log)
	}
	s.App, s.Addresses = a, a.Addresses()
	if config.DevKeyFile != "" && runs(config, "identity") {
		s.Key = readKey(tb, config.DevKeyFile)
	}
	running, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.done)
		if err := a.Run(running); err != nil {
			tb.Errorf("run: %v", err)
		}
	}()
	tb.Cleanup(s.Stop)
	s.waitReady()
	return s
}

// DataDir is the data folder.
func (s *System) DataDir() string { return s.dir }

// TryStart starts the product on a configuration as it is, and returns why it refuses. The caller ends it with Abandon; its log is not shown.
func TryStart(tb testing.TB, config app.Config) (*System, error) {
	tb.Helper()
	config.GRPC.Socket = filepath.Join(shortDir(tb), "s")
	s := &System{dir: config.DataDir, tb: tb, log: &logBuffer{}, done: make(chan struct{})}
	a, err := app.Start(tb.Context(), config, app.Options{Version: "test", Log: s.log})
	if err != nil {
		return nil, err
	}
	s.App, s.Addresses = a, a.Addresses()
	running, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.done)
		_ = a.Run(running)
	}()
	for deadline := time.Now().Add(10 * time.Second); a.Ready(tb.Context()) != nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return s, nil
}

// Abandon ends what TryStart started, whatever it says.
func (s *System) Abandon() {
	s.stop()
	<-s.done
	_ = s.App.Close()
}

// Stop ends the product and waits until it has ended. A second call does nothing.
func (s *System) Stop() {
	s.stop()
	<-s.done
	if s.App == nil {
		return
	}
	if err := s.App.Close(); err != nil {
		s.tb.Errorf("close: %v", err)
	}
	s.App = nil
	if s.tb.Failed() {
		s.tb.Logf("log:\n%s", s.log)
	}
}

func (s *System) waitReady() {
	s.tb.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for s.App.Ready(s.tb.Context()) != nil {
		if time.Now().After(deadline) {
			s.tb.Fatalf("not ready after 30 s: %v\n%s", s.App.Ready(s.tb.Context()), s.log)
		}
		time.Sleep(time.Millisecond)
	}
}

// Dial returns a connection over TCP that carries the key.
func (s *System) Dial(key string) *grpc.ClientConn {
	s.tb.Helper()
	return s.dial(s.Addresses.GRPC, mesh.DialOptions{Key: key})
}

// DialSocket returns a connection over the unix socket that carries the key.
func (s *System) DialSocket(key string) *grpc.ClientConn {
	s.tb.Helper()
	return s.dial("unix:"+s.Addresses.Socket, mesh.DialOptions{Key: key})
}

// DialTLS returns a connection over TCP with TLS that trusts the authorities in the file.
func (s *System) DialTLS(key, caFile string) *grpc.ClientConn {
	s.tb.Helper()
	return s.dial(s.Addresses.GRPC, mesh.DialOptions{Key: key, TLS: mesh.TLSFiles{CAFile: caFile}, ServerName: "127.0.0.1"})
}

func (s *System) dial(target string, o mesh.DialOptions) *grpc.ClientConn {
	s.tb.Helper()
	o.Patience = 20 * time.Second // on a busy machine a test waits; what deadlines do is tested where they are made
	conn, err := mesh.Dial(target, o)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { _ = conn.Close() })
	return conn
}

// NewKey makes a key of the project that the connection's key belongs to and returns it with its id.
func NewKey(tb testing.TB, conn grpc.ClientConnInterface, name string, lifetime time.Duration, scopes ...string) (key, id string) {
	tb.Helper()
	req := &identityv1.CreateKeyRequest{Name: name, Scopes: scopes}
	if lifetime > 0 {
		req.Lifetime = durationpb.New(lifetime)
	}
	r, err := identityv1.NewIdentityServiceClient(conn).CreateKey(tb.Context(), req)
	if err != nil {
		tb.Fatalf("create key %s: %v", name, err)
	}
	return r.GetSecret(), r.GetKey().GetKeyId()
}

// NewProject makes a project and returns a key of it.
func NewProject(tb testing.TB, conn grpc.ClientConnInterface, name string) string {
	tb.Helper()
	r, err := identityv1.NewIdentityServiceClient(conn).CreateProject(tb.Context(), &identityv1.CreateProjectRequest{Name: name})
	if err != nil {
		tb.Fatalf("create project %s: %v", name, err)
	}
	return r.GetSecret()
}

func readKey(tb testing.TB, path string) string {
	tb.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(bytes.TrimSpace(data))
}

func runs(c app.Config, target string) bool {
	c.Fill()
	return slices.Contains(c.Target, target)
}

func shortDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "sy") //nolint:usetesting // t.TempDir is too long for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// logBuffer keeps the log for the case that the test fails.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends, up to 1 MiB.
func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() < 1<<20 {
		l.b.Write(p)
	}
	return len(p), nil
}

// String returns what was logged.
func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
