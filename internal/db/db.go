// Package db keeps the tables of the services: in SQLite on one machine, in Postgres where several processes share them. It knows
// connections, transactions and migrations, not what any table means; every service owns its tables and its SQL.
//
// # Portable SQL
//
// Statements are written for SQLite and Postgres alike, so that an engine is one more [dialect] and nothing else:
//
//   - "?" for parameters; BIGINT, TEXT, DOUBLE PRECISION and BLOB as types, in any case, so that no column has such a name. A truth is a BIGINT of 0 or 1, a time one of microseconds
//     (see [Micros]). TEXT is valid UTF-8 without NUL and is ordered by bytes.
//   - Numbers handed out by a counter column (UPDATE … RETURNING), never by AUTOINCREMENT. INSERT … ON CONFLICT (columns) DO NOTHING or DO
//     UPDATE for upserts, never OR IGNORE or OR REPLACE; in DO UPDATE the old row is the table's name, the new one excluded.
//   - Every column that is selected beside an aggregate is in GROUP BY; subqueries in FROM have a name; NULL is not sorted by.
//   - WITHOUT ROWID after a table of small rows that is only read by its key: SQLite writes them once then; Postgres does not hear of it.
//   - LIKE on lower-case texts only (one engine ignores case, the other does not); no max or min of two values, no comparison as a value: CASE WHEN instead.
//
// The suite in dbtest says what an engine must do. A service's own tests run against Postgres with SWITCHYARD_TEST_DB=postgres.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// DB is an open database. Its methods may be called from many goroutines.
type DB struct {
	write   *sql.DB // one connection: writers queue here, not at SQLite's lock
	read    *sql.DB
	dialect dialect
	log     *slog.Logger
	// ceiling bounds a transaction whose caller has no deadline, for the case that a network swallows the answer; 0 for none.
	ceiling time.Duration

	writers atomic.Int64 // transactions that write or wait for it

	pollInterval time.Duration
	follower     follower
	topics       topics
}

// Open opens the database: that of the URL, or the file at the path, which it makes together with its folder when they do not exist.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if cfg.URL != "" {
		d, err := openPostgres(ctx, cfg)
		if err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
		d.ceiling = cfg.BusyTimeout + 2*cfg.StatementTimeout
		return d.ready(ctx, cfg)
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Path), 0o700); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	d, err := openSQLite(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", cfg.Path, err)
	}
	return d.ready(ctx, cfg)
}

// ready makes the tables of this package itself.
func (d *DB) ready(ctx context.Context, cfg Config) (*DB, error) {
	d.pollInterval = cfg.PollInterval
	if err := d.Migrate(ctx, "db", changeSteps); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), d.Close())
	}
	return d, nil
}

// Close closes the database. Everything that was committed is on disk already.
func (d *DB) Close() error {
	d.follower.close()
	// Readers first: the last connection to close folds the write-ahead log into the database, and must be allowed to write.
	return errors.Join(d.read.Close(), d.write.Close())
}

// Tx runs fn in a transaction that may write. One transaction writes at a time, over all processes that share the database: what fn has
// read stays true until the commit, and fn runs once. When fn returns nil the changes are on disk before Tx returns; otherwise nothing has
// changed. fn must not call Tx again, and must not keep the transaction. A statement that fails ends the transaction: fn can return
// another error for it, and nothing else.
func (d *DB) Tx(ctx context.Context, fn func(*Tx) error) error {
	return d.tx(ctx, false, fn)
}

func (d *DB) tx(ctx context.Context, patient bool, fn func(*Tx) error) error {
	d.writers.Add(1)
	defer d.writers.Add(-1)
	return d.run(ctx, d.write, d.dialect.write(), patient, func(tx *Tx) error {
		tx.writers = &d.writers
		if err := d.dialect.begun(tx, patient); err != nil {
			return d.dialect.classify(err)
		}
		return fn(tx)
	})
}

// View runs fn in a transaction that sees one state of the database throughout and must not write. It never waits for a writer.
func (d *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return d.run(ctx, d.read, d.dialect.view(), false, fn)
}

