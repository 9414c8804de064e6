package review

import (
	"context"
	"fmt"
	"strings"
	"time"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// retireEvery is how often it is looked for what is old enough to go.
	retireEvery = time.Minute
	// retireTime is how much of a tick goes into it: a quarter, so that a backlog of years never stands in the way of reviewers.
	retireTime = tick / 4
)

// retire takes out of the tables what was done longer ago than the project keeps it: closed items with their records, verdicts and histories, feedback, and what was noted of test
// items. It goes on at the next tick where its time ended.
func (s *Service) retire(ctx context.Context) error {
	s.retiring.Lock()
	defer s.retiring.Unlock()
	now := s.now()
	if now.Before(s.retireNext) {
		return nil
	}
	projects, err := s.projects(ctx)
	if err != nil {
		return err
	}
	begin := time.Now()
	for _, project := range projects {
		keep := s.config.keep(project)
		if keep == 0 {
			continue
		}
		for _, part := range retired {
			for n := chunk; n == chunk; {
				if n, err = s.retireSome(ctx, part, project, db.Micros(now.Add(-keep-part.longer))); err != nil {
					return fmt.Errorf("%s of %s: %w", part.what, project, err)
				}
				if time.Since(begin) > retireTime {
					return nil
				}
			}
		}
	}
	s.retireNext = now.Add(retireEvery)
	return nil
}

// projects returns the projects that have something in the tables. It steps over the others' rows along the indexes.
func (s *Service) projects(ctx context.Context) (out []string, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		for after := ""; ; {
			var queue, feedback *string
			_, err := tx.Get(`SELECT (SELECT min(project) FROM review_queues WHERE project > ?), (SELECT min(project) FROM review_feedback WHERE project > ?)`,
				[]any{after, after}, &queue, &feedback)
			if err != nil {
				return err
			}
			next := queue
			if next == nil || feedback != nil && *feedback < *next {
				next = feedback
			}
			if next == nil {
				return nil
			}
			after = *next
			out = append(out, after)
		}
	})
	return out, err
}

// retirement is one kind of rows that go when they are old.
type retirement struct {
	what   string
	longer time.Duration // how much longer than items they stay
	find   string        // the ids of some that are old enough: of the project, until a time, at most so many
	drop   func(w *work, project string, ids []string) error
}

var retired = []retirement{
	{
		"retire items", 0, `SELECT id FROM review_items WHERE project = ? AND state >= 4 AND closed <= ? ORDER BY closed LIMIT ?`, (*work).retireItems,
	},
	{"retire feedback", 0, `SELECT id FROM review_feedback WHERE project = ? AND created <= ? ORDER BY created LIMIT ?`, func(w *work, project string, ids []string) error {
		return w.deleteAll(`review_feedback`, `id`, project, ids)
	}},
	// A copy of a test item may be out when that is deleted. Its answer is judged by it.
	{"retire test items", goldPause, `SELECT id FROM review_gold WHERE project = ? AND deleted <> 0 AND deleted <= ? ORDER BY deleted LIMIT ?`, func(w *work, project string, ids []string) error {
		return w.deleteAll(`review_gold`, `id`, project, ids)
	}},
	// What was served longer ago than the pause keeps nothing from being served again.
	{"retire servings", goldPause, `SELECT DISTINCT gold FROM review_gold_served WHERE project = ? AND served <= ? LIMIT ?`, (*work).retireServings},
}

