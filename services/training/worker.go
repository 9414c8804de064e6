package training

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// WorkerDeps is what a worker process needs.
type WorkerDeps struct {
	// Client reaches the server, as a key that holds "training:work", or "platform:train" for all projects.
	Client trainingv1.WorkerServiceClient
	// Name of the worker, which the logs of runs show.
	Name string
	// Slots is how many steps are carried out at once; 0 means 1.
	Slots int
	// Operations and Steps are what the worker does; empty for all.
	Operations []commonv1.Operation
	Steps      []trainingv1.RunStep
	// Log receives what the worker does.
	Log *slog.Logger
}

// Worker carries out steps of a server's runs with the code that the server itself has for them. It keeps nothing: what it reads is in memory until the next step of another run.
type Worker struct{ d WorkerDeps }

// NewWorker returns a worker.
func NewWorker(d WorkerDeps) *Worker {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	d.Slots = max(d.Slots, 1)
	return &Worker{d}
}

const (
	// leaseWait is how long a question for work waits at the server.
	leaseWait = 15 * time.Second
	// Pauses while the server is away.
	leastAway, mostAway = 100 * time.Millisecond, 3 * time.Second
	// partingTime bounds how long a worker that is told to stop tries to give back what it has.
	partingTime = 5 * time.Second
	// awayTime bounds how long a worker tries to tell that a step failed; the lease ends by itself then.
	awayTime = time.Minute
)

// Run carries out steps until ctx ends; then it gives back what it has and returns nil. It outlives restarts of the server. It fails with what only people can mend: the key is not
// valid or lacks its scope, or the server does not give work to workers.
func (w *Worker) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var slots sync.WaitGroup
	var failed error
	var once sync.Once
	for range w.d.Slots {
		slots.Go(func() {
			if err := w.slot(ctx); err != nil {
				once.Do(func() { failed = err; cancel(err) })
			}
		})
	}
	slots.Wait()
	return failed
}

// slot carries out one step after the other.
func (w *Worker) slot(ctx context.Context) error {
	var last kept
	for away := leastAway; ctx.Err() == nil; {
		r, err := w.d.Client.LeaseWork(ctx, &trainingv1.LeaseWorkRequest{
			Worker: w.d.Name, Operations: w.d.Operations, Steps: w.d.Steps, Wait: durationpb.New(leaseWait),
		})
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the end of the context is how this is meant to end
		case err != nil && hopeless(err):
			return err
		case err != nil:
			w.d.Log.Warn("the server gives no work", "error", err, "next_attempt_in", away)
			rest(ctx, away+rand.N(away/2))
			away = min(2*away, mostAway)
			continue
		case r.GetWork() == nil:
			last = kept{}
		default:
			last = w.carry(ctx, r.GetWork(), last)
		}
		away = leastAway
	}
	return nil
}

