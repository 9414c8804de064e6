package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	deadList = "dead tasks"
	// deadScan is how many rows one page looks at, and deadBytes what it holds at most.
	deadScan  = 5_000
	deadBytes = 2 << 20
)

// errEnough ends the reading of rows; it is never returned.
var errEnough = errors.New("enough")

// ListDeadTasks lists the tasks that were given up, the last one first. Their place in the list is when they are forgotten, and their number.
func (s *Tasks) ListDeadTasks(ctx context.Context, req *jobsv1.ListDeadTasksRequest) (*jobsv1.ListDeadTasksResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	filter, err := deadFilter(req)
	if err != nil {
		return nil, err
	}
	l := deadPage{req: req, size: db.PageSize(req.GetPage().GetSize()), now: db.Micros(s.now()), due: math.MaxInt64, number: math.MaxInt64}
	token, ok, err := db.ParseToken(req.GetPage().GetToken(), deadList, filter, 2)
	if err != nil {
		return nil, err
	}
	if ok {
		var err1, err2 error
		l.due, err1 = strconv.ParseInt(token[0], 10, 64)
		l.number, err2 = strconv.ParseInt(token[1], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
		}
	}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		q, err := readQueue(tx, queueKey{of, req.GetQueue()})
		if err != nil || q == nil {
			return err
		}
		return l.read(tx, q.number)
	})
	if err != nil {
		return nil, err
	}
	res := &jobsv1.ListDeadTasksResponse{Tasks: l.tasks, Page: &commonv1.PageResponse{}}
	if l.more {
		res.Page.NextToken = db.Token(deadList, filter, strconv.FormatInt(l.due, 10), strconv.FormatInt(l.number, 10))
	}
	return res, nil
}

// deadFilter is what a page token is bound to beside the list: all of the request but the page.
func deadFilter(req *jobsv1.ListDeadTasksRequest) (string, error) {
	all := proto.CloneOf(req)
	all.Page = nil
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(all)
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), err
}

// deadPage is one page of the list; due and number are its last row.
type deadPage struct {
	req         *jobsv1.ListDeadTasksRequest
	size        int
	now         int64
	due, number int64
	tasks       []*jobsv1.DeadTask
	bytes       int
	more        bool
}

func (l *deadPage) read(tx *db.Tx, queue int64) error {
	from, to := l.now, int64(math.MaxInt64) // what is past its time waits for the sweep
	if t := l.req.GetFrom(); t != nil {
		from = max(from, db.Micros(t.AsTime())+keepDead.Microseconds()-1)
	}
	if t := l.req.GetTo(); t != nil {
		to = db.Micros(t.AsTime()) + keepDead.Microseconds()
	}
	looked := 0
	err := tx.Each(`SELECT t.id, t.reason, t.attempt, t.published, t.due, t.number, b.headers, CASE WHEN ? = 1 THEN b.body END FROM tasks t
		LEFT JOIN task_bodies b ON b.queue = t.queue AND b.number = t.number WHERE t.queue = ? AND t.state = ? AND t.due > ? AND t.due < ?
		AND (t.due < ? OR (t.due = ? AND t.number < ?)) ORDER BY t.due DESC, t.number DESC LIMIT ?`,
		[]any{flag(l.req.GetWithBody()), queue, dead, from, to, l.due, l.due, l.number, deadScan + 1}, func(scan func(...any) error) error {
			if looked == deadScan || len(l.tasks) == l.size || l.bytes >= deadBytes {
				l.more = true
				return errEnough
			}
			looked++
			return l.row(scan)
		})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return err
}

func (l *deadPage) row(scan func(...any) error) error {
	m := &jobsv1.DeadTask{}
	var published, due, number int64
	var headers, body []byte
	if err := scan(&m.TaskId, &m.Reason, &m.Attempt, &published, &due, &number, &headers, &body); err != nil {
		return err
	}
	var err error
	if m.Headers, err = unpackHeaders(headers); err != nil {
		return fmt.Errorf("task %s: %w", m.GetTaskId(), err)
	}
	if l.due, l.number = due, number; !l.fits(m) {
		return nil
	}
	m.Body = body
	m.PublishTime, m.ForgetTime = timestamppb.New(db.Time(published)), timestamppb.New(db.Time(due))
	m.DeadTime = timestamppb.New(db.Time(due - keepDead.Microseconds()))
	l.tasks = append(l.tasks, m)
	l.bytes += proto.Size(m)
	return nil
}

func (l *deadPage) fits(m *jobsv1.DeadTask) bool {
	if !strings.Contains(strings.ToLower(m.GetReason()), strings.ToLower(l.req.GetReason())) {
		return false
	}
	if l.req.GetHeader() == "" {
		return true
	}
	name, value, exact := strings.Cut(l.req.GetHeader(), "=")
	have, ok := m.GetHeaders()[name]
	return ok && (!exact || have == value)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// RetryDeadTask makes a task due again that was given up.
func (s *Tasks) RetryDeadTask(ctx context.Context, req *jobsv1.RetryDeadTaskRequest) (*jobsv1.RetryDeadTaskResponse, error) {
	res := &jobsv1.RetryDeadTaskResponse{}
	key, err := s.onDead(ctx, req.GetQueue(), req.GetTaskId(), func(b *batch, q *queue, t *task, now int64) error {
		res.Retried = false
		switch {
		case t == nil || t.state == done:
			return fault.NotFound("task", req.GetTaskId())
		case t.state != dead:
			return nil
		case len(t.digest) == 0:
			return fault.InvalidField("task_id", "names a task whose body was erased")
		}
		res.Retried, t.attempt = true, 0
		if delay := req.GetDelay().AsDuration(); delay > 0 {
			return b.set(q, t, delayed, now+delay.Microseconds(), "", "")
		}
		return b.set(q, t, ready, now, "", "")
	})
	if err != nil {
		return nil, err
	}
	s.lines.wake(key)
	return res, nil
}

// DeleteDeadTask forgets a task that was given up.
func (s *Tasks) DeleteDeadTask(ctx context.Context, req *jobsv1.DeleteDeadTaskRequest) (*jobsv1.DeleteDeadTaskResponse, error) {
	res := &jobsv1.DeleteDeadTaskResponse{}
	_, err := s.onDead(ctx, req.GetQueue(), req.GetTaskId(), func(b *batch, q *queue, t *task, _ int64) error {
		if res.Deleted = t != nil && t.state == dead; !res.GetDeleted() {
			return nil
		}
		return b.forget(q, t)
	})
	if err != nil {
		return nil, err
	}
	return res, nil
}

// onDead runs fn on a task of the caller's; nil when there is none, or none any more.
func (s *Tasks) onDead(ctx context.Context, queue, id string, fn func(b *batch, q *queue, t *task, now int64) error) (queueKey, error) {
	of, err := project(ctx)
	key := queueKey{of, queue}
	if err != nil {
		return key, err
	}
	return key, s.writer.Do(ctx, func(b *batch) error {
		now := db.Micros(s.now())
		q, err := b.queue(key)
		if err != nil {
			return err
		}
		if q == nil {
			return fn(b, nil, nil, now)
		}
		t, err := readTask(b.tx, q.number, id)
		if err != nil {
			return err
		}
		if t != nil && !t.remembered(now) {
			t = nil
		}
		return fn(b, q, t, now)
	})
}
