package jobs

import (
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

const (
	// rememberDone is how long the id of a task that is done is remembered.
	rememberDone = 24 * time.Hour
	// keepDead is how long a task that is not tried again is kept.
	keepDead = 14 * 24 * time.Hour
	// taskOverhead is what a task costs in a message beside its id, headers and body: numbers, times, the lease.
	taskOverhead = 160
)

// task is a row of tasks.
type task struct {
	id        string
	number    int64
	state     state
	due       int64
	attempt   int32
	lease     string
	digest    []byte
	size      int64
	published int64
}

// remembered says whether the row still stands for its id; a task that ended long ago may wait for the sweep.
func (t *task) remembered(now int64) bool {
	return t.state != done && t.state != dead || t.due > now
}

const taskColumns = `id, number, state, due, attempt, lease, digest, size, published`

func scanTask(scan func(...any) error) (*task, error) {
	t := &task{}
	return t, scan(&t.id, &t.number, &t.state, &t.due, &t.attempt, &t.lease, &t.digest, &t.size, &t.published)
}

// readTask reads a task; nil when the queue has none of that id.
func readTask(tx *db.Tx, queue int64, id string) (t *task, err error) {
	err = tx.Each(`SELECT `+taskColumns+` FROM tasks WHERE queue = ? AND id = ?`, []any{queue, id}, func(scan func(...any) error) (err error) {
		t, err = scanTask(scan)
		return err
	})
	return t, err
}

// set moves a task to another state. A task that is done needs its body no longer.
func (b *batch) set(q *queue, t *task, to state, due int64, lease, reason string) error {
	_, err := b.tx.Exec(`UPDATE tasks SET state = ?, due = ?, lease = ?, attempt = ?, reason = ? WHERE queue = ? AND id = ?`,
		to, due, lease, t.attempt, reason, q.number, t.id)
	if err != nil {
		return err
	}
	if to == done {
		if err := b.dropBody(q, t.number); err != nil {
			return err
		}
	}
	q.move(t.state, to, 1)
	t.state, t.due, t.lease = to, due, lease
	return nil
}

func (b *batch) dropBody(q *queue, number int64) error {
	_, err := b.tx.Exec(`DELETE FROM task_bodies WHERE queue = ? AND number = ?`, q.number, number)
	return err
}

// forget deletes a task.
func (b *batch) forget(q *queue, t *task) error {
	if _, err := b.tx.Exec(`DELETE FROM tasks WHERE queue = ? AND id = ?`, q.number, t.id); err != nil {
		return err
	}
	if t.state != done {
		if err := b.dropBody(q, t.number); err != nil {
			return err
		}
	}
	q.move(t.state, 0, 1)
	return nil
}

// promote makes delayed and leased tasks ready whose time has come, the oldest first, at most so many of each kind. It returns how many.
func (b *batch) promote(q *queue, now int64, most int) (int, error) {
	n := 0
	for _, from := range []state{delayed, leased} {
		if q.counts[from] == 0 {
			continue
		}
		rows, err := b.overdue(q, from, now, most)
		if err != nil {
			return n, err
		}
		for _, t := range rows {
			lease := t.lease
			if from == leased {
				lease = "" // nothing that was done under it counts any more
			}
			if err := b.set(q, t, ready, t.due, lease, ""); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// overdue reads tasks of a state whose time has come, the oldest first.
func (b *batch) overdue(q *queue, of state, now int64, most int) (rows []*task, err error) {
	err = b.tx.Each(`SELECT `+taskColumns+` FROM tasks WHERE queue = ? AND state = ? AND due <= ? ORDER BY due, number LIMIT ?`,
		[]any{q.number, of, now, most}, func(scan func(...any) error) error {
			t, err := scanTask(scan)
			rows = append(rows, t)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read tasks that are due: %w", err)
	}
	return rows, nil
}
