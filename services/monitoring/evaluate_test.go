package monitoring_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/services/monitoring"
)

// archive holds decisions, newest first, and truths.
type archive struct {
	records []*commonv1.DecisionRecord
	truths  []monitoring.Truth
	other   engine.Predictor
}

func (a *archive) Decisions(_ context.Context, w monitoring.Window, before string, limit int) ([]*commonv1.DecisionRecord, string, error) {
	var out []*commonv1.DecisionRecord
	for _, r := range a.records {
		d := r.GetDecision()
		if (before != "" && d.GetDecisionId() >= before) || d.GetTime().AsTime().Before(w.From) || !d.GetTime().AsTime().Before(w.To) {
			continue
		}
		if len(out) == limit {
			return out, out[limit-1].GetDecision().GetDecisionId(), nil
		}
		out = append(out, r)
	}
	return out, "", nil
}

func (a *archive) Truths(_ context.Context, _ monitoring.Window, fn func(monitoring.Truth)) error {
	for _, t := range a.truths {
		fn(t)
	}
	return nil
}

func (a *archive) Open(context.Context, string, *modelsv1.ModelVersion) (engine.Predictor, error) {
	return a.other, nil
}

// opposite answers the second label where the first version answered the first one.
type opposite struct{ engine.Predictor }

func (opposite) Predict(in engine.Input, p []float32) error {
	if in.Text == "" {
		return engine.ErrInput
	}
	p[0], p[1] = 0.1, 0.9
	return nil
}
func (opposite) Close() error { return nil }

// PreviewCertificates certifies at a threshold that follows from the maximum error. The alias candidate stands for version 2.
func (r *registry) PreviewCertificates(_ context.Context, req *modelsv1.PreviewCertificatesRequest, _ ...grpc.CallOption) (*modelsv1.PreviewCertificatesResponse, error) {
	v := r.get("support").GetChampion()
	v.Version = req.GetVersion()
	if req.GetModel() == "support@candidate" {
		v.Version = 2
	}
	v.Digest = fmt.Sprintf("sha256:v%d", v.GetVersion())
	return &modelsv1.PreviewCertificatesResponse{
		Version: v, Policy: req.GetPolicy(),
		Certificates: []*modelsv1.Certificate{{CertificateId: "preview", MaxError: req.GetPolicy().GetMaxError(), Threshold: 1 - 4*req.GetPolicy().GetMaxError(), Certified: true}},
	}, nil
}

// history makes n decisions of support, automated from a score of 0.8 on and audited with a fifth. An answer of score s is wrong with probability 1−s. Everything that was left to
// people is answered.
func history(now time.Time, n int) (a *archive, errorFrom func(threshold float64) float64) {
	rng := rand.New(rand.NewPCG(40, 77))
	a = &archive{}
	type pair struct {
		score float64
		wrong bool
	}
	var all []pair
	for i := range n {
		score := 0.5 + rng.Float64()/2
		wrong := rng.Float64() > score
		all = append(all, pair{score, wrong})
		d := &commonv1.Decision{
			DecisionId: fmt.Sprintf("%08d", n-i), Project: "p1", Operation: routing, Deployment: "support", Time: timestamppb.New(now.Add(-time.Duration(i+1) * time.Second)),
			Outcome: commonv1.Outcome_OUTCOME_REVIEW, Reason: commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD, Stage: commonv1.Stage_STAGE_MODEL,
			Labels: []*commonv1.LabelProbability{{Label: "hardware", Probability: score}, {Label: "billing", Probability: 1 - score}},
			Model:  &commonv1.ModelRef{Digest: "sha256:v1"}, Audit: &commonv1.Audit{},
		}
		known := true
		if float64(float32(score)) >= 0.8 {
			d.Outcome, d.Audit.Probability = commonv1.Outcome_OUTCOME_AUTOMATED, 0.2
			d.Audit.Selected = rng.Float64() < 0.2
			known = d.GetAudit().GetSelected()
		}
		truth := monitoring.Truth{DecisionID: d.GetDecisionId(), Labels: []string{"hardware"}}
		if wrong {
			truth.Labels = []string{"billing"}
		}
		if known {
			a.truths = append(a.truths, truth)
		} else if wrong && rng.Float64() < 0.5 {
			truth.Feedback = true // people complain about what is wrong: it must not count in estimates
			a.truths = append(a.truths, truth)
		}
		a.records = append(a.records, &commonv1.DecisionRecord{Decision: d, InputRetention: commonv1.InputRetention_INPUT_RETENTION_FULL, Input: &commonv1.RecordedInput{Text: "x"}})
	}
	return a, func(threshold float64) float64 {
		wrong, accepted := 0.0, 0.0
		for _, p := range all {
			if p.score >= threshold {
				if accepted++; p.wrong {
					wrong++
				}
			}
		}
		return wrong / accepted
	}
}

