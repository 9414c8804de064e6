package jobs

import (
	"context"
	"errors"
	"io"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// StreamResults sends results from an item on, and follows a job that runs.
func (s *Jobs) StreamResults(req *jobsv1.StreamResultsRequest, stream grpc.ServerStreamingServer[jobsv1.StreamResultsResponse]) error {
	return s.follow(stream.Context(), req.GetJobId(), req.GetFirst(), true, func(results []*jobsv1.JobResult) error {
		if req.GetErrorsOnly() {
			kept := results[:0]
			for _, r := range results {
				if d, _ := answerOf(r); d == nil {
					kept = append(kept, r)
				}
			}
			results = kept
		}
		for part := 0; part < len(results); {
			end, size := part, 0
			for end < len(results) && (end == part || size < messageBytes) {
				size += proto.Size(results[end])
				end++
			}
			if err := stream.Send(&jobsv1.StreamResultsResponse{Results: results[part:end]}); err != nil {
				return err
			}
			part = end
		}
		return nil
	})
}

// messageBytes is with how many bytes of results a message is full.
const messageBytes = 1 << 20

// follow calls fn with the results from an item on, a frame at a time; where wait is set, until the job has ended.
func (s *Jobs) follow(ctx context.Context, id string, first int64, wait bool, fn func([]*jobsv1.JobResult) error) error {
	j, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	var in *frameReader
	defer func() {
		if in != nil {
			in.close()
		}
	}()
	next := int64(0) // number of the first item that has not been read
	written := j.written()
	for {
		m, whole, changed := j.now()
		if now := j.written(); now != written { // somebody was erased: begin again with the files that count, after what was sent
			if in != nil {
				in.close()
			}
			in, written, first, next = nil, now, max(first, next), 0
			continue
		}
		if in == nil && whole > 0 {
			if in, err = readFrames(s.resultsPath(j), 0); err != nil {
				if errors.Is(err, os.ErrNotExist) {
					return fault.NotFound("job", id).Cause(err) // forgotten just now
				}
				return err
			}
		}
		for in != nil && in.at < whole {
			results, err := nextResults(in, &next, first)
			if err != nil {
				return err
			}
			if len(results) == 0 {
				continue
			}
			if err := fn(results); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
		}
		if !wait || over(m.GetState()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ctx.Done():
			return fault.ShuttingDown()
		}
	}
}

// nextResults reads the next frame; its results before first are left out.
func nextResults(in *frameReader, next *int64, first int64) ([]*jobsv1.JobResult, error) {
	entries, skipped, err := in.next(func(n int) bool { return *next+int64(n) <= first })
	if errors.Is(err, io.EOF) {
		err = errTorn // it was said to be there
	}
	if err != nil {
		return nil, err
	}
	if skipped > 0 {
		*next += int64(skipped)
		return nil, nil
	}
	results := make([]*jobsv1.JobResult, 0, len(entries))
	for _, b := range entries {
		if *next++; *next <= first {
			continue
		}
		r := &jobsv1.JobResult{}
		if err := proto.Unmarshal(b, r); err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}
