package db

import (
	"context"
	"fmt"
	"time"
)

// Scrub takes what was deleted or overwritten before the call out of the files as well, as far as they are this package's to write: SQLite's write-ahead log holds old pages
// until it is folded into the database. In Postgres vacuuming does so, some time later; its log is the operator's.
func (d *DB) Scrub(ctx context.Context) error {
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		done, err := d.dialect.scrub(ctx, d.write)
		if err != nil {
			return d.failed(ctx, "scrub", err)
		}
		if done {
			return nil
		}
		select { // a reader still sees the old state
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("scrub: %w", context.Cause(ctx))
		}
	}
}
