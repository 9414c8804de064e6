package console_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/testkit"
	"github.com/switchyard-ai/switchyard/internal/testkit/browser"
)

const hostile = `<script>document.title="broken"</script><img src=x onerror="document.title='broken'"> buy now`

// yard is a product with items that wait, and a key of a reviewer.
type yard struct {
	*testkit.System
	base, key string
	review    reviewv1.ReviewServiceClient
}

func start(t *testing.T) *yard {
	t.Helper()
	s := testkit.Start(t, func(c *app.Config) { c.Starter = true })
	conn := s.Dial(s.Key)
	y := &yard{System: s, base: "http://" + s.Addresses.HTTP + "/console", review: reviewv1.NewReviewServiceClient(conn)}
	y.key, _ = testkit.NewKey(t, conn, "reviewers", 0, "review:read", "review:work", "decisions:read", "models:read")
	routing, moderation := routingv1.NewRoutingServiceClient(conn), moderationv1.NewModerationServiceClient(conn)
	for _, body := range []string{"my screen stays dark since the update", "I cannot log in to the payroll site", "please order two docking stations"} {
		if _, err := routing.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Subject: "Help", Body: body, CustomerId: "c-1"}); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"win a free prize now, click http://claim.example", hostile} {
		if _, err := moderation.ModerateText(t.Context(), &moderationv1.ModerateTextRequest{Deployment: "comments", Text: text, ContentId: "comment-1"}); err != nil {
			t.Fatal(err)
		}
	}
	y.waitFor(t, 3, "support")
	y.waitFor(t, 2, "comments")
	return y
}

