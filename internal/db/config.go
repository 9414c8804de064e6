package db

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config says where the database is and how it is used.
type Config struct {
	// Path of the SQLite file. Beside it lie its write-ahead log (-wal) and index (-shm); all three belong together.
	Path string `yaml:"path"`
	// Readers is how many transactions may read at once, 1 to 64.
	Readers int `yaml:"readers"`
	// BusyTimeout is how long a statement waits for another process that holds the lock, 0 to 1 minute.
	BusyTimeout time.Duration `yaml:"busy_timeout"`
	// Log receives what goes wrong below a fault; nil for none.
	Log *slog.Logger `yaml:"-"`
}

// Default returns the configuration for the database file at path.
func Default(path string) Config {
	return Config{Path: path, Readers: 4, BusyTimeout: 5 * time.Second}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Path == "" {
		errs = append(errs, errors.New("path: must not be empty"))
	}
	if c.Readers < 1 || c.Readers > 64 {
		errs = append(errs, fmt.Errorf("readers: is %d, must be 1 to 64", c.Readers))
	}
	if c.BusyTimeout < 0 || c.BusyTimeout > time.Minute {
		errs = append(errs, fmt.Errorf("busy_timeout: is %s, must be 0s to 1m", c.BusyTimeout))
	}
	return errors.Join(errs...)
}
