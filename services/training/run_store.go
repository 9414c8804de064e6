package training

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// storedRun is a row of training_runs.
type storedRun struct {
	*trainingv1.Run
	project, caller string
	changes         int64
	lease           string
	until           int64 // end of the lease, or from when the run may be taken; microseconds
	// How often a step that workers can do was taken and not heard of again.
	deliveries int64
	// Where the queue hears of it, and what it may read (workInput as JSON); empty when no worker has it.
	delivery, inputs string
}

// errLost means that the run is not this worker's any more: its lease ended, or somebody cancelled it.
var errLost = errors.New("run is held by another or cancelled")

const runColumns = `project, caller, message, changes, lease, lease_until, deliveries, delivery, inputs FROM training_runs`

func scanRun(scan func(...any) error) (*storedRun, error) {
	r := &storedRun{Run: &trainingv1.Run{}}
	var message []byte
	if err := scan(&r.project, &r.caller, &message, &r.changes, &r.lease, &r.until, &r.deliveries, &r.delivery, &r.inputs); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(message, r.Run); err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	return r, nil
}

// readRun reads a run; nil when there is none.
func readRun(tx *db.Tx, project, id string) (r *storedRun, err error) {
	err = tx.Each(`SELECT `+runColumns+` WHERE project = ? AND id = ?`, []any{project, id}, func(scan func(...any) error) (err error) {
		r, err = scanRun(scan)
		return err
	})
	return r, err
}

// findRun returns a run of the caller's project.
func (s *Service) findRun(ctx context.Context, id string) (r *storedRun, err error) {
	of, err := project(ctx)
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		r, err = readRun(tx, of, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, fault.NotFound("run", id)
	}
	return r, nil
}

func insertRun(tx *db.Tx, r *storedRun) error {
	message, err := proto.Marshal(r.Run)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO training_runs (project, id, operation, deployment, caller, message, state, changes, model, version, lease, lease_until, created, ended)
		VALUES (?, ?, ?, ?, ?, ?, ?, 1, '', 0, '', 0, ?, 0)`,
		r.project, r.GetRunId(), r.GetSpec().GetOperation(), r.GetSpec().GetDeployment(), r.caller, message, r.GetState(), db.Micros(r.GetCreateTime().AsTime()))
	return err
}

// open says whether a run has not ended.
func open(s trainingv1.RunState) bool {
	return s == trainingv1.RunState_RUN_STATE_QUEUED || s == trainingv1.RunState_RUN_STATE_RUNNING
}

// saveRun writes a run under its lease, and prolongs that. It fails with errLost.
func (s *Service) saveRun(tx *db.Tx, r *storedRun) error {
	message, err := proto.Marshal(r.Run)
	if err != nil {
		return err
	}
	until, ended := s.now().Add(s.config.Lease), int64(0)
	if !open(r.GetState()) {
		until, ended = time.Time{}, db.Micros(r.GetEndTime().AsTime())
	}
	next := nextStep(r.Run)
	n, err := tx.Exec(`UPDATE training_runs SET message = ?, state = ?, changes = changes + 1, model = ?, version = ?, lease_until = ?, ended = ?, next = ?,
		deliveries = CASE WHEN next = ? THEN deliveries ELSE 0 END WHERE project = ? AND id = ? AND lease = ? AND state = ?`,
		message, r.GetState(), r.GetModel(), r.GetVersion(), db.Micros(until), ended, next, next, r.project, r.GetRunId(), r.lease, trainingv1.RunState_RUN_STATE_RUNNING)
	if err == nil && n == 0 {
		err = errLost
	}
	return err
}

// claim takes the oldest run that nobody carries out and that this process may; nil when there is none.
func (s *Service) claim(ctx context.Context, lease string) (r *storedRun, err error) {
	now := s.now()
	where, args := s.claimable(now)
	waiting := false
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		waiting, err = tx.Get(`SELECT 1 FROM training_runs WHERE `+where+` LIMIT 1`, args, new(int64))
		return err
	})
	if err != nil || !waiting {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		r = nil
		err := tx.Each(`SELECT `+runColumns+` WHERE `+where+` ORDER BY created, id LIMIT 1`, args, func(scan func(...any) error) (err error) {
			r, err = scanRun(scan)
			return err
		})
		if err != nil || r == nil {
			return err
		}
		return s.take(tx, r, lease, "")
	})
	return r, err
}

// take leases a run: to this process, or to a worker when delivery says where the queue hears of it.
func (s *Service) take(tx *db.Tx, r *storedRun, lease, delivery string) error {
	if s.config.external() && forWorkers(nextStep(r.Run)) {
		r.deliveries++
	}
	r.lease, r.delivery, r.inputs, r.State = lease, delivery, "", trainingv1.RunState_RUN_STATE_RUNNING
	_, err := tx.Exec(`UPDATE training_runs SET lease = ?, state = ?, deliveries = ?, delivery = ?, inputs = '' WHERE project = ? AND id = ?`,
		lease, r.GetState(), r.deliveries, delivery, r.project, r.GetRunId())
	if err != nil {
		return err
	}
	return s.saveRun(tx, r)
}

// release lets others take a run from a time on. Whoever gives it back was not lost.
func (s *Service) release(ctx context.Context, r *storedRun, from time.Time) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE training_runs SET lease = '', delivery = '', deliveries = 0, lease_until = ? WHERE project = ? AND id = ? AND lease = ?`, db.Micros(from), r.project, r.GetRunId(), r.lease)
		return err
	})
}