// waitFor waits until a queue has that many open items.
func (y *yard) waitFor(t *testing.T, n int64, deployment string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		res, err := y.review.ListQueues(t.Context(), &reviewv1.ListQueuesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range res.GetQueues() {
			if q.GetDeployment() == deployment && q.GetCounts().GetOpen() == n {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has not %d open items: %v", deployment, n, res)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func signIn(b *browser.Browser, y *yard, name string) {
	b.Open(y.base)
	b.Fill("#reviewer", name)
	b.Fill("#key", y.key)
	b.Press(browser.Enter)
	b.WaitFor("#queues")
}

func TestAReviewerWorksTheQueueWithTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	y := start(t)
	b := browser.Start(t, 1280, 900)
	b.Open(y.base)
	b.WaitFor("#reviewer")
	b.Screenshot("sign-in")
	b.Press("a", "n", "n", "a", browser.Tab) // the first field has the focus
	for _, c := range y.key {
		b.Press(string(c))
	}
	b.Press(browser.Enter)
	b.WaitFor("#queues")
	b.Screenshot("queues")
	if got := b.Text("#queues"); !strings.Contains(got, "support") || !strings.Contains(got, "comments") {
		t.Fatalf("the queues are not there: %s", got)
	}

	b.Click("form[action$='/routing/support'] button")
	b.WaitFor("#answer")
	b.Screenshot("work-routing")
	first := b.Text("#content")
	suggested := b.Text(".choice.suggested .label")
	if first == "" || !strings.Contains(suggested, "suggested") || b.Count(".choice") != 4 {
		t.Fatalf("content %q, suggestion %q, %d choices", first, suggested, b.Count(".choice"))
	}
	if b.Count("mark") == 0 {
		t.Error("nothing is highlighted")
	}
	b.Press("1")
	b.Wait("the next item comes with an offer to undo", `return document.querySelector("form.undo") !== null && document.querySelector("#content").innerText !== arguments[0]`, first)
	b.Screenshot("work-undo")
	b.Press("u")
	b.Wait("the first item is back", `return document.querySelector("#content") && document.querySelector("#content").innerText === arguments[0] && !document.querySelector("form.undo")`, first)

	// Another label, by its name, with a note.
	b.Press("m")
	b.Press("o", "k")
	b.Run(`document.activeElement.blur()`)
	b.Press("/")
	b.Press("A", "c", "c", "e", "s", "s")
	b.Press(browser.Enter)
	b.Wait("the next item", `return document.querySelector("#content") && document.querySelector("#content").innerText !== arguments[0]`, first)
	second := b.Text("#content")
	b.Press("n") // not sure
	b.Wait("the last item", `return document.readyState === "complete" && document.querySelector("#content") && document.querySelector("#content").innerText !== arguments[0]`, second)
	b.Press("0") // none of the labels
	b.WaitFor("form[data-again]")
	b.Screenshot("waiting")
	if got := b.Text(".shift"); !strings.Contains(got, "3 answered") || !strings.Contains(got, "1 not sure") {
		t.Errorf("the shift says %q", got)
	}
	items := list(t, y, "support")
	answers := map[string]int{}
	for _, i := range items {
		a := i.GetVerdict().GetAnswer()
		switch {
		case a.GetOutOfScope():
			answers["none"]++
		case len(a.GetLabels()) == 1 && a.GetLabels()[0] == "Access" && a.GetNote() == "ok":
			answers["access"]++
		case a.GetNotSure():
			answers["not sure"]++
		}
	}
	if answers["none"] != 1 || answers["access"] != 1 || answers["not sure"] != 1 {
		t.Errorf("the queue holds %v: %v", answers, items)
	}
}

func list(t *testing.T, y *yard, deployment string) []*reviewv1.ReviewItem {
	t.Helper()
	res, err := y.review.ListItems(t.Context(), &reviewv1.ListItemsRequest{Deployment: deployment})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetItems()
}

func TestContentIsBlurredUntilAskedForAndNeverRuns(t *testing.T) {
	t.Parallel()
	y := start(t)
	b := browser.Start(t, 1280, 900)
	signIn(b, y, "bert")
	b.Click("form[action$='/moderation/comments'] button")
	b.WaitFor("#answer")
	b.Screenshot("work-blurred")
	blurred := `return getComputedStyle(document.getElementById("content")).filter !== "none"`
	if b.Run(blurred) != true {
		t.Error("the content of moderation is shown at once")
	}
	b.Press("b")
	b.Wait("the content is sharp", `return getComputedStyle(document.getElementById("content")).filter === "none"`)
	b.Screenshot("work-moderation")
	for _, next := range []string{`document.querySelector("#answer")`, `document.title.includes("Nothing waits")`} {
		if strings.Contains(b.Text("#content"), "script") && !strings.Contains(b.Text("#content"), hostile) {
			t.Errorf("the text is not shown as it was sent: %q", b.Text("#content"))
		}
		if title := b.Run(`return document.title`); title == "broken" {
			t.Fatal("a text ran as script")
		}
		b.Press("2")
		b.Wait("the next page", `return document.querySelector("form.undo") !== null && !!`+next)
	}
	for _, i := range list(t, y, "comments") {
		if got := i.GetVerdict().GetAnswer(); got.GetAction() != moderationv1.Action_ACTION_REMOVE || len(got.GetLabels()) != 1 || got.GetLabels()[0] != "spam" {
			t.Errorf("verdict: %v", got)
		}
	}
	b.Open(y.base + "/items?queue=moderation/comments")
	b.WaitFor("table.list")
	b.Screenshot("items")
	b.Click("td a.excerpt")
	b.WaitFor(".history")
	b.Screenshot("decision")
	if got := b.Text(".history"); !strings.Contains(got, "bert") {
		t.Errorf("the history says %q", got)
	}
}

func TestEveryPageFitsATelephone(t *testing.T) {
	t.Parallel()
	y := start(t)
	b := browser.Start(t, 360, 740)
	signIn(b, y, "carla@example.com")
	fits := func(name string) {
		t.Helper()
		b.Screenshot("360-" + name)
		if wide := b.Run(`return document.documentElement.scrollWidth - document.documentElement.clientWidth`); wide != 0.0 {
			t.Errorf("%s is %v pixels wider than the window", name, wide)
		}
	}
	fits("queues")
	b.Click("form[action$='/routing/support'] button")
	b.WaitFor("#answer")
	fits("work")
	b.Click(".meta a")
	b.WaitFor(".history")
	fits("decision")
	b.Open(y.base + "/items")
	b.WaitFor("table.list")
	fits("items")
	b.Open(y.base + "/decisions/00000000-0000-7000-8000-000000000000")
	b.WaitFor(".problem")
	fits("failed")
}

// client is a browser without script, and without a screen.
func client(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer is a response that was read.
type answer struct {
	StatusCode int
	Header     http.Header
}

func do(t *testing.T, c *http.Client, method, address string, form url.Values, headers ...string) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header}, string(body)
}

func TestNobodyGetsInWithoutAKey(t *testing.T) {
	t.Parallel()
	y := start(t)
	conn := y.Dial(y.Key)
	narrow, _ := testkit.NewKey(t, conn, "narrow", 0, "moderation:decide")
	for _, page := range []string{"", "/queues", "/items", "/decisions/x", "/work/routing/support", "/work/routing/support/x"} {
		res, body := do(t, client(t), http.MethodGet, y.base+page, nil)
		if res.StatusCode != http.StatusSeeOther || strings.Contains(body, "support</") {
			t.Errorf("%s: %d %s", page, res.StatusCode, body)
		}
	}
	for name, c := range map[string]struct {
		reviewer, key, say string
		code               int
	}{
		"no name":       {"", y.key, "Enter your name", 400},
		"colon in name": {"key:x", y.key, "Enter your name", 400},
		"no key":        {"anna", "", "Enter the API key", 400},
		"mistyped key":  {"anna", y.key[:len(y.key)-1], "not a valid API key", 403},
		"narrow key":    {"anna", narrow, "lacks the scope review:read", 403},
	} {
		h := client(t)
		res, body := do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {c.reviewer}, "key": {c.key}})
		if res.StatusCode != c.code || !strings.Contains(body, c.say) || res.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %d, cookie %q: %s", name, res.StatusCode, res.Header.Get("Set-Cookie"), body)
		}
	}
	// A cookie that somebody made up is nobody's.
	res, _ := do(t, client(t), http.MethodGet, y.base+"/queues", nil, "Cookie", "switchyard_console="+strings.Repeat("A", 200))
	if res.StatusCode != http.StatusSeeOther {
		t.Errorf("a forged cookie got %d", res.StatusCode)
	}
}

