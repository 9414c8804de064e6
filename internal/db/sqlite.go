package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/switchyard-ai/switchyard/internal/db/wal"
)

// openSQLite opens one connection that writes and a pool that reads. WAL lets readers go on while a transaction commits;
// synchronous=FULL makes a commit wait for the disk, NORMAL would lose acknowledged commits in a power cut.
func openSQLite(ctx context.Context, cfg Config) (*DB, error) {
	d := &DB{log: cfg.Log}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	sealed, err := prepare(cfg.Path)
	if err != nil {
		return nil, err
	}
	if err := registerSealing(); err != nil {
		return nil, err
	}
	log, err := wal.Verify(cfg.Path) // before SQLite takes over what it believes of it, and forgets the rest
	if err != nil {
		return nil, err
	}
	var suspect error
	if log.Problem != "" {
		if suspect = walError(cfg.Path, log); log.Sure {
			return nil, fmt.Errorf("%w; restore the files from a copy, or move the log away to go on without its transactions", suspect)
		}
		d.log.WarnContext(ctx, "the last transaction of the database is incomplete", "problem", suspect)
	}
	d.dialect = sqliteDialect{path: cfg.Path, sealed: sealed, suspect: suspect}
	if !sealed {
		d.log.WarnContext(ctx, "the database was made without checksums: damage of the disk is found by its structure only", "path", cfg.Path)
	}
	if d.write, err = openPool(dsn(cfg, false, sealed), 1); err != nil {
		return nil, err
	}
	if err := d.write.PingContext(ctx); err != nil { // the file and its journal mode exist before the first reader looks
		_ = d.write.Close()
		return nil, err
	}
	if d.read, err = openPool(dsn(cfg, true, sealed), cfg.Readers); err != nil {
		_ = d.write.Close()
		return nil, err
	}
	return d, nil
}

func openPool(name string, size int) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(name)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool, nil
}

func dsn(cfg Config, readOnly, sealed bool) string {
	q := url.Values{}
	if sealed {
		q.Set("vfs", vfsName)
	}
	q.Set("_busy_timeout", strconv.FormatInt(cfg.BusyTimeout.Milliseconds(), 10))
	q.Set("_foreign_keys", "1")
	q.Set("_synchronous", "FULL")
	q.Set("_dqs", "0")
	q.Set("_defensive", "1")
	// The log is cut back after a checkpoint, so that one large transaction does not occupy the disk for ever.
	q.Set("_pragma", "journal_size_limit(16777216)")
	// What is deleted is overwritten, so that an erasure leaves nothing in free pages. The pages are written anyway.
	q.Add("_pragma", "secure_delete(1)")
	// What a statement of many rows would need to be undone is small and lives as long as the statement: it need not go through files.
	q.Add("_pragma", "temp_store(memory)")
	if readOnly {
		q.Set("_txlock", "deferred")
		q.Set("_query_only", "1")
	} else {
		q.Set("_journal_mode", "WAL")
		// Pages that change again and again, such as those of indexes, are copied into the database once in 16 MiB of log and not once in 4.
		q.Add("_pragma", "wal_autocheckpoint(4000)")
		q.Add("_pragma", "cache_size(-8192)")
		q.Set("_txlock", "immediate") // take the lock at the beginning: a transaction never fails half-way for want of it
	}
	// As a URL, so that "?" and "%" in folder names are not read as part of the query.
	abs, err := filepath.Abs(cfg.Path)
	if err != nil {
		abs = cfg.Path
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: q.Encode()}).String()
}

// walError names what is wrong with the log of a database.
func walError(path string, st wal.State) error {
	return fmt.Errorf("write-ahead log %s-wal: %s: %w", filepath.Base(path), st.Problem, ErrDamaged)
}

type sqliteDialect struct {
	path    string
	sealed  bool
	suspect error // what looked wrong in the log when it was opened
}

var _ dialect = sqliteDialect{}

func (sqliteDialect) bind(query string) string  { return query }
func (sqliteDialect) forgetsStatements() bool   { return true }
func (sqliteDialect) schema(step string) string { return step }
func (sqliteDialect) write() *sql.TxOptions     { return nil }
func (sqliteDialect) view() *sql.TxOptions      { return nil }

// begun has nothing to do: the transaction began with the only lock that there is.
func (sqliteDialect) begun(*Tx, bool) error { return nil }

// committed is never asked: a commit of SQLite answers.
func (sqliteDialect) committed(context.Context, *sql.DB, string) (bool, error) { return false, nil }

func (sqliteDialect) hasTable(tx *Tx, name string) (bool, error) {
	var one int
	return tx.Get(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?`, []any{name}, &one)
}

// scrub folds the log into the database and cuts it off. It says false when somebody reads from it.
func (sqliteDialect) scrub(ctx context.Context, pool *sql.DB) (done bool, err error) {
	var busy, pages, folded int
	err = pool.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &folded)
	return err == nil && busy == 0, err
}

func (sqliteDialect) classify(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	if e.Code() == sqlite3.SQLITE_IOERR_DATA {
		return fmt.Errorf("%w: %w: a page is not what was written: %w", errDown, ErrDamaged, err)
	}
	switch e.Code() & 0xff { // the primary code; the rest says where it happened
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: %w", errFull, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT,
		sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM:
		return fmt.Errorf("%w: %w", errDown, err)
	}
	return err
}
