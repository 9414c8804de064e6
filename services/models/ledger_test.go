package models_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/models"
)

// versioned is a registry with three versions of the model support.
func versioned(t *testing.T, dir string) (*registry, context.Context) {
	t.Helper()
	r := start(t, dir)
	ctx := as(deadline(t), "acme")
	for _, salt := range []string{"one", "two", "three"} {
		r.mustRegister(t, ctx, "support", routing, salt)
	}
	return r, ctx
}

func (r *registry) deployVersion(t *testing.T, ctx context.Context, version int32) *modelsv1.Deployment {
	t.Helper()
	return r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support", Version: version})
}

func (r *registry) rollback(ctx context.Context, revision, expected int64) (*modelsv1.Deployment, error) {
	res, err := r.Rollback(ctx, &modelsv1.RollbackRequest{Operation: routing, Deployment: "support", Revision: revision, Reason: "errors", ExpectedRevision: expected})
	return res.GetDeployment(), err
}

func (r *registry) changes(t *testing.T, ctx context.Context, req *modelsv1.ListDeploymentChangesRequest, size int32) (all []*modelsv1.DeploymentChange) {
	t.Helper()
	req.Page = &commonv1.PageRequest{Size: size}
	for {
		res, err := r.ListDeploymentChanges(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, res.GetChanges()...)
		if req.Page.Token = res.GetPage().GetNextToken(); req.Page.Token == "" {
			return all
		}
	}
}

func TestGoingBackTwiceGoesBackTwoSteps(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	first := r.deployVersion(t, ctx, 1)
	r.deployVersion(t, ctx, 2)
	r.deployVersion(t, ctx, 3)
	for _, want := range []int32{2, 1} {
		d, err := r.rollback(ctx, 0, 0)
		if err != nil || d.GetChampion().GetVersion() != want {
			t.Fatalf("version %d, %v; want %d", d.GetChampion().GetVersion(), err, want)
		}
	}
	_, err := r.rollback(ctx, 0, 0)
	wantReason(t, "before the first", err, "REVISION_NOT_FOUND")
	d, err := r.rollback(ctx, 3, 5)
	if err != nil || d.GetChampion().GetVersion() != 3 || d.GetRevision() != 6 {
		t.Fatalf("to a named revision: %v, %v", d, err)
	}
	again, err := r.rollback(ctx, 3, 5)
	if err != nil || again.GetRevision() != 6 {
		t.Errorf("repeated after a lost answer: revision %d, %v", again.GetRevision(), err)
	}
	_, err = r.rollback(ctx, 99, 0)
	wantReason(t, "no such revision", err, "REVISION_NOT_FOUND")
	_, err = r.Rollback(ctx, &modelsv1.RollbackRequest{Operation: classification, Deployment: "support", Reason: "x"})
	wantReason(t, "no such deployment", err, "DEPLOYMENT_NOT_FOUND")
	_, err = r.Rollback(ctx, &modelsv1.RollbackRequest{Operation: routing, Deployment: "support"})
	wantReason(t, "no reason", err, "INVALID_ARGUMENT")

	// What answers again is what answered then, with the certificates that it had.
	back, err := r.rollback(ctx, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	ignore := protocmp.IgnoreFields(&modelsv1.Deployment{}, "revision", "update_time", "champion_time", "previous")
	if diff := cmp.Diff(first, back, protocmp.Transform(), ignore); diff != "" {
		t.Errorf("revision 1 answers differently after a rollback:\n%s", diff)
	}
}

func TestARollbackWhoseAnswerWasLostIsNotDoneTwice(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	for v := range int32(3) {
		r.deployVersion(t, ctx, v+1)
	}
	for range 3 {
		if d, err := r.rollback(ctx, 0, 3); err != nil || d.GetRevision() != 4 || d.GetChampion().GetVersion() != 2 {
			t.Fatalf("%v, %v", d, err)
		}
	}
}

func TestTheHistorySaysWhatWhoAndWhy(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	r.deployVersion(t, ctx, 1)
	r.deployVersion(t, ctx, 2)
	if _, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "support", Policy: &modelsv1.Policy{MaxError: 0.1}, Reason: "less work"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.rollback(ctx, 1, 0); err != nil {
		t.Fatal(err)
	}
	r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "other", Model: "support"})
	all := r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{}, 2)
	var got []string
	for _, c := range all {
		got = append(got, fmt.Sprint(c.GetSequence(), " ", c.GetDeployment(), " ", strings.ToLower(c.GetKind().String()[len("DEPLOYMENT_CHANGE_KIND_"):]), " ",
			c.GetRevisionBefore(), ">", c.GetRevision(), " v", c.GetVersion(), " ", c.GetActor(), " ", c.GetReason()))
	}
	want := []string{
		"5 other deploy 0>1 v3 testkey ", "4 support rollback 3>4 v1 testkey errors", "3 support policy 2>3 v2 testkey less work", "2 support deploy 1>2 v2 testkey ",
		"1 support deploy 0>1 v1 testkey ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for i := range all[1:] {
		if string(all[i].GetPreviousHash()) != string(all[i+1].GetHash()) || len(all[i].GetHash()) != 32 {
			t.Errorf("entry %d does not follow the one before", all[i].GetSequence())
		}
	}
	for name, c := range map[string]struct {
		filter *modelsv1.ListDeploymentChangesRequest
		want   int
	}{
		"deployment": {&modelsv1.ListDeploymentChangesRequest{Operation: routing, Deployment: "support"}, 4},
		"operation":  {&modelsv1.ListDeploymentChangesRequest{Operation: classification}, 0},
		"kind":       {&modelsv1.ListDeploymentChangesRequest{Kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_ROLLBACK}, 1},
		"model":      {&modelsv1.ListDeploymentChangesRequest{Model: "support"}, 5},
		"from":       {&modelsv1.ListDeploymentChangesRequest{From: all[1].GetRecordTime()}, 2},
		"to":         {&modelsv1.ListDeploymentChangesRequest{To: all[1].GetRecordTime()}, 3},
	} {
		if n := len(r.changes(t, ctx, c.filter, 3)); n != c.want {
			t.Errorf("by %s: %d changes, want %d", name, n, c.want)
		}
	}
	if n := len(r.changes(t, as(deadline(t), "umbrella"), &modelsv1.ListDeploymentChangesRequest{}, 3)); n != 0 {
		t.Errorf("another project sees %d changes", n)
	}
	_, err := r.ListDeploymentChanges(as(deadline(t), "umbrella"), &modelsv1.ListDeploymentChangesRequest{Project: "acme"})
	wantReason(t, "another project's history", err, "SCOPE_MISSING")
	_, err = r.GetDeployment(as(deadline(t), "umbrella"), &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support", Project: "acme"})
	wantReason(t, "another project's deployment", err, "SCOPE_MISSING")
}

