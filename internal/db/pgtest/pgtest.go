// Package pgtest runs a real Postgres for tests, on a socket and a loopback port of its own, with its data in a temporary folder. Where no
// Postgres is installed the tests that need one are skipped, and say so.
package pgtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Variables that choose the database of tests.
const (
	// EnvDB is "postgres" when tests that can run on either engine shall run on Postgres.
	EnvDB = "SWITCHYARD_TEST_DB"
	// EnvURL is a running server that tests may make schemas in, instead of one that each test binary starts.
	EnvURL = "SWITCHYARD_TEST_POSTGRES_URL"
)

// Password of the server's only user, for connections over TCP; over the socket none is asked for.
const Password = "s3cret/of+tests"

// Server is a Postgres that one test has for itself, to stop and kill.
type Server struct {
	// Dir holds the socket, and below it the data.
	Dir string
	// Port on loopback, which is also part of the socket's name.
	Port string

	bin  string
	as   *syscall.Credential
	args []string
	cmd  *exec.Cmd
	hold io.Closer // the server ends when this is closed, also when the test binary is killed
	log  lockedBuffer
	// cleanup removes the folder when the server ends.
	cleanup bool
}

// New starts a server and ends it with the test. settings are lines such as "fsync=off". Short runs skip the test: a new server costs seconds.
func New(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	if testing.Short() {
		tb.Skip("starts a Postgres of its own: make test-engines runs it")
	}
	s, err := create(tb.Context(), settings)
	if err != nil {
		tb.Fatal(err)
	}
	if s == nil {
		tb.Skip("no Postgres from version 15 is installed: script/test-deps installs it")
	}
	tb.Cleanup(func() {
		s.Stop()
		_ = os.RemoveAll(s.Dir)
		if tb.Failed() {
			tb.Logf("log of Postgres:\n%s", s.log.String())
		}
	})
	if err := s.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// URL returns the address of the server's database over the socket.
func (s *Server) URL() string {
	return "postgres:///postgres?" + url.Values{"host": {s.Dir}, "port": {s.Port}, "user": {"switchyard"}}.Encode()
}

// TCP returns the address over loopback, with the password.
func (s *Server) TCP() string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("switchyard", Password), Host: "127.0.0.1:" + s.Port, Path: "/postgres"}
	return u.String()
}

// Log returns what the server has said.
func (s *Server) Log() string { return s.log.String() }

// Start starts the server again and waits until it answers.
func (s *Server) Start(ctx context.Context) error {
	// The shell ends the server when its own input ends, and so when the test binary is gone, however that ended.
	script := `"$@" </dev/null & pid=$!; (cat <&3 >/dev/null; kill -QUIT $pid) 2>/dev/null & wait $pid`
	if s.cleanup {
		script = `"$@" </dev/null & pid=$!; (cat <&3 >/dev/null; kill -QUIT $pid) 2>/dev/null & wait $pid; rm -rf "$PGTEST_DIR"`
	}
	script = `exec 3<&0; ` + script                                                                                       // a job in the background has no input of its own
	s.cmd = exec.Command("/bin/sh", append([]string{"-c", script, "sh", filepath.Join(s.bin, "postgres")}, s.args...)...) //nolint:gosec,noctx // outlives the call
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Setpgid: true}
	s.cmd.Dir, s.cmd.Env = s.Dir, append(os.Environ(), "PGTEST_DIR="+s.Dir)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	hold, err := s.cmd.StdinPipe()
	if err != nil {
		return err
	}
	s.hold = hold
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w\n%s", err, s.log.String())
		}
	}
}

// Kill ends the server and all its processes without warning.
func (s *Server) Kill() {
	s.Signal(syscall.SIGKILL)
	s.wait()
}

// Signal sends a signal to all processes of the server.
func (s *Server) Signal(sig syscall.Signal) {
	pid := s.pid()
	if pid == 0 {
		return
	}
	children, _ := exec.Command("ps", "-o", "pid=", "--ppid", strconv.Itoa(pid)).Output() //nolint:gosec,noctx // a number
	_ = syscall.Kill(pid, sig)
	for child := range strings.FieldsSeq(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(n, sig)
		}
	}
}

// Own gives a folder to the user that the server runs as.
func (s *Server) Own(path string) error {
	if s.as == nil {
		return nil
	}
	return os.Chown(path, int(s.as.Uid), int(s.as.Gid))
}

// Stop ends the server in order, ending its sessions.
func (s *Server) Stop() {
	if pid := s.pid(); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGINT)
	}
	s.wait()
}

func (s *Server) wait() {
	if s.cmd == nil {
		return
	}
	ended := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second): // the shell ends it the hard way
	}
	_ = s.hold.Close()
	<-ended
	s.cmd = nil
}

// pid returns the number of the server's first process, which its folder says; 0 when it does not run.
func (s *Server) pid() int {
	if s.cmd == nil {
		return 0
	}
	b, err := os.ReadFile(filepath.Join(s.Dir, "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, _ := strconv.Atoi(first)
	return pid
}

// create makes the data folder of a server; nil when no Postgres is installed.
func create(ctx context.Context, settings []string) (*Server, error) {
	bin := binaries()
	if bin == "" {
		return nil, nil
	}
	as, err := unprivileged()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg") // short: the path of a socket is limited to 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, bin: bin, as: as}
	if err := s.init(ctx, settings); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *Server) init(ctx context.Context, settings []string) error {
	secret := filepath.Join(s.Dir, "secret")
	if err := os.WriteFile(secret, []byte(Password+"\n"), 0o600); err != nil {
		return err
	}
	for _, path := range []string{s.Dir, secret} {
		if err := s.Own(path); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), "-D", filepath.Join(s.Dir, "data"), "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", //nolint:gosec // our own
		"--username=switchyard", "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile="+secret)
	cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Credential: s.as}, s.Dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, s.Port, _ = net.SplitHostPort(ln.Addr().String())
	_ = ln.Close()
	s.args = []string{"-D", filepath.Join(s.Dir, "data"), "-p", s.Port, "-h", "127.0.0.1", "-k", s.Dir, "-c", "shared_buffers=32MB", "-c", "max_connections=200"}
	for _, setting := range settings {
		s.args = append(s.args, "-c", setting)
	}
	return nil
}

// binaries returns the newest installed folder that has the server's programs; empty when there is none.
func binaries() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
	if len(found) > 0 && version(found[0]) >= 15 {
		return filepath.Dir(found[0])
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(path)
	}
	return ""
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
	return n
}

// unprivileged returns whom the server runs as: it refuses to run as root.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("postgres does not run as root, and there is neither a user postgres nor nobody")
}

// lockedBuffer collects the server's log while tests read it.
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
