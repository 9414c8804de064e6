package review

import (
	"context"
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

const (
	// fanIn is how many runs of one level a project has when they are merged. With calls of 200 items, 6,400 of them make a run of the first level and 204,800 one of the second: each key is
	// written twice more at most, and a lookup in front of a million items asks some seventy runs.
	fanIn = 32
	// mergeRows is how many keys one transaction of a merge moves: some milliseconds.
	mergeRows = 1000
	// mergeTime is how much of a tick goes into merging.
	mergeTime = tick / 4
)

// merge merges runs, as long as there is something to merge and time. It goes on at the next tick where its time ended: what is moved is in exactly one run at any time, and is found there.
func (s *Service) merge(ctx context.Context) error {
	if !s.runs.Swap(false) {
		return nil // nothing was written since nothing was left to merge
	}
	for begin := time.Now(); time.Since(begin) < mergeTime; {
		more, err := s.mergeSome(ctx)
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

// mergeSome moves some keys of the merge that was begun, or begins one. It says whether there may be more to do.
func (s *Service) mergeSome(ctx context.Context) (more bool, err error) {
	var target int64
	var full struct {
		project string
		level   int
	}
	err = s.db.View(ctx, func(tx *db.Tx) error { // the usual case needs no writer
		begun, err := tx.Get(`SELECT target FROM review_runs WHERE target > 0 LIMIT 1`, nil, &target)
		if more = begun; err != nil || begun {
			return err
		}
		more, err = tx.Get(`SELECT project, level FROM review_runs GROUP BY project, level HAVING count(*) >= ? ORDER BY level LIMIT 1`, []any{fanIn}, &full.project, &full.level)
		return err
	})
	if err != nil || !more {
		return false, err
	}
	return true, s.change(ctx, func(w *work) error {
		if target == 0 {
			return w.beginMerge(full.project, full.level)
		}
		return w.moveKeys(target, s.mergeRows)
	})
}

// beginMerge makes the run that all of a level are merged into. Another process may have been first: then there is nothing to do.
func (w *work) beginMerge(project string, level int) error {
	var n int
	var oldest, newest string
	_, err := w.Get(`SELECT count(*), COALESCE(min(oldest), ''), COALESCE(max(newest), '') FROM review_runs WHERE project = ? AND level = ? AND target = 0`, []any{project, level}, &n, &oldest, &newest)
	if err != nil || n < fanIn {
		return err
	}
	target, err := w.newRun(project, level+1, []key{{id: oldest}, {id: newest}})
	if err != nil {
		return err
	}
	if _, err := w.Exec(`UPDATE review_runs SET n = 0 WHERE run = ?`, target); err != nil {
		return err
	}
	_, err = w.Exec(`UPDATE review_runs SET target = ? WHERE project = ? AND level = ? AND target = 0`, target, project, level)
	return err
}

// moveKeys moves the least keys of the runs that are merged, about so many and at least one, and ends the merge with the last.
func (w *work) moveKeys(target int64, rows int) error {
	var sources []any
	err := w.Each(`SELECT run FROM review_runs WHERE target = ?`, []any{target}, func(scan func(...any) error) error {
		var run int64
		err := scan(&run)
		sources = append(sources, run)
		return err
	})
	if err != nil || len(sources) == 0 {
		return err // another process has ended it
	}
	// No run has more than skip keys before the least of these: together they have less than was asked for.
	skip := max(1, rows/len(sources))
	var until *key
	err = w.Each(`SELECT (SELECT k.band FROM review_keys k WHERE k.run = r.run ORDER BY k.band, k.id LIMIT 1 OFFSET ?), (SELECT k.id FROM review_keys k WHERE k.run = r.run ORDER BY k.band, k.id LIMIT 1 OFFSET ?)
		FROM review_runs r WHERE r.target = ?`, []any{skip, skip, target}, func(scan func(...any) error) error {
		var band *int64
		var id *string
		if err := scan(&band, &id); err != nil || band == nil || id == nil {
			return err
		}
		if k := (key{*band, *id}); until == nil || k.compare(*until) < 0 {
			until = &k
		}
		return nil
	})
	if err != nil {
		return err
	}
	where, args := ` FROM review_keys WHERE run IN (`+marks(len(sources))+`)`, sources
	if until != nil {
		where += ` AND (band, id) < (?, ?)`
		args = append(args, until.band, until.id)
	}
	moved, err := w.Exec(`INSERT INTO review_keys (run, band, id) SELECT DISTINCT CAST(? AS BIGINT), band, id`+where+` ORDER BY band, id`, append([]any{target}, args...)...)
	if err != nil {
		return err
	}
	if _, err := w.Exec(`DELETE`+where, args...); err != nil {
		return err
	}
	if until == nil {
		if _, err := w.Exec(`DELETE FROM review_runs WHERE target = ?`, target); err != nil {
			return err
		}
		w.runs = true // it may be one of many of its level
	}
	return w.shrink(target, -moved)
}
