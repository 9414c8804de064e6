package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
)

// taskBook is what publishers and workers were told.
type taskBook struct {
	mu        sync.Mutex
	published map[string]bool
	acked     map[string]bool
	unsure    map[string]bool // acknowledged, and the server died before it answered
	returned  []string        // delivered although an acknowledgement was answered
}

func (b *taskBook) counts() (published, acked int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.published), len(b.acked)
}

func (b *taskBook) publish(ctx context.Context, c jobsv1.TaskServiceClient, id string) {
	if _, err := c.PublishTask(ctx, &jobsv1.PublishTaskRequest{Queue: "work", TaskId: id, Body: []byte(id)}); err == nil {
		b.mu.Lock()
		b.published[id] = true
		b.mu.Unlock()
	}
}

// work pulls and acknowledges; it returns how many tasks it got.
func (b *taskBook) work(ctx context.Context, c jobsv1.TaskServiceClient, wait time.Duration) (int, error) {
	r, err := c.PullTasks(ctx, &jobsv1.PullTasksRequest{Queue: "work", MaxTasks: 5, Lease: durationpb.New(2 * time.Second), Wait: durationpb.New(wait)})
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	for _, task := range r.GetTasks() {
		if b.acked[task.GetTaskId()] {
			b.returned = append(b.returned, task.GetTaskId())
		}
	}
	b.mu.Unlock()
	for _, task := range r.GetTasks() {
		b.mu.Lock()
		b.unsure[task.GetTaskId()] = true
		b.mu.Unlock()
		_, err := c.AckTask(ctx, &jobsv1.AckTaskRequest{Queue: "work", TaskId: task.GetTaskId(), LeaseId: task.GetLeaseId()})
		if err == nil {
			b.mu.Lock()
			b.acked[task.GetTaskId()] = true
			b.mu.Unlock()
		}
	}
	return len(r.GetTasks()), nil
}

// TestKillLosesNoTask kills the server again and again while tasks are published, pulled and acknowledged. Every task whose publication was
// answered is delivered until it is acknowledged, and none whose acknowledgement was answered comes back.
func TestKillLosesNoTask(t *testing.T) {
	t.Parallel()
	kills := 10
	if testing.Short() {
		kills = 3
	}
	dir := filepath.Join(t.TempDir(), "data")
	book := &taskBook{published: map[string]bool{}, acked: map[string]bool{}, unsure: map[string]bool{}}
	var number atomic.Int64
	for range kills {
		s := startIn(t, dir)
		client := jobsv1.NewTaskServiceClient(dial(t, s, s.Key))
		before, _ := book.counts()
		l := startLoad(t.Context(), 12, func(ctx context.Context, caller int) {
			if caller%2 == 0 {
				book.publish(ctx, client, fmt.Sprint(number.Add(1)))
				return
			}
			_, _ = book.work(ctx, client, time.Second) // the server dies; that is the test
		})
		eventually(t, "tasks are stored", 20*time.Second, func() bool { n, _ := book.counts(); return n > before+20 })
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		l.end()
	}
	s := startIn(t, dir)
	client := jobsv1.NewTaskServiceClient(dial(t, s, s.Key))
	for empty := 0; empty < 3; { // a wait of a whole lease that finds nothing, three times
		n, err := book.work(t.Context(), client, 2500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if empty++; n > 0 {
			empty = 0
		}
	}
	missing := 0
	for id := range book.published {
		if !book.acked[id] && !book.unsure[id] {
			missing++
		}
	}
	published, acked := book.counts()
	t.Logf("%d kills, %d tasks published, %d acknowledged, %d lost, %d came back after their acknowledgement", kills, published, acked, missing, len(book.returned))
	if missing > 0 || len(book.returned) > 0 {
		t.Fail()
	}
	counts, err := client.GetQueue(t.Context(), &jobsv1.GetQueueRequest{Queue: "work"})
	if err != nil || counts.GetDue()+counts.GetDelayed()+counts.GetLeased() != 0 {
		t.Errorf("the queue still counts %v (%v)", counts, err)
	}
	stop(t, s)
}

// TestStoppingDoesNotWaitForPulls stops a server in which pulls wait for a task: they are answered at once, over gRPC and REST.
func TestStoppingDoesNotWaitForPulls(t *testing.T) {
	t.Parallel()
	s := start(t)
	client := jobsv1.NewTaskServiceClient(dial(t, s, s.Key))
	var pulls sync.WaitGroup
	for range 5 {
		pulls.Go(func() {
			r, err := client.PullTasks(t.Context(), &jobsv1.PullTasksRequest{Queue: "work", Wait: durationpb.New(20 * time.Second)})
			if err != nil || len(r.GetTasks()) != 0 {
				t.Errorf("a pull over gRPC ended with %v %v", r, err)
			}
		})
		pulls.Go(func() {
			a, err := s.Post(t.Context(), "/v1/queues/work/tasks:pull", `{"wait":"20s"}`)
			if err != nil || a.Status != 200 {
				t.Errorf("a pull over REST ended with %d %v", a.Status, err)
			}
		})
	}
	time.Sleep(300 * time.Millisecond) // lets them wait
	began := time.Now()
	stop(t, s)
	pulls.Wait()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if log := s.Stderr(); strings.Contains(log, "cut off") {
		t.Errorf("pulls were cut off:\n%s", log)
	}
}