func TestADeploymentIsReadAsItWas(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	var states []*modelsv1.Deployment
	var times []time.Time
	for v := range int32(3) {
		states = append(states, r.deployVersion(t, ctx, v+1))
		times = append(times, time.Now())
		time.Sleep(2 * time.Millisecond) // the clock's resolution
	}
	for i, want := range states {
		at, err := r.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support", At: timestamppb.New(times[i])})
		if err != nil {
			t.Fatal(err)
		}
		by, err := r.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support", Revision: int64(i + 1)})
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range []*modelsv1.Deployment{at.GetDeployment(), by.GetDeployment()} {
			if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
				t.Errorf("revision %d:\n%s", i+1, diff)
			}
		}
	}
	_, err := r.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support", At: timestamppb.New(times[0].Add(-time.Hour))})
	wantReason(t, "before it was made", err, "DEPLOYMENT_NOT_FOUND")
	_, err = r.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support", Revision: 9})
	wantReason(t, "no such revision", err, "REVISION_NOT_FOUND")
	_, err = r.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support", Revision: 1, At: timestamppb.Now()})
	wantReason(t, "both", err, "INVALID_ARGUMENT")
}

func TestOfTwoChangesAtOnceOneWinsAndTheOtherLearnsWhose(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	r.deployVersion(t, ctx, 1)
	var mu sync.Mutex
	var won []int64
	var lost []error
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			res, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{
				Operation: routing, Deployment: "support", Policy: &modelsv1.Policy{ReviewSeconds: float64(1 + i)}, ExpectedRevision: 1,
			})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				lost = append(lost, err)
			} else {
				won = append(won, res.GetDeployment().GetRevision())
			}
		})
	}
	wg.Wait()
	if len(won) != 1 || won[0] != 2 {
		t.Fatalf("won: %v", won)
	}
	for _, err := range lost {
		wantReason(t, "the others", err, "VERSION_CONFLICT")
		f := fault.FromStatus(status.Convert(err))
		if f.Metadata("actor") != "testkey" || f.Metadata("change") != "policy" || f.Metadata("changedAt") == "" || f.Metadata("current") != "2" {
			t.Errorf("the winner is not named: %v", f.Status())
		}
	}
}

