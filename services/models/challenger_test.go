package models_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
)

func (r *registry) try(ctx context.Context, version int32, mode modelsv1.ChallengerMode, share float64, skip string) (*modelsv1.Deployment, error) {
	res, err := r.StartChallenger(ctx, &modelsv1.StartChallengerRequest{
		Operation: routing, Deployment: "support", Model: "support", Version: version, Mode: mode, Share: share, SkipShadow: skip,
	})
	return res.GetDeployment(), err
}

func (r *registry) promote(ctx context.Context, version int32) (*modelsv1.Deployment, error) {
	res, err := r.Promote(ctx, &modelsv1.PromoteRequest{Operation: routing, Deployment: "support", Model: "support", Version: version, Reason: "better"})
	return res.GetDeployment(), err
}

// counted is a report about the champion and another version: n inputs that both scored, the other one's labels being "b" in the given share.
func counted(d *modelsv1.Deployment, challenger string, n int64, other float64) *modelsv1.Comparison {
	arm := func(b int64) *modelsv1.Arm {
		return &modelsv1.Arm{Decisions: n, Automated: n / 2, Times: []int64{0, 0, n}, Labels: map[string]int64{"a": n - b, "b": b}}
	}
	moved := int64(other * float64(n))
	return &modelsv1.Comparison{
		Project: "acme", Operation: routing, Deployment: d.GetName(), ChampionDigest: d.GetChampion().GetDigest(), ChallengerDigest: challenger,
		Compared: n, SameLabels: n - moved, Champion: arm(0), Challenger: arm(moved),
	}
}

func (r *registry) tell(t *testing.T, reporter string, sequence int64, c *modelsv1.Comparison) {
	t.Helper()
	_, err := r.ReportTraffic(as(t.Context(), "", "platform:serve"), &modelsv1.ReportTrafficRequest{Reporter: reporter, Sequence: sequence, Comparisons: []*modelsv1.Comparison{c}})
	if err != nil {
		t.Fatal(err)
	}
}

func (r *registry) deployment(t *testing.T, ctx context.Context) *modelsv1.Deployment {
	t.Helper()
	res, err := r.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetDeployment()
}

