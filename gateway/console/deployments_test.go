package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
	"github.com/switchyard-ai/switchyard/internal/testkit/browser"
)

const routing = commonv1.Operation_OPERATION_ROUTING

// trials is a product with a certified deployment, a second version of its model, and keys of people who look after them.
type trials struct {
	*testkit.System
	conn       grpc.ClientConnInterface
	base, key  string
	models     modelsv1.ModelServiceClient
	first, new *modelsv1.ModelVersion
}

func startTrials(t *testing.T) *trials {
	t.Helper()
	s := testkit.Start(t)
	conn := s.Dial(s.Key)
	y := &trials{System: s, conn: conn, base: "http://" + s.Addresses.HTTP + "/console", models: modelsv1.NewModelServiceClient(conn)}
	y.key, _ = testkit.NewKey(t, conn, "operators", 0, "models:read", "models:write", "decisions:read")
	y.first = testkit.Deploy(t, conn, "support", testkit.Support, true).GetChampion()
	y.new = testkit.Register(t, conn, "support", testkit.SupportAnew, true)
	return y
}

// traffic makes n calls with different texts.
func (y *trials) traffic(t *testing.T, n int) {
	t.Helper()
	client := routingv1.NewRoutingServiceClient(y.conn)
	words := []string{"my laptop screen stays black", "please refund the invoice", "cannot login to my account", "the printer and the fan", "reset my password please", "charged twice by credit card"}
	for i := range n {
		req := &routingv1.RouteInquiryRequest{Deployment: "support", Body: fmt.Sprintf("%s, ticket %d", words[i%len(words)], i), CustomerId: fmt.Sprint("c-", i)}
		ask(t, client, req)
	}
}

// ask has one inquiry decided. A busy machine may miss the deadline, so it asks again.
func ask(t *testing.T, client routingv1.RoutingServiceClient, req *routingv1.RouteInquiryRequest) {
	t.Helper()
	for try := 1; ; try++ {
		_, err := client.RouteInquiry(t.Context(), req)
		if err == nil {
			return
		}
		if status.Code(err) != codes.DeadlineExceeded || try == 5 {
			t.Fatal(err)
		}
	}
}

func (y *trials) deployment(t *testing.T) *modelsv1.Deployment {
	t.Helper()
	res, err := y.models.GetDeployment(t.Context(), &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetDeployment()
}

// compared waits until so many decisions were counted for the version on trial.
func (y *trials) compared(t *testing.T, n int64) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		res, err := y.models.GetComparison(t.Context(), &modelsv1.GetComparisonRequest{Operation: routing, Deployment: "support", Model: "support", Version: y.new.GetVersion()})
		if err == nil && res.GetComparison().GetCompared() >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not %d decisions compared: %v %v", n, res, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (y *trials) signIn(b *browser.Browser, name string) {
	b.Open(y.base)
	b.WaitFor("#reviewer")
	b.Fill("#reviewer", name)
	b.Fill("#key", y.key)
	b.Press(browser.Enter)
	b.WaitFor("header nav")
}

// follow opens the link or button that reads so, with the keyboard alone.
func follow(b *browser.Browser, text string) {
	b.Run(`window.scrollTo(0, 0); document.activeElement.blur()`)
	for range 80 {
		b.Press(browser.Tab)
		if at, _ := b.Run(`return document.activeElement.innerText.trim()`).(string); strings.HasPrefix(at, text) {
			b.Press(browser.Enter)
			return
		}
	}
	b.Wait("the keyboard reaches "+text, `return false`)
}

