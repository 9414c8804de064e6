package models

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// errMoved means that another change to the deployment came first.
var errMoved = errors.New("deployment has changed meanwhile")

// change is a wish for a new state of a deployment.
type change struct {
	project   string
	operation commonv1.Operation
	name      string
	kind      string // how the history calls it
	expected  int64  // the revision that the caller has seen; 0 for any
	// champion and policy make the new parts from the deployment as it is, which is nil for a new one. A nil champion stays nil.
	champion func(tx *db.Tx, now *modelsv1.Deployment) (*stored, error)
	policy   func(now *modelsv1.Deployment) *modelsv1.Policy
}

// Deploy lets a version answer under a deployment's name. Repeating a call that has been carried out returns the deployment as it is.
func (s *Service) Deploy(ctx context.Context, req *modelsv1.DeployRequest) (*modelsv1.DeployResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkName("deployment", req.GetDeployment()); err != nil {
		return nil, err
	}
	if req.GetModel() == "" && (req.GetOperation() != commonv1.Operation_OPERATION_MODERATION || req.GetVersion() != 0) {
		return nil, fault.InvalidField("model", "must be named; only moderation can do without a model, by rules alone")
	}
	d, err := s.apply(ctx, change{
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: "deploy", expected: req.GetExpectedRevision(),
		champion: func(tx *db.Tx, _ *modelsv1.Deployment) (*stored, error) {
			if req.GetModel() == "" {
				return nil, nil
			}
			v, err := s.find(tx, project, req.GetModel(), req.GetVersion())
			if err == nil && v.version.GetOperation() != req.GetOperation() {
				err = fault.OperationMismatch(req.GetOperation(), v.version.GetOperation())
			}
			return v, err
		},
		policy: func(now *modelsv1.Deployment) *modelsv1.Policy {
			switch {
			case req.GetPolicy() != nil:
				return req.GetPolicy()
			case now != nil:
				return now.GetPolicy()
			}
			return newPolicy()
		},
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.DeployResponse{Deployment: d}, nil
}

// UpdatePolicy changes the promise of a deployment and certifies the champion anew.
func (s *Service) UpdatePolicy(ctx context.Context, req *modelsv1.UpdatePolicyRequest) (*modelsv1.UpdatePolicyResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	if req.GetPolicy() == nil {
		return nil, fault.InvalidField("policy", "must be set")
	}
	d, err := s.apply(ctx, change{
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: "policy", expected: req.GetExpectedRevision(),
		champion: func(tx *db.Tx, now *modelsv1.Deployment) (*stored, error) {
			if now == nil {
				return nil, fault.DeploymentNotFound(req.GetOperation(), req.GetDeployment())
			}
			if now.GetChampion() == nil {
				return nil, nil
			}
			return s.find(tx, project, now.GetChampion().GetModel(), now.GetChampion().GetVersion())
		},
		policy: func(*modelsv1.Deployment) *modelsv1.Policy { return req.GetPolicy() },
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.UpdatePolicyResponse{Deployment: d}, nil
}

// apply makes the wished state, stores it durably and tells the watchers. Certifying a million rows takes a while, so it happens outside of
// the only writing transaction; when another change came first it begins again.
func (s *Service) apply(ctx context.Context, c change) (*modelsv1.Deployment, error) {
	for {
		next, changed, err := s.plan(ctx, c)
		if err != nil || !changed {
			return next, err
		}
		err = s.store.db.Tx(ctx, func(tx *db.Tx) error {
			now, err := s.store.deployment(tx, c.project, c.operation, c.name)
			if err != nil {
				return err
			}
			if now.GetRevision() != next.GetRevision()-1 {
				return errMoved
			}
			if now == nil {
				n, err := s.store.countDeployments(tx, c.project)
				if err != nil {
					return err
				}
				if n >= s.config.MaxDeployments {
					return fault.QuotaExceeded("deployments", int64(s.config.MaxDeployments))
				}
			}
			if err := s.store.putDeployment(tx, next, c.kind, auth.FromContext(ctx).KeyID); err != nil {
				return err
			}
			return tx.Changed(topic, c.project)
		})
		if errors.Is(err, errMoved) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.watch.publish(next)
		s.log.InfoContext(ctx, "deployment changed", "project", c.project, "operation", fault.OperationName(c.operation),
			"deployment", c.name, "revision", next.GetRevision(), "model", next.GetChampion().GetModel(),
			"version", next.GetChampion().GetVersion(), "statement", next.GetStatement())
		if s.applied != nil {
			s.applied(ctx, next)
		}
		return next, nil
	}
}

// plan returns the state after the change, and false when the deployment is in that state already.
func (s *Service) plan(ctx context.Context, c change) (*modelsv1.Deployment, bool, error) {
	var now *modelsv1.Deployment
	var champion *stored
	err := s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		if now, err = s.store.deployment(tx, c.project, c.operation, c.name); err != nil {
			return err
		}
		champion, err = c.champion(tx, now)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	next := &modelsv1.Deployment{
		Project: c.project, Operation: c.operation, Name: c.name,
		Policy: fill(c.policy(now), c.operation), Revision: now.GetRevision() + 1,
	}
	if champion != nil {
		next.Champion = champion.version
	}
	if err := checkPolicy(next.Policy, c.operation, next.Champion); err != nil {
		return nil, false, err
	}
	if next.PolicyDigest, err = digestOfPolicy(next.Policy); err != nil {
		return nil, false, err
	}
	same := now != nil && now.GetPolicyDigest() == next.PolicyDigest && proto.Equal(now.GetChampion(), next.Champion)
	current := now.GetRevision()
	// A retry of a call whose answer was lost finds its own work done, one revision later than it expects.
	repeated := same && c.expected == current-1
	if c.expected != 0 && c.expected != current && !repeated {
		return nil, false, fault.VersionConflict("deployment", fault.OperationName(c.operation)+"/"+c.name, current, c.expected)
	}
	if same {
		return now, false, nil
	}
	at := s.now().Truncate(time.Microsecond)
	if champion != nil {
		if next.Certificates, err = certify(champion.version, champion.samples, next.Policy, at); err != nil {
			return nil, false, err
		}
	}
	carryHalts(now, next)
	next.UpdateTime, next.Statement = timestamppb.New(at), statement(next)
	return next, true, nil
}

// find reads a version of the project, the newest for number 0. It fails with MODEL_NOT_FOUND and VERSION_NOT_FOUND.
func (s *Service) find(tx *db.Tx, project, model string, number int32) (*stored, error) {
	m, err := s.store.model(tx, project, model)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fault.ModelNotFound(model)
	}
	if number == 0 {
		number = m.GetLatestVersion()
	}
	v, err := s.store.version(tx, project, model, number)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fault.VersionNotFound(model, number)
	}
	return v, nil
}

// GetDeployment returns one deployment.
func (s *Service) GetDeployment(ctx context.Context, req *modelsv1.GetDeploymentRequest) (*modelsv1.GetDeploymentResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	var d *modelsv1.Deployment
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		d, err = s.store.deployment(tx, project, req.GetOperation(), req.GetDeployment())
		return err
	})
	if err != nil {
		return nil, err
	}
	if d == nil {
		return nil, fault.DeploymentNotFound(req.GetOperation(), req.GetDeployment())
	}
	return &modelsv1.GetDeploymentResponse{Deployment: d}, nil
}