func TestAVersionIsPromotedAfterItsShadowAndShowsItself(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r, ctx := versioned(t, dir)
	first := r.deployVersion(t, ctx, 1)
	d, err := r.try(ctx, 2, 0, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	c := d.GetChallengers()[0]
	if d.GetRevision() != 2 || c.GetMode() != shadow || c.GetGuardrails().GetMinDecisions() != 200 || len(c.GetCertificates()) == 0 || c.GetCertificates()[0].GetCertificateId() == d.GetCertificates()[0].GetCertificateId() {
		t.Fatalf("challenger %v", c)
	}
	if !proto.Equal(first.GetCertificates()[0], d.GetCertificates()[0]) {
		t.Error("a trial changed the champion's certificate")
	}
	if again, err := r.try(ctx, 2, 0, 0, ""); err != nil || again.GetRevision() != 2 {
		t.Errorf("started twice: revision %d, %v", again.GetRevision(), err)
	}
	_, err = r.promote(ctx, 2)
	wantReason(t, "nothing compared", err, "PROMOTION_REFUSED")
	_, err = r.promote(ctx, 3)
	wantReason(t, "not on trial", err, "NOT_FOUND")
	_, err = r.try(ctx, 2, canary, 0.1, "")
	wantReason(t, "canary without shadow", err, "PROMOTION_REFUSED")

	digest := c.GetVersion().GetDigest()
	r.tell(t, "p1", 1, counted(d, digest, 150, 0))
	r.tell(t, "p1", 1, counted(d, digest, 150, 0)) // the answer was lost
	_, err = r.promote(ctx, 2)
	wantReason(t, "compared too little", err, "PROMOTION_REFUSED")
	if !strings.Contains(err.Error(), "150 decisions in shadow, 200 are needed") {
		t.Errorf("refused with %v", err)
	}
	r.tell(t, "p2", 1, counted(d, digest, 50, 0))
	if d, err = r.try(ctx, 2, canary, 0.25, ""); err != nil || d.GetChallengers()[0].GetShare() != 0.25 {
		t.Fatalf("canary: %v, %v", d.GetChallengers(), err)
	}
	r = start(t, dir) // nothing of it is in memory only
	if d, err = r.promote(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if d.GetChampion().GetVersion() != 2 || d.GetPrevious().GetVersion() != 1 || len(d.GetChallengers()) != 0 || d.GetProbation() == nil || d.GetCertificates()[0].GetCertificateId() != c.GetCertificates()[0].GetCertificateId() {
		t.Fatalf("after the promotion: %v", d)
	}
	if again, err := r.promote(ctx, 2); err != nil || again.GetRevision() != d.GetRevision() {
		t.Errorf("promoted twice: revision %d, %v", again.GetRevision(), err)
	}
	r.tell(t, "p1", 2, counted(d, d.GetPrevious().GetDigest(), 250, 0))
	if d = r.deployment(t, ctx); d.GetProbation() != nil || d.GetChampion().GetVersion() != 2 {
		t.Errorf("after its probation: version %d, %v", d.GetChampion().GetVersion(), d.GetProbation())
	}
	var kinds []string
	for _, c := range r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{}, 0) {
		kinds = append(kinds, strings.ToLower(strings.TrimPrefix(c.GetKind().String(), "DEPLOYMENT_CHANGE_KIND_")))
	}
	if got := strings.Join(kinds, " "); got != "guardrail promote challenger challenger deploy" {
		t.Errorf("history: %s", got)
	}
	seen, err := r.GetComparison(ctx, &modelsv1.GetComparisonRequest{Operation: routing, Deployment: "support"})
	if err != nil || seen.GetComparison().GetCompared() != 250 || seen.GetComparison().GetProject() != "" {
		t.Errorf("comparison: %v, %v", seen, err)
	}
}

const (
	shadow = modelsv1.ChallengerMode_CHALLENGER_MODE_SHADOW
	canary = modelsv1.ChallengerMode_CHALLENGER_MODE_CANARY
)

func TestABrokenGuardrailEndsATrial(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		report func(*modelsv1.Comparison)
		broken string // "" when the trial goes on
	}{
		"nothing wrong":           {func(*modelsv1.Comparison) {}, ""},
		"other labels":            {func(c *modelsv1.Comparison) { c.Challenger.Labels = map[string]int64{"a": 600, "b": 1400} }, "max_label_shift"},
		"some other labels":       {func(c *modelsv1.Comparison) { c.Challenger.Labels = map[string]int64{"a": 1600, "b": 400} }, ""},
		"cannot score":            {func(c *modelsv1.Comparison) { c.Challenger.Errors = 200 }, "max_error_rate"},
		"once could not score":    {func(c *modelsv1.Comparison) { c.Challenger.Errors = 1 }, ""},
		"slow":                    {func(c *modelsv1.Comparison) { c.Challenger.Times = make([]int64, 13); c.Challenger.Times[12] = 2000 }, "max_latency_ratio"},
		"slower but short enough": {func(c *modelsv1.Comparison) { c.Challenger.Times = make([]int64, 13); c.Challenger.Times[8] = 2000 }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, ctx := versioned(t, t.TempDir())
			r.deployVersion(t, ctx, 1)
			d, err := r.try(ctx, 2, canary, 0.5, "a test")
			if err != nil {
				t.Fatal(err)
			}
			report := counted(d, d.GetChallengers()[0].GetVersion().GetDigest(), 2000, 0)
			c.report(report)
			r.tell(t, "p", 1, report)
			d = r.deployment(t, ctx)
			last := r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{}, 1)[0]
			if c.broken == "" {
				if len(d.GetChallengers()) != 1 {
					t.Errorf("the trial ended: %s", last.GetReason())
				}
				return
			}
			if len(d.GetChallengers()) != 0 || last.GetKind() != modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_GUARDRAIL || !strings.Contains(last.GetReason(), c.broken) || last.GetActor() != "system" {
				t.Errorf("challengers %v, last change %v", d.GetChallengers(), last)
			}
		})
	}
}

