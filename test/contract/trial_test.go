package contract

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// TestAVersionOnTrialIsTakenOffByItsOwnAudits lets a reviewer disagree with everything that a canary automates, and with nothing of the champion's.
func TestAVersionOnTrialIsTakenOffByItsOwnAudits(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	conn := s.Dial(s.Key)
	registry, review := modelsv1.NewModelServiceClient(conn), reviewv1.NewReviewServiceClient(conn)
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	second := testkit.Register(t, conn, "support", testkit.SupportAnew, true)
	if _, err := registry.UpdatePolicy(t.Context(), &modelsv1.UpdatePolicyRequest{Operation: routingOp, Deployment: "support", Policy: &modelsv1.Policy{AuditRate: 1}}); err != nil {
		t.Fatal(err)
	}
	began, err := registry.StartChallenger(t.Context(), &modelsv1.StartChallengerRequest{
		Operation: routingOp, Deployment: "support", Model: "support", Version: second.GetVersion(), Mode: modelsv1.ChallengerMode_CHALLENGER_MODE_CANARY, Share: 0.5, SkipShadow: "a test",
	})
	if err != nil {
		t.Fatal(err)
	}
	queue := &reviewv1.UpdateQueueRequest{Operation: routingOp, Deployment: "support", Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)}}
	if _, err := review.UpdateQueue(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	type decided struct {
		label      string
		challenger bool
	}
	made := map[string]decided{}
	for i := range 160 {
		d, err := route(t.Context(), conn, inquiries[i%3], strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		if d.GetOutcome() == commonv1.Outcome_OUTCOME_AUTOMATED {
			made[d.GetDecisionId()] = decided{d.GetChosenLabels()[0], d.GetVariant() == commonv1.Variant_VARIANT_CHALLENGER}
		}
	}
	wrong := map[string]string{"hardware": "billing", "billing": "access", "access": "hardware"}
	answered := 0
	for end := time.Now().Add(60 * time.Second); answered < len(made) && time.Now().Before(end); {
		items, err := review.LeaseItems(t.Context(), &reviewv1.LeaseItemsRequest{Reviewer: "ann", MaxItems: 50, Operation: routingOp, Deployment: "support", Wait: durationpb.New(200 * time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items.GetItems() {
			d := made[it.GetItemId()]
			if d.label == "" { // it was left to people
				d.label = "billing"
			} else {
				answered++
			}
			if d.challenger {
				d.label = wrong[d.label]
			}
			_, err := review.SubmitVerdict(t.Context(), &reviewv1.SubmitVerdictRequest{
				ItemId: it.GetItemId(), Reviewer: "ann", LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{d.label}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	d := deploymentOf(t, conn, "the trial ends", func(d *modelsv1.Deployment) bool { return len(d.GetChallengers()) == 0 })
	if d.GetChampion().GetVersion() == second.GetVersion() || len(d.GetHalts()) != 0 {
		t.Errorf("what answers was stopped: %v", d)
	}
	changes, err := registry.ListDeploymentChanges(t.Context(), &modelsv1.ListDeploymentChangesRequest{Operation: routingOp, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	if last := changes.GetChanges()[0]; last.GetKind() != modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_GUARDRAIL || !last.GetTrial() || last.GetVersion() != second.GetVersion() || last.GetActor() != "system" {
		t.Errorf("the history says %v", last)
	}
	var seen *modelsv1.Comparison
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		res, err := registry.GetComparison(t.Context(), &modelsv1.GetComparisonRequest{Operation: routingOp, Deployment: "support", Model: "support", Version: second.GetVersion()})
		if seen = res.GetComparison(); err == nil && seen.GetErrorChangeLower() > 0 && seen.GetChampion().GetDecisions() > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("audits do not tell that it is worse: %v, %v", seen, err)
		}
	}
	if got := d.GetEndedTrials(); len(got) != 1 || got[0].GetChallenger().GetVersion().GetVersion() != second.GetVersion() || got[0].GetCertificateId() == "" || !strings.HasPrefix(got[0].GetReason(), "guardrail guarantee") {
		t.Errorf("the deployment remembers %v", got)
	}
	resume := &modelsv1.ResumeChallengerRequest{Operation: routingOp, Deployment: "support", Model: "support", Version: second.GetVersion(), Reason: "once more"}
	_, err = registry.ResumeChallenger(t.Context(), resume)
	if f := fault.From(err); f.ReasonName() != "PROMOTION_REFUSED" || f.Metadata("gate") != "guarantee" {
		t.Errorf("resumed what has broken its certificate: %v", err)
	}
	if _, err := registry.UpdatePolicy(t.Context(), &modelsv1.UpdatePolicyRequest{Operation: routingOp, Deployment: "support", Policy: &modelsv1.Policy{AuditRate: 1, MaxError: 0.3}}); err != nil {
		t.Fatal(err)
	}
	resumed, err := registry.ResumeChallenger(t.Context(), resume)
	if err != nil || len(resumed.GetDeployment().GetChallengers()) != 1 {
		t.Fatalf("under another promise: %v, %v", resumed, err)
	}
	after, err := registry.GetComparison(t.Context(), &modelsv1.GetComparisonRequest{Operation: routingOp, Deployment: "support", Model: "support", Version: second.GetVersion()})
	if err != nil || after.GetComparison().GetChampion().GetDecisions() < seen.GetChampion().GetDecisions() {
		t.Errorf("the history of the trial: %v, %v", after, err)
	}
	if seen.GetChampion().GetAuditedError() != 0 || seen.GetChallenger().GetAuditedError() != 1 || !seen.GetTrialTime().AsTime().Equal(began.GetDeployment().GetChallengers()[0].GetStartTime().AsTime()) {
		t.Errorf("compared %v", seen)
	}
}
