package events_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// product is the running product with two deployments in project default.
type product struct {
	*testkit.System
	conn *grpc.ClientConn
	eventsv1.EventServiceClient
	t *testing.T
}

func startProduct(t *testing.T, options ...testkit.Option) *product {
	t.Helper()
	s := testkit.Start(t, options...)
	conn := s.Dial(s.Key)
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	testkit.Deploy(t, conn, "second", testkit.Support, true)
	p := &product{System: s, conn: conn, EventServiceClient: eventsv1.NewEventServiceClient(conn), t: t}
	p.wait("the event store is up", func() bool {
		_, err := p.ListEvents(t.Context(), &eventsv1.ListEventsRequest{})
		return err == nil
	})
	return p
}

func (p *product) wait(what string, holds func() bool) {
	p.t.Helper()
	for late := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			p.t.Fatalf("%s: not in time", what)
		}
	}
}

// decide makes n decisions and returns their ids.
func (p *product) decide(deployment string, n int) (ids []string) {
	p.t.Helper()
	for range n {
		res, err := routingv1.NewRoutingServiceClient(p.conn).RouteInquiry(p.t.Context(), &routingv1.RouteInquiryRequest{Deployment: deployment, Body: "my laptop screen stays black"})
		if err != nil {
			p.t.Fatal(err)
		}
		ids = append(ids, res.GetDecision().GetDecisionId())
	}
	return ids
}

var decisions = &eventsv1.EventFilter{Kinds: []string{"decisions"}}

// open subscribes and reads the first message.
func (p *product) open(req *eventsv1.SubscribeRequest) (eventsv1.EventService_SubscribeClient, *eventsv1.SubscribeResponse) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	p.t.Cleanup(cancel)
	stream, err := p.Subscribe(ctx, req)
	if err != nil {
		p.t.Fatal(err)
	}
	first, err := stream.Recv()
	if err != nil || first.GetEvent() != nil || first.GetCursor() == "" {
		p.t.Fatalf("first message: %v, %v", first, err)
	}
	return stream, first
}

// next reads n events.
func (p *product) next(stream eventsv1.EventService_SubscribeClient, n int) (events []*eventsv1.Event) {
	p.t.Helper()
	for len(events) < n {
		m, err := stream.Recv()
		if err != nil {
			p.t.Fatalf("after %d events: %v", len(events), err)
		}
		if m.GetEvent() != nil {
			events = append(events, m.GetEvent())
		}
	}
	return events
}

func idsOf(events []*eventsv1.Event) (ids []string) {
	for _, e := range events {
		ids = append(ids, e.GetId())
	}
	return ids
}

func (p *product) same(what string, got, want []string) {
	p.t.Helper()
	if !slices.Equal(got, want) {
		p.t.Fatalf("%s: %d events, want %d, or in another order", what, len(got), len(want))
	}
}

func TestSubscribersGetWhatComesAndGoOnAnywhere(t *testing.T) {
	t.Parallel()
	p := startProduct(t)
	old := p.decide("support", 3)
	p.wait("they are events", func() bool { return len(p.list(decisions)) == 3 })
	stream, _ := p.open(&eventsv1.SubscribeRequest{Filter: decisions})
	fresh := p.decide("support", 20)
	events := p.next(stream, 20)
	p.same("fresh", idsOf(events), fresh)
	e := events[0]
	record := &commonv1.DecisionRecord{}
	if err := e.GetData().UnmarshalTo(record); err != nil || record.GetDecision().GetDecisionId() != fresh[0] {
		t.Fatalf("data: %v, %v", e.GetData(), err)
	}
	if e.GetSource() != "/switchyard/default/decisions" || e.GetType() != "switchyard.decision.made" || e.GetKind() != "decisions" || e.GetSubject() != fresh[0] ||
		e.GetOperation() != commonv1.Operation_OPERATION_ROUTING || e.GetDeployment() != "support" || !e.GetTime().AsTime().Equal(record.GetDecision().GetTime().AsTime()) {
		t.Errorf("%v", e)
	}
	for name, want := range map[string][]string{events[4].GetCursor(): fresh[5:], events[18].GetCursor(): fresh[19:]} {
		again, _ := p.open(&eventsv1.SubscribeRequest{Cursor: name, Filter: decisions})
		p.same("from a cursor", idsOf(p.next(again, len(want))), want)
	}
	oldest, _ := p.open(&eventsv1.SubscribeRequest{Oldest: true, Filter: decisions})
	p.same("from the oldest", idsOf(p.next(oldest, 23)), append(slices.Clone(old), fresh...))
	since, _ := p.open(&eventsv1.SubscribeRequest{Since: e.GetTime(), Filter: decisions})
	p.same("since a time", idsOf(p.next(since, 20)), fresh)
}

func (p *product) list(f *eventsv1.EventFilter) []*eventsv1.Event {
	p.t.Helper()
	res, err := p.ListEvents(p.t.Context(), &eventsv1.ListEventsRequest{Filter: f})
	if err != nil {
		p.t.Fatal(err)
	}
	return res.GetEvents()
}