func evaluating(t *testing.T, a *archive) *watchtower {
	t.Helper()
	w := open(t, t.TempDir(), newRegistry(), func(d *monitoring.Deps) { d.Replay = a })
	d := support(1, "c1")
	d.Champion.Labels = []string{"hardware", "billing"}
	d.Policy.ReviewSeconds, d.Policy.ReviewerHourMicros = 36, 100_000_000
	w.deploy(t, d)
	return w
}

func (w *watchtower) evaluate(t *testing.T, a *monitoringv1.Alternative, page *commonv1.PageRequest) *monitoringv1.EvaluatePolicyResponse {
	t.Helper()
	r, err := w.EvaluatePolicy(as(t.Context(), "p1"), &monitoringv1.EvaluatePolicyRequest{Operation: routing, Deployment: "support", Alternative: a, Page: page})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnotherPromiseIsReplayedOnWhatWasDecided(t *testing.T) {
	t.Parallel()
	a, errorFrom := history(time.Now(), 6000)
	w := evaluating(t, a)
	for _, c := range []struct {
		what        string
		alternative *monitoringv1.Alternative
		threshold   float64
	}{
		{"the promise as it is", &monitoringv1.Alternative{}, 0.8},
		{"a laxer promise", &monitoringv1.Alternative{MaxError: 0.1}, 0.6},
		{"a stricter promise", &monitoringv1.Alternative{MaxError: 0.02}, 0.92},
		{"a threshold", &monitoringv1.Alternative{Thresholds: map[string]float64{"": 0.7}}, 0.7},
	} {
		r := w.evaluate(t, c.alternative, nil)
		got, want := r.GetAlternative(), errorFrom(c.threshold)
		t.Logf("%s: automated %.3f, error %.4f (%.4f to %.4f), truly %.4f; change %.4f (%.4f to %.4f)", c.what, got.GetAutomatedShare(), got.GetError(), got.GetErrorLower(),
			got.GetErrorUpper(), want, r.GetErrorChange(), r.GetErrorChangeLower(), r.GetErrorChangeUpper())
		if share := 2 * (1 - c.threshold); math.Abs(got.GetAutomatedShare()-share) > 0.02 {
			t.Errorf("%s: automated %v, want about %v", c.what, got.GetAutomatedShare(), share)
		}
		if want < got.GetErrorLower() || want > got.GetErrorUpper() || math.Abs(got.GetError()-want) > 0.03 {
			t.Errorf("%s: error %v (%v to %v), truly %v", c.what, got.GetError(), got.GetErrorLower(), got.GetErrorUpper(), want)
		}
		change := want - errorFrom(0.8)
		if change < r.GetErrorChangeLower()-1e-9 || change > r.GetErrorChangeUpper()+1e-9 {
			t.Errorf("%s: change %v to %v, truly %v", c.what, r.GetErrorChangeLower(), r.GetErrorChangeUpper(), change)
		}
		if c.threshold == 0.8 && (r.GetFlipCount() != 0 || r.GetErrorChange() != 0) {
			t.Errorf("%s: %d flips, change %v", c.what, r.GetFlipCount(), r.GetErrorChange())
		}
	}
}

func TestFlipsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	a, _ := history(time.Now(), 1500)
	w := evaluating(t, a)
	var got []string
	page := &commonv1.PageRequest{Size: 100}
	var total int64
	for {
		r := w.evaluate(t, &monitoringv1.Alternative{MaxError: 0.1}, page)
		total = r.GetFlipCount()
		for _, f := range r.GetFlips() {
			got = append(got, f.GetDecisionId())
			if f.GetActualOutcome() != commonv1.Outcome_OUTCOME_REVIEW || f.GetAlternativeOutcome() != commonv1.Outcome_OUTCOME_AUTOMATED || !f.GetKnown() || f.GetActualRight() != f.GetAlternativeRight() {
				t.Fatalf("flip: %v", f)
			}
		}
		if page.Token = r.GetPage().GetNextToken(); page.Token == "" {
			break
		}
	}
	if int64(len(got)) != total || total < 400 {
		t.Errorf("%d of %d flips listed", len(got), total)
	}
	if !slices.IsSortedFunc(got, func(a, b string) int { return -cmpStrings(a, b) }) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Error("flips are repeated or out of order")
	}
}

