// Package dbtest is the suite that every engine of internal/db must pass: the promises of DB, tested through its methods.
package dbtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// Opener opens the same, at first empty, database each time it is called within one test.
type Opener func(tb testing.TB) *db.DB

// Run runs the suite. fresh is called once a test and returns the opener of a new database.
func Run(t *testing.T, fresh func(tb testing.TB) Opener) {
	t.Helper()
	tests := []struct {
		name string
		run  func(t *testing.T, open Opener)
	}{
		{"CommittedRowsSurviveReopening", committedRowsSurvive},
		{"FailedTransactionChangesNothing", failedTransactionChangesNothing},
		{"PanicReleasesTheWriter", panicReleasesTheWriter},
		{"ViewSeesOneState", viewSeesOneState},
		{"ViewCannotWrite", viewCannotWrite},
		{"ConcurrentWritersCountCorrectly", concurrentWriters},
		{"ConflictsAreRecognised", conflicts},
		{"EndedContextEndsTheTransaction", endedContext},
		{"MigrationsApplyOnce", migrationsApplyOnce},
		{"FailedMigrationLeavesNothing", failedMigration},
		{"ChangedStepIsRefused", changedStep},
		{"NewerDatabaseIsRefused", newerDatabase},
		{"ValuesComeBackAsTheyWent", values},
		{"RepeatedStatementsSeeWhatHappened", repeatedStatements},
		{"CommitsAreHeard", commitsAreHeard},
		{"KindsOfValues", kindsOfValues},
		{"TextsAreOrderedByBytes", textsAreOrderedByBytes},
		{"AFailedStatementEndsTheTransaction", failedStatementEnds},
		{"AQuotaHoldsAcrossProcesses", quotaHolds},
		{"ChangesOfOthersAreHeard", changesOfOthers},
		{"AnOwnChangeHidesNoOther", ownChangeHidesNoOther},
		{"ProcessesThatStartTogetherMigrateOnce", startsMigrateOnce},
		{"AWriterLearnsThatAnotherWaits", writerLearnsOfOthers},
		{"RowsStandInTheIndexOfTheirKey", rowsInIndex},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, fresh(t))
		})
	}
}

var schema = []string{
	`CREATE TABLE parents (name TEXT PRIMARY KEY, counter BIGINT NOT NULL);
	 CREATE TABLE children (id BIGINT PRIMARY KEY, parent TEXT NOT NULL REFERENCES parents (name), data BLOB)`,
	`CREATE INDEX children_by_parent ON children (parent, id)`,
}

func opened(t *testing.T, open Opener) *db.DB {
	t.Helper()
	d := open(t)
	if err := d.Migrate(t.Context(), "family", schema); err != nil {
		t.Fatal(err)
	}
	return d
}

func insert(ctx context.Context, d *db.DB, name string) error {
	return d.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES (?, ?)`, name, 0)
		return err
	})
}

func names(t *testing.T, d *db.DB) []string {
	t.Helper()
	var out []string
	err := d.View(t.Context(), func(tx *db.Tx) error {
		return tx.Each(`SELECT name FROM parents ORDER BY name`, nil, func(scan func(...any) error) error {
			var s string
			err := scan(&s)
			out = append(out, s)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func committedRowsSurvive(t *testing.T, open Opener) {
	d := opened(t, open)
	for _, n := range []string{"b", "a"} {
		if err := insert(t.Context(), d, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := names(t, opened(t, open)); !slices.Equal(got, []string{"a", "b"}) {
		t.Fatalf("after reopening: %v", got)
	}
}

func failedTransactionChangesNothing(t *testing.T, open Opener) {
	d, cause := opened(t, open), errors.New("changed my mind")
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		if _, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES ('a', 0)`); err != nil {
			return err
		}
		return cause
	})
	if !errors.Is(err, cause) {
		t.Fatalf("error is %v, want the one that fn returned", err)
	}
	if got := names(t, d); len(got) != 0 {
		t.Fatalf("rows of a failed transaction: %v", got)
	}
}

