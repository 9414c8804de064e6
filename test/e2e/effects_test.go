package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/test/e2e/process"
)

// TestEffectsOfRedeliveredEventsHappenOnce lets events flow into everything that has effects (the review queue, the lake, the line of a webhook, which is behind
// the inbox) while the server is killed in the middle of them, and stores a third of the events a second time when the stream has forgotten their ids, as
// a redelivery after days does. Then effects are counted: no event may have none, and none may have two.
//
// SWITCHYARD_TEST_EVENTS says how many.
func TestEffectsOfRedeliveredEventsHappenOnce(t *testing.T) {
	t.Parallel()
	events := fromEnv(t, "SWITCHYARD_TEST_EVENTS", 3000)
	seed := fromEnv(t, "SWITCHYARD_TEST_SEED", 20261125)
	rounds := min(20, max(4, events/2500))
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 1))
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer receiver.Close()
	dir := filepath.Join(t.TempDir(), "data")
	serve := func() *process.Server {
		return startWith(t, process.Options{DataDir: dir, Args: []string{"--socket", "none"}, Env: append([]string{
			"SWITCHYARD_BUS_DUPLICATES=1s", "SWITCHYARD_LAKE_FLUSH=200ms", "SWITCHYARD_EVENTS_WEBHOOKS_CONCURRENCY=32", "SWITCHYARD_EVENTS_WEBHOOKS_MAX_BACKLOG=1000000",
		}, loopback...)})
	}
	s := serve()
	hook := post(t, s, "/v1/webhooks", object{"spec": object{"url": receiver.URL, "filter": object{"kinds": []string{"decisions"}}}})["webhook"].(map[string]any)["webhookId"].(string)
	eventually(t, "the webhook has its place in the stream", 20*time.Second, func() bool {
		return post(t, s, "/v1/webhooks/"+hook+":test", object{})["attempt"].(map[string]any)["status"] == 204.0
	})
	stop(t, s)

	var published []bus.Msg
	again := 0
	for round := range rounds {
		n := events*(round+1)/rounds - len(published)
		repeat := 0
		if round > 0 {
			repeat = n / 3
		}
		fresh := decisionsOfAnother(t, n)
		msgs := append([]bus.Msg{}, fresh...)
		for range repeat {
			msgs = append(msgs, published[random.IntN(len(published))])
		}
		again += storeEvents(t, dir, msgs) - n
		published = append(published, fresh...)
		s := serve()
		time.Sleep(time.Duration(100+random.IntN(900)) * time.Millisecond)
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if again < events/10 {
		t.Fatalf("only %d events were stored a second time: this proves nothing", again)
	}

	s = serve()
	want := map[string]int{}
	for _, m := range published {
		want[m.ID] = 1
	}
	conn := dial(t, s, s.Key)
	items, counted := itemsOf(t, reviewv1.NewReviewServiceClient(conn), events)
	missing, twice := compareCounts(items, want)
	lake := sameRows(t, dir, "decisions", "decision_id", want)
	lines := deliveriesOf(t, eventsv1.NewWebhookServiceClient(conn), hook, events)
	notSent, sentTwice := compareCounts(lines, want)
	stop(t, s)
	t.Logf("%d events, %d of them stored again, %d kills: review items %d missing, %d twice, counter says %d; lake rows %d missing or twice; deliveries %d missing, %d twice",
		events, again, rounds, missing, twice, counted, lake, notSent, sentTwice)
	if missing+twice+notSent+sentTwice != 0 || counted != events {
		t.Fail()
	}
}

