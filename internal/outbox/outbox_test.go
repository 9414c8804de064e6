package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/outbox"
)

func open(tb testing.TB, dir string) *db.DB {
	tb.Helper()
	d, err := db.Open(tb.Context(), dbtest.Config(tb, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = d.Close() })
	if err := outbox.Migrate(tb.Context(), d); err != nil {
		tb.Fatal(err)
	}
	return d
}

func put(tb testing.TB, d *db.DB, ids ...string) {
	tb.Helper()
	err := d.Tx(tb.Context(), func(tx *db.Tx) error {
		for _, id := range ids {
			if err := outbox.Put(tx, outbox.Event{Project: "p", Kind: "verdicts", ID: id, Header: map[string][]string{"Kind": {"v"}}, Data: []byte("of " + id)}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

func start(t *testing.T, d *db.DB, p outbox.Publisher) *outbox.Relay {
	t.Helper()
	r := outbox.New(d, p, nil)
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

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick, late := time.NewTicker(time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not in time", what)
		}
	}
}

// moody is a bus that fails as it is told to, every second time after storing, and remembers what it took.
type moody struct {
	mu           sync.Mutex
	fails, calls int
	refuses      string
	got          []bus.Msg
}

func (m *moody) PublishBatch(_ context.Context, msgs []bus.Msg) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	for _, msg := range msgs {
		if m.refuses != "" && msg.ID == m.refuses {
			return fmt.Errorf("publish: %w", bus.ErrRefused)
		}
	}
	if m.calls <= m.fails && m.calls%2 == 1 {
		return errors.New("no acknowledgement")
	}
	m.got = append(m.got, msgs...)
	if m.calls <= m.fails {
		return errors.New("no acknowledgement, but stored")
	}
	return nil
}

func (m *moody) ids() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, msg := range m.got {
		ids = append(ids, msg.ID)
	}
	return ids
}

func waiting(t *testing.T, r *outbox.Relay) int {
	t.Helper()
	n, oldest, err := r.Lag(t.Context())
	if err != nil || n > 0 && time.Since(oldest) > time.Minute {
		t.Fatal(n, oldest, err)
	}
	return n
}

func numbered(from, to int) (ids []string) {
	for i := from; i < to; i++ {
		ids = append(ids, fmt.Sprintf("id-%d", i))
	}
	return ids
}

func TestEventsArriveInOrderAndAreDeleted(t *testing.T) {
	t.Parallel()
	d, m := open(t, t.TempDir()), &moody{}
	put(t, d, numbered(0, 1100)...)
	r := start(t, d, m)
	put(t, d, numbered(1100, 1200)...)
	until(t, "all is deleted", func() bool { return waiting(t, r) == 0 && r.Stats().Published == 1200 })
	if got := m.ids(); !slices.Equal(got, numbered(0, 1200)) {
		t.Fatalf("%d events", len(got))
	}
	if e := m.got[7]; e.Subject != "switchyard.p.verdicts" || string(e.Data) != "of id-7" || e.Header["Kind"][0] != "v" || e.Header["ce-source"][0] != "/switchyard/p/verdicts" || e.Header["ce-id"][0] != "id-7" || e.Header["ce-type"][0] != "switchyard.verdict.given" {
		t.Fatalf("%+v", e)
	}
	if s := r.Stats(); s.Published != 1200 || s.Failures != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestACommitWakesTheRelayAtOnce(t *testing.T) {
	t.Parallel()
	d, m := open(t, t.TempDir()), &moody{}
	start(t, d, m)
	put(t, d, "warm")
	until(t, "the relay runs", func() bool { return len(m.ids()) == 1 })
	var took []time.Duration
	for i := range 20 {
		time.Sleep(3 * time.Millisecond) // so that it is idle again
		put(t, d, fmt.Sprint(i))
		committed := time.Now()
		until(t, "it arrives", func() bool { return len(m.ids()) == i+2 })
		took = append(took, time.Since(committed))
	}
	slices.Sort(took)
	t.Logf("from the commit to the publish: median %v, most %v", took[10], took[19])
	if took[10] > 20*time.Millisecond {
		t.Errorf("median %v", took[10])
	}
}

func TestAnEventOfAFailedTransactionIsNeverPublished(t *testing.T) {
	t.Parallel()
	d, m := open(t, t.TempDir()), &moody{}
	r := start(t, d, m)
	cause := errors.New("changed my mind")
	err := d.Tx(t.Context(), func(tx *db.Tx) error {
		return errors.Join(outbox.Put(tx, outbox.Event{Project: "p", Kind: "verdicts", ID: "never"}), cause)
	})
	if !errors.Is(err, cause) {
		t.Fatal(err)
	}
	put(t, d, "after")
	until(t, "all is deleted", func() bool { return waiting(t, r) == 0 })
	if got := m.ids(); !slices.Equal(got, []string{"after"}) {
		t.Fatal(got)
	}
}

func TestNothingIsDeletedUntilAcknowledged(t *testing.T) {
	t.Parallel()
	d, m := open(t, t.TempDir()), &moody{fails: 4}
	put(t, d, numbered(0, 10)...)
	r := start(t, d, m)
	until(t, "all is deleted", func() bool { return waiting(t, r) == 0 && r.Stats().LastError == "" })
	if s := r.Stats(); s.Failures != 4 || s.Published != 10 || s.LastError != "" {
		t.Fatalf("%+v", s)
	}
	if got := m.ids(); len(got) != 30 { // two attempts stored all without saying so
		t.Fatalf("%d messages", len(got))
	}
}

func TestARefusedEventIsSetAsideAndHoldsUpNobody(t *testing.T) {
	t.Parallel()
	d, m := open(t, t.TempDir()), &moody{refuses: "id-4"}
	put(t, d, numbered(0, 10)...)
	r := start(t, d, m)
	until(t, "the others are deleted", func() bool { return waiting(t, r) == 1 && r.Stats().Published == 9 })
	if got := m.ids(); len(got) != 9 || slices.Contains(got, "id-4") {
		t.Fatal(got)
	}
	if s := r.Stats(); s.Refused != 1 {
		t.Fatalf("%+v", s)
	}
	err := d.View(t.Context(), func(tx *db.Tx) error {
		var id string
		if ok, err := tx.Get(`SELECT id FROM outbox WHERE seq < 0`, nil, &id); err != nil || !ok || id != "id-4" {
			t.Errorf("set aside: %q %v %v", id, ok, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEventsThatCannotBePublishedFailTheChange(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir())
	good := outbox.Event{Project: "p", Kind: "verdicts", ID: "i"}
	for name, spoil := range map[string]func(*outbox.Event){
		"no id": func(e *outbox.Event) { e.ID = "" }, "long id": func(e *outbox.Event) { e.ID = strings.Repeat("x", 257) },
		"no project": func(e *outbox.Event) { e.Project = "" }, "two tokens": func(e *outbox.Event) { e.Project = "a.b" },
		"wildcard": func(e *outbox.Event) { e.Kind = "*" }, "no kind": func(e *outbox.Event) { e.Kind = "" },
		"too large": func(e *outbox.Event) { e.Data = make([]byte, outbox.MaxData+1) },
	} {
		e := good
		spoil(&e)
		if err := d.Tx(t.Context(), func(tx *db.Tx) error { return outbox.Put(tx, e) }); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := d.Tx(t.Context(), func(tx *db.Tx) error { return outbox.Put(tx, good) }); err != nil {
		t.Error(err)
	}
}
