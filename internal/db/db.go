// Package db keeps the tables of the services: in SQLite on one machine. It knows connections, transactions and migrations,
// not what any table means; every service owns its tables and its SQL.
//
// # Portable SQL
//
// Statements are written for SQLite and Postgres alike, so that a second engine is one more [dialect] and nothing else: "?" for
// parameters, BIGINT, TEXT, DOUBLE PRECISION and BLOB as types, times as BIGINT microseconds (see [Micros]), numbers handed out by a
// counter column (UPDATE … RETURNING) and never by AUTOINCREMENT, INSERT … ON CONFLICT for upserts. The suite in dbtest says what
// an engine must do.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
)

// DB is an open database. Its methods may be called from many goroutines.
type DB struct {
	write   *sql.DB // one connection: writers queue here, not at SQLite's lock
	read    *sql.DB
	dialect dialect
	log     *slog.Logger
	topics  topics
}

// Open opens the database, and makes it and its folder when they do not exist.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	d, err := openSQLite(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", cfg.Path, err)
	}
	return d, nil
}

// Close closes the database. Everything that was committed is on disk already.
func (d *DB) Close() error {
	// Readers first: the last connection to close folds the write-ahead log into the database, and must be allowed to write.
	return errors.Join(d.read.Close(), d.write.Close())
}

// Tx runs fn in a transaction that may write. One transaction writes at a time. When fn returns nil the changes are on disk before Tx
// returns; otherwise nothing has changed. fn must not call Tx again, and must not keep the transaction.
func (d *DB) Tx(ctx context.Context, fn func(*Tx) error) error {
	return d.run(ctx, d.write, fn)
}

// View runs fn in a transaction that sees one state of the database throughout and must not write. It never waits for a writer.
func (d *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return d.run(ctx, d.read, fn)
}

func (d *DB) run(ctx context.Context, pool *sql.DB, fn func(*Tx) error) (err error) {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return d.failed(ctx, "begin", err)
	}
	done := false
	defer func() {
		if !done { // also when fn panics: the only writer must not stay taken
			_ = tx.Rollback()
		}
	}()
	t := &Tx{tx: tx, ctx: ctx, dialect: d.dialect}
	if err := fn(t); err != nil {
		return d.failed(ctx, "transaction", err)
	}
	done = true
	if err := tx.Commit(); err != nil {
		_ = tx.Rollback()
		return d.failed(ctx, "commit", err)
	}
	d.topics.tell(t.topics)
	return nil
}

// Tx is a running transaction. It belongs to one goroutine.
type Tx struct {
	tx      *sql.Tx
	ctx     context.Context //nolint:containedctx // a transaction lives inside one call and ends with its context
	dialect dialect
	topics  []string // told after the commit
}

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(t.ctx, t.dialect.bind(query), args...)
	if err != nil {
		return 0, t.dialect.classify(err)
	}
	return res.RowsAffected()
}

// Get scans the only row of a query into dest. It returns false when there is none.
func (t *Tx) Get(query string, args []any, dest ...any) (bool, error) {
	err := t.tx.QueryRowContext(t.ctx, t.dialect.bind(query), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, t.dialect.classify(err)
	}
	return true, nil
}

// Each calls fn for every row of a query; fn scans it. No other statement may run in the transaction meanwhile.
func (t *Tx) Each(query string, args []any, fn func(scan func(dest ...any) error) error) error {
	rows, err := t.tx.QueryContext(t.ctx, t.dialect.bind(query), args...)
	if err != nil {
		return t.dialect.classify(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return t.dialect.classify(rows.Err())
}
