package jobs

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// AckTask ends a task: it is done.
func (s *Tasks) AckTask(ctx context.Context, req *jobsv1.AckTaskRequest) (*jobsv1.AckTaskResponse, error) {
	err := s.settle(ctx, req.GetQueue(), req.GetTaskId(), req.GetLeaseId(), func(b *batch, q *queue, t *task, now int64) error {
		if t.state == done {
			return nil // again
		}
		if !t.held(now) {
			return fault.LeaseLost("task", t.id)
		}
		return b.set(q, t, done, now+rememberDone.Microseconds(), t.lease, "")
	})
	if err != nil {
		return nil, err
	}
	return &jobsv1.AckTaskResponse{}, nil
}

// RejectTask gives a task back, or ends it as dead.
func (s *Tasks) RejectTask(ctx context.Context, req *jobsv1.RejectTaskRequest) (*jobsv1.RejectTaskResponse, error) {
	err := s.settle(ctx, req.GetQueue(), req.GetTaskId(), req.GetLeaseId(), func(b *batch, q *queue, t *task, now int64) error {
		switch {
		case t.state == delayed || t.state == ready || t.state == dead:
			return nil // again: the lease is kept with a task until another takes its place
		case !t.held(now):
			return fault.LeaseLost("task", t.id)
		case !req.GetRequeue():
			return b.set(q, t, dead, now+keepDead.Microseconds(), t.lease, req.GetReason())
		case req.GetDelay().AsDuration() > 0:
			return b.set(q, t, delayed, now+req.GetDelay().AsDuration().Microseconds(), t.lease, req.GetReason())
		}
		return b.set(q, t, ready, now, t.lease, req.GetReason())
	})
	if err != nil {
		return nil, err
	}
	if req.GetRequeue() {
		if of, err := project(ctx); err == nil {
			s.lines.wake(queueKey{of, req.GetQueue()})
		}
	}
	return &jobsv1.RejectTaskResponse{}, nil
}

// ExtendTask lets a lease end later, or earlier.
func (s *Tasks) ExtendTask(ctx context.Context, req *jobsv1.ExtendTaskRequest) (*jobsv1.ExtendTaskResponse, error) {
	var end time.Time
	err := s.settle(ctx, req.GetQueue(), req.GetTaskId(), req.GetLeaseId(), func(b *batch, q *queue, t *task, now int64) error {
		if !t.held(now) {
			return fault.LeaseLost("task", t.id)
		}
		due := now + leaseOf(req.GetLease().AsDuration()).Microseconds()
		end = db.Time(due)
		return b.set(q, t, leased, due, t.lease, "")
	})
	if err != nil {
		return nil, err
	}
	return &jobsv1.ExtendTaskResponse{LeaseExpireTime: timestamppb.New(end)}, nil
}

// held says whether somebody has the task.
func (t *task) held(now int64) bool { return t.state == leased && t.due > now }

// settle runs fn on a task whose last lease is the caller's.
func (s *Tasks) settle(ctx context.Context, queue, id, lease string, fn func(b *batch, q *queue, t *task, now int64) error) error {
	of, err := project(ctx)
	if err != nil {
		return err
	}
	return s.writer.Do(ctx, func(b *batch) error {
		now := db.Micros(s.now())
		q, err := b.queue(queueKey{of, queue})
		if err != nil {
			return err
		}
		if q == nil {
			return fault.NotFound("task", id)
		}
		t, err := readTask(b.tx, q.number, id)
		if err != nil {
			return err
		}
		if t == nil || !t.remembered(now) {
			return fault.NotFound("task", id)
		}
		if t.lease != lease {
			return fault.LeaseLost("task", id)
		}
		return fn(b, q, t, now)
	})
}
