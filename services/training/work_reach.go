package training

import (
	"context"
	"crypto/rand"
	"strings"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// installation is the scope of keys that were made for the work of all projects.
const installation = "platform:train"

// reach returns the project whose work the caller may have; empty for that of all projects.
func reach(ctx context.Context) (string, error) {
	if auth.FromContext(ctx).Has(installation) {
		return "", nil
	}
	return project(ctx)
}

// unqueued stands for the delivery of a step that was found in the rows: the queue's message about it, should it have one, goes when somebody takes it or when it is old.
const unqueued = "row"

// leaseWithin leases a step of one project; nil when none waits. It finds it in the rows: the consumers of a work queue divide its messages among them, so that the queue could not give the same
// message to workers of all projects and to those of one.
func (s *Service) leaseWithin(ctx context.Context, within string, steps []trainingv1.RunStep, ops []commonv1.Operation, worker string) (*trainingv1.Work, error) {
	query, args := `SELECT id, next FROM training_runs WHERE project = ? AND state <= 2 AND lease_until < ? AND deliveries < ? AND next IN (`, []any{within, db.Micros(s.now()), s.config.MaxDeliveries}
	query += db.Marks(len(steps)) + `) AND operation IN (` + db.Marks(len(ops)) + `) ORDER BY next DESC, created, id LIMIT 100`
	for _, step := range steps {
		args = append(args, step)
	}
	for _, op := range ops {
		args = append(args, op)
	}
	var waiting []errand
	err := s.db.View(ctx, func(tx *db.Tx) error {
		waiting = nil
		return tx.Each(query, args, func(scan func(...any) error) error {
			e := errand{Project: within}
			err := scan(&e.Run, &e.Step)
			waiting = append(waiting, e)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	for _, e := range waiting {
		r, err := s.claimFor(ctx, e, unqueued, worker)
		if err != nil {
			return nil, err
		}
		if r == nil { // another worker was faster
			continue
		}
		if w, err := s.give(ctx, r, worker); err != nil || w != nil {
			return w, err
		}
	}
	return nil, ctx.Err()
}

// newLease names a lease of a run's step. The name says whose it was, so that LEASE_LOST and NOT_FOUND can be told apart after its end; who does not know the rest of it cannot use it.
func newLease(run string) string { return run + "." + rand.Text() }

// held returns the run whose lease that is. It fails with LEASE_LOST when the lease has ended, and with NOT_FOUND when there was none, or it is one of a project that the caller does not reach.
func (s *Service) held(ctx context.Context, lease string) (*storedRun, error) {
	within, err := reach(ctx)
	if err != nil {
		return nil, err
	}
	var r *storedRun
	known := false
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		r = nil
		err = tx.Each(`SELECT `+runColumns+` WHERE lease = ? AND lease_until >= ? AND state = ? AND delivery <> '' AND (? = '' OR project = ?)`,
			[]any{lease, db.Micros(s.now()), trainingv1.RunState_RUN_STATE_RUNNING, within, within}, func(scan func(...any) error) (err error) {
				r, err = scanRun(scan)
				return err
			})
		if err != nil || r != nil {
			return err
		}
		run, _, _ := strings.Cut(lease, ".")
		known, err = tx.Get(`SELECT 1 FROM training_runs WHERE (? = '' OR project = ?) AND id = ?`, []any{within, within, run}, new(int64))
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case r == nil && known:
		return nil, fault.LeaseLost("work", lease)
	case r == nil:
		return nil, fault.NotFound("lease", lease)
	}
	return r, nil
}
