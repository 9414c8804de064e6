package training

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset/snapshot"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// saveInterval is how often the progress of a step is written.
	saveInterval = time.Second
	// A step that fails because something is away is tried again after a pause that doubles, so many times: about an hour and a half together.
	leastPause, longestPause, mostAttempts = 2 * time.Second, 10 * time.Minute, 16
)

// atStep is called before a step, and before what it made is stored; tests kill the process there.
var atStep = func(trainingv1.RunStep, string) {}

// work carries out runs, one after the other.
func (s *Service) work() {
	for s.ctx.Err() == nil {
		lease, err := uuid.NewV7()
		var r *storedRun
		if err == nil {
			r, err = s.claim(s.ctx, lease.String())
		}
		if err != nil && s.ctx.Err() == nil {
			s.log.Warn("runs could not be looked for", "error", err)
		}
		if r != nil {
			s.carry(r)
			continue
		}
		select {
		case <-s.wake:
		case <-time.After(s.config.PollInterval):
		case <-s.ctx.Done():
		}
	}
}

// nudge wakes a worker of this process.
func (s *Service) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// job is a run in the hands of a worker.
type job struct {
	s   *Service        // nil in a worker process
	at  desk            // where its steps are carried out
	ctx context.Context //nolint:containedctx // ends with the lease
	now func() time.Time

	mu    sync.Mutex // guards what follows
	run   *storedRun
	lines []*trainingv1.LogLine // not written yet
	dirty bool

	data   *rowSets   // read once
	saving sync.Mutex // held by a worker process while it tells how far it is
	// whole says that this process also carries out the steps that workers could.
	whole bool
}

// job takes a run in hand.
func (s *Service) job(ctx context.Context, r *storedRun) *job {
	return &job{s: s, at: local{s}, ctx: ctx, now: s.now, run: r, whole: s.config.here() && (!s.config.external() || forWorkers(nextStep(r.Run)))}
}

// carry takes a run as far as it goes.
func (s *Service) carry(r *storedRun) {
	ctx, cancel := context.WithCancelCause(s.ctx)
	j := s.job(ctx, r)
	var keeper sync.WaitGroup
	keeper.Go(func() { j.keep(cancel) })
	err := j.guarded()
	cancel(nil)
	keeper.Wait()
	s.settle(j, err)
}

// guarded carries out the steps.
func (j *job) guarded() (err error) {
	defer guard(&err)
	return j.steps()
}

// guard makes a panic an error: a defect in a step ends its run and nobody else's.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fault.Internal(fmt.Errorf("step panicked: %v\n%s", p, debug.Stack()))
	}
}

// keep writes progress and prolongs the lease until the job is done. It ends the job when the lease is lost.
func (j *job) keep(cancel context.CancelCauseFunc) {
	tick := time.NewTicker(min(saveInterval, j.s.config.Lease/3))
	defer tick.Stop()
	saved := time.Now()
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-tick.C:
		}
		j.mu.Lock()
		due := j.dirty || time.Since(saved) > j.s.config.Lease/3
		j.mu.Unlock()
		check := j.look // a run that was cancelled is not trained to its end
		if due {
			check = func() error { return j.save(nil) }
		}
		err := check()
		switch {
		case errors.Is(err, errLost):
			cancel(errLost)
			return
		case err == nil && due:
			saved = time.Now()
		}
	}
}

// look says errLost when the run is not this job's any more.
func (j *job) look() error {
	return j.s.db.View(context.WithoutCancel(j.ctx), func(tx *db.Tx) error {
		r, err := readRun(tx, j.run.project, j.run.GetRunId())
		if err == nil && (r == nil || r.lease != j.run.lease || !open(r.GetState())) {
			err = errLost
		}
		return err
	})
}

