package models

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const tagsKind = modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_TAGS

// notesEntry is what stands for the notes of a version in the ledger in the place of a deployment's name. No alias is a number, so it is nobody else's.
func notesEntry(model string, version int32) string {
	return model + aliasSign + strconv.Itoa(int(version))
}

// recordNotes appends the change of a version's notes to the ledger and tells of it. v is the version after it.
func (s *Service) recordNotes(tx *db.Tx, project string, v *modelsv1.ModelVersion, n *modelsv1.VersionNotes, actor, reason string) error {
	state, err := proto.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode notes: %w", err)
	}
	c := &modelsv1.DeploymentChange{
		Project: project, Operation: v.GetOperation(), Deployment: notesEntry(v.GetModel(), v.GetVersion()), Kind: tagsKind, RevisionBefore: n.GetRevision() - 1, Revision: n.GetRevision(),
		Model: v.GetModel(), Version: v.GetVersion(), VersionDigest: v.GetDigest(), Actor: actor, Reason: reason,
	}
	if err := s.store.append(tx, c, state, s.now()); err != nil {
		return err
	}
	c.Notes = n
	return s.emit(tx, noteTold(c))
}

// notesConflict says that another change of a version's notes came first, and whose it was.
func (s *Service) notesConflict(tx *db.Tx, project string, v *modelsv1.ModelVersion, expected int64) error {
	last, err := s.store.lastChange(tx, project, v.GetOperation(), notesEntry(v.GetModel(), v.GetVersion()))
	if err != nil {
		return err
	}
	e := fault.VersionConflict("notes", fmt.Sprintf("%s version %d", v.GetModel(), v.GetVersion()), v.GetNotesRevision(), expected)
	if last == nil {
		return e
	}
	return e.With("actor", last.GetActor()).With("changedAt", last.GetRecordTime().AsTime().Format(time.RFC3339Nano))
}

// showNoted adds to an entry the alias or the notes that it is about.
func showNoted(c *modelsv1.DeploymentChange, state []byte) error {
	switch c.GetKind() { //nolint:exhaustive // all others are about a deployment
	case aliasKind:
		c.Alias = &modelsv1.ModelAlias{}
		return decode("alias", state, c.Alias)
	case tagsKind:
		c.Notes = &modelsv1.VersionNotes{}
		return decode("notes", state, c.Notes)
	}
	return nil
}

// adoptNotes writes what earlier releases noted without a history into the ledger, as it is now. It does nothing in projects whose ledger has notes.
func (s *Service) adoptNotes(ctx context.Context) error {
	type place struct {
		project, model string
		version        int32
	}
	find := func(tx *db.Tx) (out []place, err error) {
		err = tx.Each(`SELECT project, model, version FROM version_notes n WHERE NOT EXISTS (SELECT 1 FROM deployment_ledger l WHERE l.project = n.project AND l.kind = ?) ORDER BY project, model, version`,
			[]any{tagsKind}, func(scan func(...any) error) error {
				var p place
				err := scan(&p.project, &p.model, &p.version)
				out = append(out, p)
				return err
			})
		return out, err
	}
	var all []place
	err := s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		all, err = find(tx)
		return err
	})
	if err != nil || len(all) == 0 {
		return err
	}
	return s.store.db.Tx(ctx, func(tx *db.Tx) error {
		all, err := find(tx) // another process may have been faster
		if err != nil {
			return err
		}
		for _, p := range all {
			v, err := s.named(tx, p.project, p.model, p.version)
			if err != nil {
				return err
			}
			if err := s.store.annotate(tx, p.project, v.version); err != nil {
				return err
			}
			n := &modelsv1.VersionNotes{Model: p.model, Version: p.version, Revision: v.version.GetNotesRevision(), Tags: v.version.GetTags(), Notes: v.version.GetNotes()}
			if err := s.recordNotes(tx, p.project, v.version, n, system, "noted before the ledger kept tags"); err != nil {
				return err
			}
		}
		return nil
	})
}

// noted is what the ledger says of the notes of a version as they are now.
type noted struct {
	last *modelsv1.VersionNotes
	seen bool
}

// notes checks the notes in an entry against the entry, and against those in the entry before.
func (v *verifier) notes(c *modelsv1.DeploymentChange, kept []byte) {
	at := fmt.Sprintf("project %s, entry %d", c.GetProject(), c.GetSequence())
	n := &modelsv1.VersionNotes{}
	if err := proto.Unmarshal(kept, n); err != nil {
		v.problemf("%s: the notes in it cannot be read: %w", at, err)
	} else if notesEntry(n.GetModel(), n.GetVersion()) != c.GetDeployment() || n.GetModel() != c.GetModel() || n.GetVersion() != c.GetVersion() || n.GetRevision() != c.GetRevision() {
		v.problemf("%s: says something else than the notes in it", at)
	}
	key := deploymentKey{project: c.GetProject(), name: c.GetDeployment()}
	was := v.noteds[key]
	// The first entry about notes of an earlier release begins at their revision.
	if before := was.revision(); c.GetRevision() != c.GetRevisionBefore()+1 || (was != nil && c.GetRevisionBefore() != before) {
		v.problemf("%s: goes from revision %d to %d of the notes of %s, which were at %d", at, c.GetRevisionBefore(), c.GetRevision(), key.name, before)
	}
	v.noteds[key] = &noted{last: n}
}

func (n *noted) revision() int64 {
	if n == nil {
		return 0
	}
	return n.last.GetRevision()
}

// noted checks what is noted about versions now against the newest entry of each. A ledger without any such entry is of an earlier release, or of a project where nothing was ever noted.
func (v *verifier) noted(tx *db.Tx) error {
	if !v.hasAliases { // which came with notes
		return nil
	}
	keeps := map[string]bool{}
	for key := range v.noteds {
		keeps[key.project] = true
	}
	tags := map[deploymentKey]map[string]string{}
	err := tx.Each(`SELECT project, model, version, name, value FROM version_tags`, nil, func(scan func(...any) error) error {
		var project, model, name, value string
		var version int32
		if err := scan(&project, &model, &version, &name, &value); err != nil {
			return err
		}
		key := deploymentKey{project: project, name: notesEntry(model, version)}
		if tags[key] == nil {
			tags[key] = map[string]string{}
		}
		tags[key][name] = value
		if keeps[project] && v.noteds[key] == nil {
			v.problemf("project %s, tag %s of %s: has no entry", project, name, key.name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.Each(`SELECT project, model, version, notes, revision FROM version_notes`, nil, func(scan func(...any) error) error {
		var project, model, notes string
		var version int32
		var revision int64
		if err := scan(&project, &model, &version, &notes, &revision); err != nil {
			return err
		}
		v.looked++
		key := deploymentKey{project: project, name: notesEntry(model, version)}
		now := v.noteds[key]
		if now == nil {
			if keeps[project] {
				v.problemf("project %s, notes of %s: have no entry", project, key.name)
			}
			return nil
		}
		if now.seen = true; revision != now.last.GetRevision() || notes != now.last.GetNotes() || !maps.Equal(tags[key], now.last.GetTags()) {
			v.problemf("project %s, notes of %s: in revision %d they are not what their last entry, revision %d, says", project, key.name, revision, now.last.GetRevision())
		}
		return nil
	})
	for key, now := range v.noteds {
		if err == nil && !now.seen {
			v.problemf("project %s, notes of %s: are in the ledger and do not exist", key.project, key.name)
		}
	}
	return err
}
