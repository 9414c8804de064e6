package models

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
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
	kind      modelsv1.DeploymentChangeKind
	reason    string
	expected  int64 // the revision that the caller has seen; 0 for any
	// champion and policy make the new parts from the deployment as it is, which is nil for a new one. A nil champion stays nil.
	champion func(tx *db.Tx, now *modelsv1.Deployment) (*stored, error)
	policy   func(now *modelsv1.Deployment) *modelsv1.Policy
	// restore, instead of the two, returns an earlier state that shall answer again as it was.
	restore func(tx *db.Tx, now *modelsv1.Deployment) (*modelsv1.Deployment, error)
	// edit, instead of all of them, changes a copy of a deployment that exists; what it leaves alone stays, certificates too. It may say in the entry of the ledger that the change is about a trial.
	edit func(tx *db.Tx, next *modelsv1.Deployment, log *modelsv1.DeploymentChange) error
}

// wish is what is to be made of a deployment: the state after the change, and what the ledger says of it.
type wish struct {
	next *modelsv1.Deployment
	log  *modelsv1.DeploymentChange // nil when the deployment is in that state already
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
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_DEPLOY,
		reason: req.GetReason(), expected: req.GetExpectedRevision(),
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
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_POLICY,
		reason: req.GetReason(), expected: req.GetExpectedRevision(),
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
		w, err := s.plan(ctx, c)
		if err != nil {
			return nil, err
		}
		if w.log == nil {
			return w.next, nil
		}
		err = s.store.db.Tx(ctx, func(tx *db.Tx) error { return s.commit(tx, &c, &w) })
		if errors.Is(err, errMoved) && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		next := w.next
		s.watch.publish(next)
		s.log.InfoContext(ctx, "deployment changed", "project", c.project, "operation", fault.OperationName(c.operation),
			"deployment", c.name, "revision", next.GetRevision(), "model", next.GetChampion().GetModel(),
			"version", next.GetChampion().GetVersion(), "statement", next.GetStatement(), "by", w.log.GetActor())
		if s.applied != nil {
			s.applied(ctx, next)
		}
		return next, nil
	}
}

// commit stores what was planned, its entry in the ledger and the event that tells of it, unless the deployment has changed meanwhile.
func (s *Service) commit(tx *db.Tx, c *change, w *wish) error {
	now, err := s.store.deployment(tx, c.project, c.operation, c.name)
	if err != nil {
		return err
	}
	if now.GetRevision() != w.next.GetRevision()-1 {
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
	if err := s.store.putDeployment(tx, w.next, w.log, s.now()); err != nil {
		return err
	}
	if err := s.emit(tx, told(w.log, w.next)); err != nil {
		return err
	}
	return tx.Changed(topic, c.project)
}

// plan returns the state after the change, and what the ledger will say of it.
func (s *Service) plan(ctx context.Context, c change) (wish, error) {
	var now, restored, edited *modelsv1.Deployment
	var champion *stored
	var last *modelsv1.DeploymentChange
	log := &modelsv1.DeploymentChange{}
	err := s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		if now, err = s.store.deployment(tx, c.project, c.operation, c.name); err != nil {
			return err
		}
		if c.expected != 0 {
			if last, err = s.store.lastChange(tx, c.project, c.operation, c.name); err != nil {
				return err
			}
		}
		switch {
		case c.edit != nil && now == nil:
			return fault.DeploymentNotFound(c.operation, c.name)
		case c.edit != nil:
			edited = proto.CloneOf(now)
			log = &modelsv1.DeploymentChange{Kind: c.kind, Reason: c.reason}
			return c.edit(tx, edited, log)
		case c.restore != nil:
			restored, err = c.restore(tx, now)
			return err
		}
		champion, err = c.champion(tx, now)
		return err
	})
	if err != nil {
		return wish{}, err
	}
	next, same := edited, edited != nil && proto.Equal(now, edited)
	if edited == nil {
		if next, err = s.next(&c, now, restored, champion); err != nil {
			return wish{}, err
		}
		same = now != nil && now.GetPolicyDigest() == next.GetPolicyDigest() && proto.Equal(now.GetChampion(), next.GetChampion())
	}
	current := now.GetRevision()
	// A retry of a call whose answer was lost finds its own work done, one revision later than it expects.
	repeated := same && c.expected == current-1
	if c.expected != 0 && c.expected != current && !repeated {
		return wish{}, conflict(&c, current, last)
	}
	if same {
		return wish{next: now}, nil
	}
	next.Revision = current + 1
	at := s.now().Truncate(time.Microsecond)
	if champion != nil {
		if next.Certificates, err = certify(champion, next.Policy, at); err != nil {
			return wish{}, err
		}
	}
	next.UpdateTime = timestamppb.New(at)
	if edited == nil {
		if err := s.store.db.View(ctx, func(tx *db.Tx) error { return s.carry(tx, now, next, at) }); err != nil {
			return wish{}, err
		}
		if restored == nil {
			next.Statement = statement(next)
		}
	}
	if next.ChampionTime = now.GetChampionTime(); next.GetChampion().GetDigest() != now.GetChampion().GetDigest() {
		next.ChampionTime = timestamppb.New(at)
	}
	settleHalts(now, restored, next, edited != nil)
	settleEnded(now, next, edited != nil)
	if edited == nil {
		log.Kind, log.Reason, log.RestoredRevision = c.kind, c.reason, restored.GetRevision()
	}
	if log.Actor = actorOf(ctx); log.GetKind() == guardrailKind { // nobody asked for it, though some process's report led to it
		log.Actor = system
	}
	return wish{next: next, log: log}, nil
}

