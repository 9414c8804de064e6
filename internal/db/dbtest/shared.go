package dbtest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// quotaHolds lets several processes at once, each an own DB, count and insert: what a transaction has counted stays true until its commit.
func quotaHolds(t *testing.T, open Opener) {
	const processes, callers, quota = 3, 4, 10
	var dbs []*db.DB
	for range processes {
		dbs = append(dbs, opened(t, open))
	}
	errFull := errors.New("quota is used up")
	var wg sync.WaitGroup
	for p, d := range dbs {
		for c := range callers {
			wg.Go(func() {
				for i := range quota {
					runs := 0
					err := d.Tx(t.Context(), func(tx *db.Tx) error {
						runs++
						var n int
						if _, err := tx.Get(`SELECT count(*) FROM parents`, nil, &n); err != nil {
							return err
						}
						if n >= quota {
							return errFull
						}
						_, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES (?, ?)`, fmt.Sprint(p, c, i), n)
						return err
					})
					if err != nil && !errors.Is(err, errFull) {
						t.Error(err)
					}
					if runs != 1 {
						t.Errorf("the function ran %d times", runs)
					}
				}
			})
		}
	}
	wg.Wait()
	if got := names(t, dbs[0]); len(got) != quota {
		t.Errorf("%d rows, the quota is %d", len(got), quota)
	}
	// Each saw all before it: the numbers that they counted are all different.
	var counted []int
	err := dbs[0].View(t.Context(), func(tx *db.Tx) error {
		return tx.Each(`SELECT counter FROM parents ORDER BY counter`, nil, func(scan func(...any) error) error {
			var n int
			err := scan(&n)
			counted = append(counted, n)
			return err
		})
	})
	if err != nil || len(slices.Compact(slices.Clone(counted))) != len(counted) {
		t.Errorf("counted %v, %v", counted, err)
	}
}

// startsMigrateOnce starts several processes at the same moment on an empty database.
func startsMigrateOnce(t *testing.T, open Opener) {
	var wg sync.WaitGroup
	for range 6 {
		d := open(t)
		wg.Go(func() {
			if err := d.Migrate(t.Context(), "family", schema); err != nil {
				t.Error(err)
			}
			if err := d.Migrate(t.Context(), "others", []string{`CREATE TABLE others (name TEXT PRIMARY KEY)`}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func failedStatementEnds(t *testing.T, open Opener) {
	d := opened(t, open)
	if err := insert(t.Context(), d, "a"); err != nil {
		t.Fatal(err)
	}
	twice := func(tx *db.Tx) error {
		if _, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES ('b', 0)`); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES ('a', 0)`)
		return err
	}
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		_ = twice(tx)
		return nil // overlooked
	})
	if !errors.Is(err, db.ErrConflict) {
		t.Errorf("an overlooked failure: %v, want ErrConflict", err)
	}
	err = d.Tx(t.Context(), func(tx *db.Tx) error {
		_ = twice(tx)
		_, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES ('c', 0)`)
		return err
	})
	if !errors.Is(err, db.ErrConflict) {
		t.Errorf("a statement after a failed one: %v, want ErrConflict", err)
	}
	if got := names(t, d); !slices.Equal(got, []string{"a"}) {
		t.Errorf("rows of failed transactions: %v", got)
	}
}

func textsAreOrderedByBytes(t *testing.T, open Opener) {
	d := opened(t, open)
	want := []string{"B", "_", "a", "a b", "a-b", "ab", "é", "日"}
	for _, name := range []string{"ab", "日", "a", "é", "_", "a-b", "B", "a b"} {
		if err := insert(t.Context(), d, name); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, d); !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
}

// kind stands for an enumeration of the contract: a number with a name.
type kind int32

func (k kind) String() string { return fmt.Sprintf("KIND_%d", int32(k)) }

func kindsOfValues(t *testing.T, open Opener) {
	d := open(t)
	steps := []string{`CREATE TABLE things (id BIGINT PRIMARY KEY, yes BIGINT NOT NULL, kind BIGINT NOT NULL, share DOUBLE PRECISION NOT NULL,
		"text" TEXT NOT NULL DEFAULT 'a TEXT? a BLOB?', none BLOB) -- why? a BLOB`}
	if err := d.Migrate(t.Context(), "things", steps); err != nil {
		t.Fatal(err)
	}
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO things (id, yes, kind, share, none) VALUES (?, ?, ?, ?, ?)`, uint32(1), true, kind(7), float32(0.5), []byte(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var yes bool
	var k kind
	var share float64
	var text string
	var sum int64
	none := []byte{1}
	err = d.View(t.Context(), func(tx *db.Tx) error {
		ok, err := tx.Get(`SELECT yes, kind, share, "text", none FROM things WHERE yes = ? AND "text" <> '?' /* ? */ AND (? = '' OR "text" = ?) AND (? = 0 OR kind = ?)`,
			[]any{true, "", "", kind(7), kind(7)}, &yes, &k, &share, &text, &none)
		if err == nil && !ok {
			err = errors.New("row is not found")
		}
		if err != nil {
			return err
		}
		_, err = tx.Get(`SELECT SUM(kind) FROM things`, nil, &sum)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !yes || k != 7 || share != 0.5 || text != "a TEXT? a BLOB?" || none != nil || sum != 7 {
		t.Errorf("got %v %v %v %q %v %d", yes, k, share, text, none, sum)
	}
	for _, bad := range []string{"a\x00b", "a\xffb"} {
		err := insertText(t, d, bad)
		if f := fault.From(err); f == nil || f.ReasonName() != "MALFORMED_REQUEST" {
			t.Errorf("%q: %v, want MALFORMED_REQUEST", bad, err)
		}
	}
}

func insertText(t *testing.T, d *db.DB, text string) error {
	t.Helper()
	return d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE things SET "text" = ?`, text)
		return err
	})
}
