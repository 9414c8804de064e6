package review

import (
	"context"
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

const (
	// fanIn is how many runs of one level are merged into one of the next. With calls of 200 items, 6,400 of them make a run of the first level and 204,800 one of the second: each key is
	// written twice more at most, and a lookup in front of a million items asks some seventy runs.
	fanIn = 32
	// mergeRows is how many keys one transaction of a merge copies or clears: some milliseconds. The more it is, the fewer pages are written twice.
	mergeRows = 2000
	// mergeTime is how much of a tick goes into merging.
	mergeTime = tick / 4
	// helpAt is how many runs a project has when those who write more of them begin to merge: the background is behind, as when thousands of items come in a second. Each transaction then
	// merges helpRows keys for each that it writes, which is more than the levels need that are there.
	helpAt   = 4 * fanIn
	helpRows = 6
)

// merge merges runs, as long as there is something to merge and time. It goes on at the next tick where its time ended.
func (s *Service) merge(ctx context.Context) error {
	if !s.runs.Swap(false) {
		return nil // nothing was written since nothing was left to merge
	}
	for begin := time.Now(); time.Since(begin) < mergeTime; {
		more, err := s.mergeSome(ctx, mergeRows)
		if err != nil {
			s.runs.Store(true)
			return fmt.Errorf("merge runs: %w", err)
		}
		if !more {
			return nil
		}
	}
	s.runs.Store(true)
	return nil
}

// mergeSome does a step of a merge, of about so many keys. It says whether there may be more to do.
func (s *Service) mergeSome(ctx context.Context, rows int) (more bool, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error { // the usual case needs no writer
		_, more, err = nextMerge(tx)
		return err
	})
	if err != nil || !more {
		return false, err
	}
	return true, s.change(ctx, func(w *work) error { return w.mergeStep(rows) })
}

// merging is what is to be merged: into target, or, when that is 0, so many runs of a level that there shall be one.
type merging struct {
	target  int64
	project string
	level   int
}

// nextMerge returns the merge that goes on, or one to begin; false when there is none.
func nextMerge(tx *db.Tx) (m merging, ok bool, err error) {
	ok, err = tx.Get(`SELECT target FROM review_runs WHERE target > 0 LIMIT 1`, nil, &m.target)
	if err != nil || ok {
		return m, ok, err
	}
	ok, err = tx.Get(`SELECT project, level FROM review_runs GROUP BY project, level HAVING count(*) >= ? ORDER BY level LIMIT 1`, []any{fanIn}, &m.project, &m.level)
	return m, ok, err
}

// mergeStep does a step of a merge. The runs that are merged stay as they are until all of their keys are in the target; then they are cleared, one after the other. So each key is found at any time,
// for a while in two runs, and a page of a run is written once when it is cleared and not once for every step. A key that is dropped meanwhile is dropped from both.
func (w *work) mergeStep(rows int) error {
	m, ok, err := nextMerge(w.Tx)
	if err != nil || !ok {
		return err
	}
	if m.target == 0 {
		if m.target, err = w.beginMerge(m); err != nil {
			return err
		}
	}
	var sources []any
	err = w.Each(`SELECT run FROM review_runs WHERE target = ?`, []any{m.target}, func(scan func(...any) error) error {
		var run int64
		err := scan(&run)
		sources = append(sources, run)
		return err
	})
	if err != nil {
		return err
	}
	copied, err := w.copyKeys(m.target, sources, rows)
	if err != nil || copied {
		return err
	}
	for _, source := range sources {
		if rows <= 0 {
			return nil
		}
		n, err := w.clearRun(source.(int64), rows)
		if err != nil {
			return err
		}
		rows -= int(n)
	}
	return nil
}

