package ledger_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/internal/relay"
)

// idAt returns an id that was made at that time.
func idAt(t time.Time) string {
	id := uuid.Must(uuid.NewV7())
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(id[:6], ms[2:])
	return id.String()
}

func entry(t *testing.T, project, id string) journal.Entry {
	t.Helper()
	data, err := proto.Marshal(&commonv1.DecisionRecord{Decision: &commonv1.Decision{DecisionId: id, Project: project}})
	if err != nil {
		t.Fatal(err)
	}
	return journal.Entry{Subject: "switchyard." + project + ".decisions", ID: id, Data: data}
}

func openJournal(t *testing.T, entries ...journal.Entry) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.TempDir(), journal.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	for some := range slices.Chunk(entries, 10_000) {
		if _, err := j.AppendBatch(t.Context(), some); err != nil {
			t.Fatal(err)
		}
	}
	return j
}

func startBus(t *testing.T) *bus.Bus {
	t.Helper()
	b, err := bus.New(filepath.Join(t.TempDir(), "events"), bus.Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

func find(t *testing.T, p ledger.Place, project, id string) error {
	t.Helper()
	k, ok := ledger.NewKey(project, id)
	if !ok {
		t.Fatalf("%s is no id", id)
	}
	r, err := p.Find(t.Context(), k)
	if err == nil && (r.GetDecision().GetDecisionId() != id || r.GetDecision().GetProject() != project) {
		t.Errorf("looking for %s of %s found %v", id, project, r)
	}
	return err
}

func TestARecordIsFoundOnItsWayFromTheJournalToTheStream(t *testing.T) {
	t.Parallel()
	j, b := openJournal(t), startBus(t)
	places := ledger.Places{ledger.Journal{Journal: j}, ledger.Stream{Bus: b}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.New(j, b, nil).Run(ctx) }()
	defer func() { cancel(); <-done }()
	// Some of these are looked for while they are in the journal, some in the moment in which they leave it, some later.
	for i := range 200 {
		id := decision.NewID()
		if _, err := j.Append(t.Context(), entry(t, "p", id)); err != nil {
			t.Fatal(err)
		}
		for ; ; time.Sleep(time.Millisecond) {
			if err := find(t, places, "p", id); err != nil {
				t.Fatalf("record %d: %v", i, err)
			}
			if i%20 != 0 || j.Stats().Released == j.Stats().Last {
				break
			}
		}
		if err := find(t, places, "q", id); !errors.Is(err, ledger.ErrNotFound) {
			t.Fatalf("another project looks for it: %v", err)
		}
	}
}

func TestALongJournalIsNotReadAsAWhole(t *testing.T) {
	t.Parallel()
	const n = 60_000
	begin := time.Now().Add(-time.Hour)
	entries := make([]journal.Entry, n)
	for i := range entries {
		entries[i] = entry(t, fmt.Sprint("p", i%2), idAt(begin.Add(time.Duration(i)*50*time.Millisecond)))
	}
	entries[n/2].ID = "not a decision's" // other kinds of entries stand among them
	j := &counted{Journal: openJournal(t, entries...)}
	place := ledger.Journal{Journal: j}
	for _, i := range []int{0, 1, 777, n/2 - 1, n/2 + 1, n - 2, n - 1} {
		j.entries = 0
		if err := find(t, place, fmt.Sprint("p", i%2), entries[i].ID); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		if j.entries > 200 {
			t.Errorf("entry %d was found after looking at %d of %d", i, j.entries, n)
		}
	}
	for name, at := range map[string]time.Time{"before all": begin.Add(-time.Hour), "among them": begin.Add(time.Minute), "after all": time.Now().Add(time.Hour)} {
		j.entries = 0
		if err := find(t, place, "p0", idAt(at)); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("an id that is not there, %s: %v", name, err)
		}
		if j.entries > 21_000 {
			t.Errorf("an id that is not there, %s: %d of %d entries were looked at", name, j.entries, n)
		}
	}
}

// counted counts the entries that were read.
type counted struct {
	*journal.Journal
	entries int
}

func (c *counted) Read(ctx context.Context, from uint64, fn func(journal.Entry) error) error {
	return c.Journal.Read(ctx, from, func(e journal.Entry) error { c.entries++; return fn(e) })
}

func TestARecordThatCameLateIsFoundInTheStream(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	// It was made before ten others and reaches the stream after them: its call was repeated, or its process was cut off.
	late := idAt(time.Now())
	var msgs []bus.Msg
	for i := range 10 {
		e := entry(t, "p", idAt(time.Now().Add(time.Duration(i+1)*time.Minute)))
		msgs = append(msgs, bus.Msg{Subject: e.Subject, ID: e.ID, Data: e.Data})
	}
	e := entry(t, "p", late)
	if err := b.PublishBatch(t.Context(), append(msgs, bus.Msg{Subject: e.Subject, ID: e.ID, Data: e.Data})); err != nil {
		t.Fatal(err)
	}
	if err := find(t, ledger.Stream{Bus: b}, "p", late); err != nil {
		t.Error(err)
	}
}

func TestAPlaceThatCannotBeLookedAtIsNotAnAbsence(t *testing.T) {
	t.Parallel()
	b, err := bus.New(t.TempDir(), bus.Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	id := decision.NewID()
	places := ledger.Places{ledger.Journal{Journal: openJournal(t, entry(t, "p", id))}, ledger.Stream{Bus: b}}
	if err := find(t, places, "p", id); err != nil {
		t.Errorf("a record of the journal while the stream is away: %v", err)
	}
	if err := find(t, places, "p", decision.NewID()); err == nil || errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("a record of neither while the stream is away: %v", err)
	}
}

func TestOnlyUUIDv7AreIdsOfDecisions(t *testing.T) {
	t.Parallel()
	now := time.Now().Truncate(time.Millisecond)
	if k, ok := ledger.NewKey("p", idAt(now)); !ok || !k.Time.Equal(now) {
		t.Errorf("an id made at %v: %v, %v", now, ok, k.Time)
	}
	for _, id := range []string{"", "x", uuid.NewString(), "zzzzzzzz-zzzz-7000-8000-000000000000"} {
		if _, ok := ledger.NewKey("p", id); ok {
			t.Errorf("%q passes", id)
		}
	}
}
