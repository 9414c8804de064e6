package jobs

import (
	"errors"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

type queueKey struct{ project, name string }

// queue is a row of task_queues.
type queue struct {
	number  int64
	last    int64 // number of the newest task
	counts  [dead + 1]int64
	changed bool
}

// open is how many tasks are not done.
func (q *queue) open() int64 {
	return q.counts[delayed] + q.counts[ready] + q.counts[leased] + q.counts[dead]
}

// move counts n tasks that change their state; 0 stands for tasks that begin or are forgotten.
func (q *queue) move(from, to state, n int64) {
	q.counts[from] -= n
	q.counts[to] += n
	q.changed = true
}

// batch is a transaction that several callers share. It reads each queue once and writes it once.
type batch struct {
	tx     *db.Tx
	queues map[queueKey]*queue
}

// queue reads a queue; nil when nobody has published to it yet.
func (b *batch) queue(key queueKey) (*queue, error) {
	if q := b.queues[key]; q != nil {
		return q, nil
	}
	q, err := readQueue(b.tx, key)
	if q != nil {
		b.queues[key] = q
	}
	return q, err
}

func readQueue(tx *db.Tx, key queueKey) (*queue, error) {
	q := &queue{}
	ok, err := tx.Get(`SELECT number, last, delayed, ready, leased, dead FROM task_queues WHERE project = ? AND name = ?`,
		[]any{key.project, key.name}, &q.number, &q.last, &q.counts[delayed], &q.counts[ready], &q.counts[leased], &q.counts[dead])
	if err != nil || !ok {
		return nil, err
	}
	return q, nil
}

// makeQueue returns the queue, and makes it when it does not exist.
func (b *batch) makeQueue(key queueKey, most int64) (*queue, error) {
	q, err := b.queue(key)
	if q != nil || err != nil {
		return q, err
	}
	var n int64
	if _, err := b.tx.Get(`SELECT count(*) FROM task_queues WHERE project = ?`, []any{key.project}, &n); err != nil {
		return nil, err
	}
	if n >= most {
		return nil, fault.QuotaExceeded("queues", most)
	}
	q = &queue{}
	_, err = b.tx.Get(`INSERT INTO task_numbers (name, last) VALUES ('queue', 1)
		ON CONFLICT (name) DO UPDATE SET last = task_numbers.last + 1 RETURNING last`, nil, &q.number)
	if err != nil {
		return nil, err
	}
	_, err = b.tx.Exec(`INSERT INTO task_queues (project, name, number, last, delayed, ready, leased, dead) VALUES (?, ?, ?, 0, 0, 0, 0, 0)`,
		key.project, key.name, q.number)
	b.queues[key] = q
	return q, err
}

// flush writes the queues that have changed.
func (b *batch) flush() error {
	for _, q := range b.queues {
		if !q.changed {
			continue
		}
		_, err := b.tx.Exec(`UPDATE task_queues SET last = ?, delayed = ?, ready = ?, leased = ?, dead = ? WHERE number = ?`,
			q.last, q.counts[delayed], q.counts[ready], q.counts[leased], q.counts[dead], q.number)
		if err != nil {
			return err
		}
	}
	return nil
}

func isFault(err error) bool {
	var f *fault.Error
	return errors.As(err, &f)
}