// next returns the state that is wished for, still without certificates where they are to be computed.
func (s *Service) next(c *change, now, restored *modelsv1.Deployment, champion *stored) (next *modelsv1.Deployment, err error) {
	if restored != nil {
		next = proto.CloneOf(now)                                       // what is not restored stays
		next.Challengers, next.Previous, next.Probation = nil, nil, nil // carry takes them over
		next.Champion, next.Policy, next.PolicyDigest = restored.GetChampion(), restored.GetPolicy(), restored.GetPolicyDigest()
		next.Certificates, next.Statement = restored.GetCertificates(), restored.GetStatement()
		next.Revision = now.GetRevision() + 1
		return next, nil
	}
	next = &modelsv1.Deployment{
		Project: c.project, Operation: c.operation, Name: c.name,
		Policy: fill(c.policy(now), c.operation), Revision: now.GetRevision() + 1,
	}
	if champion != nil {
		next.Champion = champion.version
	}
	if err := checkPolicy(next.Policy, c.operation, next.Champion); err != nil {
		return nil, err
	}
	next.PolicyDigest, err = digestOfPolicy(next.Policy)
	return next, err
}

// conflict says that another change came first, and whose it was.
func conflict(c *change, current int64, last *modelsv1.DeploymentChange) error {
	e := fault.VersionConflict("deployment", fault.OperationName(c.operation)+"/"+c.name, current, c.expected)
	if last == nil {
		return e
	}
	return e.With("actor", last.GetActor()).With("change", kindName(last.GetKind())).With("changedAt", last.GetRecordTime().AsTime().Format(time.RFC3339Nano))
}

// kindName is a kind of change as people write it, such as "rollback".
func kindName(k modelsv1.DeploymentChangeKind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "DEPLOYMENT_CHANGE_KIND_"))
}

// find reads a version of the project: of "model@alias" what the alias stands for, else the newest for number 0. It fails with MODEL_NOT_FOUND, VERSION_NOT_FOUND and NOT_FOUND.
func (s *Service) find(tx *db.Tx, project, ref string, number int32) (*stored, error) {
	model, alias, byAlias := strings.Cut(ref, aliasSign)
	m, err := s.store.model(tx, project, model)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, fault.ModelNotFound(model)
	}
	if byAlias {
		if number, err = s.store.aliased(tx, project, model, alias, number); err != nil {
			return nil, err
		}
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

// named reads a version that has to be named: by its number, or by an alias.
func (s *Service) named(tx *db.Tx, project, ref string, number int32) (*stored, error) {
	if err := checkNamed(ref, number); err != nil {
		return nil, err
	}
	return s.find(tx, project, ref, number)
}

func checkNamed(ref string, number int32) error {
	if number < 1 && !strings.Contains(ref, aliasSign) {
		return fault.InvalidField("version", "must be at least 1, or 0 with an alias of the model, such as support@candidate")
	}
	return nil
}

// versionNamed returns the model and the number of a version that is named by its number, whether there is such a version or not, or by an alias.
func (s *Service) versionNamed(tx *db.Tx, project, ref string, number int32) (model string, n int32, err error) {
	if err := checkNamed(ref, number); err != nil || !strings.Contains(ref, aliasSign) {
		return ref, number, err
	}
	v, err := s.find(tx, project, ref, number)
	if err != nil {
		return "", 0, err
	}
	return v.version.GetModel(), v.version.GetVersion(), nil
}

// GetDeployment returns one deployment as it is, or as it was.
func (s *Service) GetDeployment(ctx context.Context, req *modelsv1.GetDeploymentRequest) (*modelsv1.GetDeploymentResponse, error) {
	owner, err := ownerOf(ctx, req.GetProject())
	if err != nil {
		return nil, err
	}
	if req.GetRevision() != 0 && req.GetAt() != nil {
		return nil, fault.InvalidField("at", "must be absent when a revision is named")
	}
	var now, d *modelsv1.Deployment
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		now, err = s.store.deployment(tx, owner, req.GetOperation(), req.GetDeployment())
		if d = now; err == nil && now != nil && (req.GetRevision() != 0 || req.GetAt() != nil) {
			d, err = s.store.deploymentAt(tx, owner, req.GetOperation(), req.GetDeployment(), req.GetRevision(), req.GetAt().AsTime())
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if d == nil && now != nil && req.GetRevision() != 0 {
		return nil, fault.RevisionNotFound(req.GetOperation(), req.GetDeployment(), req.GetRevision())
	}
	if d == nil {
		return nil, fault.DeploymentNotFound(req.GetOperation(), req.GetDeployment())
	}
	return &modelsv1.GetDeploymentResponse{Deployment: d}, nil
}
