package db

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

const stepsTable = `CREATE TABLE IF NOT EXISTS schema_steps (
	owner    TEXT   NOT NULL,
	step     BIGINT NOT NULL,
	checksum TEXT   NOT NULL,
	applied  BIGINT NOT NULL,
	PRIMARY KEY (owner, step)
)`

// Migrate brings the tables of an owner (a service) up to date. steps are SQL, one or more statements each; steps that have been
// applied must never be changed or removed, new ones are added at the end. The missing steps are applied together in one
// transaction, so that a crash leaves either the old tables or the new ones.
//
// It fails when an applied step was changed, and when the database has steps that this release does not know.
func (d *DB) Migrate(ctx context.Context, owner string, steps []string) error {
	current := false
	err := d.View(ctx, func(tx *Tx) error {
		exists, err := d.dialect.hasTable(tx, "schema_steps")
		if err != nil || !exists {
			return err
		}
		done, err := applied(tx, owner, steps)
		current = done == len(steps)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	if current { // the usual start: nothing is written, nothing waits for the disk
		return nil
	}
	err = d.tx(ctx, true, func(tx *Tx) error { // of processes that start together one migrates, and the others find it done
		if _, err := tx.Exec(d.dialect.schema(stepsTable)); err != nil {
			return err
		}
		done, err := applied(tx, owner, steps)
		if err != nil {
			return err
		}
		for i := done; i < len(steps); i++ {
			if _, err := tx.Exec(d.dialect.schema(steps[i])); err != nil {
				return fmt.Errorf("step %d: %w", i+1, err)
			}
			_, err := tx.Exec(`INSERT INTO schema_steps (owner, step, checksum, applied) VALUES (?, ?, ?, ?)`,
				owner, i+1, checksum(steps[i]), Micros(time.Now()))
			if err != nil {
				return fmt.Errorf("step %d: %w", i+1, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("migrate %s: %w", owner, err)
	}
	return nil
}

// applied returns how many of the steps have been applied, and compares them with those that this release brings.
func applied(tx *Tx, owner string, steps []string) (int, error) {
	done := 0
	err := tx.Each(`SELECT step, checksum FROM schema_steps WHERE owner = ? ORDER BY step`, []any{owner}, func(scan func(...any) error) error {
		var step int
		var sum string
		if err := scan(&step, &sum); err != nil {
			return err
		}
		if step > len(steps) {
			return fmt.Errorf("database has step %d, this release knows %d: it was written by a newer release", step, len(steps))
		}
		if sum != checksum(steps[step-1]) {
			return fmt.Errorf("step %d was applied in another form: applied steps must not be changed", step)
		}
		done = step
		return nil
	})
	return done, err
}

func checksum(step string) string {
	sum := sha256.Sum256([]byte(step))
	return hex.EncodeToString(sum[:])
}

// HasTable says whether the database has a table of that name: whoever only reads may come before its owner.
func (d *DB) HasTable(ctx context.Context, name string) (exists bool, err error) {
	err = d.View(ctx, func(tx *Tx) (err error) {
		exists, err = d.dialect.hasTable(tx, name)
		return err
	})
	return exists, err
}

// Migrated returns when the first step of an owner's tables was applied; zero when none was.
func (d *DB) Migrated(ctx context.Context, owner string) (at time.Time, err error) {
	err = d.View(ctx, func(tx *Tx) error {
		var applied int64
		ok, err := tx.Get(`SELECT applied FROM schema_steps WHERE owner = ? AND step = 1`, []any{owner}, &applied)
		if ok {
			at = Time(applied)
		}
		return err
	})
	return at, err
}
