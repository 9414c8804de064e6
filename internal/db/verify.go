package db

import (
	"context"
	"fmt"
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
func (sqliteDialect) verify(ctx context.Context, d *DB) (problems []error, looked int64, err error) {
	pages, err := d.textRows(ctx, `PRAGMA page_count`)
	if err == nil && len(pages) == 1 {
		_, _ = fmt.Sscan(pages[0], &looked)
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

// verify says whether the server checks its pages.
func (postgresDialect) verify(ctx context.Context, d *DB) (problems []error, looked int64, err error) {
	_, err = d.textRows(ctx, `SHOW data_checksums`)
	return nil, 0, err
}
