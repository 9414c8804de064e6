// Package process starts the built binary as users do, for tests and measurements that need real processes. It knows nothing of what
// the product answers.
package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// readyTimeout bounds the wait for "ready": a machine with other work is slow, but not this slow.
	readyTimeout = 60 * time.Second
	// stopTimeout is above the product's own bound for draining.
	stopTimeout = 40 * time.Second
)

// Root returns the folder of the checkout.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Build builds the binary into dir as "make build" does, and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "switchyard")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, "./cmd/switchyard")
	cmd.Dir = Root()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build switchyard: %w\n%s", err, out)
	}
	return bin, nil
}

// Options say what to start.
type Options struct {
	// Bin is the path of the binary.
	Bin string
	// DataDir is the server's data folder. The development key is written beside it, to DataDir + ".key", unless KeyFile names another place.
	DataDir string
	// KeyFile is where the development key is written, or, with Args that hold no identity service, read from.
	KeyFile string
	// Args follow "serve" and the flags that Start sets itself.
	Args []string
	// Env is added to the environment, each "NAME=value".
	Env []string
}

// Server is a running process.
type Server struct {
	// GRPC and HTTP are HOST:PORT, Socket is a path; empty where the process does not listen.
	GRPC, HTTP, Socket string
	// Key is the development key.
	Key string
	// KeyFile is where it stands.
	KeyFile string

	cmd    *exec.Cmd
	stderr safeBuffer
	done   chan struct{}
	err    error
}

// Start starts a server and waits until it says that it is ready. Ports are free ones unless Args say otherwise.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.KeyFile == "" {
		o.KeyFile = o.DataDir + ".key"
	}
	args := append([]string{"serve", "--data-dir", o.DataDir, "--dev-key-file", o.KeyFile, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"}, o.Args...)
	s := &Server{KeyFile: o.KeyFile, done: make(chan struct{})}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), o.Bin, args...)
	s.cmd.Env = append(os.Environ(), o.Env...)
	s.cmd.Stderr = &s.stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Bin, err)
	}
	ready := make(chan error, 1)
	go func() {
		ready <- s.announced(stdout)
		_, _ = io.Copy(io.Discard, stdout)
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	select {
	case err = <-ready:
	case <-time.After(readyTimeout):
		err = errors.New("not ready in time")
	}
	if err != nil {
		_ = s.Kill()
		return nil, fmt.Errorf("start switchyard %s: %w\n%s", strings.Join(args, " "), err, s.Stderr())
	}
	key, err := os.ReadFile(o.KeyFile)
	if err != nil {
		_ = s.Kill()
		return nil, fmt.Errorf("the key file is to be there before the server is ready: %w", err)
	}
	s.Key = strings.TrimSpace(string(key))
	return s, nil
}

// KillEarly starts a server and kills it after a while, whether or not it is ready then.
func KillEarly(ctx context.Context, o Options, after time.Duration) error {
	if o.KeyFile == "" {
		o.KeyFile = o.DataDir + ".key"
	}
	args := append([]string{"serve", "--data-dir", o.DataDir, "--dev-key-file", o.KeyFile, "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"}, o.Args...)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), o.Bin, args...)
	cmd.Env = append(os.Environ(), o.Env...)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", o.Bin, err)
	}
	time.Sleep(after)
	if err := cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s, which ended by itself: %w", o.Bin, err)
	}
	_ = cmd.Wait() // it was killed
	return nil
}

// announced reads where the server listens, up to the line "ready".
func (s *Server) announced(stdout io.Reader) error {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 1 && words[0] == "ready":
			return nil
		case len(words) < 2:
		case words[0] == "REST":
			_, s.HTTP, _ = strings.Cut(words[1], "://")
		case words[0] == "gRPC":
			s.GRPC = words[1]
		case words[0] == "socket":
			s.Socket = strings.TrimPrefix(words[1], "unix:")
		}
	}
	return errors.Join(errors.New("the server ended before it was ready"), lines.Err())
}

// PID returns the process id.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Stderr returns what the server has logged so far.
func (s *Server) Stderr() string { return s.stderr.String() }

// Done is closed when the process has ended.
func (s *Server) Done() <-chan struct{} { return s.done }

// Signal sends a signal.
func (s *Server) Signal(sig os.Signal) error { return s.cmd.Process.Signal(sig) }

// Stop asks the server to drain and waits for its end. An exit code other than 0 is an error.
func (s *Server) Stop() error {
	if err := s.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.done:
		if s.err != nil {
			return fmt.Errorf("stop switchyard: %w\n%s", s.err, s.Stderr())
		}
		return nil
	case <-time.After(stopTimeout):
		_ = s.Kill()
		return errors.New("stop switchyard: not done in time")
	}
}

// Kill ends the process as kill -9 does and waits for its end.
func (s *Server) Kill() error {
	err := s.cmd.Process.Kill()
	<-s.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// safeBuffer is written by the process's pipe and read by tests.
type safeBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what was written.
func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
