package db

import (
	"context"
	"database/sql"
)

// dialect is what differs between database engines.
type dialect interface {
	// bind turns "?" parameters into those of the engine.
	bind(query string) string
	// schema turns the portable types of a migration into those of the engine.
	schema(step string) string
	// write and view are how transactions begin; nil for the engine's own way.
	write() *sql.TxOptions
	view() *sql.TxOptions
	// begun makes a transaction that has just begun the only one that writes. A patient one may wait and last as long as it needs.
	begun(tx *Tx, patient bool) error
	// committed says whether the transaction of that number took place although its commit failed with [errDown].
	committed(ctx context.Context, pool *sql.DB, number string) (bool, error)
	// forgetsStatements says whether the driver reads a statement anew each time.
	forgetsStatements() bool
	// hasTable says whether the table exists.
	hasTable(tx *Tx, name string) (bool, error)
	// scrub takes old pages out of the engine's own log; false when a reader still needs them.
	scrub(ctx context.Context, pool *sql.DB) (done bool, err error)
	// verify reads the whole database; see [DB.Verify].
	verify(ctx context.Context, d *DB) (problems []error, looked int64, err error)
	// classify wraps an error of the driver with [ErrConflict], [errFull] or [errDown] where it is one; nil stays nil.
	classify(err error) error
}