// save writes the run with its new lines, and more in the same transaction.
func (j *job) save(more func(tx *db.Tx) error) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.s.db.Tx(context.WithoutCancel(j.ctx), func(tx *db.Tx) error {
		if err := j.s.saveRun(tx, j.run); err != nil {
			return err
		}
		if more != nil {
			if err := more(tx); err != nil {
				return err
			}
		}
		return writeLines(tx, j.run, j.lines)
	})
	if err == nil {
		j.lines, j.dirty = nil, false
	}
	return err
}

// say notes what the job is doing, for those who watch; log also keeps it.
func (j *job) say(done float64, log bool, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.run.Progress, j.run.Message, j.dirty = done, fmt.Sprintf(format, args...), true
	if log {
		j.lines = append(j.lines, &trainingv1.LogLine{Time: timestamppb.New(j.now()), Step: j.run.GetStep(), Message: j.run.GetMessage()})
	}
}

// status returns the status of a step, which is added when it is new.
func (j *job) status(step trainingv1.RunStep) *trainingv1.StepStatus {
	for _, st := range j.run.GetSteps() {
		if st.GetStep() == step {
			return st
		}
	}
	st := &trainingv1.StepStatus{Step: step, StartTime: timestamppb.New(j.now())}
	j.run.Steps = append(j.run.Steps, st)
	return st
}

// steps carries out what is left of the run. It returns nil when the run has its end state, which settle writes.
func (j *job) steps() error {
	for {
		step := nextStep(j.run.Run)
		if step == 0 {
			return nil
		}
		if forWorkers(step) && !j.whole {
			return j.handOver()
		}
		j.begin(step)
		if err := j.save(nil); err != nil {
			return err
		}
		atStep(step, "begin")
		output, summary, err := j.do(step)
		if errors.Is(err, errOvertaken{}) {
			j.again(trainingv1.RunStep_RUN_STEP_EVALUATE, trainingv1.RunStep_RUN_STEP_GATES)
			continue
		}
		if err != nil {
			return err
		}
		if err := context.Cause(j.ctx); err != nil {
			return err
		}
		atStep(step, "end")
		if err := j.finish(step, output, summary); err != nil {
			return err
		}
		if !open(j.run.GetState()) {
			return nil
		}
	}
}

// begin notes that a step is begun.
func (j *job) begin(step trainingv1.RunStep) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.status(step).Attempts++
	j.run.Step, j.run.Progress, j.run.Message = step, 0, ""
}

// do carries out a step.
func (j *job) do(step trainingv1.RunStep) (output any, summary string, err error) {
	switch step {
	case trainingv1.RunStep_RUN_STEP_BUILD:
		return j.build()
	case trainingv1.RunStep_RUN_STEP_SPLIT:
		return j.split()
	case trainingv1.RunStep_RUN_STEP_INSPECT:
		return j.inspect()
	case trainingv1.RunStep_RUN_STEP_SEARCH:
		return j.search()
	case trainingv1.RunStep_RUN_STEP_TRAIN:
		return j.train()
	case trainingv1.RunStep_RUN_STEP_EVALUATE:
		return j.evaluate()
	case trainingv1.RunStep_RUN_STEP_GATES:
		return j.gates()
	case trainingv1.RunStep_RUN_STEP_REGISTER:
		return j.register()
	case trainingv1.RunStep_RUN_STEP_PROMOTE:
		return j.promote()
	case trainingv1.RunStep_RUN_STEP_UNSPECIFIED:
	}
	return nil, "", fmt.Errorf("there is no step %d", step)
}

// finish stores what a step made.
func (j *job) finish(step trainingv1.RunStep, output any, summary string) error {
	j.mu.Lock()
	st := j.status(step)
	st.Done, st.Summary, st.EndTime = true, summary, timestamppb.New(j.now())
	switch out := output.(type) {
	case *trained:
		j.run.ArtifactDigest = out.Artifact
	case *evaluated:
		j.run.ChampionVersion = out.Champion
	}
	j.mu.Unlock()
	j.say(1, true, "%s", summary)
	return j.save(func(tx *db.Tx) error { return writeStep(tx, j.run, step, output) })
}