func TestAVersionIsTriedPromotedAndTakenBackWithTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	b := browser.Start(t, 1280, 1000)
	y.signIn(b, "olga")
	if !strings.HasSuffix(b.URL(), "/console/deployments") {
		t.Fatalf("a key without review:read begins at %s", b.URL())
	}
	b.WaitFor("#deployments")
	b.Screenshot("deployments")
	if got := b.Text("#deployments"); !strings.Contains(got, "support version 1") || !strings.Contains(got, "certified error") {
		t.Errorf("the list says %q", got)
	}
	if nav := b.Text("header nav"); strings.Contains(nav, "Queues") || !strings.Contains(nav, "Models") {
		t.Errorf("the navigation offers %q", nav)
	}

	follow(b, "routing support")
	b.WaitFor("#history")
	follow(b, "Start a trial")
	b.WaitFor("#reason")
	b.Screenshot("act-try")
	b.Fill("#reason", "trained on the labels of June")
	follow(b, "Start the trial")
	b.WaitFor(".trial")
	y.traffic(t, 60)
	y.compared(t, 60)

	// Too few decisions were compared: the gate says so, and what was typed is still there.
	b.Open(y.base + "/deployments/routing/support")
	b.WaitFor(".trial table")
	b.Screenshot("deployment-trial")
	if got := b.Text(".trial"); !strings.Contains(got, " of 200 decisions") {
		t.Errorf("the trial says %q", got)
	}
	follow(b, "Promote")
	b.WaitFor("#reason")
	b.Fill("#reason", "better in shadow")
	follow(b, "Promote support")
	b.WaitFor(".problem")
	b.Screenshot("act-refused")
	if got := b.Text(".problem"); !strings.Contains(got, "gate “shadow”") || !strings.Contains(got, "decisions in shadow, 200 are needed") || !strings.Contains(got, "PROMOTION_REFUSED") {
		t.Errorf("the refusal says %q", got)
	}
	if got := b.Run(`return document.querySelector("#reason").value`); got != "better in shadow" {
		t.Errorf("the reason was lost: %v", got)
	}

	// A trial that is stopped is taken up again with what was counted.
	b.Open(y.base + "/deployments/routing/support")
	b.WaitFor(".trial")
	follow(b, "Stop…")
	b.WaitFor("#reason")
	b.Fill("#reason", "the night is quiet")
	follow(b, "Stop the trial")
	b.WaitFor(".notice")
	b.Screenshot("deployment-trial-ended")
	follow(b, "Resume…")
	b.WaitFor("#reason")
	b.Screenshot("act-resume-trial")
	b.Fill("#reason", "it is day")
	follow(b, "Resume the trial of")
	b.WaitFor(".trial")
	b.Screenshot("deployment-trial-resumed")
	if got := b.Text(".trial"); !strings.Contains(got, "the night is quiet") || !strings.Contains(got, " of 200 decisions") {
		t.Errorf("the trial that goes on says %q", got)
	}

	y.traffic(t, 200)
	y.compared(t, 200)
	b.Open(y.base + "/deployments/routing/support")
	b.WaitFor(".trial")
	follow(b, "Promote")
	b.WaitFor("#reason")
	b.Screenshot("act-promote")
	b.Fill("#reason", "better in shadow")
	follow(b, "Promote support")
	b.WaitFor(".notice")
	b.Screenshot("deployment-promoted")
	d := y.deployment(t)
	if d.GetChampion().GetVersion() != 2 || d.GetPrevious().GetVersion() != 1 {
		t.Fatalf("after promoting answers %v", d.GetChampion())
	}
	if got := b.Text("#history"); !strings.Contains(got, "olga: better in shadow") || !strings.Contains(got, "olga: trained on the labels of June") {
		t.Errorf("the history says %q", got)
	}

	follow(b, "Roll back")
	b.WaitFor("#target")
	b.Screenshot("act-rollback")
	b.Fill("#reason", "invoices go to the wrong queue")
	follow(b, "Roll back")
	b.WaitFor(".notice")
	if d := y.deployment(t); d.GetChampion().GetVersion() != 1 {
		t.Errorf("after rolling back answers %v", d.GetChampion())
	}
}

func TestTwoPeopleDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	h := client(t)
	do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {"olga"}, "key": {y.key}})
	page := y.base + "/deployments/routing/support"
	try := url.Values{"version": {"support/2"}, "mode": {"shadow"}, "reason": {"a look"}, "revision": {"1"}}
	if res, body := do(t, h, http.MethodPost, page+"/try", try); res.StatusCode != http.StatusSeeOther {
		t.Fatalf("start: %d %s", res.StatusCode, body)
	}
	// Somebody who still sees revision 1 promotes, and stops the trial.
	res, body := do(t, h, http.MethodPost, page+"/promote", url.Values{"version": {"support/2"}, "reason": {"x"}, "skip_comparison": {"yes"}, "revision": {"1"}})
	if res.StatusCode != http.StatusConflict || !strings.Contains(body, "VERSION_CONFLICT") || !strings.Contains(body, "challenger by") {
		t.Errorf("a promotion over a change: %d %s", res.StatusCode, body)
	}
	res, body = do(t, h, http.MethodPost, page+"/stop", url.Values{"version": {"support/2"}, "reason": {"x"}, "revision": {"1"}})
	if res.StatusCode != http.StatusConflict || !strings.Contains(body, `name="revision" value="1"`) {
		t.Errorf("a form that was refused pretends to have seen the change: %d", res.StatusCode)
	}
	if d := y.deployment(t); d.GetRevision() != 2 || len(d.GetChallengers()) != 1 {
		t.Errorf("the deployment was changed: %v", d)
	}
	res, body = do(t, h, http.MethodGet, page+"/stop?version=support/2&revision=1", nil)
	if res.StatusCode != http.StatusOK || !strings.Contains(body, "Look at it again") {
		t.Errorf("an old page does not say so: %d", res.StatusCode)
	}
}

