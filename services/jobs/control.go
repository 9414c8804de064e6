package jobs

import (
	"context"
	"math"
	"strconv"
	"time"

	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// watchPause is the least time between two messages of a watch.
const watchPause = 500 * time.Millisecond

// GetJob returns a job.
func (s *Jobs) GetJob(ctx context.Context, req *jobsv1.GetJobRequest) (*jobsv1.GetJobResponse, error) {
	j, err := s.find(ctx, req.GetJobId())
	if err != nil {
		return nil, err
	}
	m, _, _ := j.now()
	return &jobsv1.GetJobResponse{Job: m}, nil
}

// ListJobs lists the jobs of the caller's project, newest first.
func (s *Jobs) ListJobs(ctx context.Context, req *jobsv1.ListJobsRequest) (*jobsv1.ListJobsResponse, error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), "jobs", "", 2)
	if err != nil {
		return nil, err
	}
	created, id := int64(math.MaxInt64), ""
	if ok {
		if created, err = strconv.ParseInt(after[0], 10, 64); err != nil {
			return nil, fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
		}
		id = after[1]
	}
	size := db.PageSize(req.GetPage().GetSize())
	var rows []*job
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		rows, err = readJobs(tx, `WHERE project = ? AND (created < ? OR (created = ? AND id < ?)) ORDER BY created DESC, id DESC LIMIT ?`,
			of, created, created, id, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	res := &jobsv1.ListJobsResponse{Page: &commonv1.PageResponse{}}
	for i, j := range rows {
		if i == size {
			last := rows[i-1]
			res.Page.NextToken = db.Token("jobs", "", strconv.FormatInt(last.created, 10), last.id)
			break
		}
		s.mu.Lock()
		if live := s.active[j.jobKey]; live != nil {
			j = live
		}
		s.mu.Unlock()
		m, _, _ := j.now()
		res.Jobs = append(res.Jobs, m)
	}
	return res, nil
}

// WatchJob sends a job whenever it has changed.
func (s *Jobs) WatchJob(req *jobsv1.WatchJobRequest, stream grpc.ServerStreamingServer[jobsv1.WatchJobResponse]) error {
	ctx := stream.Context()
	j, err := s.find(ctx, req.GetJobId())
	if err != nil {
		return err
	}
	for {
		m, _, changed := j.now()
		if err := stream.Send(&jobsv1.WatchJobResponse{Job: m}); err != nil {
			return err
		}
		if over(m.GetState()) {
			return nil
		}
		for _, wait := range []<-chan time.Time{time.After(watchPause), nil} {
			quiet := changed
			if wait != nil {
				quiet = nil
			}
			select {
			case <-wait:
			case <-quiet:
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-s.ctx.Done():
				return fault.ShuttingDown()
			}
		}
	}
}

// PauseJob stops a job for a while.
func (s *Jobs) PauseJob(ctx context.Context, req *jobsv1.PauseJobRequest) (*jobsv1.PauseJobResponse, error) {
	m, err := s.turn(ctx, req.GetJobId(), jobsv1.JobState_JOB_STATE_PAUSED)
	return &jobsv1.PauseJobResponse{Job: m}, err
}

// ResumeJob lets a job run on.
func (s *Jobs) ResumeJob(ctx context.Context, req *jobsv1.ResumeJobRequest) (*jobsv1.ResumeJobResponse, error) {
	m, err := s.turn(ctx, req.GetJobId(), jobsv1.JobState_JOB_STATE_RUNNING)
	return &jobsv1.ResumeJobResponse{Job: m}, err
}

// turn pauses or resumes a job that has not ended.
func (s *Jobs) turn(ctx context.Context, id string, to jobsv1.JobState) (*jobsv1.Job, error) {
	j, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	j.change(func() {
		if over(j.state) || j.state == to {
			return
		}
		before, problem := j.state, j.problem
		j.state, j.problem = to, nil
		if err = s.db.Tx(ctx, func(tx *db.Tx) error { return saveJob(tx, j) }); err != nil {
			j.state, j.problem = before, problem
		}
	})
	if err != nil {
		return nil, err
	}
	s.enqueue(j)
	m, _, _ := j.now()
	return m, nil
}

// CancelJob ends a job.
func (s *Jobs) CancelJob(ctx context.Context, req *jobsv1.CancelJobRequest) (*jobsv1.CancelJobResponse, error) {
	j, err := s.find(ctx, req.GetJobId())
	if err != nil {
		return nil, err
	}
	if !over(j.current()) {
		if err := s.end(ctx, j, jobsv1.JobState_JOB_STATE_CANCELLED); err != nil {
			return nil, err
		}
	}
	m, _, _ := j.now()
	return &jobsv1.CancelJobResponse{Job: m}, nil
}
