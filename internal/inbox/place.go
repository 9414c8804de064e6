package inbox

import (
	"context"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// Where a consumer is whose events have numbers and whose effects happen once by themselves: one row instead of one for each event.
const places = `CREATE TABLE inbox_places (
		consumer TEXT   NOT NULL,
		stream   TEXT   NOT NULL,
		seq      BIGINT NOT NULL,
		PRIMARY KEY (consumer, stream)
	)`

// Place returns up to which event of a stream a consumer has kept what it saw; known is false when it never did.
func Place(ctx context.Context, d *db.DB, consumer, stream string) (seq uint64, known bool, err error) {
	var n int64
	err = d.View(ctx, func(tx *db.Tx) error {
		known, err = tx.Get(`SELECT seq FROM inbox_places WHERE consumer = ? AND stream = ?`, []any{consumer, stream}, &n)
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("inbox: place of %s: %w", consumer, err)
	}
	return uint64(n), known, nil
}

// Keep remembers a place. It never goes back.
func Keep(ctx context.Context, d *db.DB, consumer, stream string, seq uint64) error {
	err := d.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO inbox_places (consumer, stream, seq) VALUES (?, ?, ?)
			ON CONFLICT (consumer, stream) DO UPDATE SET seq = excluded.seq WHERE inbox_places.seq < excluded.seq`, consumer, stream, int64(seq))
		return err
	})
	if err != nil {
		return fmt.Errorf("inbox: keep the place of %s: %w", consumer, err)
	}
	return nil
}
