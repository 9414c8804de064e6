package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Wanted says whether tests that can run on either engine shall run on Postgres.
func Wanted() bool { return os.Getenv(EnvDB) == "postgres" }

var (
	shared   = sync.OnceValues(startShared)
	schemas  atomic.Int64
	makingID = fmt.Sprintf("t%d", os.Getpid())
)

// startShared starts the server that all tests of a binary share. It ends with the binary: its input ends then.
func startShared() (string, error) {
	if u := os.Getenv(EnvURL); u != "" {
		return u, nil
	}
	s, err := create(context.Background(), []string{"fsync=off", "full_page_writes=off"}) // of these tests none cuts the power
	if s == nil || err != nil {
		return "", err
	}
	s.cleanup = true
	return s.URL(), s.Start(context.Background())
}

// Schema returns the address of a new, empty schema on the server that all tests of a binary share, and drops it with the test. The test
// is skipped where no Postgres is installed.
func Schema(tb testing.TB) string {
	tb.Helper()
	base, err := shared()
	if err != nil {
		tb.Fatal(err)
	}
	if base == "" {
		tb.Skip("no Postgres from version 15 is installed: script/test-deps installs it")
	}
	name := fmt.Sprintf("%s_%d", makingID, schemas.Add(1))
	execute(tb, base, "CREATE SCHEMA "+name)
	tb.Cleanup(func() { execute(tb, base, "DROP SCHEMA IF EXISTS "+name+" CASCADE") })
	mark := "?"
	if strings.Contains(base, "?") {
		mark = "&"
	}
	return base + mark + url.Values{"search_path": {name}}.Encode()
}

func execute(tb testing.TB, address, statement string) {
	tb.Helper()
	ctx := context.Background() // also after the test's own has ended
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		tb.Errorf("%s: %v", statement, err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, statement); err != nil {
		tb.Errorf("%s: %v", statement, err)
	}
}