// bare is a service without a server, with a clock of its own, on the data in dir.
func bare(t *testing.T, dir string, now func() time.Time) (*models.Service, *db.DB) {
	t.Helper()
	d, err := db.Open(t.Context(), dbtest.Config(t, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	s := models.New(models.Deps{DB: d, Open: openStub, Now: now})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, d
}

func TestAClockThatIsSetBackDoesNotDisturbTheOrder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, _ = versioned(t, dir)
	now := time.Date(2030, 5, 4, 12, 0, 0, 0, time.UTC)
	s, d := bare(t, dir, func() time.Time { return now })
	ctx := auth.WithCaller(t.Context(), &auth.Caller{Project: "acme", KeyID: "k"})
	for v := range int32(3) {
		if _, err := s.Deploy(ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support", Version: v + 1}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(-time.Hour)
	}
	res, err := s.ListDeploymentChanges(ctx, &modelsv1.ListDeploymentChangesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range res.GetChanges() {
		if want := int32(3 - i); c.GetVersion() != want || c.GetSequence() != int64(want) {
			t.Errorf("entry %d is version %d with sequence %d", i, c.GetVersion(), c.GetSequence())
		}
		if at := c.GetRecordTime().AsTime(); at.Before(time.Date(2030, 5, 4, 12, 0, 0, 0, time.UTC)) {
			t.Errorf("entry %d was recorded at %v: time went backwards", i, at)
		}
	}
	wholeLedger(t, d)
}

func wholeLedger(t *testing.T, d *db.DB) {
	t.Helper()
	problems, n, err := models.Verify(t.Context(), d)
	if err != nil || len(problems) > 0 || n == 0 {
		t.Errorf("verify: %d looked at, %v, %v", n, problems, err)
	}
}

func TestOneAlteredByteOfTheLedgerIsFound(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, ctx := versioned(t, dir)
	for v := range int32(3) {
		r.deployVersion(t, ctx, v+1)
	}
	if _, err := r.rollback(ctx, 0, 0); err != nil {
		t.Fatal(err)
	}
	_, d := bare(t, dir, nil)
	wholeLedger(t, d)
	undone := fmt.Errorf("undone")
	for _, change := range []string{
		`UPDATE deployment_ledger SET recorded = recorded + 1 WHERE seq = 2`,
		`UPDATE deployment_ledger SET kind = 2 WHERE seq = 2`,
		`UPDATE deployment_ledger SET actor = 'testkez' WHERE seq = 2`,
		`UPDATE deployment_ledger SET reason = 'x' WHERE seq = 4`,
		`UPDATE deployment_ledger SET version = 1 WHERE seq = 2`,
		`UPDATE deployment_ledger SET restored = 1 WHERE seq = 4`,
		`UPDATE deployment_ledger SET certificates = '' WHERE seq = 3`,
		`UPDATE deployment_ledger SET policy_digest = 'sha256:0' WHERE seq = 1`,
		`UPDATE deployment_ledger SET state = (SELECT state FROM deployment_ledger WHERE seq = 1) WHERE seq = 2`,
		`UPDATE deployment_ledger SET hash = previous WHERE seq = 3`,
		`UPDATE deployment_ledger SET previous = hash WHERE seq = 3`,
		`DELETE FROM deployment_ledger WHERE seq = 2`,
		`DELETE FROM deployment_ledger WHERE seq = 4`,
		`DELETE FROM deployment_ledger WHERE seq = 1`,
		`UPDATE deployments SET message = (SELECT state FROM deployment_ledger WHERE seq = 1)`,
		`UPDATE deployments SET revision = 3`,
		`DELETE FROM deployments`,
		`DELETE FROM versions WHERE version = 2`,
		`UPDATE versions SET message = (SELECT message FROM versions WHERE version = 1) WHERE version = 3`,
	} {
		var problems []error
		err := d.Tx(t.Context(), func(tx *db.Tx) (err error) {
			if n, err := tx.Exec(change); err != nil || n == 0 {
				return fmt.Errorf("%d rows, %w", n, err)
			}
			problems, err = models.VerifyIn(tx)
			if err != nil {
				return err
			}
			return undone
		})
		if err == nil || !strings.Contains(err.Error(), "undone") {
			t.Fatalf("%s: %v", change, err)
		}
		if len(problems) == 0 {
			t.Errorf("%s: nothing was found", change)
		}
	}
	wholeLedger(t, d)
}

func TestTheHistoryOfAnEarlierReleaseBecomesALedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, ctx := versioned(t, dir)
	r.deployVersion(t, ctx, 1)
	r.deployVersion(t, ctx, 2)
	_, d := bare(t, dir, nil)
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO deployment_events (project, operation, name, revision, kind, caller, message, created)
			SELECT project, operation, name, revision, 'deploy', actor, state, recorded FROM deployment_ledger`)
		if err == nil {
			_, err = tx.Exec(`DELETE FROM deployment_ledger`)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, d = bare(t, dir, nil)
	wholeLedger(t, d)
	if all := r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{}, 0); len(all) != 2 || all[0].GetVersion() != 2 {
		t.Errorf("history: %v", all)
	}
}
