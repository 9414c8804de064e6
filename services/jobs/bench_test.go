package jobs_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
)

// BenchmarkPublishPullAck has callers that each publish a task, pull one and acknowledge it: three durable calls an operation. More callers share an fsync.
func BenchmarkPublishPullAck(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			q := open(b, false)
			var next atomic.Int64
			b.SetParallelism(callers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := q.tryPublish(fmt.Sprint(next.Add(1)), "a body of a usual size, which is rather short"); err != nil {
						b.Error(err)
					}
					r, err := q.PullTasks(q.ctx, &jobsv1.PullTasksRequest{Queue: "work", Wait: durationpb.New(10 * time.Second)})
					if err != nil {
						b.Error(err)
					}
					for _, task := range r.GetTasks() {
						if err := q.ack(task); err != nil {
							b.Error(err)
						}
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

// BenchmarkCountAMillion counts a queue of a million tasks, of which half are delayed.
func BenchmarkCountAMillion(b *testing.B) {
	q := open(b, false)
	const n, publishers = 1_000_000, 256
	done := make(chan error, publishers)
	for p := range publishers {
		go func() {
			for i := p; i < n; i += publishers {
				req := &jobsv1.PublishTaskRequest{Queue: "work", TaskId: fmt.Sprint(i), Body: []byte("x")}
				if i%2 == 0 {
					req.Delay = durationpb.New(time.Hour)
				}
				if _, err := q.PublishTask(q.ctx, req); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range publishers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.Run("GetQueue", func(b *testing.B) {
		for b.Loop() {
			if got := q.counts(); got != [4]int64{n / 2, n / 2, 0, 0} {
				b.Fatal(got)
			}
		}
	})
	b.Run("PullAndReject", func(b *testing.B) {
		for b.Loop() {
			must(b, q.reject(q.pull(1)[0], true, 0))
		}
	})
}
