package models_test

import (
	"math"
	"testing"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// deployWith registers a version with that specification and deploys it under the policy.
func (r *registry) deployWith(t *testing.T, op commonv1.Operation, p *modelsv1.Policy, change func(*modelsv1.VersionSpec)) *modelsv1.Deployment {
	t.Helper()
	ctx := as(deadline(t), "acme")
	b := artifact("one", "a", "b")
	s := spec("m", op, b)
	change(s)
	if _, err := r.register(ctx, s, b); err != nil {
		t.Fatal(err)
	}
	return r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: op, Deployment: "d", Model: "m", Policy: p})
}

func sides(d *modelsv1.Deployment) map[string]*modelsv1.Certificate {
	out := map[string]*modelsv1.Certificate{}
	for _, c := range d.GetCertificates() {
		out[c.GetSide()] = c
	}
	return out
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestDeploymentIsCertifiedFromTheSampleOfItsVersion(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	d := r.deployWith(t, routing, nil, func(s *modelsv1.VersionSpec) { s.Lineage.CertificationRows = 4000 })
	var points []risk.Point
	s := sample("", 2000)
	for i := range s.GetScores() {
		points = append(points, risk.Point{Score: float64(s.GetScores()[i]), Correct: s.GetCorrect()[i]})
	}
	want, err := risk.Certify(points, 0.05, 0.05)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.GetCertificates()) != 1 {
		t.Fatalf("certificates: %v", d.GetCertificates())
	}
	c := d.GetCertificates()[0]
	if !c.GetCertified() || c.GetThreshold() != want.Threshold || c.GetAccepted() != int64(want.Accepted) || c.GetErrors() != int64(want.Errors) ||
		!near(c.GetPValue(), want.PValue) || c.GetMaxError() != 0.05 || !near(c.GetConfidence(), 0.95) || c.GetCertificateId() == "" {
		t.Errorf("certificate is %v, want %+v", c, want)
	}
	if c.GetRows() != 4000 || !near(c.GetCoverage(), want.Coverage/2) {
		t.Errorf("half of the rows were out of scope: rows %d, coverage %v", c.GetRows(), c.GetCoverage())
	}
	if want := "certified error ≤ 5 % (95 %), automated 30 %"; d.GetStatement() != want {
		t.Errorf("statement %q, want %q", d.GetStatement(), want)
	}
}

func TestModerationHasABudgetForEachSide(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	d := r.deployWith(t, moderation, &modelsv1.Policy{RemoveMaxError: 0.02, AllowMaxError: 0.1}, func(*modelsv1.VersionSpec) {})
	c := sides(d)
	if len(c) != 2 || c["remove"].GetMaxError() != 0.02 || c["allow"].GetMaxError() != 0.1 {
		t.Fatalf("certificates: %v", d.GetCertificates())
	}
	for side, c := range c {
		if !c.GetCertified() || !near(c.GetConfidence(), 0.975) || c.GetRows() != 2000 {
			t.Errorf("%s: %v", side, c)
		}
	}
	if want := "certified error of removals ≤ 2 %, of allowed texts ≤ 10 % (95 %), automated 75 %"; d.GetStatement() != want {
		t.Errorf("statement %q, want %q", d.GetStatement(), want)
	}
}

func TestLabelsHaveLimitsOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	d := r.deployWith(t, classification, &modelsv1.Policy{LabelMaxError: map[string]float64{"b": 0.01}}, func(s *modelsv1.VersionSpec) {
		all := s.GetSamples()[0]
		b := &modelsv1.CertificationSample{Side: "b", Scores: all.GetScores()[:600], Correct: all.GetCorrect()[:600]}
		s.Samples = append(s.Samples, b)
	})
	c := sides(d)
	if len(c) != 2 || c["b"].GetMaxError() != 0.01 || c[""].GetMaxError() != 0.05 || !c["b"].GetCertified() || !c[""].GetCertified() {
		t.Fatalf("certificates: %v", d.GetCertificates())
	}
	if c["b"].GetAccepted() != 600 || c[""].GetThreshold() > c["b"].GetThreshold() {
		t.Errorf("label %v, rest %v", c["b"], c[""])
	}
	if total := c["b"].GetAccepted() + c[""].GetAccepted(); total > 2000 || c["b"].GetRows() != 2000 {
		t.Errorf("%d of %d rows are automated", total, c["b"].GetRows())
	}
}

