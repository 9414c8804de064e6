package relay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/bus/bustest"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/relay"
)

func openJournal(t *testing.T, c journal.Config) (*journal.Journal, string) {
	t.Helper()
	dir := t.TempDir()
	j, err := journal.Open(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, dir
}

func fill(t *testing.T, j *journal.Journal, from, to int) {
	t.Helper()
	es := make([]journal.Entry, 0, to-from)
	for i := from; i < to; i++ {
		es = append(es, journal.Entry{Subject: "switchyard.p.decisions", ID: fmt.Sprint("id-", i), Data: fmt.Append(nil, "entry ", i)})
	}
	if _, err := j.AppendBatch(t.Context(), es); err != nil {
		t.Fatal(err)
	}
}

// start runs a relay until the test ends.
func start(t *testing.T, j *journal.Journal, p relay.Publisher) *relay.Relay {
	t.Helper()
	r := relay.New(j, p, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick, late := time.NewTicker(2*time.Millisecond), time.After(60*time.Second)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not in time", what)
		}
	}
}

// moody is a bus that fails as it is told to and remembers what it took.
type moody struct {
	mu    sync.Mutex
	fails int // so many publishes fail; every second one after storing all of its messages
	calls int
	got   []bus.Msg
}

func (m *moody) PublishBatch(_ context.Context, msgs []bus.Msg) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.calls <= m.fails {
		if m.calls%2 == 0 {
			m.got = append(m.got, msgs...)
		}
		return errors.New("no acknowledgement")
	}
	m.got = append(m.got, msgs...)
	return nil
}

func TestEntriesAreCarriedInOrderAndReleased(t *testing.T) {
	t.Parallel()
	j, _ := openJournal(t, journal.Default())
	fill(t, j, 0, 2300)
	m := &moody{}
	r := start(t, j, m)
	until(t, "all is released", func() bool { return r.Stats().Lag == 0 })
	fill(t, j, 2300, 2310)
	until(t, "what came later is released", func() bool { return j.Stats().Released == 2310 })
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, msg := range m.got {
		if msg.ID != fmt.Sprint("id-", i) || msg.Subject != "switchyard.p.decisions" || string(msg.Data) != fmt.Sprint("entry ", i) {
			t.Fatalf("message %d is %+v", i, msg)
		}
	}
	if s := r.Stats(); s.Published != 2310 || len(m.got) != 2310 || s.Batches < 4 || s.Failures != 0 {
		t.Fatalf("stats %+v", s)
	}
}

func TestNothingIsReleasedUntilAcknowledged(t *testing.T) {
	t.Parallel()
	j, _ := openJournal(t, journal.Default())
	fill(t, j, 0, 10)
	m := &moody{fails: 4}
	r := start(t, j, m)
	until(t, "all is released", func() bool { return r.Stats().Lag == 0 })
	s := r.Stats()
	if s.Failures != 4 || s.LastError != "" || s.Published != 10 {
		t.Fatalf("stats %+v", s)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.got) != 30 { // two attempts stored all without saying so
		t.Fatalf("%d messages", len(m.got))
	}
}

func TestAnEntryWithAForeignSubjectIsNeitherLostNorInTheWay(t *testing.T) {
	t.Parallel()
	j, _ := openJournal(t, journal.Default())
	for _, subject := range []string{"elsewhere.p.x", "switchyard.p.ok", "switchyard.*.x", "switchyard.\r\n.x"} {
		if _, err := j.Append(t.Context(), journal.Entry{Subject: subject, ID: subject, Data: []byte("d")}); err != nil {
			t.Fatal(err)
		}
	}
	b := openBus(t, t.TempDir())
	r := start(t, j, b)
	until(t, "all is released", func() bool { return r.Stats().Lag == 0 })
	got := bustest.Stored(t, b, relay.Unroutable)
	if len(got) != 3 || got[0].Headers().Get(relay.SubjectHeader) != "elsewhere.p.x" || r.Stats().Unroutable != 3 {
		t.Fatalf("%d messages, %+v", len(got), r.Stats())
	}
}

func openBus(t *testing.T, dir string) *bus.Bus {
	t.Helper()
	b, err := bus.New(dir, bus.Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// The relay is started before the bus, the bus goes away in between, and writers never notice.
func TestARestartedBusGetsEverythingOnce(t *testing.T) {
	t.Parallel()
	j, _ := openJournal(t, journal.Default())
	dir := t.TempDir()
	fill(t, j, 0, 500)
	first := openBus(t, dir)
	p := &switching{p: first}
	r := start(t, j, p)
	until(t, "the first entries arrive", func() bool { return j.Stats().Released >= 500 })
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	fill(t, j, 500, 1500)
	until(t, "the relay notices", func() bool { return r.Stats().Failures > 0 })
	second := openBus(t, dir)
	p.set(second)
	until(t, "the rest arrives", func() bool { return r.Stats().Lag == 0 })
	got := bustest.Stored(t, second, bus.Subjects)
	if len(got) != 1500 {
		t.Fatalf("%d messages in the stream", len(got))
	}
	for i, m := range got {
		if m.Headers().Get("Nats-Msg-Id") != bus.MsgID(m.Subject(), fmt.Sprint("id-", i)) {
			t.Fatalf("message %d is %s", i, m.Headers().Get("Nats-Msg-Id"))
		}
	}
}

type switching struct {
	mu sync.Mutex
	p  relay.Publisher
}

func (s *switching) set(p relay.Publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.p = p
}

func (s *switching) PublishBatch(ctx context.Context, msgs []bus.Msg) error {
	s.mu.Lock()
	p := s.p
	s.mu.Unlock()
	return p.PublishBatch(ctx, msgs)
}

func TestDamageStopsTheRelayBeforeTheDamagedEntry(t *testing.T) {
	t.Parallel()
	j, dir := openJournal(t, journal.Default())
	fill(t, j, 0, 100)
	flip(t, dir, "entry 70")
	m := &moody{}
	r := start(t, j, m)
	until(t, "the damage is met", func() bool { return r.Stats().Failures > 0 && j.Stats().Released == 70 })
	if s := r.Stats(); s.Lag != 30 || s.LastError == "" {
		t.Fatalf("stats %+v", s)
	}
}

// flip changes one bit of the journal's only segment, at the first occurrence of a text.
func flip(t *testing.T, dir, text string) {
	t.Helper()
	path := dir + "/00000000000000000001.seg"
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	i := indexOf(b, text)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{b[i] ^ 1}, int64(i)); err != nil {
		t.Fatal(err)
	}
}

func indexOf(b []byte, text string) int {
	for i := range b {
		if string(b[i:min(len(b), i+len(text))]) == text {
			return i
		}
	}
	return -1
}

func TestRunEndsWithTheJournal(t *testing.T) {
	t.Parallel()
	j, _ := openJournal(t, journal.Default())
	r := relay.New(j, &moody{}, nil)
	done := make(chan error, 1)
	go func() { done <- r.Run(context.Background()) }()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