func TestSessionsAreSealedAndFormsOfOtherSitesRefused(t *testing.T) {
	t.Parallel()
	y := start(t)
	h := client(t)
	for back, want := range map[string]string{
		"/console/items": "/console/items", "https://evil.example/console/": "/console/queues", "//evil.example/console/": "/console/queues", `/console/\evil`: "/console/queues",
		"/v1/models": "/console/queues",
	} {
		res, _ := do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {"anna"}, "key": {y.key}, "back": {back}})
		if got := res.Header.Get("Location"); got != want {
			t.Errorf("back to %s leads to %s", back, got)
		}
		cookie := res.Header.Get("Set-Cookie")
		if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") || strings.Contains(cookie, y.key) {
			t.Errorf("cookie: %s", cookie)
		}
	}
	res, body := do(t, h, http.MethodGet, y.base+"/queues", nil)
	csp := res.Header.Get("Content-Security-Policy")
	if res.StatusCode != http.StatusOK || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d, policy %q", res.StatusCode, csp)
	}
	for _, inline := range []string{"<script>", " onclick=", " style=", "javascript:"} {
		if strings.Contains(body, inline) {
			t.Errorf("the page holds %s, which its policy forbids", inline)
		}
	}
	for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
		res, _ := do(t, h, http.MethodPost, y.base+"/work/routing/support", nil, header...)
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("a form from %v was answered with %d", header, res.StatusCode)
		}
	}
	res, _ = do(t, h, http.MethodPost, y.base+"/sign-out", nil)
	if res.StatusCode != http.StatusSeeOther {
		t.Errorf("sign out: %d", res.StatusCode)
	}
	if res, _ := do(t, h, http.MethodGet, y.base+"/queues", nil); res.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out: %d", res.StatusCode)
	}
}

func TestBadFormsAreToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	y := start(t)
	h := client(t)
	do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {"anna"}, "key": {y.key}})
	res, _ := do(t, h, http.MethodPost, y.base+"/work/routing/support", nil)
	at := res.Header.Get("Location")
	id := at[strings.LastIndex(at, "/")+1:]
	for name, c := range map[string]struct {
		path string
		form url.Values
		code int
	}{
		"no answer":        {"/items/" + id + "/verdict", url.Values{"lease": {"x"}}, 400},
		"unknown label":    {"/items/" + id + "/verdict", url.Values{"lease": {"x"}, "choice": {"label:Nonsense"}}, 409},
		"not leased":       {"/items/" + id + "/verdict", url.Values{"lease": {"x"}, "choice": {"unsure"}}, 409},
		"no such item":     {"/items/00000000-0000-7000-8000-000000000000/verdict", url.Values{"lease": {"x"}, "choice": {"unsure"}}, 404},
		"not an id":        {"/items/x/verdict", url.Values{"lease": {"x"}, "choice": {"unsure"}}, 400},
		"too large":        {"/items/" + id + "/verdict", url.Values{"lease": {"x"}, "choice": {"unsure"}, "note": {strings.Repeat("x", 100_000)}}, 400},
		"not our place":    {"/items/" + id + "/reopen", url.Values{}, 403},
		"no such queue":    {"/work/nonsense/support", url.Values{}, 404},
		"undo of nothing":  {"/items/" + id + "/undo", url.Values{}, 409},
		"release of other": {"/items/" + id + "/release", url.Values{"lease": {"x"}}, 409},
	} {
		res, body := do(t, h, http.MethodPost, y.base+c.path, c.form)
		if res.StatusCode != c.code || !strings.Contains(body, "That did not work") {
			t.Errorf("%s: %d, want %d: %s", name, res.StatusCode, c.code, fmt.Sprintf("%.300s", body))
		}
	}
}
