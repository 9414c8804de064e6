package models_test

import (
	"slices"
	"strings"
	"testing"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
)

func haltedSides(d *modelsv1.Deployment) (out []string) {
	for _, h := range d.GetHalts() {
		out = append(out, h.GetSide())
	}
	return out
}

func TestAHaltStaysUntilAnotherVersionIsCertifiedOrSomebodyResumes(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	r.mustRegister(t, ctx, "support", routing, "one")
	r.mustRegister(t, ctx, "support", routing, "two")
	first := r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support", Version: 1})
	if len(first.GetCertificates()) != 1 || !first.GetCertificates()[0].GetCertified() {
		t.Fatalf("certificates %v", first.GetCertificates())
	}
	halt := func(certificate string) *modelsv1.Deployment {
		t.Helper()
		res, err := r.HaltAutomation(ctx, &modelsv1.HaltAutomationRequest{
			Operation: routing, Deployment: "support", Reason: "audits show 9 %", CertificateId: certificate,
		})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetDeployment()
	}
	if d := halt("0197-not-in-force"); len(d.GetHalts()) != 0 || d.GetRevision() != 1 {
		t.Errorf("halted for a certificate that is not in force: %v", d)
	}
	d := halt(first.GetCertificates()[0].GetCertificateId())
	if !slices.Equal(haltedSides(d), []string{""}) || d.GetRevision() != 2 || !strings.Contains(d.GetStatement(), "automation stopped since") || !strings.Contains(d.GetStatement(), "audits show 9 %") {
		t.Errorf("halted: %v", d)
	}
	if h := d.GetHalts()[0]; h.GetCaller() != "testkey" || h.GetTime() == nil || h.GetCertificateId() == "" {
		t.Errorf("halt: %v", h)
	}
	if again := halt(""); again.GetRevision() != 2 {
		t.Errorf("halted twice: revision %d", again.GetRevision())
	}
	// The same rows certified anew speak for the traffic as little as before.
	updated, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "support", Policy: &modelsv1.Policy{AuditRate: 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	if d := updated.GetDeployment(); len(d.GetHalts()) != 1 || d.GetHalts()[0].GetCertificateId() != d.GetCertificates()[0].GetCertificateId() || !strings.Contains(d.GetStatement(), "stopped") {
		t.Errorf("a new policy ended the halt: %v", d)
	}
	second := r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2})
	if len(second.GetHalts()) != 0 || strings.Contains(second.GetStatement(), "stopped") {
		t.Errorf("another version did not end the halt: %v", second)
	}
	d = halt("")
	resumed, err := r.ResumeAutomation(ctx, &modelsv1.ResumeAutomationRequest{Operation: routing, Deployment: "support", Reason: "the feed was broken", ExpectedRevision: d.GetRevision()})
	if err != nil {
		t.Fatal(err)
	}
	if d := resumed.GetDeployment(); len(d.GetHalts()) != 0 || d.GetRevision() != second.GetRevision()+2 {
		t.Errorf("resumed: %v", d)
	}
	if again, err := r.ResumeAutomation(ctx, &modelsv1.ResumeAutomationRequest{Operation: routing, Deployment: "support", Reason: "the feed was broken", ExpectedRevision: d.GetRevision()}); err != nil || again.GetDeployment().GetRevision() != resumed.GetDeployment().GetRevision() {
		t.Errorf("the same call again: %v, %v", again, err)
	}
	_, err = r.ResumeAutomation(ctx, &modelsv1.ResumeAutomationRequest{Operation: routing, Deployment: "support", Reason: "x", ExpectedRevision: 1})
	wantReason(t, "resume from an old revision", err, "VERSION_CONFLICT")
}

func TestEachSideOfModerationIsHaltedByItself(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	r.mustRegister(t, ctx, "comments", moderation, "one")
	d := r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: moderation, Deployment: "comments", Model: "comments"})
	for _, c := range d.GetCertificates() {
		if c.GetSide() != "allow" {
			continue
		}
		res, err := r.HaltAutomation(ctx, &modelsv1.HaltAutomationRequest{Operation: moderation, Deployment: "comments", Reason: "audits", CertificateId: c.GetCertificateId()})
		if err != nil {
			t.Fatal(err)
		}
		if d = res.GetDeployment(); !slices.Equal(haltedSides(d), []string{"allow"}) || !strings.Contains(d.GetStatement(), "automation of allowed texts stopped since") {
			t.Errorf("halted: %v", d)
		}
	}
	res, err := r.HaltAutomation(ctx, &modelsv1.HaltAutomationRequest{Operation: moderation, Deployment: "comments", Reason: "everything"})
	if err != nil {
		t.Fatal(err)
	}
	if got := haltedSides(res.GetDeployment()); len(got) != 3 || res.GetDeployment().GetHalts()[0].GetReason() != "audits" {
		t.Errorf("halted: %v", res.GetDeployment().GetHalts())
	}
}

