package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// saveInterval is how often the progress of a running job is written: after a crash so much of the results is read again.
	saveInterval = time.Second
	// The pause after a call that failed doubles from one to the other.
	leastPause, longestPause = 50 * time.Millisecond, 5 * time.Second
	// longestRest is the longest pause after results could not be written: a disk that has room again is found soon, and asking costs nothing.
	longestRest = time.Second
)

// scopeOf returns the scope that a key needs to ask an operation.
func scopeOf(op commonv1.Operation) string { return fault.OperationName(op) + ":decide" }

// work runs jobs, a slice at a time: one frame is decided at any time, so that jobs never take more than one call's share from those who wait.
func (s *Jobs) work() {
	pause := leastPause
	for s.ctx.Err() == nil {
		j := s.turns.next()
		if j == nil {
			select {
			case <-s.wake:
			case <-s.ctx.Done():
			}
			continue
		}
		if j.current() != jobsv1.JobState_JOB_STATE_RUNNING {
			s.turns.leave(j)
			continue // ResumeJob brings it back
		}
		s.deciding.Lock()
		err := s.slice(j)
		s.deciding.Unlock()
		switch {
		case err == nil:
			pause = leastPause
		case passes(diskFault(err)):
			s.stepBack(j, err, pause)
			pause = min(2*pause, longestRest)
		default:
			s.failed(j, err)
		}
		if j.current() == jobsv1.JobState_JOB_STATE_RUNNING {
			s.turns.add(j)
		} else {
			s.turns.leave(j)
		}
	}
}

// enqueue lets a job have its turn.
func (s *Jobs) enqueue(j *job) {
	if j.current() != jobsv1.JobState_JOB_STATE_RUNNING {
		return
	}
	s.turns.add(j)
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// failed is for what waiting does not mend: the job is paused and says why.
func (s *Jobs) failed(j *job, err error) {
	if s.ctx.Err() != nil {
		return
	}
	f := fault.From(diskFault(err))
	s.log.Warn("job is paused", "job", j.id, "project", j.project, "error", err)
	j.change(func() { j.state, j.problem = jobsv1.JobState_JOB_STATE_PAUSED, fault.Item(f) })
	if err := s.save(context.Background(), j); err != nil {
		s.log.Error("job could not be saved", "job", j.id, "error", err)
	}
}

// stepBack lets a job begin again, after a pause, where its results are on disk for sure: they could not be written on, most often because the disk is full. What
// a file holds after a write or a sync that failed is not trusted; it is cut off, and decided again with the same ids.
func (s *Jobs) stepBack(j *job, err error, pause time.Duration) {
	if s.ctx.Err() != nil {
		return
	}
	s.log.Warn("results of a job cannot be written; it goes on by itself", "job", j.id, "project", j.project, "error", err, "next_attempt_in", pause)
	j.change(func() {
		j.progress = j.kept
		j.mayHaveBegun(j.keptAt)
	})
	select {
	case <-time.After(pause):
	case <-s.ctx.Done():
	}
}

// slice decides frames until the slice is over, the job is paused or nothing is left.
func (s *Jobs) slice(j *job) (err error) {
	in, err := readFrames(s.itemsPath(j), j.inputAt)
	if err != nil {
		return err
	}
	defer in.close()
	out, err := appendFrames(s.resultsPath(j), j.resultAt)
	if err != nil {
		return err
	}
	w := &resultWriter{jobs: s, job: j, out: out, saved: time.Now()}
	defer func() { err = errors.Join(err, w.finish()) }()
	ctx, cancel := context.WithCancel(auth.WithCaller(decision.InBackground(s.ctx), &auth.Caller{
		Project: j.project, KeyID: j.caller, KeyName: "job " + j.id, Scopes: []string{scopeOf(j.operation)},
	}))
	defer cancel()
	frames := prefetch(ctx, in)
	until := time.Now().Add(s.config.Slice)
	for f := range frames {
		if f.err != nil {
			return f.err
		}
		if s.ctx.Err() != nil || s.waiting.Load() > 0 || j.current() != jobsv1.JobState_JOB_STATE_RUNNING {
			return nil
		}
		began := time.Now()
		results, err := s.decide(ctx, j, f)
		if err != nil || results == nil {
			return err
		}
		took := time.Since(began)
		if err := w.write(results, f.end, took); err != nil {
			return err
		}
		s.rest(j, took)
		if time.Now().After(until) && s.turns.waiting() {
			return nil
		}
	}
	return nil
}

// rest leaves a part of the time to others.
func (s *Jobs) rest(j *job, took time.Duration) {
	share := s.give.share(time.Now())
	if p := s.config.Projects[j.project].Share; p > 0 {
		share = min(share, p)
	}
	if share >= 1 {
		return
	}
	select {
	case <-time.After(time.Duration(float64(took) * (1 - share) / share)):
	case <-s.ctx.Done():
	}
}

// decide asks about a frame, again and again while that may help. It returns nil when the job is not to run on.
func (s *Jobs) decide(ctx context.Context, j *job, f itemFrame) ([]*jobsv1.JobResult, error) {
	for pause := leastPause; ; pause = min(2*pause, longestPause) {
		j.mu.Lock()
		first, begun := j.tally.decided, j.begun
		j.mu.Unlock()
		now := time.Now().Truncate(time.Microsecond) // as decisions have it
		results, err := s.deciders.decide(again(ctx, begun), j, f.start, first, f.lines)
		if err == nil {
			if !begun.IsZero() && areNew(results, now) {
				j.change(func() { j.begun = time.Time{} })
			}
			return results, nil
		}
		if s.ctx.Err() != nil {
			return nil, nil //nolint:nilnil,nilerr // the process ends; the frame is decided by the next
		}
		if !passes(err) {
			return nil, err
		}
		if !refused(err) {
			j.change(func() { j.mayHaveBegun(now) })
		}
		s.log.Debug("job waits", "job", j.id, "error", err)
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
		}
		if s.ctx.Err() != nil || j.current() != jobsv1.JobState_JOB_STATE_RUNNING {
			return nil, nil //nolint:nilnil,nilerr // see above
		}
	}
}

