package training

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// ExtendWork prolongs a lease, and shows and keeps how far the step is.
func (s *Service) ExtendWork(ctx context.Context, req *trainingv1.ExtendWorkRequest) (*trainingv1.ExtendWorkResponse, error) {
	r, err := s.held(ctx, req.GetLeaseId())
	if err != nil {
		return nil, err
	}
	j := s.job(ctx, r)
	var keep func(tx *db.Tx) error
	if req.GetCheckpointJson() != "" {
		out, err := s.decode("checkpoint_json", r.GetStep(), req.GetCheckpointJson())
		if err != nil {
			return nil, err
		}
		keep = func(tx *db.Tx) error { return writeStep(tx, r, r.GetStep(), out) }
	}
	j.told(req.GetLines())
	r.Progress, r.Message = req.GetProgress(), oneLine(req.GetMessage())
	expire := s.expires()
	if err := lost(j.save(keep), r); err != nil {
		return nil, err
	}
	if r.delivery == unqueued {
		return &trainingv1.ExtendWorkResponse{LeaseExpireTime: expire}, nil
	}
	if err := s.queue.Extend(r.delivery); err != nil {
		s.log.DebugContext(ctx, "the queue of work did not hear of a worker", "run", r.GetRunId(), "error", err)
	}
	return &trainingv1.ExtendWorkResponse{LeaseExpireTime: expire}, nil
}

// told adds lines of a worker to the log.
func (j *job) told(lines []*trainingv1.LogLine) {
	for _, l := range lines {
		at := j.now()
		if t := l.GetTime(); t.IsValid() && t.AsTime().Before(at) && t.AsTime().After(j.run.GetCreateTime().AsTime()) {
			at = t.AsTime()
		}
		j.lines = append(j.lines, &trainingv1.LogLine{Time: timestamppb.New(at), Step: j.run.GetStep(), Message: oneLine(l.GetMessage())})
	}
}

// lost says LEASE_LOST where a run was somebody else's when it was written.
func lost(err error, r *storedRun) error {
	if errors.Is(err, errLost) {
		return fault.LeaseLost("work", r.lease)
	}
	return err
}

// decode reads what a worker sends as the output of a step, and looks whether the blobs that it names are there.
func (s *Service) decode(field string, step trainingv1.RunStep, text string) (any, error) {
	var out any
	switch step {
	case trainingv1.RunStep_RUN_STEP_INSPECT:
		out = &inspected{}
	case trainingv1.RunStep_RUN_STEP_SEARCH:
		out = &searched{}
	case trainingv1.RunStep_RUN_STEP_TRAIN:
		out = &trained{}
	case trainingv1.RunStep_RUN_STEP_EVALUATE:
		out = &evaluated{}
	default:
		return nil, fault.Internal(fmt.Errorf("a worker has step %s", step))
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(out); err != nil || d.More() {
		return nil, fault.InvalidField(field, "is no output of step %s: %v", stepName(step), err)
	}
	var digests []string
	switch out := out.(type) {
	case *trained:
		digests = []string{out.Artifact, out.Result}
	case *evaluated:
		digests = []string{out.Report}
	case *inspected:
		if out.Noise == nil || len(out.Suspects) > mostSuspects {
			return nil, fault.InvalidField(field, "must say the noise, and name at most %d suspects", mostSuspects)
		}
	}
	for _, digest := range digests {
		if _, err := s.blobs.Path(digest); err != nil {
			return nil, fault.InvalidField(field, "names a blob that was not written: %.80q", digest)
		}
	}
	return out, nil
}

// CompleteStep stores what came out of a step.
func (s *Service) CompleteStep(ctx context.Context, req *trainingv1.CompleteStepRequest) (*trainingv1.CompleteStepResponse, error) {
	r, err := s.held(ctx, req.GetLeaseId())
	if err != nil {
		return nil, err
	}
	out, err := s.decode("output_json", r.GetStep(), req.GetOutputJson())
	if err != nil {
		return nil, err
	}
	j := s.job(ctx, r)
	j.told(req.GetLines())
	if err := lost(j.finish(r.GetStep(), out, oneLine(req.GetSummary())), r); err != nil {
		return nil, err
	}
	if next := nextStep(r.Run); forWorkers(next) {
		j.waits(next)
		if err := j.save(nil); err != nil { // it is shown so when it is begun
			s.log.DebugContext(ctx, "the next step is not shown yet", "run", r.GetRunId(), "error", err)
		}
	}
	s.leave(r)
	_ = s.queue.Done(r.delivery) // a message that stays finds that the step is done
	return &trainingv1.CompleteStepResponse{}, nil
}

// leave lets whoever is next take the run at once. When it fails the lease ends by itself.
func (s *Service) leave(r *storedRun) {
	if err := s.release(context.WithoutCancel(s.ctx), r, s.now()); err != nil {
		s.log.Warn("run was not released", "run", r.GetRunId(), "error", err)
	}
	s.nudge()
	s.hand()
}

// FailStep ends a lease without a result.
func (s *Service) FailStep(ctx context.Context, req *trainingv1.FailStepRequest) (*trainingv1.FailStepResponse, error) {
	r, err := s.held(ctx, req.GetLeaseId())
	if err != nil {
		return nil, err
	}
	j := s.job(ctx, r)
	j.told(req.GetLines())
	if !req.GetGiveBack() {
		p := req.GetProblem()
		reason := fault.ParseReason(p.GetReason())
		if reason == 0 {
			reason = commonv1.ErrorReason_ERROR_REASON_INTERNAL
		}
		s.failed(j, fault.New(reason, "%s", oneLine(p.GetMessage())))
		return &trainingv1.FailStepResponse{}, nil
	}
	j.say(0, true, "given back: the worker stops")
	if err := lost(j.save(nil), r); err != nil {
		return nil, err
	}
	s.giveBack(r)
	return &trainingv1.FailStepResponse{}, nil
}

// giveBack lets another worker take the step at once.
func (s *Service) giveBack(r *storedRun) {
	s.leave(r)
	_ = s.queue.Return(r.delivery, 0)
}

// failed ends a run whose step failed, or lets the step be tried again later.
func (s *Service) failed(j *job, err error) {
	r := j.run
	delivery := r.delivery
	if pause := s.settle(j, err); open(r.GetState()) {
		_ = s.queue.Return(delivery, pause)
		return
	}
	_ = s.queue.Done(delivery)
}