func TestAChampionThatBreaksAGuardrailIsTakenBack(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	r.deployVersion(t, ctx, 1)
	d, err := r.try(ctx, 2, shadow, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	r.tell(t, "p", 1, counted(d, d.GetChallengers()[0].GetVersion().GetDigest(), 300, 0))
	if d, err = r.promote(ctx, 2); err != nil {
		t.Fatal(err)
	}
	r.tell(t, "p", 2, counted(d, d.GetPrevious().GetDigest(), 300, 0.95))
	d = r.deployment(t, ctx)
	last := r.changes(t, ctx, &modelsv1.ListDeploymentChangesRequest{}, 1)[0]
	if d.GetChampion().GetVersion() != 1 || d.GetPrevious().GetVersion() != 2 || d.GetProbation() != nil || !strings.Contains(last.GetReason(), "max_label_shift") {
		t.Errorf("version %d answers, last change %v", d.GetChampion().GetVersion(), last)
	}
}

func TestTrialsThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	for _, salt := range []string{"four", "five"} {
		r.mustRegister(t, ctx, "support", routing, salt)
	}
	r.mustRegister(t, ctx, "comments", moderation, "one")
	_, err := r.try(ctx, 2, shadow, 0, "")
	wantReason(t, "no such deployment", err, "DEPLOYMENT_NOT_FOUND")
	r.deployVersion(t, ctx, 1)
	_, err = r.try(ctx, 1, shadow, 0, "")
	wantReason(t, "the champion", err, "INVALID_ARGUMENT")
	_, err = r.try(ctx, 99, shadow, 0, "")
	wantReason(t, "no such version", err, "VERSION_NOT_FOUND")
	_, err = r.try(ctx, 2, shadow, 0.5, "")
	wantReason(t, "a shadow with a share", err, "INVALID_ARGUMENT")
	_, err = r.try(ctx, 2, canary, 0, "x")
	wantReason(t, "a canary without", err, "INVALID_ARGUMENT")
	_, err = r.StartChallenger(ctx, &modelsv1.StartChallengerRequest{Operation: routing, Deployment: "support", Model: "comments"})
	wantReason(t, "another operation", err, "OPERATION_MISMATCH")
	_, err = r.StartChallenger(ctx, &modelsv1.StartChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2, Guardrails: &modelsv1.Guardrails{MinDecisions: 3}})
	wantReason(t, "guardrails that chance breaks", err, "INVALID_ARGUMENT")
	for v := int32(2); v <= 4; v++ {
		if _, err := r.try(ctx, v, canary, 0.3, "x"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = r.try(ctx, 4, canary, 0.5, "")
	wantReason(t, "more than everything", err, "INVALID_ARGUMENT")
	_, err = r.try(ctx, 5, shadow, 0, "")
	wantReason(t, "a fourth", err, "QUOTA_EXCEEDED")
	_, err = r.ReportTraffic(ctx, &modelsv1.ReportTrafficRequest{Reporter: "me", Sequence: 1})
	wantReason(t, "a report of an application", err, "SCOPE_MISSING")
}

func TestOfTwoPromotionsOneWins(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	r.deployVersion(t, ctx, 1)
	var d *modelsv1.Deployment
	for _, v := range []int32{2, 3} {
		var err error
		if d, err = r.try(ctx, v, shadow, 0, ""); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = r.Promote(ctx, &modelsv1.PromoteRequest{
				Operation: routing, Deployment: "support", Model: "support", Version: int32(2 + i), Reason: "mine", SkipComparison: true, ExpectedRevision: d.GetRevision(),
			})
		})
	}
	wg.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("%v and %v", errs[0], errs[1])
	}
	for _, err := range errs {
		if err != nil {
			wantReason(t, "the loser", err, "VERSION_CONFLICT")
		}
	}
}

func TestATrialIsJudgedByANewPolicy(t *testing.T) {
	t.Parallel()
	r, ctx := versioned(t, t.TempDir())
	r.deployVersion(t, ctx, 1)
	if _, err := r.try(ctx, 2, shadow, 0, ""); err != nil {
		t.Fatal(err)
	}
	res, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "support", Policy: &modelsv1.Policy{MaxError: 0.2}})
	if err != nil {
		t.Fatal(err)
	}
	c := res.GetDeployment().GetChallengers()
	if len(c) != 1 || c[0].GetCertificates()[0].GetMaxError() != 0.2 {
		t.Errorf("challengers %v", c)
	}
	d := r.deployVersion(t, ctx, 2) // what is deployed is on trial no more
	if len(d.GetChallengers()) != 0 || d.GetPrevious().GetVersion() != 1 {
		t.Errorf("after deploying it: %v", d)
	}
	d = r.deployVersion(t, ctx, 3)
	stop, err := r.StopChallenger(ctx, &modelsv1.StopChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2})
	if err != nil || stop.GetDeployment().GetRevision() != d.GetRevision() {
		t.Errorf("stopping what is not on trial: %v, %v", stop.GetDeployment().GetRevision(), err)
	}
}
