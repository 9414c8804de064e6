package models

import (
	"context"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const rollbackKind = modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_ROLLBACK

// Rollback lets an earlier revision answer again, with the certificates that it had.
func (s *Service) Rollback(ctx context.Context, req *modelsv1.RollbackRequest) (*modelsv1.RollbackResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	if req.GetReason() == "" {
		return nil, fault.InvalidField("reason", "must say why")
	}
	d, err := s.apply(ctx, change{
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: rollbackKind, reason: req.GetReason(), expected: req.GetExpectedRevision(),
		restore: func(tx *db.Tx, now *modelsv1.Deployment) (*modelsv1.Deployment, error) {
			if now == nil {
				return nil, fault.DeploymentNotFound(req.GetOperation(), req.GetDeployment())
			}
			return s.store.target(tx, now, req, actorOf(ctx))
		},
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.RollbackResponse{Deployment: d}, nil
}

// target returns the deployment in the revision that a rollback goes back to. For a call that was carried out already that is the deployment as it is.
func (s *store) target(tx *db.Tx, now *modelsv1.Deployment, req *modelsv1.RollbackRequest, actor string) (*modelsv1.Deployment, error) {
	project, op, name, revision := now.GetProject(), now.GetOperation(), now.GetName(), req.GetRevision()
	if revision == 0 {
		changes, err := s.changesOf(tx, project, op, name)
		if err != nil {
			return nil, err
		}
		last := changes[now.GetRevision()]
		if last.GetKind() == rollbackKind && last.GetActor() == actor && req.GetExpectedRevision() == last.GetRevisionBefore() && req.GetExpectedRevision() != 0 {
			return now, nil // its answer was lost
		}
		if revision = previous(changes, now.GetRevision()); revision == 0 {
			return nil, fault.RevisionNotFound(op, name, 0)
		}
	}
	d, err := s.deploymentAt(tx, project, op, name, revision, now.GetUpdateTime().AsTime())
	if err == nil && d == nil {
		err = fault.RevisionNotFound(op, name, revision)
	}
	return d, err
}

// changesOf reads the entries of one deployment, by revision.
func (*store) changesOf(tx *db.Tx, project string, op commonv1.Operation, name string) (map[int64]*modelsv1.DeploymentChange, error) {
	all := map[int64]*modelsv1.DeploymentChange{}
	err := tx.Each(`SELECT `+changeColumns+` FROM deployment_ledger WHERE project = ? AND operation = ? AND name = ?`, []any{project, op, name},
		func(scan func(...any) error) error {
			c, err := scanChange(scan, project)
			all[c.GetRevision()] = c
			return err
		})
	return all, err
}

// previous returns the newest revision before the given one in which something else answered, or under another policy; 0 when there is none. What came before a rollback
// is what came before the revision that it restored: going back twice goes back two steps, not back and forth.
func previous(changes map[int64]*modelsv1.DeploymentChange, revision int64) int64 {
	for changes[revision].GetTrial() { // the champion went on as before
		revision--
	}
	was := changes[revision]
	for revision > 0 {
		c := changes[revision]
		switch {
		case c == nil:
			return 0
		case c.GetTrial():
			revision--
		case c.GetVersionDigest() != was.GetVersionDigest() || c.GetVersion() != was.GetVersion() || c.GetModel() != was.GetModel() || c.GetPolicyDigest() != was.GetPolicyDigest():
			return revision
		case c.GetKind() == rollbackKind && c.GetRestoredRevision() > 0 && c.GetRestoredRevision() < revision:
			revision = c.GetRestoredRevision()
		default:
			revision--
		}
	}
	return 0
}
