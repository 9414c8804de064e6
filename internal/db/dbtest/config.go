package dbtest

import (
	"os"
	"sync"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/pgtest"
)

// places are the Postgres schemas that stand for SQLite files, by path.
var places sync.Map

// envPlace tells a child process of a test which database is its parent's.
const envPlace = "SWITCHYARD_TEST_DB_URL"

// Child returns the environment in which a child process of the test finds the same database at the path.
func Child(tb testing.TB, path string) []string {
	tb.Helper()
	return append(os.Environ(), envPlace+"="+Config(tb, path).URL)
}

// Config returns the configuration of a test's database: the SQLite file at the path or, when SWITCHYARD_TEST_DB is postgres, a schema that stands
// for it. The same path is the same database.
func Config(tb testing.TB, path string) db.Config {
	tb.Helper()
	cfg := db.Default(path)
	if !pgtest.Wanted() {
		return cfg
	}
	if cfg.URL = os.Getenv(envPlace); cfg.URL != "" {
		return cfg
	}
	url, known := places.Load(path)
	if !known {
		url = pgtest.Schema(tb)
		places.Store(path, url)
	}
	cfg.URL = url.(string)
	return cfg
}
