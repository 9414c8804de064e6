package events_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/events"
)

const (
	statePending   = eventsv1.DeliveryState_DELIVERY_STATE_PENDING
	stateDelivered = eventsv1.DeliveryState_DELIVERY_STATE_DELIVERED
	stateDead      = eventsv1.DeliveryState_DELIVERY_STATE_DEAD
)

// signed says whether one of the signatures of a request is of the secret, by the words of the specification.
func signed(c call, secret string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", c.header.Get("webhook-id"), c.header.Get("webhook-timestamp"), c.body)
	return slices.Contains(strings.Split(c.header.Get("webhook-signature"), " "), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(fault.From(err).Reason().String(), "ERROR_REASON_")
}

func TestAnEventArrivesOnceAndSigned(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t)
	w, secret := s.create(&eventsv1.WebhookSpec{Url: r.URL + "/hook"})
	s.publish(s.message("acme", "verdicts", "v1"))
	s.wait("it arrives", func() bool { return len(r.got()) == 1 })
	c := r.got()[0]
	if !signed(c, secret) || c.header.Get("content-type") != "application/cloudevents+json; charset=utf-8" {
		t.Fatalf("%v", c.header)
	}
	if sec, err := strconv.ParseInt(c.header.Get("webhook-timestamp"), 10, 64); err != nil || sec != s.clock.Now().Unix() {
		t.Errorf("timestamp %s", c.header.Get("webhook-timestamp"))
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(c.body), &e); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"specversion": "1.0", "id": "v1", "source": "/switchyard/acme/verdicts", "type": "switchyard.verdict.given", "subject": "about-v1", "operation": "routing", "deployment": "support",
		"datacontenttype": "application/json",
	} {
		if e[name] != want {
			t.Errorf("%s is %v, want %v", name, e[name], want)
		}
	}
	if e["time"] == "" || e["timestamp"] != e["time"] || fmt.Sprint(e["data"]) != "map[n:v1]" {
		t.Errorf("body %s", c.body)
	}
	s.wait("it is recorded", func() bool { return s.deliveries(w)[0].GetState() == stateDelivered })
	d := s.deliveries(w)[0]
	if d.GetAttempts() != 1 || d.GetLastAttempt().GetStatus() != 204 || d.GetLastAttempt().GetError() != "" || d.GetMessageId() != c.header.Get("webhook-id") || d.GetEventId() != "v1" {
		t.Errorf("%v", d)
	}
	if got := s.webhook(w); got.GetPending() != 0 || got.GetLastSuccessTime() == nil || got.GetFailingSince() != nil {
		t.Errorf("%v", got)
	}
}

func TestRedeliveriesOfTheBusHaveNoEffect(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t)
	w, _ := s.create(&eventsv1.WebhookSpec{Url: r.URL})
	var batch []*events.Message
	for i := range 40 {
		batch = append(batch, s.message("acme", "verdicts", fmt.Sprint(i)))
	}
	s.publish(batch...)
	s.publish(batch[10:]...)
	s.clock.advance(5 * 24 * time.Hour) // much later, after a crash of the bus
	s.publish(batch...)
	s.stop()
	s.run()
	s.publish(batch...)
	s.wait("all arrive", func() bool { return s.webhook(w).GetPending() == 0 })
	seen := map[string]int{}
	for _, c := range r.got() {
		seen[c.header.Get("webhook-id")]++
	}
	if len(s.deliveries(w)) != 40 || len(seen) != 40 {
		t.Fatalf("%d deliveries, %d messages", len(s.deliveries(w)), len(seen))
	}
}

