package e2e

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/relay"
)

// TestKill kills the server again and again while callers call, and then looks for every decision that was acknowledged: each must be
// in the journal or in the stream, and in the stream once the relay has caught up.
func TestKill(t *testing.T) {
	t.Parallel()
	kills := 20
	if testing.Short() {
		kills = 4
	}
	dir := filepath.Join(t.TempDir(), "data")
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	for range kills {
		s := startIn(t, dir)
		client := routingv1.NewRoutingServiceClient(dial(t, s, s.Key))
		l := startLoad(t.Context(), 16, func(ctx context.Context, caller int) {
			if caller == 0 { // one caller sends batches: they share an fsync and must share its promise
				items := []*routingv1.InquiryItem{{Body: "my screen is dark"}, {Body: "I forgot my password"}, {Body: "where is my invoice"}}
				r, err := client.BatchRouteInquiry(ctx, &routingv1.BatchRouteInquiryRequest{Deployment: "support", Items: items})
				mu.Lock()
				defer mu.Unlock()
				for _, result := range r.GetResults() {
					if err == nil && result.GetDecision() != nil {
						acknowledged[result.GetDecision().GetDecisionId()] = true
					}
				}
				return
			}
			r, err := client.RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: "support", Body: "my printer does not work"})
			if err == nil {
				mu.Lock()
				acknowledged[r.GetDecision().GetDecisionId()] = true
				mu.Unlock()
			}
		})
		eventually(t, "calls are answered", 20*time.Second, func() bool { mu.Lock(); defer mu.Unlock(); return len(acknowledged) > 0 && l.calls.Load() > 20 })
		time.Sleep(time.Duration(20+rand.IntN(250)) * time.Millisecond) // where in its work the kill meets the server is left to chance
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		l.end()
	}

	kept := inJournal(t, dir)
	streamed := inStream(t, dir)
	missing, notCarried := 0, 0
	for id := range acknowledged {
		if !kept[id] && streamed[id] == 0 {
			missing++
		}
		if streamed[id] == 0 {
			notCarried++
		}
	}
	twice := 0
	for _, n := range streamed {
		if n > 1 {
			twice++
		}
	}
	// The load program reads this line.
	t.Logf("%d kills, %d acknowledged decisions, %d missing from journal and stream, %d not carried to the stream, %d in it twice", kills, len(acknowledged), missing, notCarried, twice)
	if missing > 0 || notCarried > 0 || twice > 0 || len(acknowledged) == 0 {
		t.Fail()
	}
	s := startIn(t, dir)
	checkDecision(t, "after the kills", post(t, s, "/v1/routing/inquiries:route", object{"deployment": "support", "body": "printer"})["decision"])
	stop(t, s)
}

func openJournal(t *testing.T, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(filepath.Join(dir, "journal"), journal.Default())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// inJournal returns the ids that the journal of a stopped server holds, after checking its chain.
func inJournal(t *testing.T, dir string) map[string]bool {
	t.Helper()
	j := openJournal(t, dir)
	defer func() { _ = j.Close() }()
	if err := j.Verify(t.Context()); err != nil {
		t.Errorf("the journal is damaged: %v", err)
	}
	ids := map[string]bool{}
	if err := j.Read(t.Context(), 0, func(e journal.Entry) error { ids[e.ID] = true; return nil }); err != nil {
		t.Fatal(err)
	}
	return ids
}

// inStream lets the relay catch up and returns how often the stream holds each decision.
func inStream(t *testing.T, dir string) map[string]int {
	t.Helper()
	ids := map[string]int{}
	eachInStream(t, dir, true, func(id string, _ []byte) { ids[id]++ })
	return ids
}

// eachInStream lets the relay catch up and calls fn with the id of each decision in the stream, and with its record unless only headers are wanted.
func eachInStream(t *testing.T, dir string, headersOnly bool, fn func(id string, record []byte)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	j := openJournal(t, dir)
	defer func() { _ = j.Close() }()
	b, err := bus.New(filepath.Join(dir, "events"), bus.Default(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if err := errors.Join(b.Start(ctx), b.WaitReady(ctx)); err != nil {
		t.Fatal(err)
	}
	r := relay.New(j, b, nil)
	relayed := make(chan error, 1)
	carrying, stop := context.WithCancel(ctx)
	go func() { relayed <- r.Run(carrying) }()
	eventually(t, "the relay catches up", time.Minute, func() bool { return r.Stats().Lag == 0 })
	stop()
	if err := <-relayed; err != nil {
		t.Fatal(err)
	}
	stream, err := b.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: headersOnly})
	if err != nil {
		t.Fatal(err)
	}
	for left := int(info.State.Msgs); left > 0; {
		batch, err := consumer.Fetch(min(left, 1000), jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for m := range batch.Messages() {
			if strings.HasSuffix(m.Subject(), ".decisions") { // changes of deployments are in it too
				_, id, _ := strings.Cut(m.Headers().Get(jetstream.MsgIDHeader), "|")
				fn(id, m.Data())
			}
			got++
		}
		if left -= got; got == 0 {
			t.Fatalf("the stream says that it holds %d messages more, and sends none: %v", left, batch.Error())
		}
	}
}