func (d *DB) run(outer context.Context, pool *sql.DB, options *sql.TxOptions, unbounded bool, fn func(*Tx) error) (err error) {
	ctx, cancel := outer, func() {}
	if d.ceiling > 0 && !unbounded {
		ctx, cancel = context.WithTimeoutCause(outer, d.ceiling, fmt.Errorf("%w: no answer within %s", errDown, d.ceiling))
	}
	defer cancel()
	tx, err := d.begin(ctx, pool, options)
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
	if t.broken != nil { // fn overlooked it; committing the rest would be half a transaction
		return d.failed(ctx, "transaction", t.broken)
	}
	done = true
	if err := d.follower.commit(t.changed, tx.Commit); err != nil {
		_ = tx.Rollback()
		if !d.settled(ctx, t, err) {
			return d.failed(ctx, "commit", err)
		}
	}
	d.topics.tell(t.topics)
	return nil
}

// begin begins a transaction. Connections of the pool may have died with the server that they led to; nothing has happened yet, so another
// one is tried.
func (d *DB) begin(ctx context.Context, pool *sql.DB, options *sql.TxOptions) (*sql.Tx, error) {
	for spare := pool.Stats().Idle; ; spare-- {
		tx, err := pool.BeginTx(ctx, options)
		if err == nil || spare <= 0 || ctx.Err() != nil || !errors.Is(d.dialect.classify(err), errDown) {
			return tx, err
		}
	}
}

// settled says whether a transaction took place although its commit was not answered.
func (d *DB) settled(ctx context.Context, t *Tx, err error) bool {
	if t.number == "" || ctx.Err() != nil || !errors.Is(d.dialect.classify(err), errDown) {
		return false
	}
	asking, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	took, unknown := d.dialect.committed(asking, d.read, t.number)
	if unknown != nil {
		d.log.ErrorContext(ctx, "a commit was not answered, and whether it took place is unknown", "transaction", t.number, "error", unknown)
		return false
	}
	d.log.WarnContext(ctx, "a commit was not answered", "transaction", t.number, "took_place", took, "error", err)
	return took
}

// settleTimeout is how long the outcome of an unanswered commit is asked for: a server that crashed is back by then.
const settleTimeout = 5 * time.Second

// Tx is a running transaction. It belongs to one goroutine.
type Tx struct {
	tx      *sql.Tx
	ctx     context.Context //nolint:containedctx // a transaction lives inside one call and ends with its context
	dialect dialect
	number  string // how the server calls the transaction; empty where it is never asked for
	broken  error  // the failure of a statement
	changed map[int64]int64
	topics  []string // told after the commit
	writers *atomic.Int64

	statements map[string]*sql.Stmt // what was executed; nil for what was executed once
}

// Awaited says whether another transaction of this process waits until this one ends. Whoever writes much that nobody waits for can commit what is done and go on in the next transaction. Of
// other processes that share the database nothing is known.
func (t *Tx) Awaited() bool { return t.writers != nil && t.writers.Load() > 1 }

// Exec runs a statement and returns how many rows it changed.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	args, err := t.prepare(args)
	if err != nil {
		return 0, err
	}
	s, err := t.statement(query)
	if err != nil {
		return 0, t.fail(err)
	}
	res, err := s.exec(t.ctx, args)
	if err != nil {
		return 0, t.fail(err)
	}
	return res.RowsAffected()
}

// Get scans the only row of a query into dest. It returns false when there is none.
func (t *Tx) Get(query string, args []any, dest ...any) (bool, error) {
	args, err := t.prepare(args)
	if err != nil {
		return false, err
	}
	s, err := t.statement(query)
	if err != nil {
		return false, t.fail(err)
	}
	err = s.row(t.ctx, args).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, t.fail(err)
	}
	return true, nil
}

// Each calls fn for every row of a query; fn scans it. No other statement may run in the transaction meanwhile.
func (t *Tx) Each(query string, args []any, fn func(scan func(dest ...any) error) error) error {
	args, err := t.prepare(args)
	if err != nil {
		return err
	}
	s, err := t.statement(query)
	if err != nil {
		return t.fail(err)
	}
	rows, err := s.query(t.ctx, args)
	if err != nil {
		return t.fail(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return t.fail(err)
	}
	return nil
}

// prepare returns the values of a statement that may run: one engine goes on after a failed statement, another does not, so none does.
func (t *Tx) prepare(args []any) ([]any, error) {
	if t.broken != nil {
		return nil, t.broken
	}
	return arguments(args)
}

func (t *Tx) fail(err error) error {
	t.broken = t.dialect.classify(err)
	return t.broken
}