// again lets steps be carried out once more.
func (j *job) again(steps ...trainingv1.RunStep) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, step := range steps {
		st := j.status(step)
		st.Done, st.EndTime = false, nil
	}
}

// end gives the run its end state, which the next save writes.
func (j *job) end(state trainingv1.RunState, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.run.State, j.run.Statement, j.run.EndTime = state, fmt.Sprintf(format, args...), timestamppb.New(j.now())
}

// settle ends a run that failed, or leaves it to be taken up again after a pause, which it returns.
func (s *Service) settle(j *job, err error) (pause time.Duration) {
	r := j.run
	ctx := context.WithoutCancel(j.ctx)
	switch {
	case err == nil:
		s.log.Info("run ended", "run", r.GetRunId(), "project", r.project, "state", r.GetState(), "statement", r.GetStatement())
		return 0
	case errors.Is(err, errHanded), errors.Is(err, errLost), errors.Is(context.Cause(j.ctx), errLost):
		return 0
	case s.ctx.Err() != nil: // the process ends; whoever starts next goes on at once
		if err := s.release(ctx, r, time.Time{}); err != nil {
			s.log.Warn("run was not released", "run", r.GetRunId(), "error", err)
		}
		return 0
	}
	f := asFault(err)
	attempts := int32(0)
	for _, st := range r.GetSteps() {
		if st.GetStep() == r.GetStep() {
			attempts = st.GetAttempts()
		}
	}
	if passes(f) && attempts < mostAttempts {
		pause = min(leastPause<<max(attempts-1, 0), longestPause)
		s.log.Info("run waits", "run", r.GetRunId(), "step", r.GetStep(), "error", err, "next_attempt_in", pause)
		j.say(0, true, "%s; tried again in %s", f.Message(), pause)
		if err := errors.Join(j.save(nil), s.release(ctx, r, s.now().Add(pause))); err != nil && !errors.Is(err, errLost) {
			s.log.Warn("run was not released", "run", r.GetRunId(), "error", err)
		}
		return pause
	}
	if f.Reason() == commonv1.ErrorReason_ERROR_REASON_INTERNAL {
		s.log.Error("run failed", "run", r.GetRunId(), "step", r.GetStep(), "error", err)
	}
	j.say(0, true, "%s", f.Message())
	j.end(trainingv1.RunState_RUN_STATE_FAILED, "failed in step %s: %s", stepName(r.GetStep()), f.Message())
	r.Problem = fault.Item(f)
	if err := j.save(nil); err != nil && !errors.Is(err, errLost) {
		s.log.Error("run could not be ended", "run", r.GetRunId(), "error", err)
	}
	return 0
}

// asFault says what callers may see of a failure.
func asFault(err error) *fault.Error {
	if errors.Is(err, fit.ErrData) || errors.Is(err, fit.ErrOptions) {
		return fault.InvalidField("spec", "%v", err).Cause(err)
	}
	if errors.Is(err, snapshot.ErrDamaged) {
		return fault.Unavailable("data set").Cause(err)
	}
	return fault.From(storeFault(err))
}

// because says whether an error is a fault of that reason.
func because(err error, reason commonv1.ErrorReason) bool {
	return err != nil && fault.From(err).Reason() == reason
}

// passes says whether a failure passes by waiting.
func passes(f *fault.Error) bool {
	switch f.Reason() { //nolint:exhaustive // all others need somebody to do something
	case commonv1.ErrorReason_ERROR_REASON_RATE_LIMITED, commonv1.ErrorReason_ERROR_REASON_CONCURRENCY_LIMITED,
		commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL, commonv1.ErrorReason_ERROR_REASON_DEADLINE_EXCEEDED,
		commonv1.ErrorReason_ERROR_REASON_DEPENDENCY_UNAVAILABLE, commonv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN:
		return true
	}
	return false
}
