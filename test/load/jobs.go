package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// jobItems is the size of the job that the figures speak of.
const (
	jobItems = 1_000_000
	million  = "million"
)

// measureJobs runs one large job, with somebody who calls all the while.
func measureJobs(ctx context.Context, b *bench) error {
	s, err := b.startProduct(ctx, "jobs")
	if err != nil {
		return err
	}
	defer func() { _ = s.Kill() }()
	if _, err := b.train(ctx, s, "classification", "banking", "banking77", ""); err != nil {
		return err
	}
	texts, err := b.readTexts("banking77/test.jsonl.gz")
	if err != nil {
		return err
	}
	conn, err := process.Dial(s.GRPC, s.Key)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := quiet(ctx, s.PID()); err != nil {
		return err
	}
	alone, err := interactive(ctx, conn, texts, time.After(5*b.window))
	if err != nil {
		return err
	}
	used, err := cpuTime(s.PID())
	if err != nil {
		return err
	}
	began := time.Now()
	if err := submitTexts(ctx, conn, million, texts, jobItems); err != nil {
		return err
	}
	stored := time.Since(began)
	ended := make(chan time.Time, 1)
	var peak float64
	var failed error
	go func() {
		defer close(ended)
		failed = followJob(ctx, conn, million, jobItems, s.PID(), &peak)
	}()
	during, err := interactive(ctx, conn, texts, ended)
	took := time.Since(began)
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	now, err := cpuTime(s.PID())
	if err != nil {
		return err
	}
	basis := fmt.Sprintf("%.1f s to store, %.0f items/s; server's processor time %.0f µs an item, single calls included", stored.Seconds(), jobItems/(took-stored).Seconds(), (now-used).Seconds()*1e6/jobItems)
	b.table.atMost("a job of 1,000,000 banking77 texts, from the first byte to the last result", took.Seconds(), 90, "s", basis, command("jobs"))
	b.table.atMost("memory of the server meanwhile, most", peak, 300, "MiB", "", command("jobs"))
	b.table.atMost("p99 of single calls while the job runs, against without", percentile(during, 0.99)/percentile(alone, 0.99), 2, "×",
		fmt.Sprintf("p50 %.2f : %.2f ms, p99 %.2f : %.2f ms", percentile(during, 0.5), percentile(alone, 0.5), percentile(during, 0.99), percentile(alone, 0.99)), command("jobs"))
	return nil
}

// interactive calls once every 10 ms until the channel says stop, and returns how long the calls took, in ms.
func interactive(ctx context.Context, conn grpc.ClientConnInterface, texts []string, stop <-chan time.Time) ([]float64, error) {
	client := classificationv1.NewClassificationServiceClient(conn)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var times []float64
	for i := 0; ; i++ {
		select {
		case <-stop:
			return times, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // a late answer is a late answer here, not a failure
		began := time.Now()
		_, err := client.ClassifyText(ctx, &classificationv1.ClassifyTextRequest{Deployment: "banking", Text: texts[i%len(texts)]})
		cancel()
		if err != nil {
			return nil, err
		}
		times = append(times, float64(time.Since(began).Microseconds())/1000)
	}
}

func submitTexts(ctx context.Context, conn grpc.ClientConnInterface, id string, texts []string, items int) error {
	stream, err := jobsv1.NewJobServiceClient(conn).SubmitBatch(ctx)
	if err != nil {
		return err
	}
	spec := &jobsv1.JobSpec{JobId: id, Operation: commonv1.Operation_OPERATION_CLASSIFICATION, Deployment: "banking"}
	if err := stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Spec{Spec: spec}}); err != nil {
		return err
	}
	var piece bytes.Buffer
	for i := range items {
		fmt.Fprintf(&piece, "{\"text\":%q,\"contentId\":\"%d\"}\n", texts[i%len(texts)], i)
		if piece.Len() > 1<<20 || i == items-1 {
			if err := stream.Send(&jobsv1.SubmitBatchRequest{Part: &jobsv1.SubmitBatchRequest_Lines{Lines: bytes.Clone(piece.Bytes())}}); err != nil {
				break // the answer says why
			}
			piece.Reset()
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

// followJob waits for the end of the job and watches the server's memory.
func followJob(ctx context.Context, conn grpc.ClientConnInterface, id string, items int64, pid int, peak *float64) error {
	stream, err := jobsv1.NewJobServiceClient(conn).WatchJob(ctx, &jobsv1.WatchJobRequest{JobId: id})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if used, err := memoryOf(pid); err == nil {
			*peak = max(*peak, used.private)
		}
		switch j := m.GetJob(); j.GetState() {
		case jobsv1.JobState_JOB_STATE_DONE:
			if j.GetDecided() != items || j.GetFailed() != 0 {
				return fmt.Errorf("the job ended as %v", j)
			}
			return nil
		case jobsv1.JobState_JOB_STATE_PAUSED, jobsv1.JobState_JOB_STATE_CANCELLED:
			return fmt.Errorf("the job stopped: %v", j)
		case jobsv1.JobState_JOB_STATE_RUNNING, jobsv1.JobState_JOB_STATE_UNSPECIFIED:
		}
	}
}

func percentile(values []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