// beginMerge makes the run that the oldest ones of a level are merged into.
func (w *work) beginMerge(m merging) (target int64, err error) {
	var oldest, newest string
	_, err = w.Get(`SELECT min(r.oldest), max(r.newest) FROM (SELECT oldest, newest FROM review_runs WHERE project = ? AND level = ? ORDER BY run LIMIT ?) r`,
		[]any{m.project, m.level, fanIn}, &oldest, &newest)
	if err != nil {
		return 0, err
	}
	if target, err = w.newRun(m.project, m.level+1, 0, oldest, newest); err != nil {
		return 0, err
	}
	_, err = w.Exec(`UPDATE review_runs SET target = ? WHERE run IN (SELECT run FROM review_runs WHERE project = ? AND level = ? ORDER BY run LIMIT ?)`, target, m.project, m.level, fanIn)
	return target, err
}

// copyKeys copies the next keys of the runs that are merged, about so many and at least one. It says false when all are copied. Keys are copied in their order: what follows the last of the target is not
// copied yet, or was dropped.
func (w *work) copyKeys(target int64, sources []any, rows int) (bool, error) {
	after := key{band: -1}
	if _, err := w.Get(`SELECT band, id FROM review_keys WHERE run = ? ORDER BY band DESC, id DESC LIMIT 1`, []any{target}, &after.band, &after.id); err != nil {
		return false, err
	}
	// No run has more than skip keys before the least of these: together they have no more than was asked for.
	skip, until, left := max(1, rows/len(sources)), key{band: -1}, false
	const at = `FROM review_keys k WHERE k.run = r.run AND (k.band, k.id) > (?, ?) ORDER BY k.band, k.id LIMIT 1 OFFSET `
	err := w.Each(`SELECT (SELECT k.band `+at+`0), (SELECT k.band `+at+`?), (SELECT k.id `+at+`?) FROM review_runs r WHERE r.target = ?`,
		[]any{after.band, after.id, after.band, after.id, skip, after.band, after.id, skip, target}, func(scan func(...any) error) error {
			var first, band *int64
			var id *string
			if err := scan(&first, &band, &id); err != nil {
				return err
			}
			left = left || first != nil
			if band == nil || id == nil {
				return nil
			}
			if k := (key{*band, *id}); until.band < 0 || k.compare(until) < 0 {
				until = k
			}
			return nil
		})
	if err != nil || !left {
		return false, err
	}
	query, args := `INSERT INTO review_keys (run, band, id) SELECT DISTINCT CAST(? AS BIGINT), band, id FROM review_keys WHERE run IN (`+db.Marks(len(sources))+`) AND (band, id) > (?, ?)`,
		append(append([]any{target}, sources...), after.band, after.id)
	if until.band >= 0 {
		query += ` AND (band, id) < (?, ?)`
		args = append(args, until.band, until.id)
	}
	n, err := w.Exec(query+` ORDER BY band, id`, args...)
	if err != nil {
		return false, err
	}
	return true, w.shrink(target, -n)
}

// clearRun deletes some keys of a run, and the run with the last. It returns how many they were.
func (w *work) clearRun(run int64, rows int) (int64, error) {
	var until key
	some, err := w.Get(`SELECT band, id FROM review_keys WHERE run = ? ORDER BY band, id LIMIT 1 OFFSET ?`, []any{run, rows}, &until.band, &until.id)
	if err != nil {
		return 0, err
	}
	if some {
		return w.Exec(`DELETE FROM review_keys WHERE run = ? AND (band, id) < (?, ?)`, run, until.band, until.id)
	}
	n, err := w.Exec(`DELETE FROM review_keys WHERE run = ?`, run)
	if err != nil {
		return 0, err
	}
	if _, err := w.Exec(`UPDATE review_runs SET n = 0 WHERE run = ?`, run); err != nil {
		return 0, err
	}
	w.runs = true // another merge may be possible now
	return n, w.shrink(run, 0)
}

// help merges some runs of the projects that a transaction has written to, where they are too many.
func (w *work) help(project string, written int) error {
	var n int
	if _, err := w.Get(`SELECT count(*) FROM review_runs WHERE project = ?`, []any{project}, &n); err != nil || n < helpAt {
		return err
	}
	return w.mergeStep(helpRows * written)
}