// passes says whether a failure passes by waiting.
func passes(err error) bool {
	switch fault.From(err).Reason() { //nolint:exhaustive // all others need somebody to do something
	case commonv1.ErrorReason_ERROR_REASON_RATE_LIMITED, commonv1.ErrorReason_ERROR_REASON_CONCURRENCY_LIMITED,
		commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL, commonv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED,
		commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE, commonv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN:
		return true
	}
	return false
}

// itemFrame is a frame of items. Start names it: its place in the file as that was submitted, the same after every crash.
type itemFrame struct {
	lines      [][]byte
	start, end int64
	err        error
}

// prefetch reads ahead while a frame is decided. The channel is closed at the end of the file.
func prefetch(ctx context.Context, in *frameReader) <-chan itemFrame {
	out := make(chan itemFrame)
	go func() {
		defer close(out)
		for {
			start := in.at
			lines, _, err := in.next(nil)
			if err == nil {
				start = in.from
			}
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				err = fmt.Errorf("read items at %d: %w", start, err)
			}
			in.raw = nil // the lines are in it, and the next frame is read while they are used
			select {
			case out <- itemFrame{lines: lines, start: start, end: in.at, err: err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

// resultWriter appends results and counts them.
type resultWriter struct {
	jobs    *Jobs
	job     *job
	out     *frames
	saved   time.Time
	entries [][]byte
	buf     []byte
}

func (w *resultWriter) write(results []*jobsv1.JobResult, inputAt int64, took time.Duration) error {
	w.entries, w.buf = w.entries[:0], w.buf[:0]
	t := tally{micros: took.Microseconds()}
	var err error
	for _, r := range results {
		t.count(r)
		at := len(w.buf)
		if w.buf, err = (proto.MarshalOptions{}).MarshalAppend(w.buf, r); err != nil {
			return err
		}
		w.entries = append(w.entries, w.buf[at:len(w.buf):len(w.buf)])
		w.jobs.giveWay() // others first, as while deciding
	}
	if err := w.out.append(w.entries); err != nil {
		return err
	}
	w.job.change(func() {
		w.job.tally.add(t)
		w.job.inputAt, w.job.resultAt = inputAt, w.out.end
	})
	if time.Since(w.saved) < saveInterval {
		return nil
	}
	w.saved = time.Now()
	return w.save()
}

// save brings the results to disk, then what counts them.
func (w *resultWriter) save() error {
	if err := w.out.file.Sync(); err != nil {
		return err
	}
	w.keep()
	return w.jobs.save(context.Background(), w.job)
}

// keep notes that all results so far are on disk.
func (w *resultWriter) keep() {
	w.job.mu.Lock()
	defer w.job.mu.Unlock()
	w.job.kept, w.job.keptAt = w.job.progress, time.Now()
}

// finish ends a slice, and the job when all items have results.
func (w *resultWriter) finish() error {
	err := w.out.close()
	if err == nil {
		w.keep()
	}
	j := w.job
	j.mu.Lock()
	all := j.tally.decided == j.items && !over(j.state)
	j.mu.Unlock()
	if err == nil && all {
		return w.jobs.end(context.Background(), j, jobsv1.JobState_JOB_STATE_DONE)
	}
	return errors.Join(err, w.jobs.save(context.Background(), j))
}

// save writes the progress of a job.
func (s *Jobs) save(ctx context.Context, j *job) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return s.db.Tx(ctx, func(tx *db.Tx) error { return saveJob(tx, j) })
}

// end ends a job. It is in the table before anybody sees it.
func (s *Jobs) end(ctx context.Context, j *job, state jobsv1.JobState) error {
	var err error
	j.change(func() {
		before, ended := j.state, j.ended
		j.state, j.ended, j.problem = state, db.Micros(s.now()), nil
		err = s.db.Tx(ctx, func(tx *db.Tx) error { return errors.Join(saveJob(tx, j), addRate(tx, j)) })
		if err != nil {
			j.state, j.ended = before, ended
		}
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.active, j.jobKey)
	s.mu.Unlock()
	return nil
}

// recover counts the results that were written after the progress was, and cuts off what a crash has left of a frame.
func (s *Jobs) recover(j *job) error {
	out, err := readFrames(s.resultsPath(j), j.resultAt)
	if errors.Is(err, os.ErrNotExist) {
		if j.resultAt == 0 {
			j.mayHaveBegun(db.Time(j.created))
			return nil // nothing is decided yet, or it was lost
		}
	}
	if err != nil {
		return err
	}
	defer out.close()
	if err := j.maySince(out.file); err != nil {
		return err
	}
	in, err := readFrames(s.itemsPath(j), j.inputAt)
	if err != nil {
		return err
	}
	defer in.close()
	for {
		results, _, err := out.next(nil)
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
			break
		}
		if err != nil {
			return err
		}
		if _, _, err := in.next(func(int) bool { return true }); err != nil {
			return fmt.Errorf("there are more results than items: %w", err)
		}
		for _, b := range results {
			r := &jobsv1.JobResult{}
			if err := proto.Unmarshal(b, r); err != nil {
				return err
			}
			j.tally.count(r)
		}
		j.inputAt, j.resultAt = in.at, out.at
	}
	return nil
}