func TestHaltsNeedAReasonAndADeploymentOfOnesOwn(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	r.mustRegister(t, ctx, "support", routing, "one")
	r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support"})
	halt := func(project, of, reason string, scopes ...string) error {
		_, err := r.HaltAutomation(as(deadline(t), project, scopes...), &modelsv1.HaltAutomationRequest{Operation: routing, Deployment: "support", Reason: reason, Project: of})
		return err
	}
	wantReason(t, "no reason", halt("acme", "", "  "), "INVALID_ARGUMENT")
	wantReason(t, "a long reason", halt("acme", "", strings.Repeat("x", 501)), "INVALID_ARGUMENT")
	wantReason(t, "another project's", halt("rival", "", "x"), "DEPLOYMENT_NOT_FOUND")
	wantReason(t, "another project's by name", halt("rival", "acme", "x"), "SCOPE_MISSING")
	wantReason(t, "by who serves the platform", halt("rival", "acme", "x", "platform:serve"), "")
}

func TestAPreviewCertifiesWithoutDeploying(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	r.mustRegister(t, ctx, "support", routing, "one")
	preview := func(maxError float64) *modelsv1.Certificate {
		t.Helper()
		res, err := r.PreviewCertificates(ctx, &modelsv1.PreviewCertificatesRequest{Model: "support", Version: 1, Policy: &modelsv1.Policy{MaxError: maxError}})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetCertificates()[0]
	}
	lax, strict := preview(0.2), preview(0.02)
	if !lax.GetCertified() || lax.GetMaxError() != 0.2 || strict.GetCertified() && strict.GetThreshold() <= lax.GetThreshold() {
		t.Errorf("at 20 %%: %v\nat 2 %%: %v", lax, strict)
	}
	_, err := r.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support"})
	wantReason(t, "nothing is deployed", err, "DEPLOYMENT_NOT_FOUND")
	_, err = r.PreviewCertificates(ctx, &modelsv1.PreviewCertificatesRequest{Model: "support", Version: 9, Policy: &modelsv1.Policy{}})
	wantReason(t, "no such version", err, "VERSION_NOT_FOUND")
}

func TestAHaltIsInTheLedgerAndEndsWithAPromotionOrARollbackToAnotherVersion(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	r.mustRegister(t, ctx, "support", routing, "one")
	r.mustRegister(t, ctx, "support", routing, "two")
	r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support", Version: 1})
	halt := func() {
		t.Helper()
		if _, err := r.HaltAutomation(ctx, &modelsv1.HaltAutomationRequest{Operation: routing, Deployment: "support", Reason: "audits show 9 %"}); err != nil {
			t.Fatal(err)
		}
	}
	halt()
	started, err := r.StartChallenger(ctx, &modelsv1.StartChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(started.GetDeployment().GetHalts()) != 1 {
		t.Errorf("a trial ended the halt: %v", started.GetDeployment())
	}
	promoted, err := r.Promote(ctx, &modelsv1.PromoteRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2, Reason: "retrained", SkipComparison: true})
	if err != nil {
		t.Fatal(err)
	}
	if d := promoted.GetDeployment(); len(d.GetHalts()) != 0 || strings.Contains(d.GetStatement(), "stopped") {
		t.Errorf("promoted: %v", d)
	}
	halt()
	back, err := r.Rollback(ctx, &modelsv1.RollbackRequest{Operation: routing, Deployment: "support", Revision: 1, Reason: "worse"})
	if err != nil {
		t.Fatal(err)
	}
	if d := back.GetDeployment(); len(d.GetHalts()) != 0 || d.GetChampion().GetVersion() != 1 || strings.Contains(d.GetStatement(), "stopped") {
		t.Errorf("rolled back: %v", d)
	}
	changes, err := r.ListDeploymentChanges(ctx, &modelsv1.ListDeploymentChangesRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	halts := 0
	for _, c := range changes.GetChanges() {
		if c.GetKind() == modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_HALT && c.GetReason() == "audits show 9 %" && c.GetActor() == "testkey" {
			halts++
		}
	}
	if halts != 2 {
		t.Errorf("%d halts in the ledger: %v", halts, changes.GetChanges())
	}
}
