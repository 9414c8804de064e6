package models_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

func (r *registry) resumes(ctx context.Context, version int32, expected int64) (*modelsv1.Deployment, error) {
	res, err := r.ResumeChallenger(ctx, &modelsv1.ResumeChallengerRequest{
		Operation: routing, Deployment: "support", Model: "support", Version: version, Reason: "the data base is back", ExpectedRevision: expected,
	})
	return res.GetDeployment(), err
}

// failing is a report of a trial whose challenger could not score a number of inputs.
func failing(d *modelsv1.Deployment, n, errs int64) *modelsv1.Comparison {
	c := counted(d, d.GetChallengers()[0].GetVersion().GetDigest(), n, 0)
	c.TrialTime, c.Challenger.Errors = d.GetChallengers()[0].GetStartTime(), errs
	return c
}

func TestATrialThatAGuardrailEndedIsResumedWithItsHistory(t *testing.T) {
	t.Parallel()
	r, before := onTrial(t)
	ctx := as(deadline(t), "acme")
	r.tell(t, "p", 1, failing(before, 200, 200))
	ended := r.deployment(t, ctx)
	if len(ended.GetChallengers()) != 0 || len(ended.GetEndedTrials()) != 1 {
		t.Fatalf("the trial did not end: %v", ended)
	}
	e := ended.GetEndedTrials()[0]
	if !strings.Contains(e.GetReason(), "max_error_rate") || e.GetCaller() != "" || e.GetCertificateId() != "" || e.GetEndTime() == nil || e.GetChallenger().GetShare() != 0.5 || len(e.GetChallenger().GetVersion().GetLabels()) != 0 {
		t.Errorf("remembered: %v", e)
	}
	d, err := r.resumes(ctx, 2, ended.GetRevision())
	if err != nil {
		t.Fatal(err)
	}
	is, was := d.GetChallengers()[0], before.GetChallengers()[0]
	if is.GetMode() != canary || is.GetShare() != 0.5 || !proto.Equal(is.GetGuardrails(), was.GetGuardrails()) || !proto.Equal(is.GetStartTime(), was.GetStartTime()) || !proto.Equal(is.GetVersion(), was.GetVersion()) ||
		!proto.Equal(is.GetCertificates()[0], was.GetCertificates()[0]) || is.GetResumeTime() == nil || is.GetEndedFor() != e.GetReason() || len(d.GetEndedTrials()) != 0 {
		t.Errorf("resumed %v, it was %v", is, was)
	}
	last := r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{}, 1)[0]
	if last.GetKind() != modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_RESUME || !last.GetTrial() || last.GetVersion() != 2 || last.GetActor() != "testkey" || last.GetReason() != "the data base is back" {
		t.Errorf("the history says %v", last)
	}
	if again, err := r.resumes(ctx, 2, ended.GetRevision()); err != nil || again.GetRevision() != d.GetRevision() {
		t.Errorf("repeated after a lost answer: %v, %v", again, err)
	}
	// What was counted goes on counting; the guardrail judges what comes from now on.
	r.tell(t, "p", 2, failing(d, 400, 0))
	if c, err := r.compare(t); err != nil || c.GetCompared() != 600 || c.GetChallenger().GetErrors() != 200 || c.GetResumedFrom().GetCompared() != 200 {
		t.Errorf("compared %v, %v", c, err)
	}
	if d = r.deployment(t, ctx); len(d.GetChallengers()) != 1 {
		t.Fatalf("ended for what was before it was resumed: %v", d.GetEndedTrials())
	}
	r.tell(t, "p", 3, failing(d, 800, 400))
	if d = r.deployment(t, ctx); len(d.GetChallengers()) != 0 || !strings.Contains(d.GetEndedTrials()[0].GetReason(), "400 of 1600") {
		t.Errorf("not judged by what came after: %v, %v", d.GetChallengers(), d.GetEndedTrials())
	}
	if _, err := r.promote(ctx, 2); reason(err) != "NOT_FOUND" {
		t.Errorf("promoted what is not on trial: %v", err)
	}
	if problems := r.verified(t); len(problems) != 0 {
		t.Errorf("the ledger: %v", problems)
	}
}

