package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Queue distributes steps over the processes that workers ask. It says who may try; who may write is the row's matter.
type Queue interface {
	// Post puts a message in the queue unless it holds one of that kind and id.
	Post(ctx context.Context, kind, id string, data []byte) error
	// Take takes the oldest message of a kind that nobody has. delivery names it from then on; it is empty when there was none.
	Take(ctx context.Context, kind string) (delivery string, data []byte, err error)
	// Extend says that whoever took a message is at it, Done takes it out, Return lets others take it after a pause.
	Extend(delivery string) error
	Done(delivery string) error
	Return(delivery string, pause time.Duration) error
}

// workSteps are the steps that worker processes can do, in order.
var workSteps = []trainingv1.RunStep{
	trainingv1.RunStep_RUN_STEP_INSPECT, trainingv1.RunStep_RUN_STEP_SEARCH, trainingv1.RunStep_RUN_STEP_TRAIN, trainingv1.RunStep_RUN_STEP_EVALUATE,
}

func forWorkers(step trainingv1.RunStep) bool {
	return step >= workSteps[0] && step <= workSteps[len(workSteps)-1]
}

// nextStep returns the first step of a run that is not done; 0 when all are.
func nextStep(r *trainingv1.Run) trainingv1.RunStep {
	done := map[trainingv1.RunStep]bool{}
	for _, st := range r.GetSteps() {
		done[st.GetStep()] = st.GetDone()
	}
	for step := trainingv1.RunStep_RUN_STEP_BUILD; step <= trainingv1.RunStep_RUN_STEP_PROMOTE; step++ {
		if !done[step] {
			return step
		}
	}
	return 0
}

// Kinds are what a queue of steps holds: one kind for each operation and step, so that workers can take what they are able to do.
func Kinds() []string {
	var out []string
	for _, op := range operations {
		for _, step := range workSteps {
			out = append(out, kindOf(op, step))
		}
	}
	return out
}

var operations = []commonv1.Operation{commonv1.Operation_OPERATION_MODERATION, commonv1.Operation_OPERATION_ROUTING, commonv1.Operation_OPERATION_CLASSIFICATION}

func kindOf(op commonv1.Operation, step trainingv1.RunStep) string {
	return fault.OperationName(op) + "." + stepName(step)
}

// errand is what the queue carries: which step of which run waits.
type errand struct {
	Project, Run string
	Step         trainingv1.RunStep
}

// patience is how long a step waits for a worker process before this process does it, where it may.
const patience = time.Second

// claimable says which runs this process may take.
func (s *Service) claimable(now time.Time) (where string, args []any) {
	where, args = `state <= 2 AND lease_until < ?`, []any{db.Micros(now)}
	first, last := workSteps[0], workSteps[len(workSteps)-1]
	switch {
	case s.config.Execution == External:
		return where + ` AND (next < ? OR next > ?)`, append(args, first, last)
	case s.config.external():
		return where + ` AND (next < ? OR next > ? OR lease_until < ? AND deliveries < ?)`, append(args, first, last, db.Micros(now.Add(-patience)), s.config.MaxDeliveries)
	}
	return where, args
}

// errHanded means that the next step is for a worker process.
var errHanded = errors.New("the next step waits for a worker")

// handOver leaves the run to worker processes.
func (j *job) handOver() error {
	j.waits(nextStep(j.run.Run))
	if err := j.save(nil); err != nil {
		return err
	}
	if err := j.s.release(context.WithoutCancel(j.ctx), j.run, j.now()); err != nil {
		return err
	}
	j.s.hand()
	return errHanded
}

// waits shows that a step waits for a worker.
func (j *job) waits(step trainingv1.RunStep) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.run.Step, j.run.Progress, j.run.Message = step, 0, "waits for a worker"
}

// hand lets what waits for worker processes be posted at once.
func (s *Service) hand() {
	select {
	case s.handed <- struct{}{}:
	default:
	}
}

