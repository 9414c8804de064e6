package jobs

import (
	"context"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// sweepRows is how many rows a transaction of the sweep changes: others wait for it.
const sweepRows = 500

// sweepAll sweeps now and then, until the context ends.
func (s *Tasks) sweepAll(ctx context.Context) {
	tick := time.NewTicker(s.config.SweepInterval)
	defer tick.Stop()
	for {
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "ended tasks could not be forgotten", "error", err) // tried again at the next tick
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Sweep forgets tasks that ended long enough ago, and makes tasks ready whose time has come although nobody pulls.
func (s *Tasks) Sweep(ctx context.Context) error {
	keys, err := s.queues(ctx)
	if err != nil {
		return err
	}
	for _, key := range keys {
		for more := true; more; {
			changed := 0
			err := s.writer.Do(ctx, func(b *batch) (err error) {
				changed, err = b.sweep(key, db.Micros(s.now()))
				return err
			})
			if err != nil {
				return err
			}
			more = changed >= sweepRows
		}
	}
	return nil
}

// queues returns the queues that a sweep would change something in.
func (s *Tasks) queues(ctx context.Context) (keys []queueKey, err error) {
	now := db.Micros(s.now())
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT project, name FROM task_queues q WHERE EXISTS (SELECT 1 FROM tasks t WHERE t.queue = q.number AND t.state = ? AND t.due <= ?)
			OR EXISTS (SELECT 1 FROM tasks t WHERE t.queue = q.number AND t.state = ? AND t.due <= ?)
			OR EXISTS (SELECT 1 FROM tasks t WHERE t.queue = q.number AND t.state = ? AND t.due <= ?)
			OR EXISTS (SELECT 1 FROM tasks t WHERE t.queue = q.number AND t.state = ? AND t.due <= ?)`,
			[]any{delayed, now, leased, now, done, now, dead, now}, func(scan func(...any) error) error {
				var key queueKey
				err := scan(&key.project, &key.name)
				keys = append(keys, key)
				return err
			})
	})
	return keys, err
}

func (b *batch) sweep(key queueKey, now int64) (int, error) {
	q, err := b.queue(key)
	if err != nil || q == nil {
		return 0, err
	}
	changed, err := b.promote(q, now, sweepRows)
	for _, of := range []state{done, dead} {
		if err != nil {
			return 0, err
		}
		var rows []*task
		if rows, err = b.overdue(q, of, now, sweepRows); err != nil {
			return 0, err
		}
		for _, t := range rows {
			if err := b.forget(q, t); err != nil {
				return 0, err
			}
		}
		changed += len(rows)
	}
	return changed, err
}