func TestADecisionIsToldSoon(t *testing.T) {
	t.Parallel()
	p := startProduct(t)
	stream, _ := p.open(&eventsv1.SubscribeRequest{Filter: decisions})
	var took []time.Duration
	for range 20 {
		p.decide("support", 1)
		answered := time.Now()
		p.next(stream, 1)
		took = append(took, time.Since(answered))
	}
	slices.Sort(took)
	t.Logf("from the answer to the subscriber: median %v, most %v", took[10], took[19])
	if took[10] > 200*time.Millisecond {
		t.Errorf("median %v", took[10])
	}
}

func TestFiltersAndSignsOfLife(t *testing.T) {
	t.Parallel()
	p := startProduct(t)
	second, _ := p.open(&eventsv1.SubscribeRequest{Filter: &eventsv1.EventFilter{Kinds: []string{"decisions"}, Deployment: "second"}, Heartbeat: durationpb.New(time.Second)})
	moderation, begin := p.open(&eventsv1.SubscribeRequest{Filter: &eventsv1.EventFilter{Operation: commonv1.Operation_OPERATION_MODERATION}, Heartbeat: durationpb.New(time.Second)})
	p.decide("support", 5)
	want := p.decide("second", 5)
	p.same("one deployment", idsOf(p.next(second, 5)), want)
	// Nothing passes this filter; the signs of life go forward all the same, and nothing has to be looked at twice.
	began := time.Now()
	p.wait("the place moves", func() bool {
		m, err := moderation.Recv()
		if err != nil || m.GetEvent() != nil {
			t.Fatal(m, err)
		}
		return m.GetCursor() != begin.GetCursor()
	})
	if time.Since(began) > 5*time.Second {
		t.Errorf("a sign of life took %v", time.Since(began))
	}
}

