package models

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	aliasKind = modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_ALIAS
	// maxAliases is how many aliases a model may have.
	maxAliases = 64
	// aliasSign stands between the name of a model and an alias; no name of either may hold it.
	aliasSign = "@"
)

// numeral is what could be taken for the number of a version.
var numeral = regexp.MustCompile(`^v?[0-9]+$`)

// reservedAliases mean something else wherever versions are spoken of.
var reservedAliases = map[string]bool{
	"latest": true, "newest": true, "champion": true, "challenger": true, "previous": true, "shadow": true, "canary": true, "none": true, "any": true, "all": true,
}

// checkAlias says whether a name can be an alias.
func checkAlias(field, name string) error {
	if err := checkName(field, name); err != nil {
		return err
	}
	if numeral.MatchString(name) {
		return fault.InvalidField(field, "%q could be taken for a version's number", name)
	}
	if reservedAliases[name] {
		return fault.InvalidField(field, "%q is reserved: it means something else already", name)
	}
	return nil
}

// SetAlias lets a name stand for a version, or for none any more.
func (s *Service) SetAlias(ctx context.Context, req *modelsv1.SetAliasRequest) (*modelsv1.SetAliasResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkAlias("alias", req.GetAlias()); err != nil {
		return nil, err
	}
	if req.GetDelete() && req.GetVersion() != 0 {
		return nil, fault.InvalidField("version", "must be 0 when the alias is deleted")
	}
	model, _, _ := strings.Cut(req.GetModel(), aliasSign)
	var out *modelsv1.ModelAlias
	err = s.store.db.Tx(ctx, func(tx *db.Tx) error {
		m, err := s.store.model(tx, project, model)
		if err != nil {
			return err
		}
		if m == nil {
			return fault.ModelNotFound(model)
		}
		now, err := s.store.alias(tx, project, model, req.GetAlias())
		if err != nil {
			return err
		}
		next := &modelsv1.ModelAlias{Model: model, Name: req.GetAlias(), Revision: now.GetRevision() + 1, PreviousVersion: now.GetVersion(), UpdateTime: timestamppb.New(s.now().Truncate(time.Microsecond))}
		digest := ""
		if !req.GetDelete() {
			v, err := s.find(tx, project, req.GetModel(), req.GetVersion())
			if err != nil {
				return err
			}
			next.Version, digest = v.version.GetVersion(), v.version.GetDigest()
		}
		same := next.GetVersion() == now.GetVersion()
		// A retry of a call whose answer was lost finds its own work done, one revision later than it expects.
		if e := req.GetExpectedRevision(); e != 0 && e != now.GetRevision() && (!same || e != now.GetRevision()-1) {
			return s.aliasConflict(tx, project, m, now, e)
		}
		if same {
			if out = now; out == nil {
				return fault.NotFound("alias", model+aliasSign+req.GetAlias())
			}
			return nil
		}
		if now.GetVersion() == 0 {
			n, err := s.store.countAliases(tx, project, model)
			if err != nil {
				return err
			}
			if n >= maxAliases {
				return fault.QuotaExceeded("aliases of model "+model, maxAliases)
			}
		}
		log := &modelsv1.DeploymentChange{
			Project: project, Operation: m.GetOperation(), Deployment: aliasEntry(next), Kind: aliasKind, RevisionBefore: now.GetRevision(), Revision: next.GetRevision(),
			Model: model, Version: next.GetVersion(), VersionDigest: digest, Actor: actorOf(ctx), Reason: req.GetReason(),
		}
		if err := s.store.putAlias(tx, next, log, s.now()); err != nil {
			return err
		}
		log.Alias, out = next, proto.CloneOf(next)
		out.PreviousVersion = 0 // it is a matter of the history
		return s.emit(tx, noteTold(log))
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.SetAliasResponse{Alias: out}, nil
}

// aliasEntry is what stands for an alias in the ledger in the place of a deployment's name, which never holds the sign.
func aliasEntry(a *modelsv1.ModelAlias) string { return a.GetModel() + aliasSign + a.GetName() }

// aliasConflict says that another change of an alias came first, and whose it was.
func (s *Service) aliasConflict(tx *db.Tx, project string, m *modelsv1.Model, now *modelsv1.ModelAlias, expected int64) error {
	last, err := s.store.lastChange(tx, project, m.GetOperation(), aliasEntry(now))
	if err != nil {
		return err
	}
	e := fault.VersionConflict("alias", aliasEntry(now), now.GetRevision(), expected)
	if last == nil {
		return e
	}
	return e.With("actor", last.GetActor()).With("changedAt", last.GetRecordTime().AsTime().Format(time.RFC3339Nano)).With("version", strconv.Itoa(int(last.GetVersion())))
}

// noteTold returns the change of an alias, or of what is noted about a version, as others are told of it.
func noteTold(c *modelsv1.DeploymentChange) Event {
	return Event{
		Project: c.GetProject(), ID: fmt.Sprintf("%s/%s/%d", fault.OperationName(c.GetOperation()), c.GetDeployment(), c.GetRevision()),
		Operation: fault.OperationName(c.GetOperation()), Deployment: c.GetDeployment(), Time: c.GetRecordTime().AsTime(), Message: c,
	}
}

// alias reads an alias as it is, deleted ones with version 0; nil when there never was one of that name.
func (*store) alias(tx *db.Tx, project, model, name string) (*modelsv1.ModelAlias, error) {
	a := &modelsv1.ModelAlias{Model: model, Name: name}
	var updated int64
	ok, err := tx.Get(`SELECT version, revision, updated FROM model_aliases WHERE project = ? AND model = ? AND name = ?`, []any{project, model, name}, &a.Version, &a.Revision, &updated)
	if err != nil || !ok {
		return nil, err
	}
	a.UpdateTime = timestamppb.New(db.Time(updated))
	return a, nil
}

// aliased returns the number of the version that an alias stands for. Who names a number too must mean the same version.
func (s *store) aliased(tx *db.Tx, project, model, name string, number int32) (int32, error) {
	if err := checkName("model", name); err != nil {
		return 0, err
	}
	a, err := s.alias(tx, project, model, name)
	switch {
	case err != nil:
		return 0, err
	case a.GetVersion() == 0:
		return 0, fault.NotFound("alias", model+aliasSign+name)
	case number != 0 && number != a.GetVersion():
		return 0, fault.InvalidField("version", "is %d, and %s%s%s stands for version %d", number, model, aliasSign, name, a.GetVersion())
	}
	return a.GetVersion(), nil
}

// aliases reads the aliases of models from the first name to the last, by model and name.
func (*store) aliases(tx *db.Tx, project, first, last string) (out []*modelsv1.ModelAlias, err error) {
	err = tx.Each(`SELECT model, name, version, revision, updated FROM model_aliases WHERE project = ? AND model >= ? AND model <= ? AND version > 0 ORDER BY model, name`,
		[]any{project, first, last}, func(scan func(...any) error) error {
			a, updated := &modelsv1.ModelAlias{}, int64(0)
			err := scan(&a.Model, &a.Name, &a.Version, &a.Revision, &updated)
			a.UpdateTime = timestamppb.New(db.Time(updated))
			out = append(out, a)
			return err
		})
	return out, err
}

func (*store) countAliases(tx *db.Tx, project, model string) (n int, err error) {
	_, err = tx.Get(`SELECT count(*) FROM model_aliases WHERE project = ? AND model = ? AND version > 0`, []any{project, model}, &n)
	return n, err
}

// putAlias stores an alias as it is now and appends the change to the ledger.
func (s *store) putAlias(tx *db.Tx, a *modelsv1.ModelAlias, c *modelsv1.DeploymentChange, now time.Time) error {
	state, err := proto.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode alias: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO model_aliases (project, model, name, version, revision, updated) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, model, name) DO UPDATE SET version = excluded.version, revision = excluded.revision, updated = excluded.updated`,
		c.GetProject(), a.GetModel(), a.GetName(), a.GetVersion(), a.GetRevision(), db.Micros(a.GetUpdateTime().AsTime()))
	if err != nil {
		return err
	}
	return s.append(tx, c, state, now)
}