func TestATrialThatBrokeItsCertificateIsNotResumedUnderTheSamePromise(t *testing.T) {
	t.Parallel()
	r, before := onTrial(t)
	ctx := as(deadline(t), "acme")
	broken := before.GetChallengers()[0].GetCertificates()[0].GetCertificateId()
	_, err := r.HaltAutomation(as(deadline(t), "platform", "platform:serve"), &modelsv1.HaltAutomationRequest{
		Project: "acme", Operation: routing, Deployment: "support", CertificateId: broken, Reason: "guardrail guarantee: audits show an error above 5 %",
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.resumes(ctx, 2, 0)
	if f := fault.From(err); f.ReasonName() != "PROMOTION_REFUSED" || f.Metadata("gate") != "guarantee" || f.Metadata("certificateId") != broken || !strings.Contains(f.Message(), "above 5 %") {
		t.Errorf("resumed what has broken its certificate: %v", err)
	}
	// Nor is it put on trial anew to answer; a shadow may look, and then does not get further either.
	starts := func(mode modelsv1.ChallengerMode, share float64) error {
		_, err := r.StartChallenger(ctx, &modelsv1.StartChallengerRequest{
			Operation: routing, Deployment: "support", Model: "support", Version: 2, Mode: mode, Share: share, SkipShadow: "it is known", Reason: "once more",
		})
		return err
	}
	promotes := func() error {
		_, err := r.Promote(ctx, &modelsv1.PromoteRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2, SkipComparison: true, Reason: "it is good"})
		return err
	}
	wantReason(t, "a canary", starts(canary, 0.1), "PROMOTION_REFUSED")
	if err := starts(shadow, 0); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "a canary after a shadow", starts(canary, 0.1), "PROMOTION_REFUSED")
	wantReason(t, "a promotion", promotes(), "PROMOTION_REFUSED")
	if _, err := r.StopChallenger(ctx, &modelsv1.StopChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2, Reason: "enough"}); err != nil {
		t.Fatal(err)
	}
	wantReason(t, "a canary after a shadow that ended", starts(canary, 0.1), "PROMOTION_REFUSED")
	policy := func(p *modelsv1.Policy) {
		t.Helper()
		if _, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "support", Policy: p}); err != nil {
			t.Fatal(err)
		}
	}
	policy(&modelsv1.Policy{AuditRate: 0.5}) // the same promise in another policy
	_, err = r.resumes(ctx, 2, 0)
	wantReason(t, "the same promise in another policy", err, "PROMOTION_REFUSED")
	policy(&modelsv1.Policy{MaxError: 0.2})
	d, err := r.resumes(ctx, 2, 0)
	if err != nil || d.GetChallengers()[0].GetCertificates()[0].GetMaxError() != 0.2 || d.GetChallengers()[0].GetCertificates()[0].GetCertificateId() == broken {
		t.Errorf("another promise: %v, %v", d, err)
	}
	// Somebody who ends a trial by its certificate has proven nothing.
	_, err = r.HaltAutomation(ctx, &modelsv1.HaltAutomationRequest{
		Operation: routing, Deployment: "support", CertificateId: d.GetChallengers()[0].GetCertificates()[0].GetCertificateId(), Reason: "a look first",
	})
	if err != nil {
		t.Fatal(err)
	}
	if d, err = r.resumes(ctx, 2, 0); err != nil || len(d.GetChallengers()) != 1 || d.GetChallengers()[0].GetEndedFor() != "a look first" {
		t.Errorf("%v, %v", d, err)
	}
	// What it broke is not forgotten meanwhile.
	policy(&modelsv1.Policy{AuditRate: 0.5})
	wantReason(t, "a promotion under the old promise again", promotes(), "PROMOTION_REFUSED")
}

func TestWhatCannotBeResumedIsRefused(t *testing.T) {
	t.Parallel()
	r, _ := onTrial(t)
	ctx := as(deadline(t), "acme")
	_, err := r.resumes(ctx, 3, 0)
	wantReason(t, "never on trial", err, "NOT_FOUND")
	_, err = r.resumes(ctx, 99, 0)
	wantReason(t, "no such version", err, "VERSION_NOT_FOUND")
	_, err = r.resumes(as(deadline(t), "other"), 2, 0)
	wantReason(t, "another project", err, "DEPLOYMENT_NOT_FOUND")
	_, err = r.ResumeChallenger(ctx, &modelsv1.ResumeChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2})
	wantReason(t, "no reason", err, "INVALID_ARGUMENT")
	stop := func(version int32) {
		t.Helper()
		if _, err := r.StopChallenger(ctx, &modelsv1.StopChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: version, Reason: "enough"}); err != nil {
			t.Fatal(err)
		}
	}
	stop(2)
	_, err = r.resumes(ctx, 2, 1)
	wantReason(t, "an old revision", err, "VERSION_CONFLICT")
	if _, err = r.try(ctx, 3, canary, 0.8, "a test"); err != nil {
		t.Fatal(err)
	}
	_, err = r.resumes(ctx, 2, 0)
	wantReason(t, "more than everything", err, "INVALID_ARGUMENT")
	stop(3)
	if d := r.deployment(t, ctx); len(d.GetEndedTrials()) != 2 || d.GetEndedTrials()[0].GetChallenger().GetVersion().GetVersion() != 3 || d.GetEndedTrials()[0].GetCaller() != "testkey" {
		t.Errorf("remembered: %v", d.GetEndedTrials())
	}
	// A trial that is begun anew begins at zero, and what had ended is forgotten.
	if d, err := r.try(ctx, 2, shadow, 0, ""); err != nil || len(d.GetEndedTrials()) != 1 || d.GetChallengers()[0].GetResumeTime() != nil {
		t.Errorf("%v, %v", d, err)
	}
	// What ended beside another champion is no trial beside this one.
	if d := r.deployVersion(t, ctx, 2); len(d.GetEndedTrials()) != 0 {
		t.Errorf("beside another champion: %v", d.GetEndedTrials())
	}
	_, err = r.resumes(ctx, 3, 0)
	wantReason(t, "beside another champion", err, "NOT_FOUND")
}

func TestADeploymentRemembersTheLastFiveTrials(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	r.deployVersion(t, ctx, 1)
	for i := range 7 {
		v := r.mustRegister(t, ctx, "support", routing, fmt.Sprint("trial", i)).GetVersion()
		if _, err := r.try(ctx, v, shadow, 0, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := r.StopChallenger(ctx, &modelsv1.StopChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: v}); err != nil {
			t.Fatal(err)
		}
	}
	d := r.deployment(t, ctx)
	if len(d.GetEndedTrials()) != 5 || !d.GetEndedTrials()[0].GetEndTime().AsTime().After(d.GetEndedTrials()[4].GetEndTime().AsTime().Add(-time.Nanosecond)) {
		t.Errorf("%d are remembered: %v", len(d.GetEndedTrials()), d.GetEndedTrials())
	}
}
