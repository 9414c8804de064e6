package training_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// route has rows decided and says what would have been right.
func (s *system) route(rows []example) []string {
	s.t.Helper()
	router, review := routingv1.NewRoutingServiceClient(s.conn), reviewv1.NewReviewServiceClient(s.conn)
	ids := make([]string, len(rows))
	for i, row := range rows {
		var r *routingv1.RouteInquiryResponse
		for deadline := time.Now().Add(20 * time.Second); ; {
			var err error
			r, err = router.RouteInquiry(s.t.Context(), &routingv1.RouteInquiryRequest{
				Deployment: "support", Subject: "ticket", Body: row.Text, CustomerId: row.Person, Locale: row.Dialect[:2],
			})
			if err == nil {
				break
			}
			if time.Now().After(deadline) { // a busy machine may miss the 800 ms of one call
				s.t.Fatal(err)
			}
		}
		ids[i] = r.GetDecision().GetDecisionId()
		s.feedback(review, fmt.Sprint("f", ids[i]), ids[i], row.Label)
	}
	return ids
}

func (s *system) feedback(review reviewv1.ReviewServiceClient, id, decision, label string) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		_, err := review.SubmitFeedback(s.t.Context(), &reviewv1.SubmitFeedbackRequest{FeedbackId: id, DecisionId: decision, Labels: []string{label}})
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("feedback: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// built builds until the data set has that many rows: events need a moment into the lake.
func (s *system) built(req *trainingv1.BuildDatasetRequest, rows int64, ok func(*trainingv1.Dataset) bool) *trainingv1.Dataset {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		r, err := s.datasets.BuildDataset(s.t.Context(), req)
		if err == nil && r.GetDataset().GetRows() == rows && (ok == nil || ok(r.GetDataset())) {
			return r.GetDataset()
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("build: %v, %v", r, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func TestADatasetIsBuiltFromWhatPeopleSaid(t *testing.T) {
	t.Parallel()
	s := start(t)
	testkit.Deploy(t, s.conn, "support", testkit.Support, true)
	rows := tickets(120, 1)
	ids := s.route(rows)
	req := &trainingv1.BuildDatasetRequest{
		Name:  "support",
		Query: &trainingv1.DatasetQuery{Operation: routing, Deployment: "support", Attributes: []string{"locale"}},
	}
	first := s.built(req, int64(len(rows)), nil)
	if first.GetQuery().GetThroughSequence() == 0 || first.GetReport().GetSubjects() == 0 || first.GetReport().GetLeakingRows() != 0 {
		t.Errorf("built %v", first)
	}
	// The first decision was labelled wrongly, as its application finds out later.
	right := map[string]string{"access": "billing", "billing": "hardware", "hardware": "access"}[rows[0].Label]
	s.feedback(reviewv1.NewReviewServiceClient(s.conn), "later", ids[0], right)
	second := s.built(req, int64(len(rows)), func(d *trainingv1.Dataset) bool { return d.GetDigest() != first.GetDigest() })
	if second.GetVersion() != first.GetVersion()+1 {
		t.Errorf("it is version %d after version %d", second.GetVersion(), first.GetVersion())
	}
	// At the place in the stream of the first version the rows are those of the first version.
	req.Query.ThroughSequence = first.GetQuery().GetThroughSequence()
	r, err := s.datasets.BuildDataset(t.Context(), req)
	if err != nil || r.GetCreated() || r.GetDataset().GetVersion() != first.GetVersion() {
		t.Errorf("built again: %v, %v", r, err)
	}
	req.Query.ThroughSequence = 1 << 40
	if _, err := s.datasets.BuildDataset(t.Context(), req); reason(err) != "DEPENDENCY_UNAVAILABLE" {
		t.Errorf("beyond what the lake holds: %v", err)
	}
	var line struct{ Text, Label, Person, DecisionID, Source string }
	file, _, _ := strings.Cut(string(s.export("support", 0, 0)), "\n")
	if err := json.Unmarshal([]byte(file), &line); err != nil {
		t.Fatal(err)
	}
	if line.Text != "ticket\n"+rows[0].Text || line.Label != right || line.Person != rows[0].Person || line.DecisionID != ids[0] || line.Source != "feedback" {
		t.Errorf("the first row is %+v", line)
	}
}

// TestRowsSayWithWhichProbabilityTheyWereLabelled reports the truth about decisions that were left to people, automated and audited, and automated without anybody looking.
func TestRowsSayWithWhichProbabilityTheyWereLabelled(t *testing.T) {
	t.Parallel()
	s := start(t)
	d := testkit.Deploy(t, s.conn, "support", testkit.Support, true)
	policy := d.GetPolicy()
	policy.AuditRate = 0.5
	if _, err := s.models.UpdatePolicy(t.Context(), &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "support", Policy: policy}); err != nil {
		t.Fatal(err)
	}
	router, review := routingv1.NewRoutingServiceClient(s.conn), reviewv1.NewReviewServiceClient(s.conn)
	decisions := map[string]*commonv1.Decision{}
	kinds := map[string]int{}
	rows := tickets(120, 1)
	for _, row := range rows {
		var r *routingv1.RouteInquiryResponse
		for deadline := time.Now().Add(20 * time.Second); r == nil; {
			var err error
			if r, err = router.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: row.Text}); err == nil && r.GetDecision().GetPolicyDigest() == d.GetPolicyDigest() {
				r = nil // the new policy is on its way
				time.Sleep(20 * time.Millisecond)
			} else if err != nil && time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
		decisions[r.GetDecision().GetDecisionId()] = r.GetDecision()
		s.feedback(review, "f"+r.GetDecision().GetDecisionId(), r.GetDecision().GetDecisionId(), row.Label)
	}
	// The decisions under the old policy were not told about.
	req := &trainingv1.BuildDatasetRequest{Name: "support", Query: &trainingv1.DatasetQuery{Operation: routing, Deployment: "support"}}
	built := s.built(req, int64(len(rows)), nil)
	for row := range strings.Lines(string(s.export("support", 0, 0))) {
		var line struct {
			DecisionID  string
			Probability *float64
		}
		if err := json.Unmarshal([]byte(row), &line); err != nil {
			t.Fatal(err)
		}
		d, kind, want := decisions[line.DecisionID], "review", 1.0
		if d.GetOutcome() == commonv1.Outcome_OUTCOME_AUTOMATED {
			kind, want = "unaudited", 0
			if d.GetAudit().GetSelected() {
				kind, want = "audited", 0.5
			}
		}
		kinds[kind]++
		if got := line.Probability; (got == nil) != (want == 1) || got != nil && *got != want {
			t.Errorf("%s decision: probability %v, want %v", kind, got, want)
		}
	}
	if kinds["unaudited"] == 0 || kinds["audited"] == 0 {
		t.Fatalf("decisions: %v", kinds)
	}
	said := map[string]int64{}
	for _, f := range built.GetReport().GetFindings() {
		said[f.GetCode()] = f.GetCount()
	}
	if said["sampled"] != int64(kinds["audited"]) || said["unmeasured"] != int64(kinds["unaudited"]) {
		t.Errorf("the report says %v of %v", said, kinds)
	}
	req.Query.FeedbackComplete = true
	complete := s.built(req, int64(len(rows)), func(d *trainingv1.Dataset) bool { return d.GetDigest() != built.GetDigest() })
	for _, f := range complete.GetReport().GetFindings() {
		if f.GetCode() == "sampled" || f.GetCode() == "unmeasured" {
			t.Errorf("the truth about everything is known: %v", f)
		}
	}
}
