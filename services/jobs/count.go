package jobs

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// GetQueue counts the tasks of a queue, from its counters: only what has become due since the last pull or sweep is counted one by one.
func (s *Tasks) GetQueue(ctx context.Context, req *jobsv1.GetQueueRequest) (*jobsv1.GetQueueResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	res := &jobsv1.GetQueueResponse{}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		q, err := readQueue(tx, queueKey{of, req.GetQueue()})
		if err != nil || q == nil {
			return err
		}
		now := db.Micros(s.now())
		for _, from := range []state{delayed, leased} {
			if q.counts[from] == 0 {
				continue
			}
			var n int64
			_, err := tx.Get(`SELECT count(*) FROM tasks WHERE queue = ? AND state = ? AND due <= ?`, []any{q.number, from, now}, &n)
			if err != nil {
				return err
			}
			q.move(from, ready, n)
		}
		res.Due, res.Delayed, res.Leased, res.Dead = q.counts[ready], q.counts[delayed], q.counts[leased], q.counts[dead]
		if res.GetDue() == 0 {
			return nil
		}
		oldest, err := oldestDue(tx, q.number, now)
		if err == nil && oldest != 0 {
			res.OldestDueTime = timestamppb.New(db.Time(oldest))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// oldestDue returns since when the oldest due task waits; 0 when there is none.
func oldestDue(tx *db.Tx, queue, now int64) (oldest int64, err error) {
	for _, of := range []state{ready, delayed, leased} {
		var at int64
		ok, err := tx.Get(`SELECT due FROM tasks WHERE queue = ? AND state = ? AND due <= ? ORDER BY due LIMIT 1`, []any{queue, of, now}, &at)
		if err != nil {
			return 0, err
		}
		if ok && (oldest == 0 || at < oldest) {
			oldest = at
		}
	}
	return oldest, nil
}