func TestOnlyWhatIsAskedForIsSent(t *testing.T) {
	t.Parallel()
	s := start(t)
	all, verdicts, other, thin := receive(t), receive(t), receive(t), receive(t)
	s.create(&eventsv1.WebhookSpec{Url: all.URL})
	s.create(&eventsv1.WebhookSpec{Url: verdicts.URL, Filter: &eventsv1.EventFilter{Kinds: []string{"verdicts"}, Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support"}})
	s.create(&eventsv1.WebhookSpec{Url: other.URL, Filter: &eventsv1.EventFilter{Operation: commonv1.Operation_OPERATION_MODERATION}})
	s.create(&eventsv1.WebhookSpec{Url: thin.URL, Thin: true, Filter: &eventsv1.EventFilter{Kinds: []string{"verdicts"}}})
	early := s.message("acme", "verdicts", "early")
	early.Stored = early.Stored.Add(-time.Hour)
	s.publish(early, s.message("acme", "verdicts", "a"), s.message("acme", "feedback", "b"), s.message("umbrella", "verdicts", "c"))
	s.wait("they arrive", func() bool { return len(all.got()) == 2 && len(verdicts.got()) == 1 && len(thin.got()) == 1 })
	time.Sleep(50 * time.Millisecond)
	if len(all.got()) != 2 || len(verdicts.got()) != 1 || len(other.got()) != 0 {
		t.Errorf("%d, %d and %d calls", len(all.got()), len(verdicts.got()), len(other.got()))
	}
	if body := thin.got()[0].body; strings.Contains(body, "data") || !strings.Contains(body, `"subject":"about-a"`) {
		t.Errorf("thin: %s", body)
	}
}

func TestAnEventIsTriedOverDaysAndThenDeadAndReplayed(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t)
	r.answer(http.StatusServiceUnavailable)
	w, secret := s.create(&eventsv1.WebhookSpec{Url: r.URL})
	began := s.clock.Now()
	s.publish(s.message("acme", "verdicts", "v1"))
	var pauses []time.Duration
	for n := 1; n <= 10; n++ {
		s.wait("an attempt", func() bool { d := s.deliveries(w)[0]; return d.GetAttempts() == int32(n) })
		d := s.deliveries(w)[0]
		if len(r.got()) != n || d.GetLastAttempt().GetStatus() != 503 || d.GetLastAttempt().GetError() != "the receiver answered 503" {
			t.Fatalf("after %d attempts: %v", len(r.got()), d)
		}
		if d.GetState() == stateDead {
			break
		}
		pause := d.GetNextAttemptTime().AsTime().Sub(s.clock.Now())
		pauses = append(pauses, pause.Round(time.Second))
		s.clock.advance(pause - time.Second)
		time.Sleep(20 * time.Millisecond)
		if len(r.got()) != n {
			t.Fatalf("attempt %d came too early", n+1)
		}
		s.clock.advance(time.Second)
	}
	want := []time.Duration{11 * time.Second, 66 * time.Second, 330 * time.Second, 33 * time.Minute, 132 * time.Minute, 396 * time.Minute, 792 * time.Minute, 1584 * time.Minute, 1584 * time.Minute}
	if !slices.Equal(pauses, want) {
		t.Errorf("pauses %v", pauses)
	}
	if got := s.webhook(w); got.GetDead() != 1 || got.GetPending() != 0 || !got.GetFailingSince().AsTime().Equal(began.Truncate(time.Microsecond)) {
		t.Errorf("%v", got)
	}
	ids := map[string]bool{}
	stamps := map[string]bool{}
	for _, c := range r.got() {
		ids[c.header.Get("webhook-id")], stamps[c.header.Get("webhook-timestamp")] = true, true
		if !signed(c, secret) {
			t.Error("an attempt is not signed")
		}
	}
	if len(ids) != 1 || len(stamps) != 10 {
		t.Errorf("%d ids, %d timestamps", len(ids), len(stamps))
	}
	r.answer(http.StatusOK)
	d := s.deliveries(w)[0]
	res, err := s.ReplayDelivery(as(t, "acme"), &eventsv1.ReplayDeliveryRequest{WebhookId: w.GetWebhookId(), DeliveryId: d.GetDeliveryId()})
	if err != nil || res.GetDelivery().GetState() != statePending {
		t.Fatal(res, err)
	}
	s.wait("it is delivered", func() bool { return s.deliveries(w)[0].GetState() == stateDelivered })
	if got := s.webhook(w); got.GetDead() != 0 || got.GetPending() != 0 || got.GetFailingSince() != nil {
		t.Errorf("%v", got)
	}
	if _, err := s.ReplayDelivery(as(t, "acme"), &eventsv1.ReplayDeliveryRequest{WebhookId: w.GetWebhookId(), DeliveryId: d.GetDeliveryId()}); reason(err) != "INVALID_ARGUMENT" {
		t.Errorf("replaying a delivered event: %v", err)
	}
}

func TestAReceiverMayAskForALongerPause(t *testing.T) {
	t.Parallel()
	s := start(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer srv.Close()
	w, _ := s.create(&eventsv1.WebhookSpec{Url: srv.URL})
	s.publish(s.message("acme", "verdicts", "v1"))
	s.wait("an attempt", func() bool { return s.deliveries(w)[0].GetAttempts() == 1 })
	if pause := s.deliveries(w)[0].GetNextAttemptTime().AsTime().Sub(s.clock.Now()); pause.Round(time.Second) != time.Hour {
		t.Errorf("the next attempt is in %v", pause)
	}
}

func TestAWebhookThatFailsForDaysIsSuspended(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t)
	r.answer(http.StatusInternalServerError)
	w, _ := s.create(&eventsv1.WebhookSpec{Url: r.URL})
	for day := range 7 {
		if s.webhook(w).GetState() == eventsv1.WebhookState_WEBHOOK_STATE_SUSPENDED {
			if day < 5 {
				t.Fatalf("suspended on day %d", day)
			}
			break
		}
		before := len(r.got())
		s.publish(s.message("acme", "verdicts", fmt.Sprint(day)))
		// What failed before is tried again as soon as the clock moves, and may suspend the webhook before this message gets its turn.
		s.wait("attempts", func() bool {
			return len(r.got()) > before || s.webhook(w).GetState() == eventsv1.WebhookState_WEBHOOK_STATE_SUSPENDED
		})
		s.wait("they are recorded", func() bool {
			return s.deliveries(w)[0].GetAttempts() > 0 || s.webhook(w).GetState() == eventsv1.WebhookState_WEBHOOK_STATE_SUSPENDED
		})
		s.clock.advance(25 * time.Hour)
	}
	s.wait("it is suspended", func() bool { return s.webhook(w).GetState() == eventsv1.WebhookState_WEBHOOK_STATE_SUSPENDED })
	if got := s.webhook(w); !strings.HasPrefix(got.GetStateReason(), "nothing arrived since ") {
		t.Errorf("%v", got)
	}
	told := 0
	err := s.db.View(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Get(`SELECT COUNT(*) FROM outbox WHERE subject = 'switchyard.acme.webhooks' AND header LIKE '%switchyard.webhook.suspended%'`, nil, &told)
		return err
	})
	if err != nil || told != 1 {
		t.Errorf("%d events tell it, %v", told, err)
	}
	s.wait("nothing is on its way", func() bool { before := len(r.got()); time.Sleep(30 * time.Millisecond); return len(r.got()) == before })
	calls := len(r.got())
	s.clock.advance(48 * time.Hour)
	time.Sleep(50 * time.Millisecond)
	if len(r.got()) != calls {
		t.Error("a suspended webhook is called")
	}
	r.answer(http.StatusOK)
	res, err := s.UpdateWebhook(as(t, "acme"), &eventsv1.UpdateWebhookRequest{WebhookId: w.GetWebhookId(), Spec: w.GetSpec()})
	if err != nil || res.GetWebhook().GetState() != eventsv1.WebhookState_WEBHOOK_STATE_ENABLED {
		t.Fatal(res, err)
	}
	s.wait("what waited is sent", func() bool { s.clock.advance(time.Hour); return s.webhook(w).GetPending() == 0 })
}

func TestAReceiverThatIsGoneIsNotCalledAgain(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t)
	r.answer(http.StatusGone)
	w, _ := s.create(&eventsv1.WebhookSpec{Url: r.URL})
	s.publish(s.message("acme", "verdicts", "v1"))
	s.wait("it is suspended", func() bool { return s.webhook(w).GetState() == eventsv1.WebhookState_WEBHOOK_STATE_SUSPENDED })
	if got := s.webhook(w); got.GetStateReason() != "the receiver answered 410 Gone" || got.GetDead() != 1 {
		t.Errorf("%v", got)
	}
}

