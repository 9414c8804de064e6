package jobs_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/pgtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/jobs"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// queue is a running service with a clock of its own.
type queue struct {
	*jobs.Tasks
	tb    testing.TB
	clock *clock
	ctx   context.Context //nolint:containedctx // of the project that the test acts for
}

// open returns the service on a database of the test's own; at time zero of the clock when frozen, else at the real time.
func open(tb testing.TB, frozen bool, change ...func(*jobs.TaskConfig)) *queue {
	tb.Helper()
	where := db.Default(filepath.Join(tb.TempDir(), "switchyard.db"))
	if pgtest.Wanted() {
		where.URL = pgtest.Schema(tb)
	}
	d, err := db.Open(context.Background(), where)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	c := &clock{t: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	config := jobs.DefaultTasks()
	for _, f := range change {
		f(&config)
	}
	deps := jobs.TaskDeps{DB: d, Config: config}
	if frozen {
		deps.Now = c.now
	}
	s := jobs.NewTasks(deps)
	if err := s.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return &queue{s, tb, c, as("acme")}
}

func as(project string) context.Context {
	return auth.WithCaller(context.Background(), &auth.Caller{Project: project, KeyID: "k", Scopes: []string{"*"}})
}

func (q *queue) publish(id, body string, delay ...time.Duration) {
	q.tb.Helper()
	if err := q.tryPublish(id, body, delay...); err != nil {
		q.tb.Fatalf("publish %s: %v", id, err)
	}
}

func (q *queue) tryPublish(id, body string, delay ...time.Duration) error {
	req := &jobsv1.PublishTaskRequest{Queue: "work", TaskId: id, Body: []byte(body)}
	if len(delay) > 0 {
		req.Delay = durationpb.New(delay[0])
	}
	_, err := q.PublishTask(q.ctx, req)
	return err
}

// pull takes so many tasks under leases of a minute without waiting.
func (q *queue) pull(most int32) []*jobsv1.Task {
	q.tb.Helper()
	r, err := q.PullTasks(q.ctx, &jobsv1.PullTasksRequest{Queue: "work", MaxTasks: most})
	if err != nil {
		q.tb.Fatalf("pull: %v", err)
	}
	return r.GetTasks()
}

func (q *queue) pullIDs(most int32) []string {
	q.tb.Helper()
	var ids []string
	for _, t := range q.pull(most) {
		ids = append(ids, t.GetTaskId())
	}
	return ids
}

func (q *queue) ack(t *jobsv1.Task) error {
	_, err := q.AckTask(q.ctx, &jobsv1.AckTaskRequest{Queue: "work", TaskId: t.GetTaskId(), LeaseId: t.GetLeaseId()})
	return err
}

func (q *queue) reject(t *jobsv1.Task, requeue bool, delay time.Duration) error {
	_, err := q.RejectTask(q.ctx, &jobsv1.RejectTaskRequest{
		Queue: "work", TaskId: t.GetTaskId(), LeaseId: t.GetLeaseId(), Requeue: requeue, Delay: durationpb.New(delay), Reason: "not today",
	})
	return err
}

func (q *queue) extend(t *jobsv1.Task, lease time.Duration) error {
	_, err := q.ExtendTask(q.ctx, &jobsv1.ExtendTaskRequest{
		Queue: "work", TaskId: t.GetTaskId(), LeaseId: t.GetLeaseId(), Lease: durationpb.New(lease),
	})
	return err
}

// counts are due, delayed, leased and dead.
func (q *queue) counts() [4]int64 {
	q.tb.Helper()
	r, err := q.GetQueue(q.ctx, &jobsv1.GetQueueRequest{Queue: "work"})
	if err != nil {
		q.tb.Fatalf("get queue: %v", err)
	}
	return [4]int64{r.GetDue(), r.GetDelayed(), r.GetLeased(), r.GetDead()}
}

func (q *queue) wantCounts(when string, want [4]int64) {
	q.tb.Helper()
	if got := q.counts(); got != want {
		q.tb.Errorf("%s: due, delayed, leased, dead are %v, want %v", when, got, want)
	}
}

func wantReason(tb testing.TB, what string, err error, reason string) {
	tb.Helper()
	if err == nil || fault.From(err).ReasonName() != reason {
		tb.Errorf("%s: %v, want %s", what, err, reason)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
