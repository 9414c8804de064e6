package models

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	maxTags       = 32
	maxTagKey     = 63
	maxTagValue   = 255
	maxNotes      = 4000 // characters
	maxTagFilters = 8
)

var tagKey = regexp.MustCompile(`^[a-z0-9]([a-z0-9._/-]*[a-z0-9])?$`)

func checkTag(field, key, value string) error {
	switch {
	case len(key) > maxTagKey || !tagKey.MatchString(key):
		return fault.InvalidField(field, "key %q must be 1 to %d of a-z, 0-9, '.', '_', '/' and '-', beginning and ending with a letter or digit", key, maxTagKey)
	case len(value) > maxTagValue || !utf8.ValidString(value):
		return fault.InvalidField(field, "the value of %q has %d bytes, must be UTF-8 of at most %d", key, len(value), maxTagValue)
	}
	return nil
}

// TagVersion changes what people note about a version. What the version is, and its digest, stay as they are.
func (s *Service) TagVersion(ctx context.Context, req *modelsv1.TagVersionRequest) (*modelsv1.TagVersionResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	for key, value := range req.GetTags() {
		if err := checkTag("tags", key, value); err != nil {
			return nil, err
		}
	}
	for _, key := range req.GetRemoveTags() {
		if _, both := req.GetTags()[key]; both {
			return nil, fault.InvalidField("remove_tags", "%q is set by the same call", key)
		}
	}
	if req.Notes != nil && utf8.RuneCountInString(req.GetNotes()) > maxNotes {
		return nil, fault.InvalidField("notes", "has %d characters, at most %d", utf8.RuneCountInString(req.GetNotes()), maxNotes)
	}
	var v *stored
	err = s.store.db.Tx(ctx, func(tx *db.Tx) error {
		if v, err = s.named(tx, project, req.GetModel(), req.GetVersion()); err != nil {
			return err
		}
		if err := s.store.annotate(tx, project, v.version); err != nil {
			return err
		}
		return s.tag(ctx, tx, project, v.version, req)
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.TagVersionResponse{Version: v.version}, nil
}

// tag changes the notes of a version that has been read with them.
func (s *Service) tag(ctx context.Context, tx *db.Tx, project string, v *modelsv1.ModelVersion, req *modelsv1.TagVersionRequest) error {
	n := &modelsv1.VersionNotes{Model: v.GetModel(), Version: v.GetVersion()}
	if v.Tags == nil {
		v.Tags = map[string]string{}
	}
	for _, key := range slices.Sorted(maps.Keys(req.GetTags())) {
		had, ok := v.Tags[key]
		if value := req.GetTags()[key]; !ok || had != value {
			v.Tags[key] = value
			n.Changes = append(n.Changes, &modelsv1.TagChange{Key: key, Before: optional(had, ok), After: &value})
		}
	}
	for _, key := range req.GetRemoveTags() {
		if had, ok := v.Tags[key]; ok {
			delete(v.Tags, key)
			n.Changes = append(n.Changes, &modelsv1.TagChange{Key: key, Before: &had})
		}
	}
	if req.Notes != nil && req.GetNotes() != v.GetNotes() {
		n.NotesBefore = optional(v.GetNotes(), true)
		v.Notes = req.GetNotes()
	}
	changed := len(n.Changes) > 0 || n.NotesBefore != nil
	current := v.GetNotesRevision()
	// A retry of a call whose answer was lost finds its own work done, one revision later than it expects.
	if e := req.GetExpectedRevision(); e != 0 && e != current && (changed || e != current-1) {
		return s.notesConflict(tx, project, v, e)
	}
	if len(v.Tags) > maxTags {
		return fault.QuotaExceeded("tags of a version", maxTags)
	}
	if !changed {
		return nil
	}
	v.NotesRevision++
	n.Revision, n.Tags, n.Notes = v.GetNotesRevision(), v.GetTags(), v.GetNotes()
	if err := s.store.putNotes(tx, project, v); err != nil {
		return err
	}
	return s.recordNotes(tx, project, v, n, actorOf(ctx), req.GetReason())
}

// optional is a value that may be absent.
func optional(value string, there bool) *string {
	if !there {
		return nil
	}
	return &value
}

// putNotes stores the tags and notes of a version.
func (*store) putNotes(tx *db.Tx, project string, v *modelsv1.ModelVersion) error {
	_, err := tx.Exec(`INSERT INTO version_notes (project, model, version, notes, revision) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (project, model, version) DO UPDATE SET notes = excluded.notes, revision = excluded.revision`,
		project, v.GetModel(), v.GetVersion(), v.GetNotes(), v.GetNotesRevision())
	if err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM version_tags WHERE project = ? AND model = ? AND version = ?`, project, v.GetModel(), v.GetVersion()); err != nil {
		return err
	}
	for key, value := range v.GetTags() {
		_, err := tx.Exec(`INSERT INTO version_tags (project, model, version, name, value) VALUES (?, ?, ?, ?, ?)`, project, v.GetModel(), v.GetVersion(), key, value)
		if err != nil {
			return err
		}
	}
	return nil
}

// annotate fills in what people note about versions of one model, and their aliases.
func (s *store) annotate(tx *db.Tx, project string, versions ...*modelsv1.ModelVersion) error {
	if len(versions) == 0 {
		return nil
	}
	model, low, high := versions[0].GetModel(), versions[0].GetVersion(), versions[0].GetVersion()
	by := make(map[int32]*modelsv1.ModelVersion, len(versions))
	for _, v := range versions {
		by[v.GetVersion()] = v
		low, high = min(low, v.GetVersion()), max(high, v.GetVersion())
	}
	span := []any{project, model, low, high}
	err := tx.Each(`SELECT version, notes, revision FROM version_notes WHERE project = ? AND model = ? AND version >= ? AND version <= ?`, span, func(scan func(...any) error) error {
		var n int32
		var notes string
		var revision int64
		err := scan(&n, &notes, &revision)
		if v := by[n]; v != nil {
			v.Notes, v.NotesRevision = notes, revision
		}
		return err
	})
	if err != nil {
		return err
	}
	err = tx.Each(`SELECT version, name, value FROM version_tags WHERE project = ? AND model = ? AND version >= ? AND version <= ?`, span, func(scan func(...any) error) error {
		var n int32
		var key, value string
		err := scan(&n, &key, &value)
		if v := by[n]; v != nil {
			if v.Tags == nil {
				v.Tags = map[string]string{}
			}
			v.Tags[key] = value
		}
		return err
	})
	if err != nil {
		return err
	}
	aliases, err := s.aliases(tx, project, model, model)
	for _, a := range aliases {
		if v := by[a.GetVersion()]; v != nil {
			v.Aliases = append(v.Aliases, a.GetName())
		}
	}
	return err
}

// tagFilter is one condition on the tags of versions.
type tagFilter struct {
	key, value string
	any        bool // whatever the value
}

// tagFilters reads the conditions of a list: "key" or "key=value".
func tagFilters(conditions []string) (out []tagFilter, err error) {
	if len(conditions) > maxTagFilters {
		return nil, fault.InvalidField("tags", "has %d conditions, at most %d", len(conditions), maxTagFilters)
	}
	for _, c := range conditions {
		key, value, with := strings.Cut(c, "=")
		if err := checkTag("tags", key, value); err != nil {
			return nil, err
		}
		out = append(out, tagFilter{key, value, !with})
	}
	return out, nil
}
