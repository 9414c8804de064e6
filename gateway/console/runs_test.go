package console_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
	"github.com/switchyard-ai/switchyard/internal/testkit/browser"
)

var vocabulary = map[string]string{
	"access":   "password login locked account reset permission token denied vpn unlock credentials sign shared folder rights",
	"billing":  "invoice refund payment charged twice credit card price receipt subscription tax bank transfer cost please",
	"hardware": "laptop screen keyboard mouse black broken replaced monitor cable battery charger dock printer stays fan",
}

// tickets makes rows of three labels; a share of the labels is wrong.
func tickets(n int, wrong float64) []byte {
	random, labels := rand.New(rand.NewPCG(3, 1)), []string{"access", "billing", "hardware"}
	var out []byte
	for range n {
		label := labels[random.IntN(3)]
		words := make([]string, 8)
		for k := range words {
			list := strings.Fields(vocabulary[label])
			words[k] = list[random.IntN(len(list))]
		}
		if random.Float64() < wrong {
			label = labels[random.IntN(3)]
		}
		line, _ := json.Marshal(map[string]string{"text": strings.Join(words, " "), "label": label}) // strings only
		out = append(append(out, line...), '\n')
	}
	return out
}

// imported brings rows as a data set.
func (y *trials) imported(t *testing.T, name string, rows []byte) {
	t.Helper()
	stream, err := trainingv1.NewDatasetServiceClient(y.conn).ImportDataset(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = stream.Send(&trainingv1.ImportDatasetRequest{Part: &trainingv1.ImportDatasetRequest_Spec{Spec: &trainingv1.ImportSpec{Name: name, Operation: routing, File: name + ".jsonl"}}})
	for part := range slices.Chunk(rows, 1<<18) {
		_ = stream.Send(&trainingv1.ImportDatasetRequest{Part: &trainingv1.ImportDatasetRequest_Chunk{Chunk: part}})
	}
	if _, err := stream.CloseAndRecv(); err != nil {
		t.Fatal(err)
	}
}

// ended waits until the run whose page that is has ended.
func (y *trials) ended(t *testing.T, page string) {
	t.Helper()
	id, _, _ := strings.Cut(page[strings.LastIndex(page, "/")+1:], "?")
	deadline := time.Now().Add(2 * time.Minute)
	for {
		res, err := trainingv1.NewRunServiceClient(y.conn).GetRun(t.Context(), &trainingv1.GetRunRequest{RunId: id})
		if err != nil {
			t.Fatal(err)
		}
		if res.GetRun().GetEndTime() != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the run does not end: %v", res)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestARunIsStartedFollowedAndReadInTheConsole(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	y.imported(t, "tickets", tickets(2400, 0))
	y.key, _ = testkit.NewKey(t, y.conn, "trainers", 0, "models:read", "training:read", "training:write")
	b := browser.Start(t, 1280, 1200)
	y.signIn(b, "tom")
	b.Open(y.base + "/runs")
	b.WaitFor("main h1")
	follow(b, "Start a run")
	b.WaitFor("#reason")
	b.Screenshot("run-start")
	b.Run(`document.querySelector("#dataset").value = "tickets@1"`)
	b.Fill("#reason", "the labels of June")
	follow(b, "Start the run")
	b.WaitFor("#run")
	b.Screenshot("run-open")
	y.ended(t, b.URL())
	b.Wait("the run ends, and the page tells it by itself", `return /^(succeeded|refused|failed)/.test(document.querySelector("#run .statement").innerText)`)
	b.Screenshot("run-ended")
	got := b.Text("#run")
	if !strings.Contains(got, "tom: the labels of June") || b.Count(".steps .done") == 0 || b.Count("#gates tr") < 5 {
		t.Errorf("the run says %q", got)
	}
	follow(b, "The whole report")
	b.Wait("the report is there", `return document.querySelector("svg") !== null`)
	b.Screenshot("run-report")
	if ran := b.Run(`return getComputedStyle(document.querySelector("h1")).margin`); ran != "0px" {
		t.Errorf("the report lost its style: %v", ran)
	}
	b.Open(y.base + "/runs")
	b.WaitFor("#runs")
	b.Screenshot("runs")
	if got := b.Text("#runs"); !strings.Contains(got, "routing/support") {
		t.Errorf("the list says %q", got)
	}
}

func TestARunIsCancelledWithAReason(t *testing.T) {
	t.Parallel()
	y := startTrials(t)
	y.imported(t, "tickets", tickets(4000, 0.05))
	key, _ := testkit.NewKey(t, y.conn, "trainers", 0, "models:read", "training:read", "training:write")
	runs := trainingv1.NewRunServiceClient(y.conn)
	res, err := runs.StartRun(t.Context(), &trainingv1.StartRunRequest{Spec: &trainingv1.RunSpec{
		Operation: routing, Deployment: "support", Data: &trainingv1.RunSpec_Dataset{Dataset: &trainingv1.DatasetRef{Name: "tickets"}}, Search: &trainingv1.SearchSpec{MaxTrials: 100},
	}})
	if err != nil {
		t.Fatal(err)
	}
	h, page := client(t), y.base+"/runs/"+res.GetRun().GetRunId()
	do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {"tom"}, "key": {key}})
	answer, body := do(t, h, http.MethodPost, page+"/cancel", nil)
	if answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, "must say why") {
		t.Errorf("without a reason: %d", answer.StatusCode)
	}
	if answer, body = do(t, h, http.MethodPost, page+"/cancel", url.Values{"reason": {"wrong data"}}); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("cancel: %d %s", answer.StatusCode, body)
	}
	_, body = do(t, h, http.MethodGet, page, nil)
	if !strings.Contains(body, "<strong>cancelled</strong>") || !strings.Contains(body, "tom: wrong data") || strings.Contains(body, "data-refresh") {
		t.Errorf("after cancelling: %s", body)
	}
	for path, code := range map[string]int{"/runs/nothing": 404, "/runs/" + res.GetRun().GetRunId() + "/report": 404} {
		if answer, _ := do(t, h, http.MethodGet, y.base+path, nil); answer.StatusCode != code {
			t.Errorf("%s: %d, want %d", path, answer.StatusCode, code)
		}
	}
	for name, form := range map[string]url.Values{
		"no reason":     {"deployment": {"routing/support"}},
		"no deployment": {"reason": {"x"}},
		"no data set":   {"deployment": {"routing/support"}, "reason": {"x"}, "dataset": {"nothing"}},
	} {
		if answer, body := do(t, h, http.MethodPost, y.base+"/runs/start", form); answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, "INVALID_ARGUMENT") {
			t.Errorf("%s: %d", name, answer.StatusCode)
		}
	}
	form := url.Values{"deployment": {"routing/support"}, "reason": {"x"}, "dataset": {"nothing@1"}}
	if answer, body := do(t, h, http.MethodPost, y.base+"/runs/start", form); answer.StatusCode != http.StatusConflict || !strings.Contains(body, "nothing") {
		t.Errorf("a data set that does not exist: %d", answer.StatusCode)
	}
	narrow, _ := testkit.NewKey(t, y.conn, "onlookers", 0, "models:read", "training:read")
	h = client(t)
	do(t, h, http.MethodPost, y.base+"/sign-in", url.Values{"reviewer": {"lo"}, "key": {narrow}})
	if _, body := do(t, h, http.MethodGet, y.base+"/runs", nil); strings.Contains(body, "Start a run") {
		t.Error("a key that may only look is offered to start")
	}
	if answer, body := do(t, h, http.MethodGet, y.base+"/runs/start", nil); answer.StatusCode != http.StatusForbidden || !strings.Contains(body, "training:write") {
		t.Errorf("starting without the scope: %d", answer.StatusCode)
	}
}
