package models_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/models"
)

func (r *registry) alias(ctx context.Context, name string, version int32, expected int64) (*modelsv1.ModelAlias, error) {
	res, err := r.SetAlias(ctx, &modelsv1.SetAliasRequest{Model: "support", Alias: name, Version: version, Reason: "a test", ExpectedRevision: expected})
	return res.GetAlias(), err
}

func (r *registry) unalias(ctx context.Context, name string) error {
	_, err := r.SetAlias(ctx, &modelsv1.SetAliasRequest{Model: "support", Alias: name, Delete: true, Reason: "a test"})
	return err
}

func TestAnAliasNamesAVersionEverywhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, ctx := versioned(t, dir)
	for name, version := range map[string]int32{"last-good": 1, "candidate": 2} {
		if a, err := r.alias(ctx, name, version, 0); err != nil || a.GetVersion() != version || a.GetRevision() != 1 || a.GetModel() != "support" {
			t.Fatalf("%s: %v, %v", name, a, err)
		}
	}
	r = start(t, dir) // nothing of it is in memory only
	v, err := r.GetVersion(ctx, &modelsv1.GetVersionRequest{Model: "support@candidate"})
	if err != nil || v.GetVersion().GetVersion() != 2 || !slices.Equal(v.GetVersion().GetAliases(), []string{"candidate"}) {
		t.Errorf("GetVersion: %v, %v", v, err)
	}
	d := r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support@last-good"})
	if d.GetChampion().GetVersion() != 1 || d.GetChampion().GetModel() != "support" || d.GetChampion().GetAliases() != nil {
		t.Errorf("Deploy: %v", d.GetChampion())
	}
	tried, err := r.StartChallenger(ctx, &modelsv1.StartChallengerRequest{Operation: routing, Deployment: "support", Model: "support@candidate"})
	if err != nil || tried.GetDeployment().GetChallengers()[0].GetVersion().GetVersion() != 2 {
		t.Fatalf("StartChallenger: %v, %v", tried, err)
	}
	d = tried.GetDeployment()
	r.tell(t, "p", 1, counted(d, d.GetChallengers()[0].GetVersion().GetDigest(), 300, 0))
	c, err := r.GetComparison(ctx, &modelsv1.GetComparisonRequest{Operation: routing, Deployment: "support", Model: "support@candidate"})
	if err != nil || c.GetComparison().GetCompared() != 300 {
		t.Errorf("GetComparison: %v, %v", c, err)
	}
	seen, err := r.PreviewCertificates(ctx, &modelsv1.PreviewCertificatesRequest{Model: "support@candidate", Policy: &modelsv1.Policy{}})
	if err != nil || seen.GetVersion().GetVersion() != 2 {
		t.Errorf("PreviewCertificates: %v, %v", seen, err)
	}
	if got, err := r.download(t, "acme", &modelsv1.DownloadArtifactRequest{Model: "support@candidate"}); err != nil || string(got) != string(artifact("two", "a", "b")) {
		t.Errorf("DownloadArtifact: %q, %v", got, err)
	}
	if _, err := r.StopChallenger(ctx, &modelsv1.StopChallengerRequest{Operation: routing, Deployment: "support", Model: "support@candidate"}); err != nil {
		t.Errorf("StopChallenger: %v", err)
	}
	if d = r.deployment(t, ctx); len(d.GetChallengers()) != 0 {
		t.Errorf("not stopped: %v", d)
	}
	if _, err := r.try(ctx, 2, shadow, 0, ""); err != nil {
		t.Fatal(err)
	}
	promoted, err := r.Promote(ctx, &modelsv1.PromoteRequest{Operation: routing, Deployment: "support", Model: "support@candidate", Reason: "better", SkipComparison: true})
	if err != nil || promoted.GetDeployment().GetChampion().GetVersion() != 2 {
		t.Errorf("Promote: %v, %v", promoted, err)
	}
	// One alias can be moved to where another one is.
	if a, err := r.SetAlias(ctx, &modelsv1.SetAliasRequest{Model: "support@candidate", Alias: "last-good"}); err != nil || a.GetAlias().GetVersion() != 2 || a.GetAlias().GetRevision() != 2 {
		t.Errorf("SetAlias: %v, %v", a, err)
	}
}

