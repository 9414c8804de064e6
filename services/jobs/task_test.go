package jobs_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/services/jobs"
)

func TestTasksComeOldestFirstAndAsTheyWerePublished(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	headers := map[string]string{"type": "App\\Message", "X-Trace": "ü"}
	r, err := q.PublishTask(q.ctx, &jobsv1.PublishTaskRequest{Queue: "work", TaskId: "first", Body: []byte{0, 255, 1}, Headers: headers})
	must(t, err)
	q.clock.advance(time.Second)
	q.publish("second", "")
	got := q.pull(10)
	if len(got) != 2 || got[0].GetTaskId() != "first" || got[1].GetTaskId() != "second" {
		t.Fatalf("got %v", got)
	}
	first := got[0]
	if !slices.Equal(first.GetBody(), []byte{0, 255, 1}) || !maps.Equal(first.GetHeaders(), headers) || first.GetAttempt() != 1 {
		t.Errorf("got %v", first)
	}
	if !proto.Equal(first.GetPublishTime(), r.GetPublishTime()) {
		t.Errorf("published at %v, answered %v", first.GetPublishTime().AsTime(), r.GetPublishTime().AsTime())
	}
	if want := q.clock.now().Add(time.Minute); !first.GetLeaseExpireTime().AsTime().Equal(want) {
		t.Errorf("lease ends at %v, want %v", first.GetLeaseExpireTime().AsTime(), want)
	}
	q.wantCounts("all are leased", [4]int64{0, 0, 2, 0})
}

func TestPublishingAgainDoesNothingAndAnswersTheSame(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	req := &jobsv1.PublishTaskRequest{Queue: "work", TaskId: "a", Body: []byte("x"), Headers: map[string]string{"a": "1", "b": "2"}}
	first, err := q.PublishTask(q.ctx, req)
	must(t, err)
	again := func(when string) {
		t.Helper()
		q.clock.advance(time.Hour)
		r, err := q.PublishTask(q.ctx, req)
		if err != nil || !proto.Equal(r, first) {
			t.Errorf("%s: %v %v, want %v", when, r, err, first)
		}
	}
	again("waiting")
	q.pull(1)
	again("leased")
	task := q.pull(1)[0] // the lease has ended
	must(t, q.ack(task))
	again("done")
	q.wantCounts("done", [4]int64{})

	for name, other := range map[string]*jobsv1.PublishTaskRequest{
		"another body":   {Queue: "work", TaskId: "a", Body: []byte("y"), Headers: req.GetHeaders()},
		"another header": {Queue: "work", TaskId: "a", Body: []byte("x"), Headers: map[string]string{"a": "12"}},
	} {
		_, err := q.PublishTask(q.ctx, other)
		wantReason(t, name, err, "ALREADY_EXISTS")
	}
	_, err = q.PublishTask(q.ctx, &jobsv1.PublishTaskRequest{Queue: "other", TaskId: "a", Body: []byte("y")})
	must(t, err) // an id belongs to its queue

	q.clock.advance(24 * time.Hour) // since the end: forgotten, whether the sweep was here or not
	q.publish("a", "something else")
	if got := q.pull(1); len(got) != 1 || string(got[0].GetBody()) != "something else" || got[0].GetAttempt() != 1 {
		t.Errorf("after 24 hours: %v", got)
	}
}

func TestALeaseThatEndsMakesTheTaskDueAgain(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	q.publish("a", "x")
	lost := q.pull(1)[0]
	if got := q.pullIDs(1); got != nil {
		t.Fatalf("leased twice: %v", got)
	}
	q.clock.advance(time.Minute)
	q.wantCounts("the lease has ended", [4]int64{1, 0, 0, 0})
	wantReason(t, "ack after the end", q.ack(lost), "LEASE_LOST")
	wantReason(t, "reject after the end", q.reject(lost, true, 0), "LEASE_LOST")
	wantReason(t, "extend after the end", q.extend(lost, time.Minute), "LEASE_LOST")
	again := q.pull(1)
	if len(again) != 1 || again[0].GetAttempt() != 2 || again[0].GetLeaseId() == lost.GetLeaseId() {
		t.Fatalf("got %v", again)
	}
	wantReason(t, "ack of a lease that another has", q.ack(lost), "LEASE_LOST")
	must(t, q.ack(again[0]))
	must(t, q.ack(again[0])) // again does nothing
	wantReason(t, "ack of a task that another did", q.ack(lost), "LEASE_LOST")
	wantReason(t, "reject of a task that is done", q.reject(again[0], true, 0), "LEASE_LOST")
	q.clock.advance(25 * time.Hour)
	wantReason(t, "ack of a forgotten task", q.ack(again[0]), "NOT_FOUND")
}

func TestAnExtendedLeaseLastsLonger(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	q.publish("a", "x")
	task := q.pull(1)[0]
	for range 5 {
		q.clock.advance(50 * time.Second)
		must(t, q.extend(task, time.Minute))
	}
	if got := q.pullIDs(1); got != nil {
		t.Errorf("leased twice: %v", got)
	}
	must(t, q.ack(task))
}