// readStep reads what a step stored into out; false when it stored nothing.
func readStep(tx *db.Tx, r *storedRun, step trainingv1.RunStep, out any) (bool, error) {
	var data []byte
	ok, err := tx.Get(`SELECT output FROM training_steps WHERE project = ? AND run = ? AND step = ?`, []any{r.project, r.GetRunId(), step}, &data)
	if err != nil || !ok {
		return false, err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return false, fmt.Errorf("read step %s of run %s: %w", step, r.GetRunId(), err)
	}
	return true, nil
}

func writeStep(tx *db.Tx, r *storedRun, step trainingv1.RunStep, output any) error {
	data, err := json.Marshal(output)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO training_steps (project, run, step, output) VALUES (?, ?, ?, ?)
		ON CONFLICT (project, run, step) DO UPDATE SET output = excluded.output`, r.project, r.GetRunId(), step, data)
	return err
}

// maxLines is how many lines of a run's log are kept.
const maxLines = 2000

func writeLines(tx *db.Tx, r *storedRun, lines []*trainingv1.LogLine) error {
	if len(lines) == 0 {
		return nil
	}
	var last int64
	if _, err := tx.Get(`SELECT COALESCE(MAX(number), 0) FROM training_logs WHERE project = ? AND run = ?`, []any{r.project, r.GetRunId()}, &last); err != nil {
		return err
	}
	for _, l := range lines {
		last++
		if _, err := tx.Exec(`INSERT INTO training_logs (project, run, number, time, step, line) VALUES (?, ?, ?, ?, ?, ?)`,
			r.project, r.GetRunId(), last, db.Micros(l.GetTime().AsTime()), l.GetStep(), l.GetMessage()); err != nil {
			return err
		}
	}
	_, err := tx.Exec(`DELETE FROM training_logs WHERE project = ? AND run = ? AND number <= ?`, r.project, r.GetRunId(), last-maxLines)
	return err
}

func readLines(tx *db.Tx, project, run string, after int64) (lines []*trainingv1.LogLine, err error) {
	err = tx.Each(`SELECT number, time, step, line FROM training_logs WHERE project = ? AND run = ? AND number > ? ORDER BY number`,
		[]any{project, run, after}, func(scan func(...any) error) error {
			l := &trainingv1.LogLine{}
			var at int64
			var step int32
			if err := scan(&l.Number, &at, &step, &l.Message); err != nil {
				return err
			}
			l.Time, l.Step = timestamppb.New(db.Time(at)), trainingv1.RunStep(step)
			lines = append(lines, l)
			return nil
		})
	return lines, err
}
