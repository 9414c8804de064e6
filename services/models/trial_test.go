package models_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/services/models"
)

const (
	guardrailChange  = modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_GUARDRAIL
	challengerChange = modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_CHALLENGER
)

// onTrial is a registry whose version 1 of support answers, and version 2 a share.
func onTrial(t *testing.T) (*registry, *modelsv1.Deployment) {
	t.Helper()
	r, ctx := versioned(t, t.TempDir())
	r.deployVersion(t, ctx, 1)
	d, err := r.try(ctx, 2, canary, 0.5, "a test")
	if err != nil {
		t.Fatal(err)
	}
	return r, d
}

// audited is a report of what people found in audits that were drawn with a probability of 0.1.
func audited(d *modelsv1.Deployment, champion, wrong, challenger, wrongToo int64) *modelsv1.Comparison {
	arm := func(n, wrong int64) *modelsv1.Arm {
		return &modelsv1.Arm{Audits: []*modelsv1.AuditCount{{Propensity: 0.1, Audits: n, Wrong: wrong}}}
	}
	c := d.GetChallengers()[0]
	return &modelsv1.Comparison{
		Project: "acme", Operation: routing, Deployment: d.GetName(), ChampionDigest: d.GetChampion().GetDigest(), ChallengerDigest: c.GetVersion().GetDigest(),
		TrialTime: c.GetStartTime(), Champion: arm(champion, wrong), Challenger: arm(challenger, wrongToo),
	}
}

// compare asks how version 2 of support has done.
func (r *registry) compare(t *testing.T) (*modelsv1.Comparison, error) {
	t.Helper()
	res, err := r.GetComparison(as(deadline(t), "acme"), &modelsv1.GetComparisonRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2})
	return res.GetComparison(), err
}

func TestVersionsThatShareTheTrafficAreComparedOnAudits(t *testing.T) {
	t.Parallel()
	r, d := onTrial(t)
	r.tell(t, "serving", 1, counted(d, d.GetChallengers()[0].GetVersion().GetDigest(), 300, 0))
	r.tell(t, "monitoring", 1, audited(d, 1000, 20, 400, 14))
	r.tell(t, "monitoring", 2, audited(d, 2000, 40, 1000, 70))
	r.tell(t, "another", 1, audited(d, 1500, 30, 700, 40)) // late, from another process: all so far, and less than is known
	c, err := r.compare(t)
	if err != nil {
		t.Fatal(err)
	}
	sequence := func(n, wrong int) risk.Sequence {
		return risk.Sequence{Strata: []risk.Stratum{{Propensity: 0.1, Audits: n, Wrong: wrong}}}
	}
	champion, challenger := sequence(2000, 40), sequence(1000, 70)
	for _, arm := range []struct {
		is   *modelsv1.Arm
		want risk.Sequence
	}{{c.GetChampion(), champion}, {c.GetChallenger(), challenger}} {
		low, high := arm.want.Interval(0.05)
		if !near(arm.is.GetAuditedError(), arm.want.Rate()) || !near(arm.is.GetAuditedErrorLower(), low) || !near(arm.is.GetAuditedErrorUpper(), high) || arm.is.GetDecisions() != 300 {
			t.Errorf("%v, want %v in %v to %v", arm.is, arm.want.Rate(), low, high)
		}
	}
	low, high := risk.Difference(champion, challenger, 0.05)
	if !near(c.GetErrorChange(), 0.05) || !near(c.GetErrorChangeLower(), low) || !near(c.GetErrorChangeUpper(), high) || !(low > 0) || c.GetCompared() != 300 || !near(c.GetConfidence(), 0.95) {
		t.Errorf("the difference is %v in %v to %v, want %v to %v", c.GetErrorChange(), c.GetErrorChangeLower(), c.GetErrorChangeUpper(), low, high)
	}
}

func TestWithoutAuditsNothingIsSaidOfErrors(t *testing.T) {
	t.Parallel()
	r, d := onTrial(t)
	r.tell(t, "serving", 1, counted(d, d.GetChallengers()[0].GetVersion().GetDigest(), 300, 0))
	c, err := r.compare(t)
	if err != nil || c.GetErrorChange() != 0 || c.GetErrorChangeLower() != -1 || c.GetErrorChangeUpper() != 1 || c.GetChallenger().GetAuditedErrorUpper() != 1 {
		t.Errorf("%v, %v", c, err)
	}
	for name, bad := range map[string]*modelsv1.AuditCount{
		"drawn with certainty and more": {Propensity: 1.5, Audits: 1}, "never drawn": {Audits: 1}, "more wrong than all": {Propensity: 1, Audits: 1, Wrong: 2}, "NaN": {Propensity: math.NaN(), Audits: 1},
	} {
		report := audited(d, 1, 0, 1, 0)
		report.Champion.Audits = []*modelsv1.AuditCount{bad}
		_, err := r.ReportTraffic(as(t.Context(), "", "platform:serve"), &modelsv1.ReportTrafficRequest{Reporter: "x", Sequence: 1, Comparisons: []*modelsv1.Comparison{report}})
		wantReason(t, name, err, "INVALID_ARGUMENT")
	}
}