// decisionsOfAnother makes messages as another process's relay publishes them: decisions that people have to make.
func decisionsOfAnother(t *testing.T, n int) []bus.Msg {
	t.Helper()
	msgs := make([]bus.Msg, n)
	for i := range msgs {
		id := decision.NewID()
		data, err := proto.Marshal(&commonv1.DecisionRecord{
			Decision: &commonv1.Decision{
				DecisionId: id, Project: "default", Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Time: timestamppb.Now(),
				Outcome: commonv1.Outcome_OUTCOME_REVIEW, Reason: commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED,
				Labels: []*commonv1.LabelProbability{{Label: "Hardware", Probability: 0.6}, {Label: "Access", Probability: 0.4}},
			},
			Input: &commonv1.RecordedInput{Text: fmt.Sprint("my printer does not work ", i)}, InputRetention: commonv1.InputRetention_INPUT_RETENTION_FULL,
		})
		if err != nil {
			t.Fatal(err)
		}
		e := journal.Entry{Subject: "switchyard.default.decisions", ID: id, Data: data}
		msgs[i] = bus.Msg{Subject: e.Subject, ID: e.ID, Data: e.Data, Header: decision.EventHeader(e)}
	}
	return msgs
}

// storeEvents publishes messages to the stream of a stopped server, and returns how many it took as new.
func storeEvents(t *testing.T, dir string, msgs []bus.Msg) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := bus.Default()
	c.Duplicates = time.Second
	b, err := bus.New(filepath.Join(dir, "events"), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if err := errors.Join(b.Start(ctx), b.WaitReady(ctx)); err != nil {
		t.Fatal(err)
	}
	before, err := b.Bounds(ctx)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(c.Duplicates) // until nothing of the earlier rounds is known by its id
	// Not by PublishBatch, which would look for what the stream has already.
	for len(msgs) > 0 {
		n := min(len(msgs), 200)
		for _, m := range msgs[:n] {
			h := nats.Header(m.Header)
			h.Set(jetstream.MsgIDHeader, bus.MsgID(m.Subject, m.ID))
			if _, err := b.JetStream().PublishMsgAsync(&nats.Msg{Subject: m.Subject, Data: m.Data, Header: h}); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-b.JetStream().PublishAsyncComplete():
		case <-ctx.Done():
			t.Fatal("the stream did not take the messages")
		}
		msgs = msgs[n:]
	}
	after, err := b.Bounds(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return int(after.Last - before.Last)
}

// itemsOf waits until the queue counts so many items, and returns how often each is listed and what the queue counts.
func itemsOf(t *testing.T, c reviewv1.ReviewServiceClient, want int) (found map[string]int, counted int) {
	t.Helper()
	found = map[string]int{}
	for deadline := time.Now().Add(3 * time.Minute); counted < want && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		q, err := c.GetQueue(t.Context(), &reviewv1.GetQueueRequest{Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support"})
		if err != nil {
			continue // no item has come yet
		}
		counted = int(q.GetQueue().GetCounts().GetOpen())
	}
	req := &reviewv1.ListItemsRequest{Page: &commonv1.PageRequest{Size: 500}}
	for {
		r, err := c.ListItems(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range r.GetItems() {
			found[it.GetItemId()]++
		}
		if req.Page.Token = r.GetPage().GetNextToken(); req.Page.Token == "" {
			return found, counted
		}
	}
}

// deliveriesOf waits until nothing waits for a webhook that had so many events, and returns how often each was put in line.
func deliveriesOf(t *testing.T, c eventsv1.WebhookServiceClient, hook string, want int) map[string]int {
	t.Helper()
	lines := map[string]int{}
	for deadline := time.Now().Add(5 * time.Minute); len(lines) < want && time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		clear(lines)
		req := &eventsv1.ListDeliveriesRequest{WebhookId: hook, Page: &commonv1.PageRequest{Size: 500}}
		for {
			r, err := c.ListDeliveries(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range r.GetDeliveries() {
				lines[d.GetEventId()]++
			}
			if req.Page.Token = r.GetPage().GetNextToken(); req.Page.Token == "" {
				break
			}
		}
	}
	return lines
}

// compareCounts returns how many of the wanted are not there, and how many are there more than once or are not wanted.
func compareCounts(got, want map[string]int) (missing, wrong int) {
	for id := range want {
		if got[id] == 0 {
			missing++
		}
	}
	for id, n := range got {
		if n != want[id] {
			wrong++
		}
	}
	return missing, wrong
}