func TestTwoSecretsSignWhileOneReplacesTheOther(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t)
	w, first := s.create(&eventsv1.WebhookSpec{Url: r.URL})
	res, err := s.RotateSecret(as(t, "acme"), &eventsv1.RotateSecretRequest{WebhookId: w.GetWebhookId(), Grace: durationpb.New(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	s.publish(s.message("acme", "verdicts", "a"))
	s.wait("it arrives", func() bool { return len(r.got()) == 1 })
	if c := r.got()[0]; !signed(c, first) || !signed(c, res.GetSecret()) {
		t.Error("not both sign")
	}
	s.clock.advance(2 * time.Hour)
	s.publish(s.message("acme", "verdicts", "b"))
	s.wait("it arrives", func() bool { return len(r.got()) == 2 })
	if c := r.got()[1]; signed(c, first) || !signed(c, res.GetSecret()) {
		t.Error("after the grace period only the new one is to sign")
	}
}

func TestAnAttemptIsBoundedInTimeAndSize(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *events.Config) { c.Webhooks.Timeout = time.Second })
	stopped := make(chan struct{})
	var sent atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			select {
			case <-stopped:
			case <-r.Context().Done():
			}
		case "/drip": // headers at once, the body for ever
			w.WriteHeader(http.StatusOK)
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("x"))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(10 * time.Millisecond)
			}
		case "/endless":
			w.WriteHeader(http.StatusOK)
			chunk := make([]byte, 64<<10)
			for r.Context().Err() == nil {
				n, err := w.Write(chunk)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		case "/header":
			for i := range 2000 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 100))
			}
		}
	}))
	defer srv.Close()
	defer close(stopped)
	for path, want := range map[string]string{"/slow": "the receiver did not answer in time", "/drip": "", "/endless": "", "/header": "no connection to the receiver"} {
		w, _ := s.create(&eventsv1.WebhookSpec{Url: srv.URL + path})
		began := time.Now()
		res, err := s.TestWebhook(as(t, "acme"), &eventsv1.TestWebhookRequest{WebhookId: w.GetWebhookId()})
		if err != nil {
			t.Fatal(err)
		}
		if got := res.GetAttempt().GetError(); got != want || time.Since(began) > 3*time.Second {
			t.Errorf("%s: %q after %v", path, got, time.Since(began))
		}
	}
	if n := sent.Load(); n > 16<<20 {
		t.Errorf("%d bytes of an answer were taken", n)
	}
}