func TestWhatNoAliasNamesIsRefused(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	if _, err := r.alias(ctx, "candidate", 2, 0); err != nil {
		t.Fatal(err)
	}
	deploy := func(model string, version int32) error {
		_, err := r.Deploy(ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: model, Version: version})
		return err
	}
	wantReason(t, "an unknown alias", deploy("support@nobody", 0), "NOT_FOUND")
	wantReason(t, "an alias of an unknown model", deploy("nope@candidate", 0), "MODEL_NOT_FOUND")
	wantReason(t, "an alias and another number", deploy("support@candidate", 1), "INVALID_ARGUMENT")
	wantReason(t, "no alias after the sign", deploy("support@", 0), "INVALID_ARGUMENT")
	_, err := r.GetVersion(ctx, &modelsv1.GetVersionRequest{Model: "support"})
	wantReason(t, "neither number nor alias", err, "INVALID_ARGUMENT")
	r.deployVersion(t, ctx, 1)
	_, err = r.StopChallenger(ctx, &modelsv1.StopChallengerRequest{Operation: routing, Deployment: "support", Model: "support"})
	wantReason(t, "neither number nor alias of a trial", err, "INVALID_ARGUMENT")
	_, err = r.GetVersion(as(deadline(t), "other"), &modelsv1.GetVersionRequest{Model: "support@candidate"})
	wantReason(t, "another project's alias", err, "MODEL_NOT_FOUND")
	if err := r.unalias(ctx, "candidate"); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "a deleted alias", deploy("support@candidate", 0), "NOT_FOUND")
}

