package jobs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

const (
	// maxPullBytes bounds an answer: what most clients receive at most is 4 MiB.
	maxPullBytes = 4<<20 - 64<<10
	// defaultLease holds when the caller names none.
	defaultLease = time.Minute
)

// PullTasks leases tasks that are due, and waits for the first one as long as the caller likes.
func (s *Tasks) PullTasks(ctx context.Context, req *jobsv1.PullTasksRequest) (*jobsv1.PullTasksResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	p := &pull{service: s, key: queueKey{of, req.GetQueue()}, most: max(1, int(req.GetMaxTasks())), lease: leaseOf(req.GetLease().AsDuration())}
	if wait := req.GetWait().AsDuration(); wait > 0 {
		err = p.inLine(ctx, wait)
	} else {
		err = p.atOnce(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		p.giveBack(ctx) // nobody hears the answer
		return nil, err
	}
	return &jobsv1.PullTasksResponse{Tasks: p.messages}, nil
}

func leaseOf(sent time.Duration) time.Duration {
	if sent <= 0 {
		return defaultLease
	}
	return sent
}

// pull is one call of PullTasks.
type pull struct {
	service  *Tasks
	key      queueKey
	most     int
	lease    time.Duration
	tasks    []*task
	due      []int64 // since when each was due, for giving it back
	messages []*jobsv1.Task
}

// atOnce takes what is due now. Looking first costs no writing: most looks of a worker that polls find nothing.
func (p *pull) atOnce(ctx context.Context) error {
	s := p.service
	var available int64
	err := s.db.View(ctx, func(tx *db.Tx) (err error) {
		available, _, err = peek(tx, p.key, db.Micros(s.now()))
		return err
	})
	if err != nil || available == 0 {
		return err
	}
	return p.take(ctx)
}

// inLine waits in the queue's line until it is served or its time is over.
func (p *pull) inLine(ctx context.Context, wait time.Duration) error {
	s := p.service
	place, leave := s.lines.join(p.key)
	defer leave()
	over, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	stop := context.AfterFunc(s.pulling, cancel)
	defer stop()
	for place.first(over) {
		due, err := p.look(over, place)
		if err != nil || !due {
			place.next()
			return err
		}
		// The next pull looks while this one waits for the disk; it counts what is being taken.
		place.taking.Add(int64(p.most))
		place.next()
		err = p.take(ctx)
		place.taking.Add(-int64(p.most))
		s.lines.wake(p.key)
		if err != nil || len(p.tasks) > 0 {
			return err
		}
	}
	return nil
}

// look waits, as the first of the line, until there are more tasks than those before it are taking. It returns false when its time is over.
func (p *pull) look(over context.Context, place *line) (bool, error) {
	s := p.service
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var available int64
		var next time.Duration
		err := s.db.View(context.WithoutCancel(over), func(tx *db.Tx) (err error) {
			available, next, err = peek(tx, p.key, db.Micros(s.now()))
			return err
		})
		if err != nil || available > place.taking.Load() {
			return err == nil, err
		}
		pause := s.config.PollInterval
		if next > 0 {
			pause = min(pause, max(next, time.Millisecond))
		}
		timer.Reset(pause)
		select {
		case <-place.wake:
		case <-timer.C:
		case <-over.Done():
			return false, nil
		}
	}
}

// take leases what is due.
func (p *pull) take(ctx context.Context) error {
	return p.service.writer.Do(ctx, func(b *batch) error {
		p.tasks, p.due, p.messages = nil, nil, nil
		return p.leaseAll(b)
	})
}

// peek says how many tasks of a queue are due, at least, and how long it takes until the next one is; 0 for none in sight.
func peek(tx *db.Tx, key queueKey, now int64) (available int64, next time.Duration, err error) {
	q, err := readQueue(tx, key)
	if err != nil || q == nil {
		return 0, 0, err
	}
	available = q.counts[ready]
	for _, of := range []state{delayed, leased} {
		if q.counts[of] == 0 {
			continue
		}
		var at int64
		ok, err := tx.Get(`SELECT due FROM tasks WHERE queue = ? AND state = ? ORDER BY due LIMIT 1`, []any{q.number, of}, &at)
		if err != nil {
			return 0, 0, err
		}
		if ok && at <= now {
			available++
		} else if d := time.Duration(at-now) * time.Microsecond; ok && (next == 0 || d < next) {
			next = d
		}
	}
	return available, next, nil
}

func (p *pull) leaseAll(b *batch) error {
	q, err := b.queue(p.key)
	if err != nil || q == nil {
		return err
	}
	now := db.Micros(p.service.now())
	// Promoting as many as are asked for is enough for the order: whatever is left is younger than all of them.
	if _, err := b.promote(q, now, p.most); err != nil {
		return err
	}
	rows, err := b.overdue(q, ready, now, p.most)
	if err != nil {
		return err
	}
	id := newLease()
	end := now + p.lease.Microseconds()
	bytes := int64(0)
	for i, t := range rows {
		if bytes += t.size; bytes > maxPullBytes && i > 0 {
			break
		}
		since := t.due
		t.attempt++
		if err := b.set(q, t, leased, end, id, ""); err != nil {
			return err
		}
		m, err := b.message(q, t)
		if err != nil {
			return err
		}
		p.tasks, p.due, p.messages = append(p.tasks, t), append(p.due, since), append(p.messages, m)
	}
	return nil
}

// message is a leased task as it is sent.
func (b *batch) message(q *queue, t *task) (*jobsv1.Task, error) {
	m := &jobsv1.Task{
		TaskId: t.id, Attempt: t.attempt, PublishTime: timestamppb.New(db.Time(t.published)),
		LeaseId: t.lease, LeaseExpireTime: timestamppb.New(db.Time(t.due)),
	}
	var headers []byte
	_, err := b.tx.Get(`SELECT body, headers FROM task_bodies WHERE queue = ? AND number = ?`, []any{q.number, t.number}, &m.Body, &headers)
	if err != nil {
		return nil, err
	}
	m.Headers, err = unpackHeaders(headers)
	return m, err
}

// giveBack undoes a pull whose caller left while it was being answered; where that fails the leases end by themselves.
func (p *pull) giveBack(ctx context.Context) {
	s := p.service
	if len(p.tasks) == 0 {
		return
	}
	err := s.writer.Do(context.WithoutCancel(ctx), func(b *batch) error {
		q, err := b.queue(p.key)
		if err != nil || q == nil {
			return err
		}
		for i, taken := range p.tasks {
			t, err := readTask(b.tx, q.number, taken.id)
			if err != nil {
				return err
			}
			if t == nil || t.state != leased || t.lease != taken.lease {
				continue
			}
			t.attempt-- // it was not delivered
			if err := b.set(q, t, ready, p.due[i], "", ""); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.log.WarnContext(ctx, "tasks whose puller left stay leased until their leases end", "queue", p.key.name, "tasks", len(p.tasks), "error", err)
		return
	}
	s.lines.wake(p.key)
}

func newLease() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
