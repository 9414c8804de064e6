// Package bustest holds the behaviour that every bus must show, embedded or clustered.
package bustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchyard-ai/switchyard/internal/bus"
)

// Open returns a started bus with an empty stream. Run gives each of its tests one.
type Open func(tb testing.TB, c bus.Config) *bus.Bus

// Run runs the suite; its tests run beside each other, so each needs a bus of its own.
func Run(t *testing.T, open Open) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open)
		})
	}
}

// RunOneByOne runs the suite for buses that share one stream, which open empties.
func RunOneByOne(t *testing.T, open Open) {
	t.Helper()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

var tests = map[string]func(*testing.T, Open){
	"MessagesArriveInOrderWithTheirHeaders": inOrder,
	"ManyMessagesGoAsOneUnit":               manyMessages,
	"ARepeatedIDIsStoredOnce":               storedOnce,
	"AnIDTwiceInOneBatchIsStoredOnce":       twiceInOneBatch,
	"AnIDStandsForOneSubjectOnly":           idsOfTwoSubjects,
	"ConsumersFilterByProject":              filter,
	"MessagesThatCannotBeStoredAreRefused":  refused,
	"PublishersShareTheStream":              concurrent,
	"AnEndedContextEndsPublishing":          ended,
	"StartingIsDoneInTheBackground":         started,

	"ConsumersGetEverythingOnceAndInOrder":       consumeInOrder,
	"AConsumerGoesOnWhereItWas":                  consumerGoesOn,
	"ABatchThatFailsComesAgain":                  failedBatch,
	"AHandlerMayTakeLongerThanTheServerWaits":    slowHandler,
	"WhatAnEndedConsumerHadComesAtOnceToTheNext": handedOver,
	"ConsumersOfOneNameShareTheMessages":         sharedName,
	"AConsumerMayBeginLaterAndChangeItsFilters":  beginningAndFilters,
	"ABatchMayWaitForCompany":                    company,
	"AnIdleConsumerHasAMessageAtOnce":            idleLatency,
	"ReadingEndsAtThePresentEnd":                 readToTheEnd,
	"ReadingBeginsAtASequenceNumberOrATime":      readFrom,
	"FollowersGetWhatIsThereAndWhatComes":        follow,
	"ConsumersAndFiltersThatCannotBeAreRefused":  badConsumers,

	"AQueueGivesOutEachMessageToOneInOrder":       queueInOrder,
	"AQueueGivesOutAgainWhatNobodySpeaksOf":       queueSilence,
	"WhatIsReturnedToAQueueComesAgainAfterAWhile": queueReturned,
	"TakersShareAQueue":                           queueShared,
}

// Messages makes n messages of one project whose ids begin with a prefix.
func Messages(project, prefix string, n int) []bus.Msg {
	msgs := make([]bus.Msg, n)
	for i := range msgs {
		msgs[i] = bus.Msg{
			Subject: "switchyard." + project + ".decisions", ID: fmt.Sprintf("%s-%d", prefix, i), Data: fmt.Appendf(nil, "message %d", i),
			Header: map[string][]string{"Kind": {"decision"}},
		}
	}
	return msgs
}

func ready(t *testing.T, open Open) *bus.Bus {
	t.Helper()
	b := open(t, bus.Default())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// Stored returns all messages of the stream that match a subject filter, in order.
func Stored(tb testing.TB, b *bus.Bus, filter string) []jetstream.Msg {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 60*time.Second)
	defer cancel()
	for {
		// A cluster never answers, or says "temporarily unavailable", where it asks a node that has just come back to hold a consumer: asking again
		// asks another.
		all, err := stored(ctx, b, filter)
		if err == nil {
			return all
		}
		if ctx.Err() != nil {
			tb.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func stored(ctx context.Context, b *bus.Bus, filter string) ([]jetstream.Msg, error) {
	asking, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// The leader of the stream knows how many there are; the server that the consumer lives on may still lack some.
	stream, err := b.JetStream().Stream(asking, bus.Stream)
	if err != nil {
		return nil, fmt.Errorf("stream: %w", err)
	}
	info, err := stream.Info(asking, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("info: %w", err)
	}
	want := 0
	for _, n := range info.State.Subjects {
		want += int(n)
	}
	if want == 0 {
		return nil, nil
	}
	c, err := stream.OrderedConsumer(asking, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}})
	if err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	var all []jetstream.Msg
	for len(all) < want {
		batch, err := c.Fetch(want-len(all), jetstream.FetchMaxWait(10*time.Second))
		if err != nil {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		got := 0
		for m := range batch.Messages() {
			all = append(all, m)
			got++
		}
		if errors.Is(batch.Error(), nats.ErrNoResponders) && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond) // the node has not heard of the new consumer yet
			continue
		}
		if got == 0 {
			return nil, fmt.Errorf("the stream gave %d of %d messages: %w", len(all), want, batch.Error())
		}
	}
	return all, nil
}

func publish(t *testing.T, b *bus.Bus, msgs []bus.Msg) {
	t.Helper()
	if err := b.PublishBatch(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
}

func same(t *testing.T, got []jetstream.Msg, want []bus.Msg) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("the stream has %d messages, want %d", len(got), len(want))
	}
	for i, m := range got {
		if m.Subject() != want[i].Subject || string(m.Data()) != string(want[i].Data) || m.Headers().Get(jetstream.MsgIDHeader) != bus.MsgID(want[i].Subject, want[i].ID) ||
			m.Headers().Get("Kind") != "decision" {
			t.Fatalf("message %d is %s %v %s", i, m.Subject(), m.Headers(), m.Data())
		}
	}
}

