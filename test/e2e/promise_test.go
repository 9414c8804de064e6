package e2e

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/registry"
	"github.com/switchyard-ai/switchyard/internal/testkit"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

const routingOp = commonv1.Operation_OPERATION_ROUTING

// world is where inquiries come from. It knows what is right, and it changes: after the drift, what looks like hardware is about the bill for it.
type world struct {
	mu      sync.Mutex
	random  *rand.Rand
	drifted bool
	truth   map[string]string // by text
}

var worldWords = map[string]string{
	"hardware": "laptop screen keyboard mouse black broken replaced monitor cable battery charger dock printer stays fan",
	"billing":  "invoice refund payment charged twice credit card price receipt subscription tax bank transfer cost please",
	"access":   "password login locked account reset permission token denied vpn unlock credentials sign shared folder rights",
}

// inquiry returns a text that is right with its label.
func (w *world) inquiry() (text, label string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	label = []string{"hardware", "billing", "access"}[w.random.IntN(3)]
	words := strings.Fields(worldWords[label])
	picked := make([]string, 9)
	for i := range picked {
		picked[i] = words[w.random.IntN(len(words))]
	}
	text = strings.Join(picked, " ")
	if w.drifted && label == "hardware" {
		label = "billing"
	}
	w.truth[text] = label
	return text, label
}

func (w *world) right(text string) string { w.mu.Lock(); defer w.mu.Unlock(); return w.truth[text] }

// office is the product with people who answer everything that they are asked.
type office struct {
	server *process.Server
	world  *world

	routing    routingv1.RoutingServiceClient
	review     reviewv1.ReviewServiceClient
	models     modelsv1.ModelServiceClient
	monitoring monitoringv1.MonitoringServiceClient
}

func newOffice(t *testing.T, dir string, w *world) *office {
	t.Helper()
	s := startIn(t, dir)
	conn := dial(t, s, s.Key)
	return &office{
		server: s, world: w, routing: routingv1.NewRoutingServiceClient(conn), review: reviewv1.NewReviewServiceClient(conn),
		models: modelsv1.NewModelServiceClient(conn), monitoring: monitoringv1.NewMonitoringServiceClient(conn),
	}
}

// ask sends inquiries, and returns the last decision.
func (o *office) ask(t *testing.T, n int) (d *commonv1.Decision) {
	t.Helper()
	for range n {
		text, _ := o.world.inquiry()
		r, err := o.routing.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: text})
		if err != nil {
			t.Fatal(err)
		}
		d = r.GetDecision()
	}
	return d
}

