package db_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

func TestSQLiteConforms(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(tb testing.TB) dbtest.Opener {
		path := filepath.Join(tb.TempDir(), "a folder?with %41 marks", "switchyard.db")
		return func(tb testing.TB) *db.DB { return open(tb, path) }
	})
}

func open(tb testing.TB, path string) *db.DB {
	tb.Helper()
	cfg := db.Default(path)
	cfg.PollInterval = 50 * time.Millisecond
	d, err := db.Open(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	if err := db.Default("x").Validate(); err != nil {
		t.Errorf("default: %v", err)
	}
	bad := db.Config{Readers: 100, BusyTimeout: -1}
	if err := bad.Validate(); err == nil {
		t.Error("a broken configuration was accepted")
	}
}

func TestFileThatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "switchyard.db")
	if err := os.WriteFile(path, []byte("this is a text and not a database, and long enough to show it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := db.Open(t.Context(), db.Default(path)); err == nil {
		_ = d.Close()
		t.Fatal("opened")
	}
}

// TestKilledProcessLosesNothing commits rows in a child process, kills it without warning and counts them.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "switchyard.db")
	if os.Getenv("DB_TEST_CHILD") != "" {
		t.Skip("this is the child")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildWrites$", "-test.count=1")
	cmd.Env = append(os.Environ(), "DB_TEST_CHILD="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged, buf := 0, make([]byte, 1)
	for acknowledged < 50 {
		if _, err := out.Read(buf); err != nil {
			t.Fatal(err)
		}
		if buf[0] == '+' {
			acknowledged++
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	var n int
	err = open(t, path).View(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Get(`SELECT count(*) FROM t`, nil, &n)
		return err
	})
	if err != nil || n < acknowledged {
		t.Fatalf("%d rows, %d were acknowledged (%v)", n, acknowledged, err)
	}
}

// TestChildWrites is the child process of TestKilledProcessLosesNothing.
func TestChildWrites(t *testing.T) {
	path := os.Getenv("DB_TEST_CHILD")
	if path == "" {
		t.Skip("only runs as a child process")
	}
	d := open(t, path)
	if err := d.Migrate(t.Context(), "test", []string{`CREATE TABLE t (id BIGINT PRIMARY KEY)`}); err != nil {
		t.Fatal(err)
	}
	for i := range 1_000_000 {
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO t (id) VALUES (?)`, i)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("+")
	}
}

func TestTokensBelongToOneList(t *testing.T) {
	t.Parallel()
	token := db.Token("models", "p", "a", "3")
	after, ok, err := db.ParseToken(token, "models", "p", 2)
	if err != nil || !ok || after[0] != "a" || after[1] != "3" {
		t.Fatalf("got %v %v %v", after, ok, err)
	}
	if _, ok, err := db.ParseToken("", "models", "p", 2); ok || err != nil {
		t.Errorf("empty token: %v %v", ok, err)
	}
	for name, bad := range map[string]func() error{
		"another list":   func() error { _, _, err := db.ParseToken(token, "keys", "p", 2); return err },
		"another filter": func() error { _, _, err := db.ParseToken(token, "models", "q", 2); return err },
		"more columns":   func() error { _, _, err := db.ParseToken(token, "models", "p", 3); return err },
		"cut short":      func() error { _, _, err := db.ParseToken(token[:len(token)-4], "models", "p", 2); return err },
		"no token":       func() error { _, _, err := db.ParseToken("{}", "models", "p", 0); return err },
	} {
		if err := bad(); err == nil || fault.From(err).ReasonName() != "INVALID_ARGUMENT" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimesComeBackToTheMicrosecond(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Microsecond)
	if got := db.Time(db.Micros(now)); !got.Equal(now) {
		t.Errorf("%v became %v", now, got)
	}
	if !db.Time(db.Micros(time.Time{})).IsZero() {
		t.Error("the zero time did not survive")
	}
}

func BenchmarkOpenExisting(b *testing.B) {
	path := filepath.Join(b.TempDir(), "switchyard.db")
	steps := []string{`CREATE TABLE t (id BIGINT PRIMARY KEY)`}
	for first := true; b.Loop(); first = false {
		d, err := db.Open(b.Context(), db.Default(path))
		if err != nil {
			b.Fatal(err)
		}
		if err := d.Migrate(b.Context(), "test", steps); err != nil {
			b.Fatal(err)
		}
		if first {
			b.ReportMetric(float64(b.Elapsed().Microseconds()), "first-µs")
		}
		b.StopTimer()
		_ = d.Close()
		b.StartTimer()
	}
}

func TestFullDiskIsAFaultThatPasses(t *testing.T) {
	t.Parallel()
	d := open(t, filepath.Join(t.TempDir(), "switchyard.db"))
	if err := d.Migrate(t.Context(), "test", []string{`CREATE TABLE t (data BLOB)`}); err != nil {
		t.Fatal(err)
	}
	limit := func(pages string) {
		t.Helper()
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			var n int
			_, err := tx.Get(`PRAGMA max_page_count = `+pages, nil, &n) // the file may not grow further: a disk in small
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func() error {
		return d.Tx(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Exec(`INSERT INTO t (data) VALUES (?)`, make([]byte, 1<<20))
			return err
		})
	}
	limit("20")
	if got := fault.From(write()); got == nil || got.ReasonName() != "STORAGE_FULL" {
		t.Errorf("on a full disk: %v", got)
	}
	limit("1000000")
	if err := write(); err != nil {
		t.Errorf("after space came back: %v", err)
	}
}