func TestVersionFromElsewhereIsNotCertified(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change    func(*modelsv1.VersionSpec)
		policy    *modelsv1.Policy
		statement string
	}{
		"starter": {
			func(s *modelsv1.VersionSpec) { s.Lineage.Starter = true }, nil,
			"not certified: error ≤ 5 % (95 %), at least 59 labelled rows of this project are needed",
		},
		"import": {
			func(s *modelsv1.VersionSpec) { s.Samples = nil }, &modelsv1.Policy{Uncertified: modelsv1.Uncertified_UNCERTIFIED_AUTOMATE},
			"not certified: error ≤ 5 % (95 %), at least 59 labelled rows of this project are needed; automated without a promise",
		},
		"hopeless": {
			func(s *modelsv1.VersionSpec) {
				for i := range s.Samples[0].Correct {
					s.Samples[0].Correct[i] = i%2 == 0
				}
			}, nil, "not certified: error ≤ 5 % (95 %), more labelled rows alone would not help",
		},
	} {
		d := start(t, t.TempDir()).deployWith(t, routing, test.policy, test.change)
		if c := d.GetCertificates(); len(c) != 1 || c[0].GetCertified() || c[0].GetThreshold() != 0 {
			t.Errorf("%s: %v", name, c)
		}
		if d.GetStatement() != test.statement {
			t.Errorf("%s: statement %q, want %q", name, d.GetStatement(), test.statement)
		}
	}
}

func TestNewPolicyCertifiesAnew(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	before := r.deployWith(t, routing, nil, func(*modelsv1.VersionSpec) {})
	res, err := r.UpdatePolicy(as(deadline(t), "acme"), &modelsv1.UpdatePolicyRequest{
		Operation: routing, Deployment: "d", Policy: &modelsv1.Policy{MaxError: 0.01},
	})
	if err != nil {
		t.Fatal(err)
	}
	old, now := before.GetCertificates()[0], res.GetDeployment().GetCertificates()[0]
	if now.GetThreshold() <= old.GetThreshold() || now.GetCertificateId() == old.GetCertificateId() || res.GetDeployment().GetRevision() != 2 {
		t.Errorf("a stricter promise: %v after %v", now, old)
	}
}