func TestOneReceiverHasOnlySoManyEventsAtATime(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *events.Config) { c.Webhooks.Concurrency = 3 })
	var now, most atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
	}))
	defer srv.Close()
	w, _ := s.create(&eventsv1.WebhookSpec{Url: srv.URL})
	var batch []*events.Message
	for i := range 60 {
		batch = append(batch, s.message("acme", "verdicts", fmt.Sprint(i)))
	}
	s.publish(batch...)
	s.wait("all arrive", func() bool { return s.webhook(w).GetPending() == 0 })
	if most.Load() != 3 {
		t.Errorf("%d at a time", most.Load())
	}
}

func TestABacklogIsBounded(t *testing.T) {
	t.Parallel()
	s, r := start(t, func(c *events.Config) { c.Webhooks.MaxBacklog = 100 }), receive(t)
	r.answer(http.StatusBadGateway)
	w, _ := s.create(&eventsv1.WebhookSpec{Url: r.URL})
	for range 3 {
		var batch []*events.Message
		for range 90 {
			batch = append(batch, s.message("acme", "verdicts", fmt.Sprint("x", s.seq)))
		}
		s.publish(batch...)
	}
	if got := s.webhook(w); got.GetPending() != 100 || got.GetDead() != 100 {
		t.Errorf("%d wait, %d are dead", got.GetPending(), got.GetDead())
	}
}

