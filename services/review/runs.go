package review

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/alike"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// Items that need a person are found by their likes with keys: three bands of a text's signature (package alike), or one of the input's hash where there is no text. Keys are random numbers. In
// one index of all waiting items each of them lies in a page of its own, which is written once to the log and once to the database: with 30,000 items that wait, 21.7 of the 35.7 KB that
// an item of a job cost were for its bands and 6.7 for the index of hashes, and with more items it only became more.
//
// So keys are kept as a log-structured merge tree keeps them (O'Neil et al. 1996). A transaction writes the keys of its items as one run: in their order, into pages that it fills. A lookup
// asks every run of the project. When a project has fanIn runs of one level, the background merges them into one of the next level, some keys at a time (merge.go), so that there are at most
// fanIn-1 of each level and a key is written once more for each. Keys go with the need for a person, and a run goes with its last key. The runs that an item's keys may be in are found by its
// id: ids sort by time, as runs do, and few runs overlap.

// keysOf returns the keys of an item. Equal inputs with a text have equal bands, so that they need no key of the hash.
func keysOf(it *item, in *commonv1.RecordedInput) []int64 {
	return keysOr(alike.KeysOf(fullText(in)), it)
}

func keysOr(bands []int64, it *item) []int64 {
	if len(bands) > 0 || len(it.sha) == 0 {
		return bands
	}
	sum := sha256.Sum256(append([]byte("equal "), it.sha...))
	return []int64{int64(binary.BigEndian.Uint64(sum[:]) & math.MaxInt64)}
}

// key is one key of an item.
type key struct {
	band int64
	id   string
}

func (k key) compare(o key) int {
	if k.band != o.band {
		if k.band < o.band {
			return -1
		}
		return 1
	}
	if k.id < o.id {
		return -1
	}
	if k.id > o.id {
		return 1
	}
	return 0
}

// addKeys notes by what an item is found; flush writes it.
func (w *work) addKeys(it *item, in *commonv1.RecordedInput) {
	if it.gold != "" {
		return
	}
	for _, band := range keysOf(it, in) {
		if w.keys == nil {
			w.keys = map[string][]key{}
		}
		w.keys[it.project] = append(w.keys[it.project], key{band, it.id})
	}
}

// keyRows is how many keys one statement inserts.
const keyRows = 200

// writeRuns writes the keys of the transaction, a run for each project.
func (w *work) writeRuns() error {
	for project, keys := range w.keys {
		slices.SortFunc(keys, key.compare)
		keys = slices.Compact(keys)
		oldest, newest := keys[0].id, keys[0].id
		for _, k := range keys {
			oldest, newest = min(oldest, k.id), max(newest, k.id)
		}
		run, err := w.newRun(project, 0, len(keys), oldest, newest)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(keys, keyRows) {
			args := make([]any, 0, 3*len(some))
			for _, k := range some {
				args = append(args, run, k.band, k.id)
			}
			if _, err := w.Exec(`INSERT INTO review_keys (run, band, id) VALUES `+rowMarks(3, len(args)), args...); err != nil {
				return err
			}
		}
		if err := w.help(project, len(keys)); err != nil {
			return err
		}
	}
	w.keys = nil
	return nil
}

// newRun makes the row of a run that holds so many keys.
func (w *work) newRun(project string, level, n int, oldest, newest string) (run int64, err error) {
	_, err = w.Get(`INSERT INTO review_runs (run, project, level, n, oldest, newest, target) VALUES ((SELECT COALESCE(MAX(run), 0) + 1 FROM review_runs), ?, ?, ?, ?, ?, 0) RETURNING run`,
		[]any{project, level, n, oldest, newest}, &run)
	w.runs = true
	return run, err
}

// dropKeys forgets by what an item is found, when it needs no person any more.
func (w *work) dropKeys(it *item, in *commonv1.RecordedInput) error {
	bands := keysOf(it, in)
	if len(bands) == 0 {
		return nil
	}
	if err := w.writeRuns(); err != nil { // of this transaction
		return err
	}
	var runs []int64
	err := w.Each(`SELECT run FROM review_runs WHERE project = ? AND oldest <= ? AND newest >= ?`, []any{it.project, it.id, it.id}, func(scan func(...any) error) error {
		var run int64
		err := scan(&run)
		runs = append(runs, run)
		return err
	})
	if err != nil {
		return err
	}
	for _, run := range runs {
		args := []any{run, it.id}
		for _, band := range bands {
			args = append(args, band)
		}
		n, err := w.Exec(`DELETE FROM review_keys WHERE run = ? AND id = ? AND band IN (`+db.Marks(len(bands))+`)`, args...)
		if err != nil {
			return err
		}
		if n > 0 {
			if err := w.shrink(run, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// shrink notes that a run has so many keys less, and drops it with the last one; then that too which it was merged into, where that is empty. One that others are merged into stays.
func (w *work) shrink(run, by int64) error {
	if by != 0 {
		if _, err := w.Exec(`UPDATE review_runs SET n = n - ? WHERE run = ?`, by, run); err != nil {
			return err
		}
	}
	var target int64
	gone, err := w.Get(`DELETE FROM review_runs WHERE run = ? AND n = 0 AND NOT EXISTS (SELECT 1 FROM review_runs s WHERE s.target = ?) RETURNING target`, []any{run, run}, &target)
	if err != nil || !gone || target == 0 {
		return err
	}
	return w.shrink(target, 0)
}

// withKey calls collect with the ids of a project's items that have a key, at most so many.
func withKey(tx *db.Tx, project string, band int64, size int, collect func(scan func(...any) error) error) error {
	return tx.Each(`SELECT k.id FROM review_runs r JOIN review_keys k ON k.run = r.run WHERE r.project = ? AND k.band = ? LIMIT ?`, []any{project, band, size}, collect)
}

// keyOld gives items of an earlier release that have no text the key of their hash, which a migration cannot compute.
func (s *Service) keyOld(ctx context.Context) error {
	if s.keyed.Load() {
		return nil
	}
	const old = `SELECT project, id FROM review_unkeyed ORDER BY project, id LIMIT ?`
	read := func(tx *db.Tx) (items []item, err error) {
		err = tx.Each(old, []any{chunk}, func(scan func(...any) error) error {
			var it item
			err := scan(&it.project, &it.id)
			items = append(items, it)
			return err
		})
		return items, err
	}
	for begin := time.Now(); time.Since(begin) < retireTime; {
		n := 0
		err := s.db.View(ctx, func(tx *db.Tx) error { // the usual case needs no writer
			items, err := read(tx)
			n = len(items)
			return err
		})
		if err != nil || n == 0 {
			s.keyed.Store(err == nil)
			return err
		}
		err = s.change(ctx, func(w *work) error {
			items, err := read(w.Tx)
			if err != nil {
				return err
			}
			for _, i := range items {
				it, err := findItem(w.Tx, i.project, i.id)
				if err != nil {
					return err
				}
				if it != nil && it.live() {
					w.addKeys(it, nil)
				}
				if _, err := w.Exec(`DELETE FROM review_unkeyed WHERE project = ? AND id = ?`, i.project, i.id); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
