package training

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// LeaseWork leases a step to a worker process.
func (s *Service) LeaseWork(ctx context.Context, req *trainingv1.LeaseWorkRequest) (*trainingv1.LeaseWorkResponse, error) {
	if !s.config.external() || s.queue == nil || s.models == nil {
		return nil, fault.Unimplemented("LeaseWork")
	}
	steps, ops := req.GetSteps(), req.GetOperations()
	if len(steps) == 0 {
		steps = workSteps
	}
	if len(ops) == 0 {
		ops = operations
	}
	steps, ops = slices.Clone(steps), slices.Clone(ops)
	slices.Sort(steps)
	within, err := reach(ctx)
	if err != nil {
		return nil, err
	}
	end := time.After(req.GetWait().AsDuration())
	for {
		posted := s.posted.wait()
		w, err := s.leaseAny(ctx, within, steps, ops, req.GetWorker())
		if err != nil || w != nil {
			return &trainingv1.LeaseWorkResponse{Work: w}, err
		}
		select {
		case <-posted:
		case <-time.After(s.config.PollInterval): // another process may have posted, or a lease have ended
		case <-end:
			return &trainingv1.LeaseWorkResponse{}, nil
		case <-s.ctx.Done():
			return &trainingv1.LeaseWorkResponse{}, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// leaseAny leases a step that waits: of one project, or of all when within is empty; nil when there is none. What is nearest to its end comes first.
func (s *Service) leaseAny(ctx context.Context, within string, steps []trainingv1.RunStep, ops []commonv1.Operation, worker string) (*trainingv1.Work, error) {
	if within != "" {
		return s.leaseWithin(ctx, within, steps, ops, worker)
	}
	rand.Shuffle(len(ops), func(i, k int) { ops[i], ops[k] = ops[k], ops[i] })
	for _, step := range slices.Backward(steps) {
		for _, op := range ops {
			if w, err := s.leaseOf(ctx, kindOf(op, step), worker); err != nil || w != nil {
				return w, err
			}
		}
	}
	return nil, nil //nolint:nilnil // there is none, which is an answer
}

// leaseOf leases what the queue gives out of a kind; nil when there is nothing.
func (s *Service) leaseOf(ctx context.Context, kind, worker string) (*trainingv1.Work, error) {
	for ctx.Err() == nil {
		delivery, data, err := s.queue.Take(ctx, kind)
		if err != nil {
			s.log.DebugContext(ctx, "the queue of work did not answer", "kind", kind, "error", err)
			return nil, nil //nolint:nilnil // it comes back, and what waits is posted again
		}
		if delivery == "" {
			return nil, nil //nolint:nilnil // there is none, which is an answer
		}
		e := errand{}
		if err := json.Unmarshal(data, &e); err != nil {
			s.log.ErrorContext(ctx, "a message of the queue of work cannot be read", "kind", kind, "error", err)
			_ = s.queue.Done(delivery) // the rows know what waits
			continue
		}
		r, err := s.claimFor(ctx, e, delivery, worker)
		if err != nil {
			_ = s.queue.Return(delivery, 0)
			return nil, err
		}
		if r == nil {
			continue
		}
		if w, err := s.give(ctx, r, worker); err != nil || w != nil {
			return w, err
		}
	}
	return nil, context.Cause(ctx)
}

// give gathers the work of a run that was claimed for a worker; nil when that failed, which the run hears.
func (s *Service) give(ctx context.Context, r *storedRun, worker string) (*trainingv1.Work, error) {
	w, err := s.assemble(ctx, r)
	switch {
	case ctx.Err() != nil: // the worker went away meanwhile
		s.giveBack(r)
		return nil, context.Cause(ctx)
	case err != nil:
		s.failed(s.job(ctx, r), err)
		return nil, nil //nolint:nilnil // others may wait, which is an answer
	}
	s.log.InfoContext(ctx, "step leased", "run", r.GetRunId(), "project", r.project, "step", stepName(r.GetStep()), "worker", worker, "delivery", r.deliveries)
	return w, nil
}

// claimFor leases the step of an errand; nil when it does not wait any more, or not yet.
func (s *Service) claimFor(ctx context.Context, e errand, delivery, worker string) (*storedRun, error) {
	var r *storedRun
	pause, claimed := time.Duration(0), false
	err := s.db.Tx(ctx, func(tx *db.Tx) (err error) {
		pause, claimed = 0, false
		if r, err = readRun(tx, e.Project, e.Run); err != nil || r == nil || !open(r.GetState()) || nextStep(r.Run) != e.Step || r.deliveries >= s.config.MaxDeliveries {
			return err
		}
		if wait := db.Time(r.until).Sub(s.now()); wait >= 0 {
			pause = wait + time.Millisecond
			return nil
		}
		j := s.job(ctx, r)
		j.begin(e.Step)
		j.say(0, true, "step %s is carried out by worker %s", stepName(e.Step), oneLine(worker))
		claimed = true
		if err := s.take(tx, r, newLease(e.Run), delivery); err != nil {
			return err
		}
		return writeLines(tx, r, j.lines)
	})
	// What the queue does not hear it finds out by itself.
	switch {
	case err != nil:
		return nil, err
	case claimed:
		_ = s.queue.Extend(delivery) // so that the end of the row's lease comes before that of the queue's
		return r, nil
	case pause > 0:
		_ = s.queue.Return(delivery, pause)
	default:
		_ = s.queue.Done(delivery)
		s.hand() // should the run have to be ended
	}
	return nil, nil //nolint:nilnil // it does not wait, which is an answer
}

// workInput is an input and where it lies.
type workInput struct {
	Name, Digest string
	Size         int64
	// Model and Version name an artifact of the registry; empty for what is kept here.
	Model   string `json:",omitempty"`
	Version int32  `json:",omitempty"`
}

// assemble gathers what a step starts from, and notes what of it the lease may read.
func (s *Service) assemble(ctx context.Context, r *storedRun) (*trainingv1.Work, error) {
	j := s.job(ctx, r)
	w := &trainingv1.Work{
		RunId: r.GetRunId(), LeaseId: r.lease, Lease: durationpb.New(s.config.Lease), Step: r.GetStep(), Attempt: j.status(r.GetStep()).GetAttempts(), Spec: r.GetSpec(),
	}
	err := s.db.View(ctx, func(tx *db.Tx) error {
		w.Outputs = nil
		return tx.Each(`SELECT step, output FROM training_steps WHERE project = ? AND run = ? AND step <= ? ORDER BY step`, []any{r.project, r.GetRunId(), r.GetStep()},
			func(scan func(...any) error) error {
				var step int32
				var data []byte
				err := scan(&step, &data)
				w.Outputs = append(w.Outputs, &trainingv1.StepOutput{Step: trainingv1.RunStep(step), Json: string(data)})
				return err
			})
	})
	if err != nil {
		return nil, err
	}
	if w.Deployment, err = j.at.deployment(j); err != nil {
		return nil, err
	}
	inputs, err := s.inputs(j, w.GetDeployment())
	if err != nil {
		return nil, err
	}
	for _, in := range inputs {
		w.Inputs = append(w.Inputs, &trainingv1.WorkInput{Name: in.Name, Digest: in.Digest, SizeBytes: in.Size})
	}
	data, err := json.Marshal(inputs)
	if err != nil {
		return nil, err
	}
	return w, s.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := tx.Exec(`UPDATE training_runs SET inputs = ? WHERE project = ? AND id = ? AND lease = ?`, string(data), r.project, r.GetRunId(), r.lease)
		if err == nil && n == 0 {
			err = errLost
		}
		return err
	})
}

// inputs lists what a step reads.
func (s *Service) inputs(j *job, d *modelsv1.Deployment) ([]workInput, error) {
	p, err := output[pins](j, trainingv1.RunStep_RUN_STEP_BUILD)
	if err != nil {
		return nil, err
	}
	var out []workInput
	add := func(name, digest string) error {
		f, size, err := s.blobs.Open(digest)
		if err != nil {
			return inputFault(err)
		}
		out = append(out, workInput{Name: name, Digest: digest, Size: size})
		return f.Close()
	}
	for _, set := range p.named() {
		found, err := s.find(j.ctx, j.run.project, set.pin.Name, set.pin.Version)
		if err != nil {
			return nil, err
		}
		if found.GetDeleted() {
			return nil, fault.NotFound("data set", refName(set.pin.Name, set.pin.Version)+", whose rows are deleted,")
		}
		if err := add(set.name, found.blob); err != nil {
			return nil, err
		}
	}
	if j.run.GetStep() != trainingv1.RunStep_RUN_STEP_EVALUATE {
		return out, nil
	}
	t, err := output[trained](j, trainingv1.RunStep_RUN_STEP_TRAIN)
	if err == nil {
		err = errors.Join(add(inputArtifact, t.Artifact), add(inputResult, t.Result))
	}
	v := d.GetChampion()
	if err != nil || v == nil {
		return out, err
	}
	out = append(out, workInput{inputChampion, v.GetDigest(), v.GetSizeBytes(), v.GetModel(), v.GetVersion()})
	set, err := s.teacher(j.ctx, j.run.project, v)
	if err != nil || set == nil {
		return out, err
	}
	return out, add(inputLearned, set.blob)
}

// inputFault says what a worker may know when bytes are not there: rows of persons that were just erased are other bytes from then on, and the next lease names those.
func inputFault(err error) error {
	if errors.Is(err, blob.ErrNotFound) {
		return fault.Unavailable("input").Cause(err)
	}
	return err
}

// Names of inputs, beside those of data sets.
const (
	inputArtifact = "artifact"
	inputResult   = "result"
	inputChampion = "champion"
	inputLearned  = "champion_dataset"
)

// named are the data sets of a run with the names that they have as inputs.
func (p *pins) named() []namedPin {
	var out []namedPin
	for _, n := range []namedPin{{"dataset", p.Dataset}, {"evaluation", p.Evaluation}, {"tuning", p.Tuning}, {"golden", p.Golden}} {
		if n.pin != nil {
			out = append(out, n)
		}
	}
	return out
}

type namedPin struct {
	name string
	pin  *pin
}

// keepLeases lets the leases of workers begin anew: nobody could extend them while no server was there.
func (s *Service) keepLeases(ctx context.Context) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE training_runs SET lease_until = ? WHERE state = ? AND delivery <> '' AND lease <> ''`,
			db.Micros(s.now().Add(s.config.Lease)), trainingv1.RunState_RUN_STATE_RUNNING)
		return err
	})
}

// expires is when the lease ends that was prolonged just now.
func (s *Service) expires() *timestamppb.Timestamp {
	return timestamppb.New(s.now().Add(s.config.Lease))
}
