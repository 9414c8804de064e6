// Package inbox makes the effects of events happen once, however often and however late an event comes again. A consumer asks it inside the
// transaction that has the effect:
//
//	err := d.Tx(ctx, func(tx *db.Tx) error {
//		fresh, err := inbox.Once(tx, "review", delivery.ID)
//		if err != nil || !fresh {
//			return err
//		}
//		… the effect …
//	})
//
// The id is remembered if and only if the effect is committed. The tables must be there: call Migrate once before the first Once, and run Prune.
package inbox

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// An id takes its own length and that of the consumer's name twice (row and index), and about 40 bytes.
var schema = []string{
	`CREATE TABLE inbox (
		consumer TEXT   NOT NULL,
		id       TEXT   NOT NULL,
		seen     BIGINT NOT NULL,
		PRIMARY KEY (consumer, id)
	);
	CREATE INDEX inbox_by_time ON inbox (seen)`,
	places,
}

// Migrate makes the inbox's table.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "inbox", schema) }

// Once says whether a consumer sees an event for the first time, and remembers it when the transaction commits. A repetition makes the inbox remember it
// anew from then on.
//
// Two transactions that ask for the same id at the same time wait for each other; one of them gets true.
func Once(tx *db.Tx, consumer, eventID string) (fresh bool, err error) {
	if consumer == "" || eventID == "" || len(consumer) > 64 || len(eventID) > 1024 {
		return false, fmt.Errorf("inbox: consumer %q and event %q: 1 to 64 and 1 to 1024 bytes", consumer, eventID)
	}
	now := db.Micros(time.Now())
	n, err := tx.Exec(`INSERT INTO inbox (consumer, id, seen) VALUES (?, ?, ?) ON CONFLICT (consumer, id) DO NOTHING`, consumer, eventID, now)
	if err != nil {
		return false, fmt.Errorf("inbox: %w", err)
	}
	if n == 1 {
		return true, nil
	}
	if _, err := tx.Exec(`UPDATE inbox SET seen = ? WHERE consumer = ? AND id = ? AND seen < ?`, now, consumer, eventID, now); err != nil {
		return false, fmt.Errorf("inbox: %w", err)
	}
	return false, nil
}

// Config says how long ids are remembered.
type Config struct {
	// Keep is how long an id is remembered at least, since it was last seen. It must be longer than an event can be under way: the bus's max_age, or as
	// long as an operator may wait to replay. From 1 h; default 720 h (30 days).
	Keep time.Duration `yaml:"keep"`
}

// Default returns the configuration that is right for most.
func Default() Config { return Config{Keep: 30 * 24 * time.Hour} }

// Validate returns what is wrong with the configuration.
func (c Config) Validate() error {
	if c.Keep < time.Hour {
		return fmt.Errorf("keep is %v, at least 1h", c.Keep)
	}
	return nil
}

const (
	pruneInterval = 10 * time.Minute
	// One transaction forgets so many ids: the writer is free again after some milliseconds.
	pruneBatch = 2000
	// At most so many per round, so that a large backlog does not keep the disk busy.
	pruneRounds = 500
)

// Prune forgets the ids whose time is over, now and every ten minutes until the context ends, and then returns nil. Several processes may do it.
func Prune(ctx context.Context, d *db.DB, c Config, log *slog.Logger) error {
	if err := c.Validate(); err != nil {
		return fmt.Errorf("inbox: %w", err)
	}
	tick := time.NewTicker(pruneInterval)
	defer tick.Stop()
	for {
		if n, err := Forget(ctx, d, time.Now().Add(-c.Keep)); ctx.Err() != nil {
			return nil
		} else if err != nil && log != nil {
			log.Warn("the inbox could not be pruned", "error", err)
		} else if n > 0 && log != nil {
			log.Debug("inbox pruned", "ids", n)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Forget forgets the ids that were last seen before a time, and returns how many; at most a million at once.
func Forget(ctx context.Context, d *db.DB, before time.Time) (n int64, err error) {
	for range pruneRounds {
		var gone int64
		err = d.Tx(ctx, func(tx *db.Tx) error {
			var upTo int64
			// The last of a batch of the oldest ids. Ids of the same microsecond go together.
			ok, err := tx.Get(`SELECT MAX(seen) FROM (SELECT seen FROM inbox WHERE seen < ? ORDER BY seen LIMIT ?) oldest HAVING COUNT(*) > 0`,
				[]any{db.Micros(before), pruneBatch}, &upTo)
			if err != nil || !ok {
				return err
			}
			gone, err = tx.Exec(`DELETE FROM inbox WHERE seen <= ?`, upTo)
			return err
		})
		n += gone
		if err != nil {
			return n, fmt.Errorf("forget ids: %w", err)
		}
		if gone == 0 {
			return n, nil
		}
	}
	return n, nil
}
