package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
	"github.com/switchyard-ai/switchyard/internal/testkit/browser"
)

// auditAll has people check everything that is automated, and lets their answers count at once.
func (y *trials) auditAll(t *testing.T) {
	t.Helper()
	req := &modelsv1.UpdatePolicyRequest{Operation: routing, Deployment: "support", Policy: &modelsv1.Policy{AuditRate: 1}}
	if _, err := y.models.UpdatePolicy(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	_, err := reviewv1.NewReviewServiceClient(y.conn).UpdateQueue(t.Context(), &reviewv1.UpdateQueueRequest{
		Operation: routing, Deployment: "support", Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// audited has n inquiries about hardware decided, and a person say that each belongs to label.
func (y *trials) audited(t *testing.T, n int, label string) {
	t.Helper()
	route, review, watch := routingv1.NewRoutingServiceClient(y.conn), reviewv1.NewReviewServiceClient(y.conn), monitoringv1.NewMonitoringServiceClient(y.conn)
	promise := func() *monitoringv1.SidePromise {
		res, err := watch.GetPromise(t.Context(), &monitoringv1.GetPromiseRequest{Operation: routing, Deployment: "support"})
		if err != nil {
			t.Fatal(err)
		}
		return res.GetPromise().GetSides()[0]
	}
	before := promise().GetAudits()
	for i := range n {
		body := fmt.Sprintf("laptop screen keyboard mouse broken replaced monitor battery charger %d %d", before, i)
		ask(t, route, &routingv1.RouteInquiryRequest{Deployment: "support", Body: body})
	}
	deadline := time.Now().Add(60 * time.Second)
	for answered := 0; answered < n || promise().GetAudits() < before+int64(n); {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d audits are answered: %v", answered, n, promise())
		}
		items, err := review.LeaseItems(t.Context(), &reviewv1.LeaseItemsRequest{Reviewer: "ann", MaxItems: 50, Operation: routing, Deployment: "support", Wait: durationpb.New(100 * time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range items.GetItems() {
			_, err := review.SubmitVerdict(t.Context(), &reviewv1.SubmitVerdictRequest{
				ItemId: it.GetItemId(), Reviewer: "ann", LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{label}},
			})
			if err != nil {
				t.Fatal(err)
			}
			answered++
		}
	}
}

func TestTheLivePromiseIsDrawnUntilAutomationStops(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	y.auditAll(t)
	y.key, _ = testkit.NewKey(t, y.conn, "watchers", 0, "models:read", "models:write", "monitoring:read")
	for range 5 {
		y.audited(t, 12, "hardware")
	}
	b := browser.Start(t, 1280, 1500)
	y.signIn(b, "olga")
	b.Open(y.base + "/deployments/routing/support")
	b.WaitFor("#promise svg.plot")
	b.Screenshot("promise")
	if got := b.Text("#promise"); !strings.Contains(got, "disagreed with 0 of") || !strings.Contains(got, "At most 5 % is promised") || strings.Contains(got, "stopped") {
		t.Errorf("the promise says %q", got)
	}
	if line, _ := b.Run(`return document.querySelector("#promise .curve").getAttribute("d")`).(string); strings.Count(line, "L") < 2 {
		t.Errorf("the curve has hardly a point: %q", line)
	}
	if b.Count("#promise .band") != 1 || b.Count("#promise .limit") != 1 {
		t.Error("the plot lacks its interval or its limit")
	}

	// The world changes: people disagree, and automation stops by itself.
	for range 6 {
		y.audited(t, 12, "billing")
		if len(y.deployment(t).GetHalts()) > 0 {
			break
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for len(y.deployment(t).GetHalts()) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("automation was not stopped")
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Open(y.base + "/deployments/routing/support")
	b.WaitFor("#halted")
	b.Screenshot("promise-stopped")
	if got := b.Text("#halted"); !strings.Contains(got, "by the product itself") || !strings.Contains(got, "audits show an error above 5 %") {
		t.Errorf("the halt says %q", got)
	}
	b.Open(y.base + "/deployments")
	b.WaitFor("#deployments")
	b.Screenshot("deployments-stopped")
	if got := b.Text("#deployments"); !strings.Contains(got, "automation stopped") {
		t.Errorf("the list says %q", got)
	}

	b.Open(y.base + "/deployments/routing/support")
	b.WaitFor("#halted")
	follow(b, "Resume automation")
	b.WaitFor("#reason")
	b.Screenshot("act-resume")
	b.Fill("#reason", "the import that broke the texts is repaired")
	follow(b, "Resume automation")
	b.WaitFor(".notice")
	if d := y.deployment(t); len(d.GetHalts()) != 0 {
		t.Errorf("still stopped: %v", d.GetHalts())
	}
	follow(b, "Stop automation")
	b.WaitFor("#reason")
	b.Fill("#reason", "a holiday")
	follow(b, "Stop automation")
	b.WaitFor("#halted")
	if d := y.deployment(t); len(d.GetHalts()) == 0 || !strings.Contains(d.GetHalts()[0].GetReason(), "olga: a holiday") {
		t.Errorf("not stopped: %v", d.GetHalts())
	}
}

func TestAKeyThatMayNotWatchIsToldSo(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	h := client(t)
	do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {"olga"}, "key": {y.key}})
	for _, page := range []string{"/deployments", "/deployments/routing/support"} {
		res, body := do(t, h, http.MethodGet, y.base+page, nil)
		if res.StatusCode != http.StatusOK || !strings.Contains(body, "lacks the scope monitoring:read") || !strings.Contains(body, "certified error") {
			t.Errorf("%s: %d %s", page, res.StatusCode, body)
		}
	}
}