func TestATrialEndsWithItsCertificate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		project string
		kind    modelsv1.DeploymentChangeKind
		actor   string
	}{
		"by the product": {"acme", guardrailChange, "system"},
		"by somebody":    {"", challengerChange, "testkey"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, before := onTrial(t)
			ctx := as(deadline(t), "acme")
			if c.project != "" {
				ctx = as(deadline(t), "platform", "platform:serve")
			}
			broken := before.GetChallengers()[0].GetCertificates()[0]
			for range 2 { // the answer may be lost
				res, err := r.HaltAutomation(ctx, &modelsv1.HaltAutomationRequest{
					Project: c.project, Operation: routing, Deployment: "support", CertificateId: broken.GetCertificateId(), Reason: "guardrail guarantee: audits show an error above 5 %",
				})
				if err != nil {
					t.Fatal(err)
				}
				d := res.GetDeployment()
				if len(d.GetChallengers()) != 0 || len(d.GetHalts()) != 0 || d.GetRevision() != before.GetRevision()+1 || !proto.Equal(d.GetCertificates()[0], before.GetCertificates()[0]) {
					t.Errorf("after it: %v", d)
				}
			}
			last := r.changes(t, as(deadline(t), "acme"), &modelsv1.ListDeploymentChangesRequest{}, 1)[0]
			if last.GetKind() != c.kind || last.GetActor() != c.actor || !last.GetTrial() || last.GetVersion() != 2 || !strings.Contains(last.GetReason(), "above 5 %") {
				t.Errorf("the history says %v", last)
			}
		})
	}
}

