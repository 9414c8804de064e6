package db

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db/wal"
)

// Verify reads the whole database and names what is damaged: pages whose checksum is wrong, structures that do not hold together, rows that refer to rows that are not there. It
// returns how many pages it looked at; 0 on Postgres, which checks its pages by itself where it was made with checksums.
func (d *DB) Verify(ctx context.Context) (problems []error, looked int64, err error) {
	return d.dialect.verify(ctx, d)
}

// textRows runs a statement outside of a transaction and returns the first column of its rows.
func (d *DB) textRows(ctx context.Context, query string) (out []string, err error) {
	rows, err := d.read.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return out, err
		}
		out = append(out, s)
	}
	return out, rows.Err()
}

// verify runs SQLite's own check of structures and of foreign keys. What it says of damage is no error: it is what was asked for.
func (s sqliteDialect) verify(ctx context.Context, d *DB) (problems []error, looked int64, err error) {
	if s.sealed {
		if problems, looked, err = verifyPages(ctx, s.path); err != nil {
			return problems, looked, err
		}
	}
	log, err := wal.Verify(s.path)
	if err != nil {
		return problems, looked, err
	}
	looked += log.Frames
	if log.Problem != "" {
		problems = append(problems, fmt.Errorf("database: %w", walError(s.path, log)))
	}
	if s.suspect != nil {
		problems = append(problems, fmt.Errorf("database: %w", s.suspect))
	}
	for _, check := range []struct{ query, fine string }{{`PRAGMA integrity_check`, "ok"}, {`SELECT "table" || ', row ' || coalesce(rowid, 0) FROM pragma_foreign_key_check`, ""}} {
		found, err := d.textRows(ctx, check.query)
		if ctx.Err() != nil {
			return problems, looked, ctx.Err()
		}
		for _, text := range found {
			if text != check.fine {
				problems = append(problems, fmt.Errorf("database: %s", text))
			}
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("database: %w", err))
		}
	}
	return problems, looked, nil
}

// again is how often a page is read that looks damaged, and betweenReads how long apart: it may just be written.
const (
	again        = 3
	betweenReads = 10 * time.Millisecond
)

// verifyPages checks every page of a sealed file, also those that hold nothing. It may run while others write.
func verifyPages(ctx context.Context, path string) (problems []error, looked int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	buf := make([]byte, 256*pageSize)
	for at := int64(0); ; at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return problems, looked, err
		}
		n, err := f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return problems, looked, err
		}
		for i := 0; i+pageSize <= n; i += pageSize {
			number := uint64(at+int64(i))/pageSize + 1
			looked++
			if !whole(buf[i:i+pageSize], number) && !wholeAgain(f, buf[i:i+pageSize], number) {
				problems = append(problems, fmt.Errorf("database: page %d, at byte %d of %s: its checksum is wrong", number, at+int64(i), filepath.Base(path)))
			}
		}
		if n < len(buf) {
			if n%pageSize != 0 {
				problems = append(problems, fmt.Errorf("database: %s ends inside page %d", filepath.Base(path), looked+1))
			}
			return problems, looked, nil
		}
	}
}

// wholeAgain reads a page anew that may have been read while it was written.
func wholeAgain(f *os.File, page []byte, number uint64) bool {
	for range again {
		time.Sleep(betweenReads)
		if _, err := f.ReadAt(page, int64(number-1)*pageSize); err == nil && whole(page, number) {
			return true
		}
	}
	return false
}

// verify says whether the server checks its pages.
func (postgresDialect) verify(ctx context.Context, d *DB) (problems []error, looked int64, err error) {
	_, err = d.textRows(ctx, `SHOW data_checksums`)
	return nil, 0, err
}
