package monitoring

import (
	"context"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// enforceEvery is how often it is looked for what has to be stopped, also when nobody signals: another process may have found it, or the last try failed.
	enforceEvery = 500 * time.Millisecond
	forgetEvery  = time.Hour
)

// signal makes enforce look at once.
func (s *Service) signal() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// enforce stops automation where it has to be stopped, until ctx ends.
func (s *Service) enforce(ctx context.Context) {
	tick := time.NewTicker(enforceEvery)
	defer tick.Stop()
	var forgot time.Time
	for {
		if err := s.stopDue(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "automation could not be stopped, will try again", "error", err)
		}
		if err := s.tellTrials(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "audits of versions on trial could not be told, will try again", "error", err)
		}
		if s.now().Sub(forgot) > forgetEvery {
			forgot = s.now()
			if err := s.db.Tx(ctx, func(tx *db.Tx) error { return forget(tx, forgot) }); err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "old audits could not be forgotten", "error", err)
			}
		}
		select {
		case <-s.due:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// due is a promise that was found broken.
type due struct {
	stateKey
	reason string
}

func (s *Service) stopDue(ctx context.Context) error {
	var all []due
	err := s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT project, root, operation, deployment, due FROM monitoring_states WHERE due <> '' LIMIT 100`, nil, func(scan func(...any) error) error {
			var d due
			err := scan(&d.project, &d.root, &d.operation, &d.deployment, &d.reason)
			all = append(all, d)
			return err
		})
	})
	for _, d := range all {
		if err == nil {
			err = s.stopOne(ctx, d)
		}
	}
	return err
}

// stopOne asks the registry to stop what the broken promise covers. When that is not in force any more, nothing has to be stopped.
func (s *Service) stopOne(ctx context.Context, d due) error {
	var certificate string
	err := s.db.View(ctx, func(tx *db.Tx) error {
		now, err := loadDeployment(tx, d.key)
		for _, c := range now.GetCertificates() {
			root, err := rootOf(tx, d.project, c.GetCertificateId())
			if err != nil {
				return err
			}
			if root == d.root && haltOf(now, c) == nil {
				certificate = c.GetCertificateId()
			}
		}
		if err == nil && certificate == "" {
			var c *modelsv1.Challenger
			var own *modelsv1.Certificate
			if c, own, err = trialOf(tx, d.stateKey, now); c.GetShare() > 0 {
				certificate = own.GetCertificateId()
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if certificate != "" {
		res, err := s.system.HaltAutomation(ctx, &modelsv1.HaltAutomationRequest{
			Project: d.project, Operation: commonv1.Operation(d.operation), Deployment: d.deployment, CertificateId: certificate, Reason: d.reason,
		})
		if err == nil {
			s.log.WarnContext(ctx, "automation stopped", "project", d.project, "operation", fault.OperationName(commonv1.Operation(d.operation)), "deployment", d.deployment, "reason", d.reason)
			if err := s.Learn(ctx, res.GetDeployment()); err != nil {
				return err
			}
		} else if fault.From(err).Reason() != commonv1.ErrorReason_ERROR_REASON_DEPLOYMENT_NOT_FOUND {
			return err
		}
	}
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE monitoring_states SET due = '' WHERE project = ? AND root = ?`, d.project, d.root)
		return err
	})
}