func TestADisabledAndADeletedWebhookAreNotCalled(t *testing.T) {
	t.Parallel()
	s, r, keep := start(t), receive(t), receive(t)
	s.create(&eventsv1.WebhookSpec{Url: keep.URL})
	off, _ := s.create(&eventsv1.WebhookSpec{Url: r.URL + "/off"})
	gone, _ := s.create(&eventsv1.WebhookSpec{Url: r.URL + "/gone"})
	if _, err := s.UpdateWebhook(as(t, "acme"), &eventsv1.UpdateWebhookRequest{WebhookId: off.GetWebhookId(), Spec: off.GetSpec(), Disabled: true}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.DeleteWebhook(as(t, "acme"), &eventsv1.DeleteWebhookRequest{WebhookId: gone.GetWebhookId()}); err != nil {
			t.Fatal(err)
		}
	}
	s.publish(s.message("acme", "verdicts", "a"))
	s.wait("the one that is left is called", func() bool { return len(keep.got()) == 1 })
	time.Sleep(50 * time.Millisecond)
	if len(r.got()) != 0 {
		t.Fatalf("%d calls", len(r.got()))
	}
}

func TestWhatWasOnItsWayIsSentAfterARestart(t *testing.T) {
	t.Parallel()
	s := start(t)
	release := make(chan struct{})
	var calls atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= 5 {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	}))
	defer srv.Close()
	defer close(release)
	w, _ := s.create(&eventsv1.WebhookSpec{Url: srv.URL})
	var batch []*events.Message
	for i := range 5 {
		batch = append(batch, s.message("acme", "verdicts", fmt.Sprint(i)))
	}
	s.publish(batch...)
	s.wait("all are on their way", func() bool { return calls.Load() == 5 })
	s.stop()
	s.run()
	s.wait("all are delivered", func() bool { return s.webhook(w).GetPending() == 0 })
	for _, d := range s.deliveries(w) {
		if d.GetState() != stateDelivered || d.GetAttempts() != 1 {
			t.Errorf("%v", d)
		}
	}
}