func cmpStrings(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestAnotherVersionScoresTheInputsAgain(t *testing.T) {
	t.Parallel()
	a, _ := history(time.Now(), 1000)
	a.other = opposite{}
	a.records[0].Input.Text = "" // does not fit the other version
	a.records[1].InputRetention = commonv1.InputRetention_INPUT_RETENTION_REDACTED
	w := evaluating(t, a)
	r := w.evaluate(t, &monitoringv1.Alternative{Version: 2}, nil)
	if named := w.evaluate(t, &monitoringv1.Alternative{Alias: "candidate"}, nil); !proto.Equal(named.GetAlternative(), r.GetAlternative()) || named.GetFlipCount() != r.GetFlipCount() {
		t.Errorf("named by its alias it does something else: %v", named.GetAlternative())
	}
	if r.GetSkipped() != 2 || r.GetAlternative().GetAutomatedShare() != 1 || r.GetFlipCount() != 998 {
		t.Errorf("skipped %d, automated %v, %d flips", r.GetSkipped(), r.GetAlternative().GetAutomatedShare(), r.GetFlipCount())
	}
	if r.GetAlternative().GetErrorLower() < 0.6 || r.GetErrorChangeLower() < 0.5 {
		t.Errorf("a version that is wrong where the other was right: %v", r.GetAlternative())
	}
	if l := r.GetFlips()[0].GetAlternativeLabels(); !slices.Equal(l, []string{"billing"}) {
		t.Errorf("it says %v", l)
	}
}

func TestAnEvaluationIsBoundedAndSaysWhatMisleads(t *testing.T) {
	t.Parallel()
	a, _ := history(time.Now(), 1200)
	w := evaluating(t, a)
	ask := func(req *monitoringv1.EvaluatePolicyRequest) (*monitoringv1.EvaluatePolicyResponse, error) {
		req.Operation, req.Deployment = routing, "support"
		if req.GetAlternative() == nil {
			req.Alternative = &monitoringv1.Alternative{}
		}
		return w.EvaluatePolicy(as(t.Context(), "p1"), req)
	}
	r, err := ask(&monitoringv1.EvaluatePolicyRequest{MaxDecisions: 600})
	if err != nil || !r.GetTruncated() || r.GetActual().GetDecisions() != 600 || len(r.GetCaveats()) == 0 {
		t.Errorf("600 of 1,200: %v, %v", r.GetActual(), err)
	}
	// 100 an hour, 36 s each: 1 each.
	if by := r.GetActual().GetDecisions() - r.GetActual().GetAutomated(); r.GetActual().GetCostMicros() < by*1_000_000 {
		t.Errorf("cost %d for %d by hand", r.GetActual().GetCostMicros(), by)
	}
	r, err = ask(&monitoringv1.EvaluatePolicyRequest{From: timestamppb.New(time.Now().Add(-100 * time.Second))})
	if err != nil || r.GetActual().GetDecisions() > 100 || r.GetActual().GetDecisions() < 90 {
		t.Errorf("the last 100 seconds: %v, %v", r.GetActual(), err)
	}
	r, err = ask(&monitoringv1.EvaluatePolicyRequest{To: timestamppb.New(time.Now().Add(-24 * time.Hour))})
	if err != nil || r.GetActual().GetDecisions() != 0 || len(r.GetCaveats()) != 1 {
		t.Errorf("a time without decisions: %v, %v", r, err)
	}
	if _, err = ask(&monitoringv1.EvaluatePolicyRequest{From: timestamppb.New(time.Now().Add(time.Hour))}); err == nil {
		t.Error("a time that ends before it begins was taken")
	}
	if _, err := w.EvaluatePolicy(as(t.Context(), "p2"), &monitoringv1.EvaluatePolicyRequest{Operation: routing, Deployment: "support", Alternative: &monitoringv1.Alternative{}}); err == nil {
		t.Error("another project may evaluate")
	}
}