func TestSidesWithoutALimitFollowTheCommonOne(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	d := r.deployWith(t, moderation, &modelsv1.Policy{AllowMaxError: 0.1}, func(*modelsv1.VersionSpec) {})
	p := d.GetPolicy() // read, change, write
	p.MaxError = 0.02
	res, err := r.UpdatePolicy(as(deadline(t), "acme"), &modelsv1.UpdatePolicyRequest{Operation: moderation, Deployment: "d", Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	c := sides(res.GetDeployment())
	if c["remove"].GetMaxError() != 0.02 || c["allow"].GetMaxError() != 0.1 {
		t.Errorf("certificates: %v", res.GetDeployment().GetCertificates())
	}
}

func TestCertificatesFromReviewedRowsAllowForReviewersErrors(t *testing.T) {
	t.Parallel()
	certified := func(reviewed int64, by *modelsv1.ReviewerRecord) *modelsv1.Certificate {
		d := start(t, t.TempDir()).deployWith(t, routing, nil, func(s *modelsv1.VersionSpec) {
			s.Samples[0].Reviewed, s.Reviewers = reviewed, by
		})
		return d.GetCertificates()[0]
	}
	plain := certified(0, &modelsv1.ReviewerRecord{Answers: 400, Wrong: 40})
	if plain.GetReviewerError() != 0 {
		t.Errorf("labels that are the truth are corrected: %v", plain)
	}
	var points []risk.Point
	s := sample("", 2000)
	for i := range s.GetScores() {
		points = append(points, risk.Point{Score: float64(s.GetScores()[i]), Correct: s.GetCorrect()[i]})
	}
	measured := risk.Reviewers{Answers: 400, Wrong: 40}.Error(0.05)
	for name, c := range map[string]struct {
		by *modelsv1.ReviewerRecord
		as risk.ReviewerError
	}{
		"nobody says anything": {nil, risk.ReviewerError{High: 0.03}},
		"assumed":              {&modelsv1.ReviewerRecord{AssumedError: 0.2}, risk.ReviewerError{High: 0.2}},
		"measured":             {&modelsv1.ReviewerRecord{Answers: 400, Wrong: 40}, measured},
	} {
		want, err := risk.CertifyReviewed(points, 0.05, 0.05, c.as)
		if err != nil {
			t.Fatal(err)
		}
		got := certified(1, c.by)
		if got.GetThreshold() != want.Threshold || got.GetAccepted() != int64(want.Accepted) || !near(got.GetPValue(), want.PValue) || got.GetReviewerError() != c.as.High {
			t.Errorf("%s: %v, want %+v", name, got, want)
		}
		stricter := got.GetThreshold() > plain.GetThreshold() || c.as.High < 0.1 // a limit that is hardly stricter may be met one step of the walk later
		if !stricter || got.GetMaxError() != 0.05 || !near(got.GetConfidence(), 0.95) {
			t.Errorf("%s: %v is no stricter than %v", name, got, plain)
		}
	}
	if c := certified(2000, &modelsv1.ReviewerRecord{Answers: 3}); c.GetCertified() || c.GetLabelsNeeded() != -1 {
		t.Errorf("from reviewers of whom hardly anything is known: %v", c)
	}
}

func TestReviewersErrorsAreAllowedForUnderEveryPolicy(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	r.deployWith(t, routing, nil, func(s *modelsv1.VersionSpec) {
		s.Samples[0].Reviewed, s.Reviewers = 2000, &modelsv1.ReviewerRecord{AssumedError: 0.1}
	})
	p := &modelsv1.Policy{MaxError: 0.1}
	seen, err := r.PreviewCertificates(ctx, &modelsv1.PreviewCertificatesRequest{Model: "m", Version: 1, Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "d", Policy: p})
	if err != nil {
		t.Fatal(err)
	}
	a, b := seen.GetCertificates()[0], res.GetDeployment().GetCertificates()[0]
	if a.GetThreshold() != b.GetThreshold() || a.GetReviewerError() != 0.1 || b.GetReviewerError() != 0.1 {
		t.Errorf("preview %v, in force %v", a, b)
	}
}

func TestWhatCannotBeKnownOfReviewersIsRefused(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	for name, change := range map[string]func(*modelsv1.VersionSpec){
		"more reviewed rows than rows": func(s *modelsv1.VersionSpec) { s.Samples[0].Reviewed = 2001 },
		"fewer than none":              func(s *modelsv1.VersionSpec) { s.Samples[0].Reviewed = -1 },
		"more wrong than answers":      func(s *modelsv1.VersionSpec) { s.Reviewers = &modelsv1.ReviewerRecord{Answers: 3, Wrong: 4} },
		"no better than a guess":       func(s *modelsv1.VersionSpec) { s.Reviewers = &modelsv1.ReviewerRecord{AssumedError: 0.5} },
		"not a rate":                   func(s *modelsv1.VersionSpec) { s.Reviewers = &modelsv1.ReviewerRecord{AssumedError: math.NaN()} },
	} {
		b := artifact(name, "a", "b")
		s := spec("m", routing, b)
		change(s)
		_, err := r.register(ctx, s, b)
		wantReason(t, name, err, "INVALID_ARGUMENT")
	}
}