// hopeless says whether a failure does not pass by waiting.
func hopeless(err error) bool {
	switch fault.From(err).Reason() { //nolint:exhaustive // all others pass, or are the server's defects, which restarts mend
	case commonv1.ErrorReason_ERROR_REASON_KEY_MISSING, commonv1.ErrorReason_ERROR_REASON_KEY_INVALID, commonv1.ErrorReason_ERROR_REASON_KEY_EXPIRED,
		commonv1.ErrorReason_ERROR_REASON_KEY_REVOKED, commonv1.ErrorReason_ERROR_REASON_SCOPE_MISSING, commonv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED,
		commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT:
		return true
	}
	return false
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// carry carries out one step. It returns the rows, which the next step of the run reads again.
func (w *Worker) carry(ctx context.Context, work *trainingv1.Work, last kept) kept {
	step, log := work.GetStep(), w.d.Log.With("run", work.GetRunId(), "step", stepName(work.GetStep()))
	log.Info("step begun", "attempt", work.GetAttempt())
	began := time.Now()
	leased, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	j := &job{
		at: &remote{client: w.d.Client, work: work}, ctx: leased, now: time.Now, data: last.of(work),
		run: &storedRun{lease: work.GetLeaseId(), Run: &trainingv1.Run{RunId: work.GetRunId(), Spec: work.GetSpec(), Step: step}},
	}
	var keeper sync.WaitGroup
	keeper.Go(func() { w.keep(j, work.GetLease().AsDuration(), cancel) })
	output, summary, err := j.alone(step)
	if err == nil {
		err = context.Cause(leased)
	}
	if err == nil {
		err = w.complete(ctx, j, output, summary)
	}
	cancel(nil)
	keeper.Wait()
	took := time.Since(began)
	switch {
	case err == nil:
		log.Info("step done", "took", took, "summary", summary)
	case errors.Is(context.Cause(leased), errLost), because(err, commonv1.ErrorReason_ERROR_REASON_LEASE_LOST):
		log.Warn("step is not this worker's any more", "took", took)
	case ctx.Err() != nil:
		w.fail(ctx, j, nil)
		log.Info("step given back", "took", took)
	default:
		log.Error("step failed", "took", took, "error", err)
		w.fail(ctx, j, err)
	}
	return kept{work: work, data: j.data}
}

// alone carries out one step and nothing else.
func (j *job) alone(step trainingv1.RunStep) (output any, summary string, err error) {
	defer guard(&err)
	return j.do(step)
}

// keep prolongs the lease until the job is done. It ends the job when the server says that the lease is lost.
func (w *Worker) keep(j *job, lease time.Duration, cancel context.CancelCauseFunc) {
	every := min(saveInterval, max(lease/3, leastAway))
	tick := time.NewTicker(every)
	defer tick.Stop()
	for said := time.Now(); ; {
		select {
		case <-j.ctx.Done():
			return
		case <-tick.C:
		}
		j.mu.Lock()
		due := j.dirty || time.Since(said)+every > lease/3
		j.mu.Unlock()
		if !due {
			continue
		}
		err := extend(j, w.d.Client, "")
		switch {
		case because(err, commonv1.ErrorReason_ERROR_REASON_LEASE_LOST), because(err, commonv1.ErrorReason_ERROR_REASON_NOT_FOUND): // or the project is gone
			cancel(errLost)
			return
		case err == nil:
			said = time.Now()
		}
	}
}

// extend tells the server how far the job is.
func extend(j *job, client trainingv1.WorkerServiceClient, checkpoint string) error {
	j.saving.Lock() // lines in their order
	defer j.saving.Unlock()
	j.mu.Lock()
	req := &trainingv1.ExtendWorkRequest{
		LeaseId: j.run.lease, Progress: min(max(j.run.GetProgress(), 0), 1), Message: oneLine(j.run.GetMessage()), Lines: first(j.lines), CheckpointJson: checkpoint,
	}
	j.dirty = false
	j.mu.Unlock()
	_, err := client.ExtendWork(j.ctx, req)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.dirty = true
		return err
	}
	j.lines = j.lines[len(req.GetLines()):]
	j.dirty = j.dirty || len(j.lines) > 0
	return nil
}

// mostLines is how many lines go with a call.
const mostLines = 200

func first(lines []*trainingv1.LogLine) []*trainingv1.LogLine {
	out := make([]*trainingv1.LogLine, min(mostLines, len(lines)))
	for i := range out {
		out[i] = &trainingv1.LogLine{Time: lines[i].GetTime(), Message: oneLine(lines[i].GetMessage())}
	}
	return out
}

// complete tells what came out, again and again while the server is away: the lease is prolonged meanwhile, and the server knows whether it still holds.
func (w *Worker) complete(ctx context.Context, j *job, output any, summary string) error {
	data, err := json.Marshal(output)
	if err != nil {
		return err
	}
	for {
		j.saving.Lock()
		j.mu.Lock()
		lines := first(j.lines)
		j.mu.Unlock()
		_, err := w.d.Client.CompleteStep(j.ctx, &trainingv1.CompleteStepRequest{LeaseId: j.run.lease, OutputJson: string(data), Summary: oneLine(summary), Lines: lines})
		j.saving.Unlock()
		if err == nil || ctx.Err() != nil || !passes(fault.From(err)) {
			return err
		}
		rest(j.ctx, leastAway)
		if err := context.Cause(j.ctx); err != nil {
			return err
		}
	}
}

// fail tells what went wrong; nil gives the step back.
func (w *Worker) fail(ctx context.Context, j *job, err error) {
	most := awayTime
	if ctx.Err() != nil {
		most = partingTime
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
	defer cancel()
	j.mu.Lock()
	req := &trainingv1.FailStepRequest{LeaseId: j.run.lease, GiveBack: err == nil, Lines: first(j.lines)}
	j.mu.Unlock()
	if err != nil {
		req.Problem = fault.Item(asFault(err))
	}
	for ctx.Err() == nil {
		_, err := w.d.Client.FailStep(ctx, req)
		if err == nil || !passes(fault.From(err)) {
			return
		}
		rest(ctx, leastAway)
	}
}