func TestATrialThatEndedIsResumedFromItsPage(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	h := client(t)
	do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {"olga"}, "key": {y.key}})
	page := y.base + "/deployments/routing/support"
	post := func(act, reason string, code int) string {
		t.Helper()
		form := url.Values{"version": {"support/2"}, "reason": {reason}, "revision": {fmt.Sprint(y.deployment(t).GetRevision())}}
		res, body := do(t, h, http.MethodPost, page+act, form)
		if res.StatusCode != code {
			t.Fatalf("%s: %d, want %d: %s", act, res.StatusCode, code, body)
		}
		return body
	}
	if body := post("/resume-trial", "x", http.StatusConflict); !strings.Contains(body, "NOT_FOUND") {
		t.Errorf("nothing has ended: %s", body)
	}
	post("/try", "a look", http.StatusSeeOther)
	post("/stop", "the night is quiet", http.StatusSeeOther)
	_, body := do(t, h, http.MethodGet, page, nil)
	if !strings.Contains(body, "Trials that ended") || !strings.Contains(body, "olga: the night is quiet") || !strings.Contains(body, "/resume-trial?version=support/2") {
		t.Errorf("the page does not show the trial that ended: %s", body)
	}
	if res, body := do(t, h, http.MethodGet, page+"/resume-trial?version=support/2", nil); res.StatusCode != http.StatusOK || !strings.Contains(body, "olga: the night is quiet") || !strings.Contains(body, "Resume the trial of support version 2") {
		t.Errorf("the page before it: %d %s", res.StatusCode, body)
	}
	post("/resume-trial", "it is day", http.StatusSeeOther)
	d := y.deployment(t)
	if len(d.GetChallengers()) != 1 || d.GetChallengers()[0].GetResumeTime() == nil || len(d.GetEndedTrials()) != 0 {
		t.Errorf("resumed: %v", d)
	}
	_, body = do(t, h, http.MethodGet, page+"?done=trial-resumed", nil)
	if !strings.Contains(body, "olga: it is day") || !strings.Contains(body, "trial resumed") || !strings.Contains(body, "after it had ended: olga: the night is quiet") || !strings.Contains(body, "goes on with what was counted") {
		t.Errorf("the page after it: %s", body)
	}
	// What has broken its certificate is shown without a button, and refused.
	if _, err := y.models.HaltAutomation(t.Context(), &modelsv1.HaltAutomationRequest{
		Project: "default", Operation: routing, Deployment: "support", CertificateId: d.GetChallengers()[0].GetCertificates()[0].GetCertificateId(), Reason: "guardrail guarantee: a test",
	}); err != nil {
		t.Fatal(err)
	}
	if _, body = do(t, h, http.MethodGet, page, nil); !strings.Contains(body, "guardrail guarantee: a test") || !strings.Contains(body, "Trials that ended") {
		t.Errorf("the page with a broken trial: %s", body)
	}
}

func TestBadChangesAreToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	h := client(t)
	do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {"olga"}, "key": {y.key}})
	page := y.base + "/deployments/routing/support"
	for name, c := range map[string]struct {
		path string
		form url.Values
		code int
		say  string
	}{
		"no reason":       {"/try", url.Values{"version": {"support/2"}, "revision": {"1"}}, 400, "must say why"},
		"no revision":     {"/try", url.Values{"version": {"support/2"}, "reason": {"x"}}, 400, "open the page again"},
		"canary at once":  {"/try", url.Values{"version": {"support/2"}, "mode": {"canary"}, "share": {"5"}, "reason": {"x"}, "revision": {"1"}}, 409, "gate “shadow”"},
		"no share":        {"/try", url.Values{"version": {"support/2"}, "mode": {"canary"}, "reason": {"x"}, "revision": {"1"}}, 400, "at most 100 %"},
		"share of NaN":    {"/try", url.Values{"version": {"support/2"}, "mode": {"canary"}, "share": {"NaN"}, "reason": {"x"}, "revision": {"1"}}, 400, "at most 100 %"},
		"the champion":    {"/try", url.Values{"version": {"support/1"}, "reason": {"x"}, "revision": {"1"}}, 400, "is the champion"},
		"not on trial":    {"/promote", url.Values{"version": {"support/2"}, "reason": {"x"}, "revision": {"1"}}, 409, "NOT_FOUND"},
		"no such version": {"/try", url.Values{"version": {"support/99"}, "reason": {"x"}, "revision": {"1"}}, 404, "That did not work"},
		"nothing before":  {"/rollback", url.Values{"reason": {"x"}, "revision": {"1"}}, 409, "REVISION_NOT_FOUND"},
		"no such act":     {"/burn", url.Values{"reason": {"x"}, "revision": {"1"}}, 404, "That did not work"},
		"too long":        {"/rollback", url.Values{"reason": {strings.Repeat("x", 2000)}, "revision": {"1"}}, 400, "reason"},
	} {
		res, body := do(t, h, http.MethodPost, page+c.path, c.form)
		if res.StatusCode != c.code || !strings.Contains(body, c.say) {
			t.Errorf("%s: %d, want %d with %q: %s", name, res.StatusCode, c.code, c.say, body)
		}
	}
	for path, code := range map[string]int{
		"/deployments/routing/nothing": 404, "/deployments/nonsense/support": 404, "/models/nothing": 404, "/models/support/versions/99": 404, "/models/support/versions/x": 404,
		"/models/support/compare?a=1": 404, "/deployments/routing/support/burn": 404, "/deployments/routing/support/promote?version=support/2": 404,
	} {
		if res, body := do(t, h, http.MethodGet, y.base+path, nil); res.StatusCode != code || !strings.Contains(body, "That did not work") {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, code)
		}
	}
	if d := y.deployment(t); d.GetRevision() != 1 {
		t.Errorf("something was changed: %v", d)
	}
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		if res, _ := do(t, h, http.MethodPost, page+"/rollback", url.Values{"reason": {"x"}, "revision": {"1"}}, header...); res.StatusCode != http.StatusForbidden {
			t.Errorf("a form from %v was answered with %d", header, res.StatusCode)
		}
	}
}

func TestAKeyOpensOnlyWhatItsScopesAllow(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	for name, c := range map[string]struct {
		scopes     []string
		home       string
		nav, hides []string
		refused    map[string]string // page: what it says
	}{
		"reviewer": {
			[]string{"review:read", "review:work"},
			"/console/queues",
			[]string{"/console/queues", "/console/items"},
			[]string{"/console/deployments", "/console/models"},
			map[string]string{"/deployments": "lacks the scope models:read", "/models": "lacks the scope models:read", "/deployments/routing/support": "lacks the scope models:read"},
		},
		"onlooker": {
			[]string{"models:read"},
			"/console/deployments",
			[]string{"/console/deployments", "/console/models"},
			[]string{"/console/queues"},
			map[string]string{"/queues": "lacks the scope review:read", "/deployments/routing/support/rollback": "lacks the scope models:write"},
		},
	} {
		key, _ := testkit.NewKey(t, y.conn, name, 0, c.scopes...)
		h := client(t)
		res, body := do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {name}, "key": {key}})
		if got := res.Header.Get("Location"); got != c.home {
			t.Errorf("%s begins at %q: %s", name, got, body)
		}
		_, body = do(t, h, http.MethodGet, "http://"+y.Addresses.HTTP+c.home, nil)
		for _, link := range c.nav {
			if !strings.Contains(body, `<a href="`+link+`">`) {
				t.Errorf("%s is not shown the way to %s", name, link)
			}
		}
		for _, link := range c.hides {
			if strings.Contains(body, `<a href="`+link+`">`) {
				t.Errorf("%s is shown the way to %s", name, link)
			}
		}
		for page, say := range c.refused {
			if res, body := do(t, h, http.MethodGet, y.base+page, nil); res.StatusCode != http.StatusForbidden || !strings.Contains(body, say) {
				t.Errorf("%s at %s: %d %s", name, page, res.StatusCode, body)
			}
		}
	}
	key, _ := testkit.NewKey(t, y.conn, "looks", 0, "models:read")
	h := client(t)
	do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {"looks"}, "key": {key}})
	_, body := do(t, h, http.MethodGet, y.base+"/deployments/routing/support", nil)
	if strings.Contains(body, "/rollback") || !strings.Contains(body, "takes the scope models:write") {
		t.Error("a key that may only look is offered changes")
	}
	res, body := do(t, h, http.MethodPost, y.base+"/deployments/routing/support/rollback", url.Values{"reason": {"x"}, "revision": {"1"}})
	if res.StatusCode != http.StatusForbidden || !strings.Contains(body, "models:write") {
		t.Errorf("a change without models:write: %d", res.StatusCode)
	}
}

