package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/services/jobs"
)

// patient makes sure that nothing but the notification can end a wait in time.
func patient(c *jobs.TaskConfig) { c.PollInterval = time.Minute }

func (q *queue) wait(ctx context.Context, wait time.Duration) ([]*jobsv1.Task, error) {
	r, err := q.PullTasks(ctx, &jobsv1.PullTasksRequest{Queue: "work", Wait: durationpb.New(wait)})
	return r.GetTasks(), err
}

func TestAPullWaitsForTheFirstTask(t *testing.T) {
	t.Parallel()
	q := open(t, false, patient)
	got := make(chan []*jobsv1.Task)
	go func() {
		tasks, _ := q.wait(q.ctx, 20*time.Second)
		got <- tasks
	}()
	time.Sleep(50 * time.Millisecond) // lets it wait; without this the test would pass, and show less
	began := time.Now()
	q.publish("a", "x")
	if tasks := <-got; len(tasks) != 1 || time.Since(began) > 5*time.Second {
		t.Errorf("got %v after %v", tasks, time.Since(began))
	}
}

func TestAPullWaitsUntilADelayOrALeaseEnds(t *testing.T) {
	t.Parallel()
	q := open(t, false, patient)
	q.publish("a", "x", 200*time.Millisecond)
	tasks, err := q.wait(q.ctx, 20*time.Second)
	if err != nil || len(tasks) != 1 {
		t.Fatalf("after the delay: %v %v", tasks, err)
	}
	must(t, q.extend(tasks[0], time.Second))
	if tasks, err = q.wait(q.ctx, 20*time.Second); err != nil || len(tasks) != 1 || tasks[0].GetAttempt() != 2 {
		t.Errorf("after the lease: %v %v", tasks, err)
	}
}

func TestAPullThatWaitsInVainIsAnsweredWithNothing(t *testing.T) {
	t.Parallel()
	q := open(t, false)
	began := time.Now()
	tasks, err := q.wait(q.ctx, 300*time.Millisecond)
	if took := time.Since(began); err != nil || len(tasks) != 0 || took < 300*time.Millisecond || took > 10*time.Second {
		t.Errorf("%v %v after %v", tasks, err, took)
	}
}

func TestDrainingEndsAllWaitsAtOnce(t *testing.T) {
	t.Parallel()
	q := open(t, false, patient)
	var waits sync.WaitGroup
	for range 20 {
		waits.Go(func() {
			if tasks, err := q.wait(q.ctx, 20*time.Second); err != nil || len(tasks) != 0 {
				t.Errorf("%v %v", tasks, err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	q.Drain()
	waits.Wait()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("waits ended %v after the drain", took)
	}
	q.publish("a", "x") // everything else goes on
	if got := q.pullIDs(1); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestACallerThatLeavesTakesNothingWithIt(t *testing.T) {
	t.Parallel()
	q := open(t, false, patient)
	for range 20 { // whenever the caller leaves: before the task, with it or after it
		ctx, cancel := context.WithCancel(q.ctx)
		left := make(chan error, 1)
		var tasks []*jobsv1.Task
		go func() {
			var err error
			tasks, err = q.wait(ctx, 20*time.Second)
			left <- err
		}()
		id := fmt.Sprint(time.Now().UnixNano())
		go cancel()
		q.publish(id, "x")
		if err := <-left; err == nil { // it was served
			must(t, q.ack(tasks[0]))
			continue
		} else if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		next, err := q.wait(q.ctx, 20*time.Second)
		if err != nil || len(next) != 1 || next[0].GetAttempt() != 1 {
			t.Fatalf("got %v %v", next, err)
		}
		must(t, q.ack(next[0]))
	}
}

// TestNobodyGetsATaskThatAnotherHas has many publishers and pullers at once. Every task must be handed out exactly once.
func TestNobodyGetsATaskThatAnotherHas(t *testing.T) {
	t.Parallel()
	const pullers, each = 16, 100
	q := open(t, false)
	var mu sync.Mutex
	got := map[string]int{}
	served := [pullers]int{}
	var left atomic.Int64
	left.Store(pullers * each)
	var group sync.WaitGroup
	for p := range pullers {
		group.Go(func() {
			for i := range each {
				if err := q.tryPublish(fmt.Sprintf("%d-%d", p, i), "x"); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			for left.Load() > 0 {
				r, err := q.PullTasks(q.ctx, &jobsv1.PullTasksRequest{Queue: "work", MaxTasks: int32(1 + p%5), Wait: durationpb.New(200 * time.Millisecond)})
				if err != nil {
					t.Error(err)
					return
				}
				for _, task := range r.GetTasks() {
					mu.Lock()
					got[task.GetTaskId()]++
					served[p]++
					mu.Unlock()
					left.Add(-1)
					if err := q.ack(task); err != nil {
						t.Errorf("ack %s: %v", task.GetTaskId(), err)
					}
				}
			}
		})
	}
	group.Wait()
	for id, n := range got {
		if n != 1 {
			t.Errorf("%s was handed out %d times", id, n)
		}
	}
	for p, n := range served {
		if n == 0 {
			t.Errorf("puller %d got nothing", p)
		}
	}
	if len(got) != pullers*each {
		t.Errorf("%d tasks of %d", len(got), pullers*each)
	}
	q.wantCounts("in the end", [4]int64{})
}
