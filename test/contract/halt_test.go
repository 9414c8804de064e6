package contract

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// TestAHaltReachesEveryProcessWithinASecond runs the registry in one process, and operations, review and monitoring in another: a halt by hand is heard there, and a promise that is
// found broken there stops automation at the registry.
func TestAHaltReachesEveryProcessWithinASecond(t *testing.T) {
	t.Parallel()
	front, back := startSplit(t)
	const op = commonv1.Operation_OPERATION_ROUTING
	both := split{front.Dial(back.Key), back.Dial(back.Key)}
	models, routing, review := modelsv1.NewModelServiceClient(both), routingv1.NewRoutingServiceClient(both), reviewv1.NewReviewServiceClient(both)
	testkit.Deploy(t, both, "support", testkit.Support, true)
	if _, err := models.UpdatePolicy(t.Context(), &modelsv1.UpdatePolicyRequest{Operation: op, Deployment: "support", Policy: &modelsv1.Policy{AuditRate: 1}}); err != nil {
		t.Fatal(err)
	}
	wait := func(what string, within time.Duration, done func() bool) {
		t.Helper()
		for end := time.Now().Add(within); !done(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("not within %v: %s", within, what)
			}
		}
	}
	reason := func() commonv1.DecisionReason {
		r, err := routing.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: "my laptop screen stays black broken battery"})
		if err != nil {
			return 0
		}
		return r.GetDecision().GetReason()
	}
	const certified, halted = commonv1.DecisionReason_DECISION_REASON_CERTIFIED, commonv1.DecisionReason_DECISION_REASON_HALTED
	wait("the deployment answers", 20*time.Second, func() bool { return reason() == certified })
	if _, err := models.HaltAutomation(t.Context(), &modelsv1.HaltAutomationRequest{Operation: op, Deployment: "support", Reason: "by hand"}); err != nil {
		t.Fatal(err)
	}
	wait("the other process has stopped", time.Second, func() bool { return reason() == halted })
	if _, err := models.ResumeAutomation(t.Context(), &modelsv1.ResumeAutomationRequest{Operation: op, Deployment: "support", Reason: "by hand"}); err != nil {
		t.Fatal(err)
	}
	wait("the other process goes on", time.Second, func() bool { return reason() == certified })

	wait("the queue can be set up", 20*time.Second, func() bool {
		_, err := review.UpdateQueue(t.Context(), &reviewv1.UpdateQueueRequest{Operation: op, Deployment: "support", Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)}})
		return err == nil
	})
	for range 60 {
		reason()
	}
	wait("audits stop automation through the other process", 60*time.Second, func() bool {
		items, err := review.LeaseItems(t.Context(), &reviewv1.LeaseItemsRequest{Reviewer: "ann", MaxItems: 50, Operation: op, Deployment: "support"})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items.GetItems() { // everything is wrong
			_, err := review.SubmitVerdict(t.Context(), &reviewv1.SubmitVerdictRequest{
				ItemId: it.GetItemId(), Reviewer: "ann", LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{"billing"}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		r, err := models.GetDeployment(t.Context(), &modelsv1.GetDeploymentRequest{Operation: op, Deployment: "support"})
		return err == nil && len(r.GetDeployment().GetHalts()) == 1
	})
	wait("the answers say so", time.Second, func() bool { return reason() == halted })
}