func TestARejectedTaskComesBackAfterItsDelayOrNever(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	q.publish("a", "x")
	task := q.pull(1)[0]
	must(t, q.reject(task, true, 10*time.Second))
	must(t, q.reject(task, true, 10*time.Second)) // again does nothing
	wantReason(t, "ack after reject", q.ack(task), "LEASE_LOST")
	q.wantCounts("rejected", [4]int64{0, 1, 0, 0})
	q.clock.advance(9 * time.Second)
	if got := q.pullIDs(1); got != nil {
		t.Fatalf("came early: %v", got)
	}
	q.clock.advance(time.Second)
	task = q.pull(1)[0]
	if task.GetAttempt() != 2 {
		t.Errorf("attempt %d, want 2", task.GetAttempt())
	}
	must(t, q.reject(task, true, 0))
	task = q.pull(1)[0]
	must(t, q.reject(task, false, 0))
	q.clock.advance(13 * 24 * time.Hour)
	must(t, q.Sweep(t.Context()))
	if got := q.pullIDs(1); got != nil {
		t.Errorf("a dead task came back: %v", got)
	}
	q.wantCounts("dead", [4]int64{0, 0, 0, 1})
	q.clock.advance(2 * 24 * time.Hour)
	must(t, q.Sweep(t.Context()))
	q.wantCounts("after 14 days", [4]int64{})
}

func TestDelayedTasksTakeTheirPlaceByTheTimeThatTheyAreDue(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	q.publish("late", "x", 3*time.Second)
	q.publish("soon", "x", time.Second)
	q.publish("now", "x")
	if got := q.pullIDs(10); !slices.Equal(got, []string{"now"}) {
		t.Fatalf("got %v", got)
	}
	q.clock.advance(2 * time.Second)
	q.publish("after", "x")
	q.clock.advance(2 * time.Second)
	for _, want := range []string{"soon", "after", "late"} {
		if got := q.pullIDs(1); !slices.Equal(got, []string{want}) {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}

func TestAnAnswerIsBoundedByBytes(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	for i := range 10 {
		req := &jobsv1.PublishTaskRequest{Queue: "work", TaskId: fmt.Sprint(i), Body: make([]byte, 1<<20)}
		_, err := q.PublishTask(q.ctx, req)
		must(t, err)
	}
	total := 0
	for pulls := 1; total < 10; pulls++ {
		r, err := q.PullTasks(q.ctx, &jobsv1.PullTasksRequest{Queue: "work", MaxTasks: 100})
		must(t, err)
		if size := proto.Size(r); size > 4<<20 || len(r.GetTasks()) == 0 {
			t.Fatalf("pull %d: %d tasks, %d bytes", pulls, len(r.GetTasks()), size)
		}
		total += len(r.GetTasks())
	}
}

func TestAQueueHoldsNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	q := open(t, true, func(c *jobs.TaskConfig) { c.MaxTasks, c.MaxQueues = 2, 1 })
	q.publish("a", "x")
	q.publish("b", "x", time.Hour)
	wantReason(t, "a third task", q.tryPublish("c", "x"), "QUOTA_EXCEEDED")
	q.publish("a", "x") // is stored already
	_, err := q.PublishTask(q.ctx, &jobsv1.PublishTaskRequest{Queue: "second", TaskId: "a"})
	wantReason(t, "a second queue", err, "QUOTA_EXCEEDED")
	must(t, q.ack(q.pull(1)[0]))
	q.publish("c", "x")
}

func TestAnotherProjectsTasksAreNotFound(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	q.publish("a", "x")
	task := q.pull(1)[0]
	other := *q
	other.ctx = as("other")
	for _, when := range []string{"without a queue", "with a queue of the same name"} {
		wantReason(t, "ack "+when, other.ack(task), "NOT_FOUND")
		wantReason(t, "reject "+when, other.reject(task, true, 0), "NOT_FOUND")
		wantReason(t, "extend "+when, other.extend(task, time.Hour), "NOT_FOUND")
		if when == "without a queue" {
			other.wantCounts(when, [4]int64{})
			other.publish("b", "theirs")
		}
	}
	if got := other.pullIDs(10); !slices.Equal(got, []string{"b"}) {
		t.Errorf("the other project got %v", got)
	}
	must(t, q.ack(task))
}

func TestTheSweepForgetsWhatIsOver(t *testing.T) {
	t.Parallel()
	q := open(t, true)
	for i := range 1200 { // more than one transaction of the sweep
		q.publish(fmt.Sprint(i), "x", time.Minute)
	}
	q.clock.advance(time.Hour)
	q.wantCounts("before the sweep", [4]int64{1200, 0, 0, 0})
	must(t, q.Sweep(t.Context()))
	q.wantCounts("after the sweep", [4]int64{1200, 0, 0, 0})
	for range 12 {
		for _, task := range q.pull(100) {
			must(t, q.ack(task))
		}
	}
	q.wantCounts("done", [4]int64{})
	q.clock.advance(25 * time.Hour)
	must(t, q.Sweep(t.Context()))
	q.publish("7", "another body") // the id is free again
}