func TestCountsOfAnEarlierTrialOfTheSameVersionsDoNotCount(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	r.deployVersion(t, ctx, 1)
	first, err := r.try(ctx, 2, shadow, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	digest := first.GetChallengers()[0].GetVersion().GetDigest()
	report := func(d *modelsv1.Deployment, n int64) *modelsv1.Comparison {
		c := counted(d, digest, n, 0)
		if len(d.GetChallengers()) > 0 {
			c.TrialTime = d.GetChallengers()[0].GetStartTime()
		}
		return c
	}
	r.tell(t, "p", 1, report(first, 300))
	if _, err := r.StopChallenger(ctx, &modelsv1.StopChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2}); err != nil {
		t.Fatal(err)
	}
	r.tell(t, "p", 2, report(first, 10)) // what a process had counted before it heard of the end
	if c, err := r.compare(t); err != nil || c.GetCompared() != 310 {
		t.Errorf("after its end a trial can be looked at: %v, %v", c, err)
	}
	second, err := r.try(ctx, 2, shadow, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.compare(t)
	wantReason(t, "nothing compared in the new trial", err, "NOT_FOUND")
	_, err = r.promote(ctx, 2)
	wantReason(t, "promoted for what an earlier trial has seen", err, "PROMOTION_REFUSED")
	r.tell(t, "p", 3, report(first, 500)) // very late
	_, err = r.compare(t)
	wantReason(t, "still nothing", err, "NOT_FOUND")
	r.tell(t, "p", 4, report(second, 150))
	old := report(second, 50)
	old.TrialTime = nil // a process of an earlier release does not say which trial
	r.tell(t, "q", 1, old)
	r.tell(t, "p", 5, report(first, 500))
	if c, err := r.compare(t); err != nil || c.GetCompared() != 200 || !c.GetTrialTime().AsTime().Equal(second.GetChallengers()[0].GetStartTime().AsTime()) {
		t.Errorf("the new trial: %v, %v", c, err)
	}
	// The other way round: the version before stands on trial beside the one that took its place.
	d, err := r.promote(ctx, 2)
	if err != nil {
		t.Fatal(err)
	}
	back := &modelsv1.GetComparisonRequest{Operation: routing, Deployment: "support"}
	_, err = r.GetComparison(ctx, back)
	wantReason(t, "nothing compared on probation", err, "NOT_FOUND")
	on := counted(d, d.GetPrevious().GetDigest(), 20, 0)
	on.TrialTime = d.GetChampionTime()
	r.tell(t, "p", 6, on)
	if res, err := r.GetComparison(ctx, back); err != nil || res.GetComparison().GetCompared() != 20 {
		t.Errorf("on probation: %v, %v", res, err)
	}
}

func TestOldComparisonsAreForgotten(t *testing.T) {
	t.Parallel()
	r, d := onTrial(t)
	other := counted(d, "sha256:older", 10, 0)
	r.tell(t, "p", 1, other)
	count := func() (n int) {
		open, err := db.Open(t.Context(), dbtest.Config(t, filepath.Join(r.dir, "switchyard.db")))
		if err != nil {
			t.Fatal(err)
		}
		defer open.Close()
		err = open.View(t.Context(), func(tx *db.Tx) error {
			_, err := tx.Get(`SELECT count(*) FROM comparisons`, nil, &n)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	var many []*modelsv1.Comparison
	for i := range 99 {
		many = append(many, counted(d, fmt.Sprint("sha256:", i), 10, 0))
	}
	for i, c := range many {
		r.tell(t, "p", int64(i+2), c)
	}
	if n := count(); n != 100 {
		t.Fatalf("%d are kept of 100", n)
	}
	r.tell(t, "p", 200, counted(d, "sha256:new", 10, 0))
	if n := count(); n != 100 {
		t.Errorf("%d are kept of 101", n)
	}
	r.tell(t, "p", 201, counted(d, "sha256:new", 10, 0))
	if n := count(); n != 100 {
		t.Errorf("%d are kept after a second report", n)
	}
}

func TestTheHistoryNamesTheVersionOnTrial(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, ctx := versioned(t, dir)
	r.deployVersion(t, ctx, 1)
	r.deployVersion(t, ctx, 2)
	if _, err := r.try(ctx, 3, shadow, 0, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := r.StopChallenger(ctx, &modelsv1.StopChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: 3}); err != nil {
		t.Fatal(err)
	}
	all := r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{}, 0)
	for i, want := range []struct {
		version int32
		trial   bool
	}{{3, true}, {3, true}, {2, false}, {1, false}} {
		c := all[i]
		v, err := r.GetVersion(ctx, &modelsv1.GetVersionRequest{Model: "support", Version: want.version})
		if err != nil || c.GetVersion() != want.version || c.GetTrial() != want.trial || c.GetVersionDigest() != v.GetVersion().GetDigest() || c.GetRestoredRevision() != 0 {
			t.Errorf("entry %d: %v, %v", i, c, err)
		}
	}
	// What answered before the last change of what answers, not before the trial.
	d, err := r.rollback(ctx, 0, 0)
	if err != nil || d.GetChampion().GetVersion() != 1 {
		t.Errorf("version %d, %v", d.GetChampion().GetVersion(), err)
	}
	open, err := db.Open(t.Context(), dbtest.Config(t, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if problems, looked, err := models.Verify(t.Context(), open); err != nil || len(problems) != 0 || looked == 0 {
		t.Fatalf("%d entries: %v, %v", looked, problems, err)
	}
	err = open.Tx(t.Context(), func(tx *db.Tx) error { // as if the champion had been on trial
		_, err := tx.Exec(`UPDATE deployment_ledger SET restored = 0 WHERE seq = 3`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if problems, _, err := models.Verify(t.Context(), open); err != nil || len(problems) == 0 {
		t.Errorf("a trial that was made none is not found: %v", err)
	}
}

func TestTheVersionBeforeKeepsItsCertificatesOnProbation(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	before := r.deployVersion(t, ctx, 1)
	if _, err := r.try(ctx, 2, shadow, 0, ""); err != nil {
		t.Fatal(err)
	}
	res, err := r.Promote(ctx, &modelsv1.PromoteRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2, Reason: "better", SkipComparison: true})
	if err != nil {
		t.Fatal(err)
	}
	d := res.GetDeployment()
	if len(d.GetPreviousCertificates()) != 1 || !proto.Equal(d.GetPreviousCertificates()[0], before.GetCertificates()[0]) || d.GetChampionTime().AsTime().Before(before.GetUpdateTime().AsTime()) {
		t.Fatalf("promoted: %v", d)
	}
	changed, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "support", Policy: &modelsv1.Policy{MaxError: 0.1}})
	if err != nil {
		t.Fatal(err)
	}
	d = changed.GetDeployment()
	again := d.GetPreviousCertificates()
	if len(again) != 1 || again[0].GetMaxError() != 0.1 || again[0].GetThreshold() >= before.GetCertificates()[0].GetThreshold() || !d.GetChampionTime().AsTime().Before(d.GetUpdateTime().AsTime()) {
		t.Fatalf("under another policy: %v", d)
	}
	bad := counted(d, d.GetPrevious().GetDigest(), 300, 0.95)
	bad.TrialTime = d.GetChampionTime()
	r.tell(t, "p", 1, bad)
	d = r.deployment(t, ctx)
	if d.GetChampion().GetVersion() != 1 || !proto.Equal(d.GetCertificates()[0], again[0]) || d.GetPreviousCertificates() != nil || d.GetProbation() != nil {
		t.Errorf("taken back: %v", d)
	}
	if since := d.GetChampionTime().AsTime(); time.Since(since) > time.Minute || !since.Equal(d.GetUpdateTime().AsTime()) {
		t.Errorf("it answers again since %v, changed at %v", since, timestamppb.New(d.GetUpdateTime().AsTime()).AsTime())
	}
}