// What only the table can tell after a kill: a delivery that was leased by a process that is gone is due when its lease ends.
func TestALeaseOfAKilledProcessEnds(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t)
	w, _ := s.create(&eventsv1.WebhookSpec{Url: r.URL})
	r.answer(http.StatusInternalServerError)
	s.publish(s.message("acme", "verdicts", "a"))
	s.wait("it is tried", func() bool { return s.deliveries(w)[0].GetAttempts() == 1 })
	until := s.clock.Now().Add(30 * time.Second)
	err := s.db.Tx(t.Context(), func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE webhook_deliveries SET next = ?, leased = ?`, db.Micros(until), db.Micros(until))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.answer(http.StatusOK)
	s.clock.advance(25 * time.Second)
	time.Sleep(30 * time.Millisecond)
	if len(r.got()) != 1 {
		t.Fatal("a leased delivery was taken")
	}
	s.wait("it is delivered", func() bool { s.clock.advance(6 * time.Second); return s.webhook(w).GetPending() == 0 })
}

func TestWebhooksOfOtherProjectsAreNotFound(t *testing.T) {
	t.Parallel()
	s, r := start(t), receive(t)
	w, _ := s.create(&eventsv1.WebhookSpec{Url: r.URL})
	s.publish(s.message("acme", "verdicts", "a"))
	s.wait("it is recorded", func() bool { return len(s.deliveries(w)) == 1 })
	id, delivery := w.GetWebhookId(), s.deliveries(w)[0].GetDeliveryId()
	ctx := as(t, "umbrella")
	_, update := s.UpdateWebhook(ctx, &eventsv1.UpdateWebhookRequest{WebhookId: id, Spec: w.GetSpec()})
	_, rotate := s.RotateSecret(ctx, &eventsv1.RotateSecretRequest{WebhookId: id})
	_, test := s.TestWebhook(ctx, &eventsv1.TestWebhookRequest{WebhookId: id})
	_, list := s.ListDeliveries(ctx, &eventsv1.ListDeliveriesRequest{WebhookId: id})
	_, replay := s.ReplayDelivery(ctx, &eventsv1.ReplayDeliveryRequest{WebhookId: id, DeliveryId: delivery})
	for what, err := range map[string]error{"update": update, "rotate": rotate, "test": test, "list": list, "replay": replay} {
		if reason(err) != "NOT_FOUND" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.DeleteWebhook(ctx, &eventsv1.DeleteWebhookRequest{WebhookId: id}); err != nil {
		t.Error(err)
	}
	if res, err := s.ListWebhooks(ctx, &eventsv1.ListWebhooksRequest{}); err != nil || len(res.GetWebhooks()) != 0 {
		t.Error(res, err)
	}
	s.webhook(w) // it is still there
	// A delivery of one webhook is not found under another of the same project.
	second, _ := s.create(&eventsv1.WebhookSpec{Url: r.URL})
	if _, err := s.ReplayDelivery(as(t, "acme"), &eventsv1.ReplayDeliveryRequest{WebhookId: second.GetWebhookId(), DeliveryId: delivery}); reason(err) != "NOT_FOUND" {
		t.Error(err)
	}
}

func TestHostileURLsAreRefusedAndNeverCalled(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = c.Close()
		}
	}()
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s := start(t, func(c *events.Config) { c.Webhooks.AllowNetworks = nil })
	for _, host := range []string{"127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "10.0.0.1", "100.64.0.1", "[fd00:ec2::254]", "0"} {
		_, err := s.CreateWebhook(as(t, "acme"), &eventsv1.CreateWebhookRequest{Spec: &eventsv1.WebhookSpec{Url: "http://" + host + ":" + port}})
		if reason(err) != "INVALID_ARGUMENT" {
			t.Errorf("%s: %v", host, err)
		}
	}
	// A name is looked at when it is called.
	w, _ := s.create(&eventsv1.WebhookSpec{Url: "http://localhost:" + port})
	res, err := s.TestWebhook(as(t, "acme"), &eventsv1.TestWebhookRequest{WebhookId: w.GetWebhookId()})
	if err != nil || res.GetAttempt().GetError() != "the URL leads to an address that may not be called" {
		t.Error(res, err)
	}
	s.publish(s.message("acme", "verdicts", "a"))
	s.wait("it is tried", func() bool { return s.deliveries(w)[0].GetAttempts() == 1 })
	if _, err := s.UpdateWebhook(as(t, "acme"), &eventsv1.UpdateWebhookRequest{WebhookId: w.GetWebhookId(), Spec: &eventsv1.WebhookSpec{Url: "http://127.0.0.1:" + port}}); reason(err) != "INVALID_ARGUMENT" {
		t.Error(err)
	}
	if connections.Load() != 0 {
		t.Fatalf("%d connections", connections.Load())
	}
}

func TestAProjectHasOnlySoManyWebhooks(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *events.Config) { c.Webhooks.MaxPerProject = 2 })
	for range 2 {
		s.create(&eventsv1.WebhookSpec{Url: "https://example.com/"})
	}
	if _, err := s.CreateWebhook(as(t, "acme"), &eventsv1.CreateWebhookRequest{Spec: &eventsv1.WebhookSpec{Url: "https://example.com/"}}); reason(err) != "QUOTA_EXCEEDED" {
		t.Error(err)
	}
	if _, err := s.CreateWebhook(as(t, "umbrella"), &eventsv1.CreateWebhookRequest{Spec: &eventsv1.WebhookSpec{Url: "https://example.com/"}}); err != nil {
		t.Error(err)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	if err := events.Default().Validate(); err != nil {
		t.Error(err)
	}
	err := events.Config{Webhooks: events.Webhooks{AllowNetworks: []string{"10.0.0.1"}}}.Validate()
	for _, want := range []string{"max_subscriptions", "max_per_project", "concurrency", "total_concurrency", "max_backlog", "timeout", "suspend_after", "allow_networks"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