func panicReleasesTheWriter(t *testing.T, open Opener) {
	d := opened(t, open)
	func() {
		defer func() { _ = recover() }()
		_ = d.Tx(t.Context(), func(*db.Tx) error { panic("defect") }) //nolint:forbidigo // what is tested
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := insert(ctx, d, "a"); err != nil {
		t.Fatalf("after a panic: %v", err)
	}
}

func viewSeesOneState(t *testing.T, open Opener) {
	d := opened(t, open)
	count := func(tx *db.Tx) (n int) {
		if _, err := tx.Get(`SELECT count(*) FROM parents`, nil, &n); err != nil {
			t.Error(err)
		}
		return n
	}
	err := d.View(t.Context(), func(tx *db.Tx) error {
		before := count(tx)
		if err := insert(t.Context(), d, "a"); err != nil { // a reader does not stop the writer
			return err
		}
		if after := count(tx); after != before {
			return fmt.Errorf("saw %d rows, then %d", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, d); len(got) != 1 {
		t.Fatalf("a later view sees %v", got)
	}
}

func viewCannotWrite(t *testing.T, open Opener) {
	d := opened(t, open)
	err := d.View(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES ('a', 0)`)
		return err
	})
	if err == nil || len(names(t, d)) != 0 {
		t.Fatalf("a view wrote (error %v)", err)
	}
}

func concurrentWriters(t *testing.T, open Opener) {
	d := opened(t, open)
	if err := insert(t.Context(), d, "a"); err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 10
	seen := make([]bool, writers*each+1)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				var n int
				err := d.Tx(t.Context(), func(tx *db.Tx) error {
					_, err := tx.Get(`UPDATE parents SET counter = counter + 1 WHERE name = ? RETURNING counter`, []any{"a"}, &n)
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[n] {
					t.Errorf("number %d was handed out twice", n)
				}
				seen[n] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func conflicts(t *testing.T, open Opener) {
	d := opened(t, open)
	if err := insert(t.Context(), d, "a"); err != nil {
		t.Fatal(err)
	}
	if err := insert(t.Context(), d, "a"); !errors.Is(err, db.ErrConflict) {
		t.Errorf("same primary key: %v, want ErrConflict", err)
	}
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO children (id, parent) VALUES (1, 'nobody')`)
		return err
	})
	if !errors.Is(err, db.ErrConflict) {
		t.Errorf("child of nobody: %v, want ErrConflict", err)
	}
}

func endedContext(t *testing.T, open Opener) {
	d := opened(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	err := d.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES ('a', 0)`); err != nil {
			return err
		}
		cancel()
		_, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES ('b', 0)`)
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	if got := names(t, d); len(got) != 0 {
		t.Errorf("rows of an ended transaction: %v", got)
	}
	if err := insert(t.Context(), d, "c"); err != nil {
		t.Errorf("the next transaction: %v", err)
	}
}

func migrationsApplyOnce(t *testing.T, open Opener) {
	d := open(t)
	if err := d.Migrate(t.Context(), "family", schema[:1]); err != nil {
		t.Fatal(err)
	}
	if err := insert(t.Context(), d, "a"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := d.Migrate(t.Context(), "family", schema); err != nil {
			t.Fatal(err)
		}
	}
	other := []string{`CREATE TABLE others (name TEXT PRIMARY KEY)`}
	if err := d.Migrate(t.Context(), "others", other); err != nil { // owners count their own steps
		t.Fatal(err)
	}
	if got := names(t, d); !slices.Equal(got, []string{"a"}) {
		t.Fatalf("rows after migrations: %v", got)
	}
}

func failedMigration(t *testing.T, open Opener) {
	d := open(t)
	broken := append(slices.Clone(schema), `CREATE TABLE parents (twice TEXT)`)
	if err := d.Migrate(t.Context(), "family", broken); err == nil {
		t.Fatal("a broken step was applied")
	}
	if err := d.Migrate(t.Context(), "family", schema); err != nil {
		t.Fatalf("steps of a failed migration stayed: %v", err)
	}
}

func changedStep(t *testing.T, open Opener) {
	d := opened(t, open)
	if err := d.Migrate(t.Context(), "family", []string{schema[0] + " ", schema[1]}); err == nil {
		t.Fatal("a changed step was accepted")
	}
}

func newerDatabase(t *testing.T, open Opener) {
	d := opened(t, open)
	if err := d.Migrate(t.Context(), "family", schema[:1]); err == nil {
		t.Fatal("a database with more steps than the release knows was accepted")
	}
}

func values(t *testing.T, open Opener) {
	d := opened(t, open)
	if err := insert(t.Context(), d, "a"); err != nil {
		t.Fatal(err)
	}
	data := []byte{0, 1, 0xff, 0}
	const id = int64(1) << 62
	var gotID int64
	var gotData []byte
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		if n, err := tx.Exec(`INSERT INTO children (id, parent, data) VALUES (?, ?, ?)`, id, "a", data); err != nil || n != 1 {
			return fmt.Errorf("insert: %d rows, %w", n, err)
		}
		ok, err := tx.Get(`SELECT id, data FROM children WHERE parent = ?`, []any{"a"}, &gotID, &gotData)
		if err == nil && !ok {
			err = errors.New("own row is not seen")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if gotID != id || !slices.Equal(gotData, data) {
		t.Errorf("got %d %v", gotID, gotData)
	}
	err = d.View(t.Context(), func(tx *db.Tx) error {
		if ok, err := tx.Get(`SELECT id FROM children WHERE parent = ?`, []any{"b"}, &gotID); ok || err != nil {
			t.Errorf("no row: %v %v", ok, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func commitsAreHeard(t *testing.T, open Opener) {
	d := opened(t, open)
	heard, stop := d.Listen("family")
	other, stopOther := d.Listen("other")
	defer stopOther()
	cause := errors.New("changed my mind")
	for _, result := range []error{cause, nil, nil} {
		err := d.Tx(t.Context(), func(tx *db.Tx) error {
			tx.Notify("family")
			select {
			case <-heard:
				if result != nil {
					t.Error("heard before the commit")
				}
			default:
			}
			return result
		})
		if !errors.Is(err, result) {
			t.Fatal(err)
		}
		if result != nil {
			select {
			case <-heard:
				t.Error("a failed transaction was heard")
			default:
			}
		}
	}
	select {
	case <-heard:
	default:
		t.Error("a commit was not heard")
	}
	stop()
	err := d.Tx(t.Context(), func(tx *db.Tx) error { tx.Notify("family"); return nil })
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard:
		t.Error("heard after stop")
	case <-other:
		t.Error("heard by another topic")
	default:
	}
}

func repeatedStatements(t *testing.T, open Opener) {
	d := opened(t, open)
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		if _, err := tx.Exec(`INSERT INTO parents (name, counter) VALUES (?, ?)`, "p", 0); err != nil {
			return err
		}
		for i := range 5 {
			n, err := tx.Exec(`UPDATE parents SET counter = counter + ? WHERE name = ?`, i, "p")
			if err != nil || n != 1 {
				t.Errorf("update %d changed %d rows: %v", i, n, err)
			}
			if _, err := tx.Exec(`INSERT INTO children (id, parent, data) VALUES (?, ?, ?)`, i, "p", []byte{byte(i)}); err != nil {
				return err
			}
			var counter, rows int
			if found, err := tx.Get(`SELECT counter FROM parents WHERE name = ?`, []any{"p"}, &counter); err != nil || !found || counter != i*(i+1)/2 {
				t.Errorf("after update %d the counter is %d (%v)", i, counter, err)
			}
			if found, err := tx.Get(`SELECT counter FROM parents WHERE name = ?`, []any{"nobody"}, &counter); err != nil || found {
				t.Errorf("a row that is not there: %v %v", found, err)
			}
			err = tx.Each(`SELECT id FROM children WHERE parent = ?`, []any{"p"}, func(scan func(...any) error) error {
				var id int
				rows++
				return scan(&id)
			})
			if err != nil || rows != i+1 {
				t.Errorf("after insert %d there are %d children (%v)", i, rows, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
