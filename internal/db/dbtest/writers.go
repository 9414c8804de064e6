package dbtest

import (
	"slices"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

func writerLearnsOfOthers(t *testing.T, open Opener) {
	d := opened(t, open)
	other := make(chan error, 1)
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		if tx.Awaited() {
			t.Error("somebody waits for a transaction that nobody knows of")
		}
		go func() { other <- insert(t.Context(), d, "waits") }()
		for deadline := time.Now().Add(10 * time.Second); !tx.Awaited(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Error("a writer waits, and the transaction does not learn of it")
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-other; err != nil {
		t.Fatal(err)
	}
	err = d.Tx(t.Context(), func(tx *db.Tx) error {
		if tx.Awaited() {
			t.Error("a transaction that is over is taken for one that waits")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func rowsInIndex(t *testing.T, open Opener) {
	d := open(t)
	if err := d.Migrate(t.Context(), "pairs", []string{`CREATE TABLE pairs (a BIGINT NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID`}); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		if _, err := tx.Exec(`INSERT INTO pairs (a, b) VALUES (2, 'x'), (1, 'z'), (1, 'y'), (1, 'x')`); err != nil {
			return err
		}
		return tx.Each(`SELECT b FROM pairs WHERE a = ? AND (a, b) > (?, ?) ORDER BY a, b`, []any{1, 1, "x"}, func(scan func(...any) error) error {
			var b string
			err := scan(&b)
			got = append(got, b)
			return err
		})
	})
	if err != nil || !slices.Equal(got, []string{"y", "z"}) {
		t.Errorf("rows are %v (%v)", got, err)
	}
}