func TestProjectsDoNotHearOfEachOther(t *testing.T) {
	t.Parallel()
	p := startProduct(t)
	otherKey := testkit.NewProject(t, p.conn, "other")
	other := eventsv1.NewEventServiceClient(p.Dial(otherKey))
	mine, _ := p.open(&eventsv1.SubscribeRequest{Filter: decisions})
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	stream, err := other.Subscribe(ctx, &eventsv1.SubscribeRequest{Oldest: true, Heartbeat: durationpb.New(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	p.decide("support", 10)
	events := p.next(mine, 10)
	for {
		m, err := stream.Recv()
		if err != nil {
			break
		}
		if m.GetEvent() != nil && m.GetEvent().GetSource() != "/switchyard/other/"+m.GetEvent().GetKind() {
			t.Fatalf("another project's subscriber got %v", m.GetEvent())
		}
	}
	// A cursor of one project is a place, not a permission.
	res, err := other.ListEvents(t.Context(), &eventsv1.ListEventsRequest{Cursor: events[0].GetCursor(), Filter: decisions})
	if err != nil || len(res.GetEvents()) != 0 {
		t.Fatal(res, err)
	}
}

func TestListsHavePagesAndEnd(t *testing.T) {
	t.Parallel()
	p := startProduct(t)
	var want []string
	for range 4 {
		p.decide("second", 3)
		want = append(want, p.decide("support", 6)...)
	}
	f := &eventsv1.EventFilter{Kinds: []string{"decisions"}, Deployment: "support"}
	p.wait("they are events", func() bool { return len(p.list(f)) == 24 })
	var got []string
	req := &eventsv1.ListEventsRequest{Filter: f, Page: &commonv1.PageRequest{Size: 5}}
	var cursor string
	for pages := 1; ; pages++ {
		res, err := p.ListEvents(t.Context(), req)
		if err != nil || len(res.GetEvents()) > 5 {
			t.Fatal(res, err)
		}
		got = append(got, idsOf(res.GetEvents())...)
		cursor = res.GetCursor()
		if req.Page.Token = res.GetPage().GetNextToken(); req.Page.Token == "" {
			break
		}
		if pages > 10 {
			t.Fatal("the list does not end")
		}
	}
	p.same("all pages", got, want)
	more := p.decide("support", 1)
	stream, _ := p.open(&eventsv1.SubscribeRequest{Cursor: cursor, Filter: f})
	p.same("after the list", idsOf(p.next(stream, 1)), more)
	req = &eventsv1.ListEventsRequest{Page: &commonv1.PageRequest{Size: 2}}
	res, err := p.ListEvents(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	req.Filter, req.Page.Token = f, res.GetPage().GetNextToken()
	if _, err := p.ListEvents(t.Context(), req); err == nil {
		t.Error("a token was taken with another filter")
	}
	later, err := p.ListEvents(t.Context(), &eventsv1.ListEventsRequest{Since: timestamppb.New(time.Now().Add(time.Hour))})
	if err != nil || len(later.GetEvents()) != 0 {
		t.Error(later, err)
	}
}

func TestSubscriptionsEndInOrderAndGoOnAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keep := func(c *app.Config) { c.DataDir = dir }
	p := startProduct(t, keep)
	stream, _ := p.open(&eventsv1.SubscribeRequest{Filter: decisions, Heartbeat: durationpb.New(time.Minute)})
	before := p.decide("support", 5)
	p.same("before", idsOf(p.next(stream, 5)), before)
	stopped := make(chan struct{})
	go func() { defer close(stopped); p.Stop() }()
	cursor := ""
	for {
		m, err := stream.Recv()
		if err != nil {
			if reason(err) != "SHUTTING_DOWN" {
				t.Errorf("the stream ended with %v", err)
			}
			break
		}
		cursor = m.GetCursor()
	}
	<-stopped
	if cursor == "" {
		t.Fatal("the last word has no cursor")
	}
	p = startProduct(t, keep)
	after := p.decide("support", 5)
	stream, first := p.open(&eventsv1.SubscribeRequest{Cursor: cursor, Filter: decisions})
	if first.GetGap() {
		t.Error("a gap without one")
	}
	p.same("after", idsOf(p.next(stream, 5)), after)
}

func TestAGapIsTold(t *testing.T) {
	t.Parallel()
	p := startProduct(t, func(c *app.Config) { c.Bus.MaxBytes = 1 << 20 })
	stream, first := p.open(&eventsv1.SubscribeRequest{Filter: decisions})
	if first.GetGap() {
		t.Error("a gap at the end of the stream")
	}
	p.decide("support", 1)
	cursor := p.next(stream, 1)[0].GetCursor()
	long := strings.Repeat("my laptop screen stays black ", 600)
	for range 80 {
		_, err := routingv1.NewRoutingServiceClient(p.conn).RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: long})
		if err != nil {
			t.Fatal(err)
		}
	}
	p.wait("the oldest events are dropped", func() bool {
		_, first := p.open(&eventsv1.SubscribeRequest{Cursor: cursor, Filter: decisions})
		return first.GetGap()
	})
	again, _ := p.open(&eventsv1.SubscribeRequest{Cursor: cursor, Filter: decisions})
	p.next(again, 10)
}

func TestBadSubscriptionsAreRefused(t *testing.T) {
	t.Parallel()
	p := startProduct(t, func(c *app.Config) { c.Events.MaxSubscriptions = 2 })
	for name, req := range map[string]*eventsv1.SubscribeRequest{
		"damaged cursor": {Cursor: "AQAAAAAAAAAAAAAAAA"}, "no cursor at all": {Cursor: "!"}, "wildcard": {Filter: &eventsv1.EventFilter{Kinds: []string{"*"}}},
		"another project": {Filter: &eventsv1.EventFilter{Kinds: []string{"x.>"}}}, "hasty": {Heartbeat: durationpb.New(time.Millisecond)},
		"twice": {Filter: &eventsv1.EventFilter{Kinds: []string{"a", "a"}}},
	} {
		stream, err := p.Subscribe(t.Context(), req)
		if err == nil {
			_, err = stream.Recv()
		}
		if reason(err) != "INVALID_ARGUMENT" {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.open(&eventsv1.SubscribeRequest{})
	p.open(&eventsv1.SubscribeRequest{})
	stream, err := p.Subscribe(t.Context(), &eventsv1.SubscribeRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if reason(err) != "CONCURRENCY_LIMITED" {
		t.Errorf("a third subscription: %v", err)
	}
}

func TestASubscriptionEndsWithItsKey(t *testing.T) {
	t.Parallel()
	p := startProduct(t)
	key, _ := testkit.NewKey(t, p.conn, "short", 2*time.Second, "events:read")
	stream, err := eventsv1.NewEventServiceClient(p.Dial(key)).Subscribe(t.Context(), &eventsv1.SubscribeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = stream.Recv()
	}
	if reason(err) != "KEY_EXPIRED" {
		t.Errorf("the stream ended with %v", err)
	}
}

// Over REST a subscription is a line of JSON for each message.
func TestSubscribingOverREST(t *testing.T) {
	t.Parallel()
	p := startProduct(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.Addresses.HTTP+"/v1/events:subscribe?filter.kinds=decisions", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	read := func() (m struct {
		Result struct {
			Cursor string
			Event  *struct {
				ID, Type string
				Data     struct {
					Type     string `json:"@type"`
					Decision struct{ DecisionID string }
				}
			}
		}
	},
	) {
		line, err := lines.ReadString('\n')
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		return m
	}
	if m := read(); m.Result.Cursor == "" || m.Result.Event != nil {
		t.Fatalf("first line: %+v", m)
	}
	want := p.decide("support", 3)
	for i := range want {
		e := read().Result.Event
		if e == nil || e.ID != want[i] || e.Data.Decision.DecisionID != want[i] || e.Data.Type != "type.googleapis.com/switchyard.common.v1.DecisionRecord" {
			t.Fatalf("line %d: %+v", i, e)
		}
	}
}
