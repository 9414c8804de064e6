package db_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// filled makes a database with large and small rows, an index, and pages that became free.
func filled(t testing.TB, path string, rows int) {
	t.Helper()
	d, err := db.Open(context.Background(), db.Default(path))
	if err != nil {
		t.Fatal(err)
	}
	err = d.Migrate(context.Background(), "test", []string{
		`CREATE TABLE things (id BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, data BLOB NOT NULL); CREATE INDEX things_name ON things (name)`,
	})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	err = d.Tx(context.Background(), func(tx *db.Tx) error {
		for i := range rows {
			data := make([]byte, random.IntN(300))
			if i%50 == 0 {
				data = make([]byte, 9000)
			}
			for j := range data {
				data[j] = byte(random.Uint32())
			}
			if _, err := tx.Exec(`INSERT INTO things (id, name, data) VALUES (?, ?, ?)`, i, fmt.Sprint("thing ", i), data); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = d.Tx(context.Background(), func(tx *db.Tx) error {
			_, err := tx.Exec(`DELETE FROM things WHERE id % 4 = 1`)
			return err
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
}

// all reads everything, by the table and by the index.
func all(ctx context.Context, path string) (content string, problems []error, err error) {
	d, err := db.Open(ctx, db.Default(path))
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = d.Close() }()
	if problems, _, err = d.Verify(ctx); err != nil {
		return "", problems, err
	}
	var b strings.Builder
	err = d.View(ctx, func(tx *db.Tx) error {
		for _, query := range []string{`SELECT id, name, data FROM things ORDER BY id`, `SELECT id, name, data FROM things WHERE name > '' ORDER BY name`} {
			err := tx.Each(query, nil, func(scan func(...any) error) error {
				var id int64
				var name string
				var data []byte
				err := scan(&id, &name, &data)
				fmt.Fprintf(&b, "%d %s %x\n", id, name, data)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return b.String(), problems, err
}

// TestEveryFlippedBitOfTheDatabaseIsFound flips bits all over the file, one at a time: the verification names every one, and what is read is right or an error.
func TestEveryFlippedBitOfTheDatabaseIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "whole.db")
	filled(t, path, 800)
	want, problems, err := all(t.Context(), path)
	if err != nil || len(problems) > 0 {
		t.Fatalf("a whole database: %v, %v", problems, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(2, 2))
	flips := 200
	if testing.Short() {
		flips = 50
	}
	for i := range flips {
		bit := random.IntN(8 * len(data))
		if i < 64 {
			bit = 8*(16+i) + random.IntN(8) // the header, which SQLite believes most
		}
		broken := bytes.Clone(data)
		broken[bit/8] ^= 1 << (bit % 8)
		file := filepath.Join(dir, fmt.Sprint(i, ".db"))
		if err := os.WriteFile(file, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		got, problems, err := all(t.Context(), file)
		if err == nil && got != want {
			t.Errorf("byte %d: wrong bytes were read", bit/8)
		}
		if err == nil && len(problems) == 0 {
			t.Errorf("byte %d: nothing was found", bit/8)
		}
		if page := fmt.Sprintf("page %d,", bit/8/4096+1); len(problems) > 0 && !strings.Contains(fmt.Sprint(problems), page) {
			t.Errorf("byte %d: %v, want %s", bit/8, problems, page)
		}
		_ = os.Remove(file)
	}
}

// TestAPageAtTheWrongPlaceIsFound exchanges two pages, each of which is whole.
func TestAPageAtTheWrongPlaceIsFound(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	filled(t, path, 300)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := data[4096*9:4096*10], data[4096*10:4096*11]
	spare := bytes.Clone(a)
	copy(a, b)
	copy(b, spare)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, problems, err := all(t.Context(), path); err == nil && len(problems) < 2 {
		t.Errorf("found: %v", problems)
	}
}

// TestADatabaseWithoutChecksumsGoesOn opens one that SQLite made by itself, as an earlier release did.
func TestADatabaseWithoutChecksumsGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	filled(t, path, 100)
	if content, problems, err := all(t.Context(), path); err != nil || len(problems) > 0 || content == "" {
		t.Errorf("%v, %v", problems, err)
	}
}

// BenchmarkSealing says what the checksums cost: a commit of one row, and reading all rows from the file; "sealed" against "plain".
func BenchmarkSealing(b *testing.B) {
	for _, kind := range []string{"plain", "sealed"} {
		path := filepath.Join(b.TempDir(), kind+".db")
		if kind == "plain" {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
		filled(b, path, 20_000)
		b.Run("commit/"+kind, func(b *testing.B) {
			d, err := db.Open(b.Context(), db.Default(path))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = d.Close() }()
			i := 1_000_000 + rand.IntN(1<<40)
			for b.Loop() {
				i++
				err := d.Tx(b.Context(), func(tx *db.Tx) error {
					_, err := tx.Exec(`INSERT INTO things (id, name, data) VALUES (?, ?, ?)`, i, "x", make([]byte, 200))
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("scan/"+kind, func(b *testing.B) {
			for b.Loop() {
				d, err := db.Open(b.Context(), db.Default(path)) // nothing is in SQLite's cache
				if err != nil {
					b.Fatal(err)
				}
				err = d.View(b.Context(), func(tx *db.Tx) error {
					var n, sum int64
					_, err := tx.Get(`SELECT count(*), sum(length(data)) FROM things`, nil, &n, &sum)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
				_ = d.Close()
			}
		})
	}
}