func TestVersionsAreComparedSideBySide(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	b := browser.Start(t, 1280, 1100)
	y.signIn(b, "olga")
	b.Open(y.base + "/models")
	b.WaitFor("table.list")
	b.Screenshot("models")
	follow(b, "support")
	b.WaitFor("#versions")
	b.Screenshot("model")
	follow(b, "Compare A with B")
	b.WaitFor("#figures")
	b.Screenshot("compare")
	if got := b.Text("#figures"); !strings.Contains(got, "accuracy") || !strings.Contains(got, "calibration error") || b.Count("path.curve") != 2 {
		t.Errorf("the comparison shows %d curves and says %q", b.Count("path.curve"), got)
	}
	b.Open(y.base + "/models/support/versions/2")
	b.WaitFor(".columns")
	b.Screenshot("version")
	if b.Count("#evaluation svg.plot") != 2 || b.Count("#evaluation svg .dot") == 0 {
		t.Errorf("the evaluation has %d plots with %d points", b.Count("#evaluation svg.plot"), b.Count("#evaluation svg .dot"))
	}
	if got := b.Text("main"); !strings.Contains(got, y.new.GetDigest()) || !strings.Contains(got, "nowhere") {
		t.Errorf("the version says %q", got)
	}
}

func TestPagesOfModelsFitATelephone(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	if _, err := y.models.StartChallenger(t.Context(), &modelsv1.StartChallengerRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2, Reason: "a look"}); err != nil {
		t.Fatal(err)
	}
	y.traffic(t, 20)
	y.compared(t, 20)
	y.imported(t, "tickets", tickets(600, 0))
	run, err := trainingv1.NewRunServiceClient(y.conn).StartRun(t.Context(), &trainingv1.StartRunRequest{Reason: "a look", Spec: &trainingv1.RunSpec{
		Operation: routing, Deployment: "support", Data: &trainingv1.RunSpec_Dataset{Dataset: &trainingv1.DatasetRef{Name: "tickets"}}, RegisterOnly: true,
	}})
	if err != nil {
		t.Fatal(err)
	}
	y.key, _ = testkit.NewKey(t, y.conn, "everybody", 0, "*")
	b := browser.Start(t, 360, 740)
	y.signIn(b, "carla@example.com")
	for _, page := range []string{
		"/deployments", "/deployments/routing/support", "/deployments/routing/support/promote?version=support/2", "/deployments/routing/support/try", "/deployments/routing/support/rollback",
		"/deployments/routing/support/halt", "/models", "/models/support", "/models/support/versions/2", "/models/support/compare?a=1&b=2", "/runs", "/runs/start",
		"/runs/" + run.GetRun().GetRunId(),
	} {
		b.Open(y.base + page)
		b.WaitFor("main h1")
		b.Run(`for (const d of document.querySelectorAll("main details")) d.open = true`)
		b.Screenshot("360" + strings.NewReplacer("/", "-", "?", "-", "=", "-", "&", "-").Replace(page))
		if wide := b.Run(`return document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide != 0.0 {
			t.Errorf("%s is %v pixels wider than the window", page, wide)
		}
		html, _ := b.Run(`return document.documentElement.outerHTML`).(string)
		for _, inline := range []string{"<script>", " onclick=", " style=", "javascript:", "ZgotmplZ"} {
			if strings.Contains(html, inline) {
				t.Errorf("%s holds %s", page, inline)
			}
		}
	}
}