func (s *Service) retireSome(ctx context.Context, part retirement, project string, until int64) (n int, err error) {
	find := func(tx *db.Tx) (ids []string, err error) {
		err = tx.Each(part.find, []any{project, until, chunk}, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
		return ids, err
	}
	err = s.db.View(ctx, func(tx *db.Tx) error { // the usual case needs no writer
		ids, err := find(tx)
		n = len(ids)
		return err
	})
	if err != nil || n == 0 {
		return 0, err
	}
	err = s.change(ctx, func(w *work) error {
		ids, err := find(w.Tx)
		if n = len(ids); err != nil || n == 0 {
			return err
		}
		w.old = until
		return part.drop(w, project, ids)
	})
	return n, err
}

// deleteAll deletes the rows of a project that a column names.
func (w *work) deleteAll(table, column, project string, ids []string) error {
	_, err := w.Exec(`DELETE FROM `+table+` WHERE project = ? AND `+column+` IN (`+db.Marks(len(ids))+`)`, with(project, ids)...)
	return err
}

func with(project string, ids []string) []any {
	args := []any{project}
	for _, id := range ids {
		args = append(args, id)
	}
	return args
}

func (w *work) retireServings(project string, golds []string) error {
	_, err := w.Exec(`DELETE FROM review_gold_served WHERE project = ? AND gold IN (`+db.Marks(len(golds))+`) AND served <= ?`, append(with(project, golds), w.old)...)
	return err
}

// retireItems leaves a stone of each item: who comes with its decision again, looks for it or verifies the queue must learn that it was there. Queues go on counting it.
func (w *work) retireItems(project string, ids []string) error {
	items, err := selectItems(w.Tx, `project = ? AND id IN (`+db.Marks(len(ids))+`)`, with(project, ids)...)
	if err != nil {
		return err
	}
	answers := map[string]string{} // by verdict
	err = w.Each(`SELECT id, answer FROM review_verdicts WHERE project = ? AND item IN (`+db.Marks(len(ids))+`)`, with(project, ids), func(scan func(...any) error) error {
		var id, answer string
		err := scan(&id, &answer)
		answers[id] = answer
		return err
	})
	if err != nil {
		return err
	}
	rows := make([]any, 0, 13*len(items))
	for _, it := range items {
		rows = append(rows, it.project, it.id, it.operation, it.deployment, it.state, it.kind, it.decided, it.created, it.closed, w.micros, it.round, join(it.seen), answers[it.verdict])
	}
	_, err = w.Exec(`INSERT INTO review_retired (project, id, `+stoneColumns+`) VALUES `+rowMarks(13, len(rows))+` ON CONFLICT (project, id) DO UPDATE SET
		state = excluded.state, kind = excluded.kind, closed = excluded.closed, retired = excluded.retired, round = excluded.round, seen = excluded.seen, answer = excluded.answer`, rows...)
	if err != nil {
		return err
	}
	for _, t := range []struct{ table, column string }{{"review_verdicts", "item"}, {"review_history", "item"}, {"review_selections", "item"}, {"review_records", "id"}, {"review_items", "id"}} {
		if err := w.deleteAll(t.table, t.column, project, ids); err != nil {
			return err
		}
	}
	return nil
}

// stone is what stays of an item that was retired. It holds nothing of the person whose data was judged.
type stone struct {
	queueKey
	id                                string
	state                             reviewv1.ItemState
	kind                              reviewv1.ItemKind
	decided, created, closed, retired int64
	round                             int
	seen                              []string
	answer                            string // the key of the final verdict's answer, empty for none
}

const stoneColumns = `operation, deployment, state, kind, decided, created, closed, retired, round, seen, answer`

// findStone returns what stayed of an item; nil when none of that id was retired.
func findStone(tx *db.Tx, project, id string) (*stone, error) {
	t, seen := &stone{queueKey: queueKey{project: project}, id: id}, ""
	found, err := tx.Get(`SELECT `+stoneColumns+` FROM review_retired WHERE project = ? AND id = ?`, []any{project, id},
		&t.operation, &t.deployment, &t.state, &t.kind, &t.decided, &t.created, &t.closed, &t.retired, &t.round, &seen, &t.answer)
	if err != nil || !found {
		return nil, err
	}
	t.seen = split(seen)
	return t, nil
}

func (t *stone) message() *reviewv1.ReviewItem {
	return &reviewv1.ReviewItem{
		ItemId: t.id, Operation: t.operation, Deployment: t.deployment, State: reviewv1.ItemState_ITEM_STATE_RETIRED, Kind: t.kind, DecideTime: timestamp(t.decided),
		CreateTime: timestamp(t.created), CloseTime: timestamp(t.closed), RetireTime: timestamp(t.retired), Round: int32(t.round),
	}
}

// absent says why there is no item of that id: it was retired, or there never was one.
func absent(tx *db.Tx, project, id string) error {
	t, err := findStone(tx, project, id)
	switch {
	case err != nil:
		return err
	case t != nil:
		return fault.ItemClosed(id)
	}
	return fault.NotFound("review item", id)
}

// withoutRetired returns the items that were not retired: a record that comes again after years must not open its item anew. Only decisions that are old enough are looked for.
func (w *work) withoutRetired(items []*item) ([]*item, error) {
	type name struct{ project, id string }
	var old []any
	for _, it := range items {
		if w.micros-it.decided >= leastRetention.Microseconds() {
			old = append(old, it.project, it.id)
		}
	}
	if len(old) == 0 {
		return items, nil
	}
	gone := map[name]bool{}
	where := strings.TrimSuffix(strings.Repeat(`(project = ? AND id = ?) OR `, len(old)/2), ` OR `)
	err := w.Each(`SELECT project, id FROM review_retired WHERE `+where, old, func(scan func(...any) error) error {
		var n name
		err := scan(&n.project, &n.id)
		gone[n] = true
		return err
	})
	if err != nil || len(gone) == 0 {
		return items, err
	}
	var out []*item
	for _, it := range items {
		if !gone[name{it.project, it.id}] {
			out = append(out, it)
		}
	}
	return out, nil
}