// answer lets people answer what waits.
func (o *office) answer(t *testing.T) {
	t.Helper()
	for {
		items, err := o.review.LeaseItems(t.Context(), &reviewv1.LeaseItemsRequest{Reviewer: "ann", MaxItems: 50, Operation: routingOp, Deployment: "support", Wait: durationpb.New(200 * time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		if len(items.GetItems()) == 0 {
			return
		}
		for _, it := range items.GetItems() {
			_, err := o.review.SubmitVerdict(t.Context(), &reviewv1.SubmitVerdictRequest{
				ItemId: it.GetItemId(), Reviewer: "ann", LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{o.world.right(it.GetInput().GetText())}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (o *office) promise(t *testing.T) *monitoringv1.Promise {
	t.Helper()
	r, err := o.monitoring.GetPromise(t.Context(), &monitoringv1.GetPromiseRequest{Operation: routingOp, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	return r.GetPromise()
}

func (o *office) metrics(t *testing.T) string {
	t.Helper()
	a, err := o.server.Get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	return string(a.Body)
}

// TestADriftStopsAutomationByItselfAndANewCertificateResumesIt is the promise from its beginning to its end and on: a certified model automates, audits agree, the server is killed and
// goes on counting, the world changes, audits disagree, automation stops by itself and says so everywhere, and a model that was trained on the changed world automates again.
func TestADriftStopsAutomationByItselfAndANewCertificateResumesIt(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	w := &world{random: rand.New(rand.NewPCG(1, 1)), truth: map[string]string{}}
	o := newOffice(t, dir, w)
	conn := dial(t, o.server, o.server.Key)
	if d := testkit.Deploy(t, conn, "support", testkit.Support, true); !d.GetCertificates()[0].GetCertified() {
		t.Fatalf("not certified: %v", d.GetStatement())
	}
	// Everything is audited, so that the test is short.
	if _, err := o.models.UpdatePolicy(t.Context(), &modelsv1.UpdatePolicyRequest{Operation: routingOp, Deployment: "support", Policy: &modelsv1.Policy{AuditRate: 1}}); err != nil {
		t.Fatal(err)
	}
	o.setUpQueue(t)

	if d := o.ask(t, 60); d.GetOutcome() != commonv1.Outcome_OUTCOME_AUTOMATED {
		t.Fatalf("decided %v because of %v", d.GetOutcome(), d.GetReason())
	}
	o.answer(t)
	eventually(t, "the audits count", 30*time.Second, func() bool { return o.promise(t).GetSides()[0].GetAudits() >= 60 })
	if s := o.promise(t).GetSides()[0]; s.GetAudits() != 60 || s.GetState() != monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING {
		t.Errorf("after 60 audits: %v", s)
	}
	t.Log(o.promise(t).GetStatement())

	o.ask(t, 40)
	if err := o.server.Kill(); err != nil {
		t.Fatal(err)
	}
	o = newOffice(t, dir, w)
	o.answer(t)
	eventually(t, "audits count over a kill -9", 30*time.Second, func() bool { o.answer(t); return o.promise(t).GetSides()[0].GetAudits() >= 100 })
	if s := o.promise(t).GetSides()[0]; s.GetAudits() != 100 {
		t.Errorf("after a kill -9: %v", s)
	}

	w.mu.Lock()
	w.drifted = true
	w.mu.Unlock()
	audited := 0
	var stopped time.Time
	for stopped.IsZero() && audited < 400 {
		o.ask(t, 20)
		audited += 20
		o.answer(t)
		eventually(t, "the audits count", 30*time.Second, func() bool { return o.promise(t).GetSides()[0].GetAuditsWaiting() == 0 })
		if o.promise(t).GetSides()[0].GetState() == monitoringv1.AutomationState_AUTOMATION_STATE_STOPPED {
			stopped = time.Now()
		}
	}
	if stopped.IsZero() {
		t.Fatalf("not stopped within %d audits: %v", audited, o.promise(t).GetStatement())
	}
	t.Logf("stopped after %d audits of a drift to 33 %%: %s", audited, o.promise(t).GetStatement())
	eventually(t, "the next answer says that automation was stopped", time.Second, func() bool {
		d := o.ask(t, 1)
		return d.GetOutcome() == commonv1.Outcome_OUTCOME_REVIEW && d.GetReason() == commonv1.DecisionReason_DECISION_REASON_HALTED && len(d.GetLabels()) > 0
	})
	rest := get(t, o.server, "/v1/promises/OPERATION_ROUTING/support")["promise"].(map[string]any)
	if s, _ := rest["statement"].(string); !strings.Contains(s, "automation stopped since") || !strings.Contains(s, "audits show an error above 5 %") {
		t.Errorf("REST says: %s", s)
	}
	if m := o.metrics(t); !strings.Contains(m, `switchyard_promise_automating{side="",switchyard_deployment="support",switchyard_operation="routing",switchyard_project="default"} 0`) {
		t.Errorf("the metrics do not say that automation is stopped:\n%s", grep(m, "switchyard_promise"))
	}

	o.deployRetrained(t)
	if d := o.ask(t, 1); d.GetOutcome() != commonv1.Outcome_OUTCOME_AUTOMATED || d.GetModel().GetVersion() != 2 {
		t.Errorf("after a new certificate: %v because of %v by version %d", d.GetOutcome(), d.GetReason(), d.GetModel().GetVersion())
	}
	o.ask(t, 50)
	o.answer(t)
	eventually(t, "the audits of the new version count", 30*time.Second, func() bool { return o.promise(t).GetSides()[0].GetAudits() == 51 })
	if s := o.promise(t).GetSides()[0]; s.GetState() != monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING || s.GetDisagreements() > 2 {
		t.Errorf("the new version: %v", s)
	}
	if m := o.metrics(t); !strings.Contains(m, `switchyard_promise_automating{side="",switchyard_deployment="support",switchyard_operation="routing",switchyard_project="default"} 1`) {
		t.Errorf("the metrics do not say that automation runs again:\n%s", grep(m, "switchyard_promise"))
	}
	t.Log(o.promise(t).GetStatement())
	o.replays(t)
}

// replays asks over REST and on the command line what the version from before the drift would have done with what was decided after it.
func (o *office) replays(t *testing.T) {
	t.Helper()
	var answer object
	eventually(t, "the decisions are in the lake", 60*time.Second, func() bool {
		answer = post(t, o.server, "/v1/promises:evaluatePolicy", object{"operation": "OPERATION_ROUTING", "deployment": "support", "alternative": object{"version": 1}})
		actual, _ := answer["actual"].(map[string]any)
		return actual["decisions"] == "51" && actual["known"] == "51"
	})
	if lower, _ := answer["errorChangeLower"].(float64); lower < 0.1 || answer["flipCount"] == "0" {
		t.Errorf("REST says %v", answer)
	}
	cmd := exec.CommandContext(t.Context(), binary, "evaluate", "--operation", "routing", "--deployment", "support", "--max-error", "0.2", "--version", "1", "--server", o.server.GRPC)
	cmd.Env = append(os.Environ(), "SWITCHYARD_KEY="+o.server.Key)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "51 decisions") || !strings.Contains(string(out), "was right") {
		t.Errorf("switchyard evaluate: %v\n%s", err, out)
	}
	t.Logf("switchyard evaluate --version 1:\n%s", out)
}

// setUpQueue lets verdicts count at once.
func (o *office) setUpQueue(t *testing.T) {
	t.Helper()
	eventually(t, "the queue can be set up", 20*time.Second, func() bool {
		o.ask(t, 0)
		_, err := o.review.UpdateQueue(t.Context(), &reviewv1.UpdateQueueRequest{
			Operation: routingOp, Deployment: "support", Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)},
		})
		return err == nil
	})
}

// deployRetrained trains a version on the world as it is now, and deploys it under the same policy.
func (o *office) deployRetrained(t *testing.T) {
	t.Helper()
	set := &dataset.Set{Kind: dataset.Text}
	for i := range 2100 {
		text, label := o.world.inquiry()
		set.Rows = append(set.Rows, dataset.Row{Line: i + 1, Text: text, Labels: []string{label}})
	}
	result, err := fit.Run(context.Background(), set, nil, fit.Options{
		Operation: "routing", Alpha: 0.05, Delta: 0.05, Seed: 1, HoldOut: 0.3, Buckets: 1 << 13, OutOfScopeLabel: "oos",
	}, func(fit.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	_, err = registry.Push(t.Context(), o.models, &modelsv1.VersionSpec{
		Model: "support", Operation: routingOp, Digest: result.Info.Digest, Lineage: &modelsv1.Lineage{CertificationRows: int64(len(result.Sample))},
		Samples: registry.Samples(routingOp, result.Sample),
	}, result.Artifact)
	if err != nil {
		t.Fatal(err)
	}
	d, err := o.models.Deploy(t.Context(), &modelsv1.DeployRequest{Operation: routingOp, Deployment: "support", Model: "support"})
	if err != nil {
		t.Fatal(err)
	}
	if c := d.GetDeployment().GetCertificates()[0]; !c.GetCertified() {
		t.Fatalf("the retrained version is not certified: %v", d.GetDeployment().GetStatement())
	}
}

// grep returns the lines of a text that hold a word.
func grep(text, word string) string {
	var lines []string
	for l := range strings.Lines(text) {
		if strings.Contains(l, word) {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, "")
}