// keepPosting tells the queue what waits for worker processes, and ends runs that cost too many of them. The rows are the truth: what the queue lost is posted again, and what it holds
// already is no second message.
func (s *Service) keepPosting() {
	posted := map[string]time.Time{}
	for {
		if err := s.post(posted); err != nil && s.ctx.Err() == nil {
			s.log.Debug("work was not posted", "error", err)
		}
		select {
		case <-s.handed:
		case <-time.After(s.config.PollInterval):
		case <-s.ctx.Done():
			return
		}
	}
}

// post posts the steps that wait. posted remembers what was posted when: a message that got lost is missed after a lease.
func (s *Service) post(posted map[string]time.Time) error {
	now, waiting := s.now(), []*storedRun(nil)
	err := s.db.View(s.ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT `+runColumns+` WHERE state <= 2 AND lease_until < ? AND next >= ? AND next <= ? ORDER BY created, id LIMIT 1000`,
			[]any{db.Micros(now), workSteps[0], workSteps[len(workSteps)-1]}, func(scan func(...any) error) error {
				r, err := scanRun(scan)
				waiting = append(waiting, r)
				return err
			})
	})
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(waiting))
	for _, r := range waiting {
		if r.deliveries >= s.config.MaxDeliveries {
			if err := s.abandon(s.ctx, r); err != nil {
				return err
			}
			continue
		}
		step := nextStep(r.Run)
		key := fmt.Sprint(r.GetRunId(), step, r.until)
		if seen[key] = true; now.Sub(posted[key]) < s.config.Lease {
			continue
		}
		data, err := json.Marshal(errand{r.project, r.GetRunId(), step})
		if err != nil {
			return err
		}
		if err := s.queue.Post(s.ctx, kindOf(r.GetSpec().GetOperation(), step), r.GetRunId(), data); err != nil {
			return err
		}
		posted[key] = now
		s.posted.ring()
	}
	for key := range posted {
		if !seen[key] {
			delete(posted, key)
		}
	}
	return nil
}

// abandon ends a run that cost too many workers.
func (s *Service) abandon(ctx context.Context, r *storedRun) error {
	step := nextStep(r.Run)
	f, was, ended := fault.WorkersLost(stepName(step), r.deliveries), r.lease, false
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		ended, r.lease = false, "abandoned" // under which no worker can write
		n, err := tx.Exec(`UPDATE training_runs SET lease = ?, state = ? WHERE project = ? AND id = ? AND lease = ? AND lease_until = ? AND state <= 2`,
			r.lease, trainingv1.RunState_RUN_STATE_RUNNING, r.project, r.GetRunId(), was, r.until)
		if err != nil || n == 0 {
			return err // somebody has it again
		}
		ended = true
		r.State, r.EndTime = trainingv1.RunState_RUN_STATE_FAILED, timestamppb.New(s.now())
		r.Statement = fmt.Sprintf("failed in step %s: %s", stepName(step), f.Message())
		r.Problem = fault.Item(f)
		if err := s.saveRun(tx, r); err != nil {
			return err
		}
		return writeLines(tx, r, []*trainingv1.LogLine{{Time: r.GetEndTime(), Step: step, Message: f.Message()}})
	})
	if err == nil && ended {
		s.log.Error("run failed", "run", r.GetRunId(), "step", step, "error", f)
		if r.delivery != "" {
			_ = s.queue.Done(r.delivery) // else whoever takes it finds that the run has ended
		}
	}
	return err
}

// bell wakes all who wait for it. The zero value is ready to use.
type bell struct {
	mu sync.Mutex
	c  chan struct{}
}

// wait returns a channel that is closed at the next ring.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c == nil {
		b.c = make(chan struct{})
	}
	return b.c
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c != nil {
		close(b.c)
		b.c = nil
	}
}

// mostLine is how many characters of a worker's line are kept.
const mostLine = 1000

// oneLine makes a text one line of bounded length.
func oneLine(text string) string {
	runes := []rune(strings.ToValidUTF8(text, "?"))
	for i, r := range runes {
		if r < ' ' {
			runes[i] = ' '
		}
	}
	return string(runes[:min(mostLine, len(runes))])
}
