package db_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/pgtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

var numbers = []string{`CREATE TABLE numbers (id BIGINT PRIMARY KEY, data BLOB)`}

func addNumber(ctx context.Context, d *db.DB, n int64) error {
	return d.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO numbers (id) VALUES (?)`, n)
		return err
	})
}

func countNumbers(ctx context.Context, d *db.DB) (n int64, err error) {
	err = d.View(ctx, func(tx *db.Tx) error {
		_, err := tx.Get(`SELECT count(*) FROM numbers`, nil, &n)
		return err
	})
	return n, err
}

func reasonOf(err error) string {
	if f := fault.From(err); err != nil && f != nil {
		return f.ReasonName()
	}
	return ""
}

// TestPostgresDiesAndComesBack kills the server under load, again and again: callers get a typed error in time, what was acknowledged is there,
// and service returns without a restart of this process.
func TestPostgresDiesAndComesBack(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	d := openURL(t, server.URL())
	if err := d.Migrate(t.Context(), "test", numbers); err != nil {
		t.Fatal(err)
	}
	var next, acknowledged, refused atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				err := addNumber(ctx, d, next.Add(1))
				switch {
				case err == nil:
					acknowledged.Add(1)
				case reasonOf(err) == "DEPENDENCY_UNAVAILABLE":
					refused.Add(1)
					time.Sleep(10 * time.Millisecond)
				default:
					t.Errorf("while the server is down: %v", err)
				}
				cancel()
			}
		})
	}
	for range 3 {
		before := acknowledged.Load()
		waitFor(t, "writes go on", func() bool { return acknowledged.Load() > before+20 })
		server.Kill()
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 800*time.Millisecond)
		_, err := countNumbers(ctx, d)
		cancel()
		if reasonOf(err) != "DEPENDENCY_UNAVAILABLE" {
			t.Errorf("reading while the server is down: %v after %s", err, time.Since(began))
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	before := acknowledged.Load()
	waitFor(t, "writes go on after the last restart", func() bool { return acknowledged.Load() > before })
	close(stop)
	wg.Wait()
	n, err := countNumbers(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	// Rows beyond the acknowledged ones have callers that were told that the outcome is not known.
	if n < acknowledged.Load() || n > acknowledged.Load()+refused.Load() {
		t.Errorf("%d rows, %d were acknowledged, %d refused", n, acknowledged.Load(), refused.Load())
	}
	t.Logf("%d rows, %d acknowledged, %d refused", n, acknowledged.Load(), refused.Load())
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(40 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// proxy stands between the database and us, and can swallow what the server answers.
type proxy struct {
	address string
	// cut, when it is set, drops the connections at the first answer of the server after a COMMIT, without handing it on.
	cut atomic.Bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	p := &proxy{address: ln.Addr().String()}
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
			if err != nil {
				_ = client.Close()
				continue
			}
			go p.carry(client, server)
		}
	}()
	return p
}

func (p *proxy) carry(client, server net.Conn) {
	var committing atomic.Bool
	closing := sync.OnceFunc(func() { _, _ = client.Close(), server.Close() })
	go func() {
		defer closing()
		buf := make([]byte, 64<<10)
		for {
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			if p.cut.Load() && strings.Contains(string(buf[:n]), "commit") {
				committing.Store(true)
			}
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	defer closing()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		if committing.Load() && p.cut.CompareAndSwap(true, false) {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestUnansweredCommitIsAskedAfter swallows the answer to a commit: the caller is told what happened, not that something may have.
func TestUnansweredCommitIsAskedAfter(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	p := newProxy(t, "127.0.0.1:"+server.Port)
	d := openURL(t, strings.Replace(server.TCP(), "127.0.0.1:"+server.Port, p.address, 1)+"?sslmode=disable")
	if err := d.Migrate(t.Context(), "test", numbers); err != nil {
		t.Fatal(err)
	}
	for i := range int64(5) {
		p.cut.Store(true)
		if err := addNumber(t.Context(), d, i); err != nil {
			t.Errorf("a commit that took place was answered with %v", err)
		}
		if p.cut.Load() {
			t.Fatal("the proxy cut nothing")
		}
	}
	if n, err := countNumbers(t.Context(), d); err != nil || n != 5 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestStoppedWriterDoesNotHoldTheOthersForEver stops a process in the middle of a transaction; a second one must not wait for it longer than it
// is told to, and writes again once the server has ended the session.
func TestStoppedWriterDoesNotHoldTheOthersForEver(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	cfg := db.Default("")
	cfg.URL, cfg.BusyTimeout = server.URL()+"&idle_in_transaction_session_timeout=1500", 300*time.Millisecond
	a, b := openConfig(t, cfg), openConfig(t, cfg)
	if err := a.Migrate(t.Context(), "test", numbers); err != nil {
		t.Fatal(err)
	}
	inside, leave := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		result <- a.Tx(context.Background(), func(tx *db.Tx) error {
			if _, err := tx.Exec(`INSERT INTO numbers (id) VALUES (1)`); err != nil {
				return err
			}
			close(inside)
			<-leave
			_, err := tx.Exec(`INSERT INTO numbers (id) VALUES (2)`)
			return err
		})
	}()
	<-inside
	began := time.Now()
	if err := addNumber(t.Context(), b, 3); reasonOf(err) != "DEPENDENCY_UNAVAILABLE" || time.Since(began) > 5*time.Second {
		t.Errorf("behind a stopped writer: %v after %s", err, time.Since(began))
	}
	waitFor(t, "the second process writes again", func() bool { return addNumber(t.Context(), b, 3) == nil })
	close(leave)
	if err := <-result; reasonOf(err) != "DEPENDENCY_UNAVAILABLE" {
		t.Errorf("the stopped writer is told %v", err)
	}
	if n, err := countNumbers(t.Context(), b); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func openConfig(t *testing.T, cfg db.Config) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// TestSilentServerIsLeft stops the server's processes without ending them, as a network does that swallows everything.
func TestSilentServerIsLeft(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	cfg := db.Default("")
	cfg.URL, cfg.BusyTimeout, cfg.StatementTimeout = server.URL(), 100*time.Millisecond, 200*time.Millisecond
	d := openConfig(t, cfg)
	if err := d.Migrate(t.Context(), "test", numbers); err != nil {
		t.Fatal(err)
	}
	server.Signal(syscall.SIGSTOP)
	defer server.Signal(syscall.SIGCONT)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := countNumbers(ctx, d); reasonOf(err) != "DEPENDENCY_UNAVAILABLE" || time.Since(began) > 10*time.Second {
		t.Errorf("a silent server: %v after %s", err, time.Since(began))
	}
	short, end := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer end()
	if err := addNumber(short, d, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a shorter deadline of the caller: %v", err)
	}
	server.Signal(syscall.SIGCONT)
	waitFor(t, "the server is used again", func() bool { return addNumber(t.Context(), d, 1) == nil })
}

// TestFullDiskOfPostgres gives a table a small file system of its own.
func TestFullDiskOfPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	space, grow := smallDisk(t, server)
	d := openURL(t, server.URL()+"&default_tablespace="+space)
	if err := d.Migrate(t.Context(), "test", []string{`CREATE TABLE t (data BLOB)`}); err != nil {
		t.Fatal(err)
	}
	write := func() error {
		return d.Tx(t.Context(), func(tx *db.Tx) error {
			data := make([]byte, 1<<20)
			if _, err := io.ReadFull(noise, data); err != nil { // what can be compressed would fit
				return err
			}
			_, err := tx.Exec(`INSERT INTO t (data) VALUES (?)`, data)
			return err
		})
	}
	var err error
	for range 40 {
		if err = write(); err != nil {
			break
		}
	}
	if reasonOf(err) != "STORAGE_FULL" {
		t.Fatalf("on a full disk: %v", err)
	}
	grow()
	if err := write(); err != nil {
		t.Errorf("after space came back: %v", err)
	}
}

// TestPasswordIsNowhere fails to log in and to connect, and reads every error and log line.
func TestPasswordIsNowhere(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	cfg := db.Default("")
	log := &logBuffer{}
	cfg.Log, cfg.StartTimeout = log.logger(), 200*time.Millisecond
	const wrong = "wr0ng-passw0rd"
	for _, url := range []string{
		strings.Replace(server.TCP(), "switchyard:", "nobody-"+"x:", 1),
		"postgres://switchyard:" + wrong + "@127.0.0.1:" + server.Port + "/postgres",
		"postgres://switchyard:" + wrong + "@127.0.0.1:1/postgres",
		"postgres://127.0.0.1:" + server.Port + "/nothing?user=switchyard&password=" + wrong,
	} {
		cfg.URL = url
		began := time.Now()
		d, err := db.Open(t.Context(), cfg)
		if err == nil {
			_ = d.Close()
			t.Errorf("opened %s", url)
			continue
		}
		if time.Since(began) > 20*time.Second {
			t.Errorf("%v took %s", err, time.Since(began))
		}
		for _, secret := range []string{wrong, "s3cret"} {
			if strings.Contains(err.Error(), secret) || strings.Contains(log.String(), secret) {
				t.Errorf("the password is told: %v\n%s", err, log)
			}
		}
	}
}