func TestNamesThatCannotBeAliases(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	for _, name := range []string{
		"", "../../etc", "a/b", "a\\b", ".", "..", "Candidate", "a b", "a@b", "-a", "a-", "é", strings.Repeat("a", 65), "7", "v7", "007", "latest", "champion", "challenger", "previous", "a\x00b",
	} {
		_, err := r.alias(ctx, name, 1, 0)
		wantReason(t, fmt.Sprintf("%q", name), err, "INVALID_ARGUMENT")
	}
	_, err := r.alias(ctx, "candidate", 99, 0)
	wantReason(t, "no such version", err, "VERSION_NOT_FOUND")
	_, err = r.SetAlias(ctx, &modelsv1.SetAliasRequest{Model: "nope", Alias: "candidate", Version: 1})
	wantReason(t, "no such model", err, "MODEL_NOT_FOUND")
	_, err = r.SetAlias(ctx, &modelsv1.SetAliasRequest{Model: "support", Alias: "candidate", Version: 1, Delete: true})
	wantReason(t, "deleted and set", err, "INVALID_ARGUMENT")
	err = r.unalias(ctx, "candidate")
	wantReason(t, "deleting what never was", err, "NOT_FOUND")
	for i := range 64 {
		if _, err := r.alias(ctx, fmt.Sprintf("a%d.x", i), 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	_, err = r.alias(ctx, "one-more", 1, 0)
	wantReason(t, "a sixty-fifth", err, "QUOTA_EXCEEDED")
	if a, err := r.alias(ctx, "a3.x", 2, 1); err != nil || a.GetRevision() != 2 {
		t.Errorf("moving one of them: %v, %v", a, err)
	}
	if err := r.unalias(ctx, "a4.x"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.alias(ctx, "one-more", 1, 0); err != nil {
		t.Errorf("after one is gone: %v", err)
	}
}

func TestOfTwoWhoMoveAnAliasOneWins(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	if _, err := r.alias(ctx, "candidate", 1, 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	errs, moved := make([]error, 2), make([]*modelsv1.ModelAlias, 2)
	for i := range errs {
		wg.Go(func() { moved[i], errs[i] = r.alias(ctx, "candidate", int32(2+i), 1) })
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("%v and %v", errs[0], errs[1])
	}
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	wantReason(t, "the loser", errs[1-winner], "VERSION_CONFLICT")
	if moved[winner].GetRevision() != 2 || moved[winner].GetVersion() != int32(2+winner) {
		t.Errorf("the winner: %v", moved[winner])
	}
	// Who repeats a call whose answer was lost is told that it was done.
	again, err := r.alias(ctx, "candidate", int32(2+winner), 1)
	if err != nil || !proto.Equal(again, moved[winner]) {
		t.Errorf("repeated: %v, %v", again, err)
	}
	if n := len(r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{}, 0)); n != 2 {
		t.Errorf("%d entries in the ledger", n)
	}
}

func TestTheHistoryOfAliasesIsChained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, ctx := versioned(t, dir)
	r.deployVersion(t, ctx, 1)
	for _, err := range []error{
		func() error { _, err := r.alias(ctx, "candidate", 1, 0); return err }(),
		func() error { _, err := r.alias(ctx, "candidate", 2, 1); return err }(),
		r.unalias(ctx, "candidate"),
		func() error { _, err := r.alias(ctx, "candidate", 3, 0); return err }(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r.deployVersion(t, ctx, 2)
	all := r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{Kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_ALIAS}, 0)
	var versions []int32
	for i, c := range all {
		versions = append(versions, c.GetVersion())
		if was := []int32{0, 2, 1, 0}[i]; c.GetAlias().GetPreviousVersion() != was || c.GetAlias().GetVersion() != c.GetVersion() {
			t.Errorf("entry %d says %v, it stood for %d before", c.GetSequence(), c.GetAlias(), was)
		}
		if c.GetDeployment() != "support@candidate" || c.GetModel() != "support" || c.GetActor() != "testkey" || c.GetReason() != "a test" || c.GetRevision() != int64(4-i) || len(c.GetPreviousHash()) == 0 {
			t.Errorf("entry %v", c)
		}
	}
	if !slices.Equal(versions, []int32{3, 0, 2, 1}) {
		t.Errorf("it stood for %v, newest first", versions)
	}
	if d, err := r.rollback(ctx, 0, 0); err != nil || d.GetChampion().GetVersion() != 1 {
		t.Errorf("going back meets aliases: %v, %v", d, err)
	}
	listed, err := r.ListModels(ctx, &modelsv1.ListModelsRequest{})
	if err != nil || len(listed.GetModels()) != 1 || len(listed.GetModels()[0].GetAliases()) != 1 || listed.GetModels()[0].GetAliases()[0].GetVersion() != 3 {
		t.Errorf("listed: %v, %v", listed, err)
	}
	r.findsEachOf(t, r.ledger(t, dir), map[string]string{
		"an entry that was changed":      `UPDATE deployment_ledger SET version = 1 WHERE name = 'support@candidate' AND revision = 2`,
		"an alias that was moved":        `UPDATE model_aliases SET version = 1`,
		"an alias that was deleted":      `DELETE FROM model_aliases`,
		"an alias that nobody has set":   `INSERT INTO model_aliases (project, model, name, version, revision, updated) VALUES ('acme', 'support', 'x', 1, 1, 0)`,
		"a state that was changed":       `UPDATE deployment_ledger SET state = previous WHERE name = 'support@candidate' AND revision = 3`,
		"an alias with another revision": `UPDATE model_aliases SET revision = 9`,
	})
}

// ledger opens the tables beside the registry.
func (r *registry) ledger(t *testing.T, dir string) *db.DB {
	t.Helper()
	open, err := db.Open(t.Context(), dbtest.Config(t, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = open.Close() })
	return open
}

// verified returns what is wrong with the ledger.
func (r *registry) verified(t *testing.T) []error {
	t.Helper()
	problems, _, err := models.Verify(t.Context(), r.ledger(t, r.dir))
	if err != nil {
		t.Fatal(err)
	}
	return problems
}

// findsEachOf checks that the ledger is in order, and that it is found not to be after each statement.
func (r *registry) findsEachOf(t *testing.T, open *db.DB, statements map[string]string) {
	t.Helper()
	if problems, _, err := models.Verify(t.Context(), open); err != nil || len(problems) != 0 {
		t.Fatalf("%v, %v", problems, err)
	}
	for what, statement := range statements {
		undo := errors.New("undone")
		err := open.Tx(t.Context(), func(tx *db.Tx) error {
			if _, err := tx.Exec(statement); err != nil {
				return err
			}
			problems, err := models.VerifyIn(tx)
			if err != nil {
				return err
			}
			if len(problems) == 0 {
				t.Errorf("%s is not found", what)
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestTheHistoryOfTagsIsChained(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, ctx := versioned(t, dir)
	r.deployVersion(t, ctx, 1)
	tagged := func(reason string, set map[string]string, remove []string, notes *string) {
		t.Helper()
		if _, err := r.tag(ctx, 2, func(q *modelsv1.TagVersionRequest) {
			q.Reason, q.Tags, q.RemoveTags, q.Notes = reason, set, remove, notes
		}); err != nil {
			t.Fatal(err)
		}
	}
	tagged("a new file", map[string]string{"data": "march", "owner": ""}, nil, new("first"))
	tagged("nothing new", map[string]string{"data": "march"}, []string{"never-there"}, new("first")) // and no entry
	tagged("the file was April's", map[string]string{"data": "april"}, []string{"owner"}, nil)
	tagged("", nil, nil, new(""))
	all := r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{Kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_TAGS, Deployment: "support@2"}, 0)
	want := []*modelsv1.VersionNotes{
		{Revision: 3, Tags: map[string]string{"data": "april"}, NotesBefore: new("first")},
		{Revision: 2, Tags: map[string]string{"data": "april"}, Notes: "first", Changes: []*modelsv1.TagChange{{Key: "data", Before: new("march"), After: new("april")}, {Key: "owner", Before: new("")}}},
		{Revision: 1, Tags: map[string]string{"data": "march", "owner": ""}, Notes: "first", NotesBefore: new(""), Changes: []*modelsv1.TagChange{{Key: "data", After: new("march")}, {Key: "owner", After: new("")}}},
	}
	if len(all) != len(want) {
		t.Fatalf("%d entries: %v", len(all), all)
	}
	for i, c := range all {
		want[i].Model, want[i].Version = "support", 2
		if !proto.Equal(c.GetNotes(), want[i]) {
			t.Errorf("entry %d says %v, want %v", c.GetSequence(), c.GetNotes(), want[i])
		}
		if c.GetModel() != "support" || c.GetVersion() != 2 || c.GetActor() != "testkey" || c.GetRevision() != int64(3-i) || c.GetRevisionBefore() != int64(2-i) || len(c.GetPreviousHash()) == 0 {
			t.Errorf("entry %v", c)
		}
	}
	if all[1].GetReason() != "the file was April's" {
		t.Errorf("the reason is %q", all[1].GetReason())
	}
	_, err := r.tag(ctx, 2, func(q *modelsv1.TagVersionRequest) { q.Notes, q.ExpectedRevision = new("late"), 2 })
	if wantReason(t, "who has seen an old revision", err, "VERSION_CONFLICT"); fault.From(err).Metadata("actor") != "testkey" {
		t.Errorf("the refusal does not say who was first: %v", err)
	}
	open := r.ledger(t, dir)
	r.findsEachOf(t, open, map[string]string{
		"an entry that was changed":       `UPDATE deployment_ledger SET version = 1 WHERE name = 'support@2' AND revision = 2`,
		"a reason that was changed":       `UPDATE deployment_ledger SET reason = 'x' WHERE name = 'support@2' AND revision = 2`,
		"a state that was changed":        `UPDATE deployment_ledger SET state = previous WHERE name = 'support@2' AND revision = 3`,
		"a tag that was changed":          `UPDATE version_tags SET value = 'may'`,
		"a tag that was removed":          `DELETE FROM version_tags`,
		"notes that were changed":         `UPDATE version_notes SET notes = 'x'`,
		"notes that were removed":         `DELETE FROM version_notes`,
		"a tag that nobody has set":       `INSERT INTO version_tags (project, model, version, name, value) VALUES ('acme', 'support', 1, 'x', '')`,
		"notes that nobody has written":   `INSERT INTO version_notes (project, model, version, notes, revision) VALUES ('acme', 'support', 1, 'x', 1)`,
		"notes with another revision":     `UPDATE version_notes SET revision = 9`,
		"an entry that was left out":      `DELETE FROM deployment_ledger WHERE name = 'support@2' AND revision = 2`,
		"an entry left out at the end of": `DELETE FROM deployment_ledger WHERE name = 'support@2' AND revision = 3`,
	})
}

func TestTagsOfAnEarlierReleaseEnterTheLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, ctx := versioned(t, dir)
	r.deployVersion(t, ctx, 1)
	if _, err := r.alias(ctx, "candidate", 2, 0); err != nil {
		t.Fatal(err)
	}
	open := r.ledger(t, dir)
	for _, statement := range []string{ // as a release without that history left them
		`INSERT INTO version_notes (project, model, version, notes, revision) VALUES ('acme', 'support', 2, 'old', 4)`,
		`INSERT INTO version_tags (project, model, version, name, value) VALUES ('acme', 'support', 2, 'data', 'march')`,
	} {
		if err := open.Tx(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(statement); return err }); err != nil {
			t.Fatal(err)
		}
	}
	verified := func(when string) {
		t.Helper()
		if problems, _, err := models.Verify(t.Context(), open); err != nil || len(problems) != 0 {
			t.Fatalf("%s: %v, %v", when, problems, err)
		}
	}
	verified("before the first start")
	for range 2 {
		r = start(t, dir)
		all := r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{Kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_TAGS}, 0)
		if len(all) != 1 || all[0].GetRevision() != 4 || all[0].GetActor() != "system" || all[0].GetNotes().GetNotes() != "old" || all[0].GetNotes().GetTags()["data"] != "march" {
			t.Fatalf("adopted: %v", all)
		}
		verified("after a start")
	}
	r = start(t, dir)
	if v, err := r.tag(ctx, 2, func(q *modelsv1.TagVersionRequest) { q.Tags = map[string]string{"data": "april"} }); err != nil || v.GetNotesRevision() != 5 {
		t.Errorf("%v, %v", v, err)
	}
	verified("after a change")
}

func (r *registry) tag(ctx context.Context, version int32, change func(*modelsv1.TagVersionRequest)) (*modelsv1.ModelVersion, error) {
	req := &modelsv1.TagVersionRequest{Model: "support", Version: version}
	change(req)
	res, err := r.TagVersion(ctx, req)
	return res.GetVersion(), err
}

func TestTagsAndNotesChangeAndTheVersionStays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, ctx := versioned(t, dir)
	before, err := r.GetVersion(ctx, &modelsv1.GetVersionRequest{Model: "support", Version: 2})
	if err != nil {
		t.Fatal(err)
	}
	d := r.deployVersion(t, ctx, 2)
	v, err := r.tag(ctx, 2, func(q *modelsv1.TagVersionRequest) {
		q.Tags, q.Notes = map[string]string{"data": "march", "team/owner": "ann"}, new("trained after the move")
	})
	if err != nil || v.GetNotesRevision() != 1 {
		t.Fatalf("%v, %v", v, err)
	}
	v, err = r.tag(ctx, 2, func(q *modelsv1.TagVersionRequest) {
		q.Tags, q.RemoveTags, q.ExpectedRevision = map[string]string{"data": "april", "empty": ""}, []string{"team/owner", "never-there"}, 1
	})
	if err != nil {
		t.Fatal(err)
	}
	r = start(t, dir)
	after, err := r.GetVersion(ctx, &modelsv1.GetVersionRequest{Model: "support", Version: 2})
	if err != nil || !proto.Equal(after.GetVersion(), v) {
		t.Fatalf("%v, then %v, %v", v, after, err)
	}
	if !maps.Equal(v.GetTags(), map[string]string{"data": "april", "empty": ""}) || v.GetNotes() != "trained after the move" || v.GetNotesRevision() != 2 {
		t.Errorf("tagged: %v", v)
	}
	v = after.GetVersion()
	v.Tags, v.Notes, v.NotesRevision = nil, "", 0
	if !proto.Equal(v, before.GetVersion()) {
		t.Errorf("the version changed: %v, was %v", v, before.GetVersion())
	}
	if now := r.deployment(t, ctx); !proto.Equal(now, d) {
		t.Errorf("the deployment changed: %v", now)
	}
	again := r.mustRegister(t, ctx, "support", routing, "two")
	if again.GetVersion() != 2 {
		t.Errorf("registered again it is version %d", again.GetVersion())
	}
	if v, err = r.tag(ctx, 2, func(q *modelsv1.TagVersionRequest) { q.Notes = new("") }); err != nil || v.GetNotes() != "" || v.GetNotesRevision() != 3 || len(v.GetTags()) != 2 {
		t.Errorf("notes removed: %v, %v", v, err)
	}
	if v, err = r.tag(ctx, 2, func(q *modelsv1.TagVersionRequest) { q.Notes, q.ExpectedRevision = new(""), 2 }); err != nil || v.GetNotesRevision() != 3 {
		t.Errorf("repeated after a lost answer: %v, %v", v, err)
	}
}

func page1(token string) *commonv1.PageRequest { return &commonv1.PageRequest{Size: 1, Token: token} }

func TestVersionsAreFoundByTheirTags(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	for version, tags := range map[int32]map[string]string{1: {"data": "march", "good": ""}, 2: {"data": "april"}, 3: {"data": "march"}} {
		if _, err := r.tag(ctx, version, func(q *modelsv1.TagVersionRequest) { q.Tags = tags }); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		tags []string
		want []int32
	}{
		"none": {nil, []int32{3, 2, 1}}, "a value": {[]string{"data=march"}, []int32{3, 1}}, "a key": {[]string{"good"}, []int32{1}},
		"both": {[]string{"data=march", "good"}, []int32{1}}, "an empty value": {[]string{"good="}, []int32{1}}, "nobody": {[]string{"data=may"}, nil}, "not that value": {[]string{"good=x"}, nil},
	} {
		var got []int32
		token := ""
		for {
			res, err := r.ListVersions(ctx, &modelsv1.ListVersionsRequest{Model: "support", Tags: c.tags, Page: page1(token)})
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range res.GetVersions() {
				got = append(got, v.GetVersion())
				if v.GetTags()["data"] == "" {
					t.Errorf("%s: listed without its tags: %v", name, v)
				}
			}
			if token = res.GetPage().GetNextToken(); token == "" {
				break
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: versions %v, want %v", name, got, c.want)
		}
	}
	for _, bad := range [][]string{{""}, {"=x"}, {"Data"}, {"a b"}, slices.Repeat([]string{"data"}, 9), {"data=" + strings.Repeat("x", 256)}} {
		_, err := r.ListVersions(ctx, &modelsv1.ListVersionsRequest{Model: "support", Tags: bad})
		wantReason(t, fmt.Sprint(bad), err, "INVALID_ARGUMENT")
	}
	first, err := r.ListVersions(ctx, &modelsv1.ListVersionsRequest{Model: "support", Tags: []string{"data"}, Page: page1("")})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.ListVersions(ctx, &modelsv1.ListVersionsRequest{Model: "support", Tags: []string{"good"}, Page: page1(first.GetPage().GetNextToken())})
	wantReason(t, "the page of another list", err, "INVALID_ARGUMENT")
}

func TestTagsAreBounded(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	many := map[string]string{}
	for i := range 32 {
		many[fmt.Sprintf("k%d", i)] = strings.Repeat("v", 255)
	}
	many[strings.Repeat("k", 63)] = ""
	delete(many, "k0")
	if _, err := r.tag(ctx, 1, func(q *modelsv1.TagVersionRequest) { q.Tags = many }); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*modelsv1.TagVersionRequest)
		want   string
	}{
		"a thirty-third":    {func(q *modelsv1.TagVersionRequest) { q.Tags = map[string]string{"more": ""} }, "QUOTA_EXCEEDED"},
		"a long key":        {func(q *modelsv1.TagVersionRequest) { q.Tags = map[string]string{strings.Repeat("k", 64): ""} }, "INVALID_ARGUMENT"},
		"a long value":      {func(q *modelsv1.TagVersionRequest) { q.Tags = map[string]string{"k1": strings.Repeat("é", 128)} }, "INVALID_ARGUMENT"},
		"an empty key":      {func(q *modelsv1.TagVersionRequest) { q.Tags = map[string]string{"": ""} }, "INVALID_ARGUMENT"},
		"a key with a sign": {func(q *modelsv1.TagVersionRequest) { q.Tags = map[string]string{"a=b": ""} }, "INVALID_ARGUMENT"},
		"set and removed": {func(q *modelsv1.TagVersionRequest) {
			q.Tags, q.RemoveTags = map[string]string{"k1": ""}, []string{"k1"}
		}, "INVALID_ARGUMENT"},
		"long notes":         {func(q *modelsv1.TagVersionRequest) { q.Notes = new(strings.Repeat("é", 4001)) }, "INVALID_ARGUMENT"},
		"an old revision":    {func(q *modelsv1.TagVersionRequest) { q.Notes, q.ExpectedRevision = new("x"), 9 }, "VERSION_CONFLICT"},
		"no such version":    {func(q *modelsv1.TagVersionRequest) { q.Version = 99 }, "VERSION_NOT_FOUND"},
		"no such model":      {func(q *modelsv1.TagVersionRequest) { q.Model = "nope" }, "MODEL_NOT_FOUND"},
		"neither of the two": {func(q *modelsv1.TagVersionRequest) { q.Version = 0 }, "INVALID_ARGUMENT"},
	} {
		_, err := r.tag(ctx, 1, c.change)
		wantReason(t, name, err, c.want)
	}
	if v, err := r.tag(ctx, 1, func(q *modelsv1.TagVersionRequest) {
		q.Tags, q.RemoveTags = map[string]string{"more": ""}, []string{"k1"}
	}); err != nil || len(v.GetTags()) != 32 {
		t.Errorf("one for another: %d tags, %v", len(v.GetTags()), err)
	}
}
