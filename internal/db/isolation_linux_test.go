package db_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/pgtest"
)

// BenchmarkCountThenInsert measures the transaction that quotas are made of, by eight callers of two processes: under the writers' lock, and
// as it would be with SERIALIZABLE and repeating, which the decision about isolation compares.
func BenchmarkCountThenInsert(b *testing.B) {
	const count, insert = `SELECT count(*) FROM numbers WHERE id > `, `INSERT INTO numbers (id) VALUES (`
	var next atomic.Int64
	locked := func(dbs ...*db.DB) func(int) (int64, error) {
		return func(caller int) (int64, error) {
			return 1, dbs[caller%len(dbs)].Tx(b.Context(), func(tx *db.Tx) error {
				id, n := next.Add(1), 0
				if _, err := tx.Get(count+`?`, []any{id - 100}, &n); err != nil {
					return err
				}
				_, err := tx.Exec(insert+`?)`, id)
				return err
			})
		}
	}
	b.Run("sqlite", func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "switchyard.db")
		one, two := open(b, path), open(b, path)
		migrate(b, one)
		parallel(b, locked(one, two))
	})
	b.Run("postgres", func(b *testing.B) {
		url := pgtest.Schema(b)
		one, two := openURL(b, url), openURL(b, url)
		migrate(b, one)
		parallel(b, locked(one, two))
	})
	b.Run("postgres-serializable", func(b *testing.B) {
		url := pgtest.Schema(b)
		migrate(b, openURL(b, url))
		conns := make([]*pgx.Conn, callers)
		for i := range conns {
			var err error
			if conns[i], err = pgx.Connect(b.Context(), url); err != nil {
				b.Fatal(err)
			}
			defer func() { _ = conns[i].Close(context.Background()) }()
		}
		parallel(b, func(caller int) (tries int64, err error) {
			for {
				tries++
				err := pgx.BeginTxFunc(b.Context(), conns[caller], pgx.TxOptions{IsoLevel: pgx.Serializable}, func(tx pgx.Tx) error {
					id, n := next.Add(1), 0
					if err := tx.QueryRow(b.Context(), count+`$1`, id-100).Scan(&n); err != nil {
						return err
					}
					_, err := tx.Exec(b.Context(), insert+`$1)`, id)
					return err
				})
				var e *pgconn.PgError
				if !errors.As(err, &e) || e.Code != "40001" {
					return tries, err
				}
			}
		})
	})
}

const callers = 8

func migrate(b *testing.B, d *db.DB) {
	b.Helper()
	if err := d.Migrate(b.Context(), "test", numbers); err != nil {
		b.Fatal(err)
	}
}

// parallel runs b.N transactions by all callers and reports how many a second there were, the tries that each took, and the slowest.
func parallel(b *testing.B, do func(caller int) (tries int64, err error)) {
	b.Helper()
	var left, tries, slowest atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	for c := range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				began := time.Now()
				n, err := do(c)
				if err != nil {
					b.Error(err)
					return
				}
				tries.Add(n)
				for took := int64(time.Since(began)); ; {
					if old := slowest.Load(); took <= old || slowest.CompareAndSwap(old, took) {
						break
					}
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
	b.ReportMetric(float64(tries.Load())/float64(b.N), "tries/tx")
	b.ReportMetric(float64(slowest.Load())/1e6, "slowest-ms")
}
