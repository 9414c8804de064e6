package sim

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// follower reads the event stream, as a dashboard or another system would, and remembers what it has seen: events may come more than once.
type follower struct {
	mu     sync.Mutex
	seen   map[string]bool
	counts map[string]int // different events, by kind
	items  map[reviewv1.HistoryKind]int
	twice  int
	acted  int // verdicts that were acted on
}

// follow reads from the oldest event on until ctx ends, and calls verdict for each verdict that counts. When the stream breaks it goes on where it was.
func (w *World) follow(ctx context.Context, verdict func(context.Context, *reviewv1.Verdict) error) error {
	req := &eventsv1.SubscribeRequest{Oldest: true}
	return w.lead.retry(ctx, func() (broken bool, err error) {
		stream, err := eventsv1.NewEventServiceClient(w.lead).Subscribe(ctx, req)
		for err == nil {
			var m *eventsv1.SubscribeResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			if err := w.take(ctx, m.GetEvent(), verdict); err != nil {
				return false, err
			}
			req = &eventsv1.SubscribeRequest{Cursor: m.GetCursor()}
		}
		if ctx.Err() != nil {
			return false, nil //nolint:nilerr // the end was asked for
		}
		return true, fmt.Errorf("follow the events: %w", err)
	})
}

// take counts an event and acts on it, unless it came before.
func (w *World) take(ctx context.Context, e *eventsv1.Event, verdict func(context.Context, *reviewv1.Verdict) error) error {
	if e == nil || !w.events.add(e) {
		return nil
	}
	told, err := e.GetData().UnmarshalNew()
	if err != nil {
		return fmt.Errorf("event %s: %w", e.GetId(), err)
	}
	switch told := told.(type) {
	case *reviewv1.Verdict:
		if err := verdict(ctx, told); err != nil {
			return err
		}
		w.events.mu.Lock()
		defer w.events.mu.Unlock()
		w.events.acted++
	case *reviewv1.ItemEvent:
		w.events.happened(told.GetKind())
	}
	return nil
}

// add counts an event, and says whether it is a new one.
func (f *follower) add(e *eventsv1.Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := e.GetSource() + "|" + e.GetId()
	if f.seen[key] {
		f.twice++
		return false
	}
	f.seen[key] = true
	f.counts[e.GetKind()]++
	return true
}

// actedOn returns how many verdicts were acted on.
func (f *follower) actedOn() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(f.acted)
}

func (f *follower) count(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[kind]
}

// ticketSystem is a receiver of webhooks on this machine. It takes nothing that is not signed.
type ticketSystem struct {
	server http.Server
	url    string
	secret []byte

	mu      sync.Mutex
	seen    map[string]bool // by webhook-id
	refused int
}

// connectTicketSystem starts the receiver and asks for final answers and feedback to be sent to it.
func (w *World) connectTicketSystem(ctx context.Context) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s := &ticketSystem{url: "http://" + ln.Addr().String() + "/switchyard", seen: map[string]bool{}}
	s.server = http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(ln) }() // ends with Close
	w.tickets = s
	r, err := eventsv1.NewWebhookServiceClient(w.lead).CreateWebhook(ctx, &eventsv1.CreateWebhookRequest{
		Spec: &eventsv1.WebhookSpec{Url: s.url, Description: "ticket system", Filter: &eventsv1.EventFilter{Kinds: []string{"verdicts", "feedback"}}},
	})
	if err != nil {
		return fmt.Errorf("make the webhook: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret, err = base64.StdEncoding.DecodeString(strings.TrimPrefix(r.GetSecret(), "whsec_"))
	return err
}

// ServeHTTP takes an event.
func (s *ticketSystem) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	s.mu.Lock()
	defer s.mu.Unlock()
	var e struct{ Type string }
	if err = errors.Join(err, json.Unmarshal(body, &e)); err != nil || !s.signed(r.Header, body) {
		s.refused++
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.seen[r.Header.Get("webhook-id")] = true
	w.WriteHeader(http.StatusNoContent)
}

func (s *ticketSystem) signed(h http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	return slices.Contains(strings.Fields(h.Get("webhook-signature")), "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

func (s *ticketSystem) count() (taken, refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen), s.refused
}

func (f *follower) happened(k reviewv1.HistoryKind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.items[k]++
}

// escalated returns how many items were not answered in time, or puzzled several people.
func (f *follower) escalated() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.items[reviewv1.HistoryKind_HISTORY_KIND_ESCALATED]
}

func (f *follower) repeated() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.twice
}