func inOrder(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 40)
	publish(t, b, msgs)
	same(t, Stored(t, b, bus.Subjects), msgs)
}

func manyMessages(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 2500)
	publish(t, b, msgs)
	same(t, Stored(t, b, bus.Subjects), msgs)
	if s := b.Stats(); s.Published != 2500 || s.Repeated != 0 {
		t.Fatalf("stats %+v", s)
	}
}

func storedOnce(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 600)
	publish(t, b, msgs[:300])
	publish(t, b, msgs[200:]) // a unit that overlaps
	publish(t, b, msgs[590:]) // single messages
	same(t, Stored(t, b, bus.Subjects), msgs)
	if s := b.Stats(); s.Repeated != 110 {
		t.Fatalf("stats %+v", s)
	}
}

func twiceInOneBatch(t *testing.T, open Open) {
	b := ready(t, open)
	msgs := Messages("p", "a", 200)
	publish(t, b, append(msgs, msgs[50:60]...))
	same(t, Stored(t, b, bus.Subjects), msgs)
}

func idsOfTwoSubjects(t *testing.T, open Open) {
	b := ready(t, open)
	one, two := Messages("one", "a", 40), Messages("two", "a", 40)
	publish(t, b, append(slices.Clone(one), two...))
	publish(t, b, two[:5])
	same(t, Stored(t, b, bus.Subjects), append(slices.Clone(one), two...))
}

func filter(t *testing.T, open Open) {
	b := ready(t, open)
	one, two := Messages("one", "1", 70), Messages("two", "2", 90)
	publish(t, b, append(one, two...))
	same(t, Stored(t, b, "switchyard.one.>"), one)
	same(t, Stored(t, b, "switchyard.*.decisions"), append(one, two...))
}

func refused(t *testing.T, open Open) {
	b := ready(t, open)
	good := Messages("p", "a", 1)[0]
	for name, spoil := range map[string]func(*bus.Msg){
		"no id":             func(m *bus.Msg) { m.ID = "" },
		"other subject":     func(m *bus.Msg) { m.Subject = "elsewhere.p.decisions" },
		"subject too short": func(m *bus.Msg) { m.Subject = "switchyard.p" },
		"wildcard":          func(m *bus.Msg) { m.Subject = "switchyard.*.decisions" },
		"empty token":       func(m *bus.Msg) { m.Subject = "switchyard..decisions" },
		"too large":         func(m *bus.Msg) { m.Data = make([]byte, bus.Default().MessageBytes) },
	} {
		m := good
		spoil(&m)
		if err := b.PublishBatch(t.Context(), []bus.Msg{m}); !errors.Is(err, bus.ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	publish(t, b, []bus.Msg{good})
	if got := Stored(t, b, bus.Subjects); len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	if s := b.Stats(); s.Restarts != 0 {
		t.Fatal("a refused message restarted the server")
	}
}

func concurrent(t *testing.T, open Open) {
	b := ready(t, open)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 3 {
				if err := b.PublishBatch(t.Context(), Messages("p", fmt.Sprint(i, ".", k), 20+50*k)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(Stored(t, b, bus.Subjects)); got != 8*(20+70+120) {
		t.Fatalf("%d messages", got)
	}
}

func ended(t *testing.T, open Open) {
	b := ready(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.PublishBatch(ctx, Messages("p", "a", 100)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	publish(t, b, Messages("p", "a", 100)) // the bus is none the worse
	if s := b.Stats(); s.Restarts != 0 {
		t.Fatal("an ended context restarted the server")
	}
}

func started(t *testing.T, open Open) {
	b := open(t, bus.Default())
	err := b.PublishBatch(t.Context(), Messages("p", "a", 1))
	if err != nil && !errors.Is(err, bus.ErrNotReady) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	publish(t, b, Messages("p", "a", 1))
	if s := b.Stats(); !s.Ready || !b.Ready() || s.StartTime <= 0 {
		t.Fatalf("stats %+v", s)
	}
}
