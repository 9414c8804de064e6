package training_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// reviewed has rows decided by people: what nobody may automate yet is in the queue, and a reviewer answers it.
func (s *system) reviewed(rows []example) {
	s.t.Helper()
	router, review := routingv1.NewRoutingServiceClient(s.conn), reviewv1.NewReviewServiceClient(s.conn)
	right := map[string]string{}
	for _, row := range rows {
		right[row.Text] = row.Label
		for end := time.Now().Add(20 * time.Second); ; {
			_, err := router.RouteInquiry(s.t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: row.Text, CustomerId: row.Person})
			if err == nil {
				break
			}
			if time.Now().After(end) {
				s.t.Fatal(err)
			}
		}
	}
	answered := 0
	for end := time.Now().Add(60 * time.Second); answered < len(rows); {
		items, err := review.LeaseItems(s.t.Context(), &reviewv1.LeaseItemsRequest{Reviewer: "ann", MaxItems: 50, Operation: routing, Deployment: "support", Wait: durationpb.New(200 * time.Millisecond)})
		if err != nil || time.Now().After(end) {
			s.t.Fatalf("%d of %d answered: %v", answered, len(rows), err)
		}
		for _, it := range items.GetItems() {
			_, err := review.SubmitVerdict(s.t.Context(), &reviewv1.SubmitVerdictRequest{
				ItemId: it.GetItemId(), Reviewer: "ann", LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{right[it.GetInput().GetText()]}},
			})
			if err != nil {
				s.t.Fatal(err)
			}
			answered++
		}
	}
}

// TestAVersionThatLearnedFromReviewersIsCertifiedWithTheirErrors trains twice on the same rows: as reviewers labelled them, and as an import that is taken as the truth.
func TestAVersionThatLearnedFromReviewersIsCertifiedWithTheirErrors(t *testing.T) {
	trains(t)
	t.Parallel()
	s := start(t)
	testkit.Deploy(t, s.conn, "support", testkit.Support, false)
	queue := &reviewv1.UpdateQueueRequest{Operation: routing, Deployment: "support", Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)}}
	if _, err := reviewv1.NewReviewServiceClient(s.conn).UpdateQueue(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	rows := tickets(600, 1)
	s.reviewed(rows)
	s.built(&trainingv1.BuildDatasetRequest{Name: "said", Query: &trainingv1.DatasetQuery{Operation: routing, Deployment: "support"}}, int64(len(rows)), nil)
	s.add("known", lines(rows))
	for name, want := range map[string]float64{"said": 0.03, "known": 0} {
		spec := onDataset(name, 0)
		spec.RegisterOnly, spec.Model = true, name
		spec.Gates = &trainingv1.GatePolicy{AllowRemovedLabels: true, Margin: 0.2, GroupMargin: 0.5, MinRows: 50, MaxCalibrationError: 0.5, AutomationMargin: 1}
		run := s.run(spec)
		if run.GetState() != trainingv1.RunState_RUN_STATE_SUCCEEDED {
			t.Fatalf("%s: %v", name, run)
		}
		seen, err := s.models.PreviewCertificates(t.Context(), &modelsv1.PreviewCertificatesRequest{Model: run.GetModel(), Version: run.GetVersion(), Policy: &modelsv1.Policy{MaxError: 0.2}})
		if err != nil {
			t.Fatal(err)
		}
		if c := seen.GetCertificates()[0]; c.GetReviewerError() != want || c.GetRows() == 0 {
			t.Errorf("%s: certificate %v", name, c)
		}
	}
}
