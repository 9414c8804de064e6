package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// loopback lets a server call receivers on this machine.
var loopback = []string{"SWITCHYARD_EVENTS_WEBHOOKS_ALLOW_HTTP=true", "SWITCHYARD_EVENTS_WEBHOOKS_ALLOW_NETWORKS=127.0.0.0/8"}

func startCalling(t *testing.T, dir string) *process.Server {
	t.Helper()
	return startWith(t, process.Options{DataDir: dir, Args: []string{"--socket", "none"}, Env: loopback})
}

// TestWebhooksMissNothingWhenKilled kills the server again and again while it decides and calls a receiver. In the end every decision that was acknowledged has arrived, and no event was put in line twice.
func TestWebhooksMissNothingWhenKilled(t *testing.T) {
	t.Parallel()
	kills := 8
	if testing.Short() {
		kills = 2
	}
	var mu sync.Mutex
	arrived, messages, acknowledged := map[string]int{}, map[string]string{}, map[string]bool{}
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var e struct{ ID, Subject string }
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&e); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		arrived[e.Subject]++
		messages[e.Subject] = r.Header.Get("webhook-id")
	}))
	defer receiver.Close()
	dir := filepath.Join(t.TempDir(), "data")
	s := startCalling(t, dir)
	hook := post(t, s, "/v1/webhooks", object{"spec": object{"url": receiver.URL, "filter": object{"kinds": []string{"decisions"}}}})["webhook"].(map[string]any)["webhookId"].(string)
	for range kills {
		client := routingv1.NewRoutingServiceClient(dial(t, s, s.Key))
		l := startLoad(t.Context(), 2, func(ctx context.Context, _ int) {
			r, err := client.RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: "support", Body: "my printer does not work"})
			if err == nil {
				mu.Lock()
				acknowledged[r.GetDecision().GetDecisionId()] = true
				mu.Unlock()
			}
			time.Sleep(2 * time.Millisecond)
		})
		eventually(t, "calls are answered", 20*time.Second, func() bool { return l.calls.Load() > 20 })
		time.Sleep(time.Duration(50+rand.IntN(400)) * time.Millisecond)
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		l.end()
		s = startCalling(t, dir)
	}
	missing := func() (n int) {
		mu.Lock()
		defer mu.Unlock()
		for id := range acknowledged {
			if arrived[id] == 0 {
				n++
			}
		}
		return n
	}
	// What was leased by a killed process is due when the lease ends, half a minute later.
	eventually(t, "every decision arrives", 90*time.Second, func() bool { return missing() == 0 })
	rows := map[string]int{}
	token := ""
	for {
		res := get(t, s, fmt.Sprintf("/v1/webhooks/%s/deliveries?page.size=500&page.token=%s", hook, token))
		for _, d := range res["deliveries"].([]any) {
			rows[d.(map[string]any)["messageId"].(string)]++
		}
		if token = res["page"].(map[string]any)["nextToken"].(string); token == "" {
			break
		}
	}
	mu.Lock()
	defer mu.Unlock()
	twice, repeated := 0, 0
	for id := range acknowledged {
		if rows[messages[id]] != 1 {
			twice++
		}
		if arrived[id] > 1 {
			repeated++
		}
	}
	t.Logf("%d kills, %d acknowledged decisions, 0 did not arrive, %d were not put in line exactly once, %d arrived more than once", kills, len(acknowledged), twice, repeated)
	if twice > 0 || len(acknowledged) == 0 {
		t.Fail()
	}
	stop(t, s)
}

// TestTheGuidesReceiverTakesEvents runs the PHP of docs/guide/events.md as it stands there.
func TestTheGuidesReceiverTakesEvents(t *testing.T) {
	t.Parallel()
	if err := exec.CommandContext(t.Context(), "php", "-r", `exit(PHP_VERSION_ID >= 80200 ? 0 : 1);`).Run(); err != nil {
		t.Skipf("PHP 8.2 is not installed: %v", err)
	}
	guide, err := os.ReadFile("../../docs/guide/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```php\n")
	code, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the guide has no PHP")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "receiver.php"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	s := startCalling(t, filepath.Join(t.TempDir(), "data"))
	made := post(t, s, "/v1/webhooks", object{"spec": object{"url": "http://" + address + "/receiver.php", "filter": object{"kinds": []string{"decisions"}}}})
	hook := made["webhook"].(map[string]any)["webhookId"].(string)
	serve := exec.CommandContext(t.Context(), "php", "-S", address, "receiver.php")
	serve.Dir = dir
	serve.Env = append(os.Environ(), "SWITCHYARD_WEBHOOK_SECRET="+made["secret"].(string))
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Process.Kill(); _ = serve.Wait() })
	eventually(t, "PHP listens", 20*time.Second, func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	attempt := post(t, s, "/v1/webhooks/"+hook+":test", object{})["attempt"].(map[string]any)
	if attempt["error"] != "" || attempt["status"] != 204.0 {
		t.Fatalf("the test event: %v", attempt)
	}
	decision := post(t, s, "/v1/routing/inquiries:route", object{"deployment": "support", "body": "my printer does not work"})["decision"].(map[string]any)["decisionId"].(string)
	log := filepath.Join(dir, "events.log")
	eventually(t, "the decision arrives", 20*time.Second, func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), "switchyard.decision.made "+decision+"\n")
	})
	// Anybody else is refused: without a signature, with a wrong one, with an old one, and with another body.
	for name, header := range map[string]map[string]string{
		"none": {}, "wrong": {"webhook-id": "msg_a", "webhook-timestamp": fmt.Sprint(time.Now().Unix()), "webhook-signature": "v1,AAAA"},
		"old": {"webhook-id": "msg_a", "webhook-timestamp": fmt.Sprint(time.Now().Add(-time.Hour).Unix()), "webhook-signature": "v1,AAAA"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/receiver.php", strings.NewReader(`{"type":"forged","subject":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range header {
			req.Header.Set(k, v)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, res.StatusCode)
		}
	}
	if text, _ := os.ReadFile(log); strings.Contains(string(text), "forged") {
		t.Error("a forged event was taken")
	}
	stop(t, s)
}
