package db

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Config says where the database is and how it is used.
type Config struct {
	// URL of a Postgres database, from version 15: postgres://user@host/database. Parameters are those of libpq (sslmode, sslrootcert,
	// passfile, options, …); to a host beyond this machine sslmode is verify-full unless the URL says otherwise. Empty, the default:
	// SQLite in the data folder.
	URL string `yaml:"url"`
	// Path of the SQLite file. Beside it lie its write-ahead log (-wal) and index (-shm); all three belong together. Default switchyard.db
	// in the data folder.
	Path string `yaml:"path"`
	// Readers is how many transactions may read at once in this process, 1 to 64; default 4. With the one that writes this is the number of
	// connections to Postgres.
	Readers int `yaml:"readers"`
	// BusyTimeout is how long a transaction waits for another process that writes, and a connection to Postgres to be made, up to 1 minute;
	// default 5 s.
	BusyTimeout time.Duration `yaml:"busy_timeout"`
	// StatementTimeout bounds one statement on Postgres, 100 ms to 1 hour; default 30 s.
	StatementTimeout time.Duration `yaml:"statement_timeout"`
	// StartTimeout is how long a start waits for a Postgres that does not answer yet, up to 1 hour; default 30 s.
	StartTimeout time.Duration `yaml:"start_timeout"`
	// PollInterval is how often a process looks for what others have changed, 10 ms to 1 minute; default 1 s.
	PollInterval time.Duration `yaml:"poll_interval"`
	// Log receives what goes wrong below a fault; nil for none.
	Log *slog.Logger `yaml:"-"`
}

// Default returns the configuration for the SQLite file at path.
func Default(path string) Config {
	return Config{
		Path: path, Readers: 4, BusyTimeout: 5 * time.Second, StatementTimeout: 30 * time.Second, StartTimeout: 30 * time.Second,
		PollInterval: time.Second,
	}
}

// Validate reports everything that is wrong with the configuration. No message holds the URL, which may hold a password.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if c.URL == "" {
		check(c.Path != "", "path: must not be empty")
	} else if !strings.HasPrefix(c.URL, "postgres://") && !strings.HasPrefix(c.URL, "postgresql://") {
		errs = append(errs, errors.New("url: must begin with postgres://"))
	} else if _, err := postgresConfig(c); err != nil {
		errs = append(errs, fmt.Errorf("url: %w", err))
	}
	check(c.Readers >= 1 && c.Readers <= 64, "readers: is %d, must be 1 to 64", c.Readers)
	check(c.BusyTimeout >= 0 && c.BusyTimeout <= time.Minute, "busy_timeout: is %s, must be 0s to 1m", c.BusyTimeout)
	check(c.StatementTimeout >= 100*time.Millisecond && c.StatementTimeout <= time.Hour, "statement_timeout: is %s, must be 100ms to 1h", c.StatementTimeout)
	check(c.StartTimeout >= 0 && c.StartTimeout <= time.Hour, "start_timeout: is %s, must be 0s to 1h", c.StartTimeout)
	check(c.PollInterval >= 10*time.Millisecond && c.PollInterval <= time.Minute, "poll_interval: is %s, must be 10ms to 1m", c.PollInterval)
	return errors.Join(errs...)
}
