// Package laketest holds what every store of a lake has to fulfil, and starts a real S3 server for it.
package laketest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/lake"
)

const (
	accessKey = "laketest"
	secretKey = "laketest-secret"
	bucket    = "lake"
)

// S3Server is an S3 server on loopback that keeps its objects in a folder.
type S3Server struct {
	tb      testing.TB
	dir     string
	address string
	mu      sync.Mutex
	cmd     *exec.Cmd
}

// StartS3 starts versitygw, which has to be in .bin or in the path: "go install github.com/versity/versitygw/cmd/versitygw@latest". The test is skipped without it.
func StartS3(tb testing.TB) *S3Server {
	tb.Helper()
	if versitygw() == "" {
		tb.Skip("versitygw is not installed")
	}
	s := &S3Server{tb: tb, dir: tb.TempDir(), address: freeAddress(tb)}
	if err := os.Mkdir(filepath.Join(s.dir, bucket), 0o750); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Stop)
	s.Start()
	return s
}

func versitygw() string {
	_, file, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(file), "..", "..", "..", ".bin", "versitygw")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	path, _ = exec.LookPath("versitygw")
	return path
}

func freeAddress(tb testing.TB) string {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Start starts the server, also again after Stop.
func (s *S3Server) Start() {
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	//nolint:gosec // the program and its arguments are the test's own
	s.cmd = exec.CommandContext(context.WithoutCancel(s.tb.Context()), versitygw(), "--port", s.address, "--access", accessKey, "--secret", secretKey, "--quiet", "posix", s.dir)
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		r, err := http.Get("http://" + s.address + "/") //nolint:noctx // loopback, and the deadline is below
		if err == nil {
			_ = r.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("versitygw does not answer: %v", err)
		}
	}
}

// Stop kills the server.
func (s *S3Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Dir is the folder that holds the objects of the bucket, for tests that damage them.
func (s *S3Server) Dir() string { return filepath.Join(s.dir, bucket) }

// Location returns the URL of a lake in the server's bucket.
func (s *S3Server) Location(prefix string) string { return "s3://" + bucket + "/" + prefix }

// Config returns how the server is reached.
func (s *S3Server) Config() lake.S3Config {
	return lake.S3Config{Endpoint: "http://" + s.address, Region: "us-east-1", AccessKey: accessKey, SecretKey: secretKey}
}

// Store returns the objects under a prefix.
func (s *S3Server) Store(prefix string) lake.Store {
	s.tb.Helper()
	store, err := lake.OpenS3(s.Location(prefix), s.Config())
	if err != nil {
		s.tb.Fatal(err)
	}
	return store
}

// errSkip ends a listing early.
var errSkip = errors.New("enough")
