package db_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/db/pgtest"
)

func TestPostgresConforms(t *testing.T) {
	t.Parallel()
	dbtest.Run(t, func(tb testing.TB) dbtest.Opener {
		url := pgtest.Schema(tb)
		return func(tb testing.TB) *db.DB { return openURL(tb, url) }
	})
}

func openURL(tb testing.TB, url string) *db.DB {
	tb.Helper()
	cfg := db.Default("")
	cfg.URL, cfg.PollInterval = url, 50*time.Millisecond
	d, err := db.Open(context.Background(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	return d
}

func TestConfigErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://user:hunter2@host:port/db", "postgres://user:hunter2@h/db?sslmode=perhaps", "postgres://u:hunter2%zz@h/db", "mysql://u:hunter2@h/db",
		"postgres://u@h/db?password=hunter2&connect_timeout=soon", "postgres://us er:hunter2@[::1/db", "postgres://u:hun#ter2@h/db?sslmode=perhaps",
	} {
		cfg := db.Default("")
		cfg.URL = url
		err := cfg.Validate()
		if err == nil {
			t.Errorf("%s was accepted", url)
			continue
		}
		if text := err.Error(); strings.Contains(text, "hunter2") || strings.Contains(text, "ter2") {
			t.Errorf("message holds the password: %s", text)
		}
	}
	for _, url := range []string{"postgres://u:p@h1:5432,h2:5433/db", "postgresql:///db?host=/run/postgresql", "postgres://u@10.0.0.1/db?sslmode=require"} {
		cfg := db.Default("")
		cfg.URL = url
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}
