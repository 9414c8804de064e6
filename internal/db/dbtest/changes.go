package dbtest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// ears collects what a process heard.
type ears struct {
	mu    sync.Mutex
	names []string
	fail  error
}

func (e *ears) hear(_ context.Context, names []string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fail != nil {
		return e.fail
	}
	e.names = append(e.names, names...)
	return nil
}

func (e *ears) set(fail error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fail = fail
}

func (e *ears) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.names)
}

// wait waits until the names were heard, in that order.
func (e *ears) wait(t *testing.T, want ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !slices.Equal(e.heard(), want) {
		if time.Now().After(deadline) {
			t.Fatalf("heard %q, want %q", e.heard(), want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func follow(t *testing.T, d *db.DB, topic string) *ears {
	t.Helper()
	e := &ears{}
	if err := d.Follow(t.Context(), topic, e.hear); err != nil {
		t.Fatal(err)
	}
	return e
}

func change(t *testing.T, d *db.DB, topic, name string, result error) {
	t.Helper()
	err := d.Tx(t.Context(), func(tx *db.Tx) error { return errors.Join(tx.Changed(topic, name), result) })
	if !errors.Is(err, result) {
		t.Fatal(err)
	}
}

func changesOfOthers(t *testing.T, open Opener) {
	a, b := opened(t, open), opened(t, open)
	change(t, b, "rules", "before", nil)
	rules, keys := follow(t, a, "rules"), follow(t, a, "keys")
	change(t, b, "rules", "x", errors.New("changed my mind"))
	change(t, b, "rules", "p", nil)
	rules.wait(t, "p")
	change(t, a, "rules", "own", nil)
	change(t, b, "keys", "k", nil)
	keys.wait(t, "k")
	if got := rules.heard(); !slices.Equal(got, []string{"p"}) {
		t.Errorf("heard %q: something of its own, of another topic, or from before", got)
	}
	rules.set(errors.New("not now"))
	change(t, b, "rules", "q", nil)
	change(t, b, "keys", "l", nil)
	keys.wait(t, "k", "l")
	rules.set(nil)
	rules.wait(t, "p", "q")
}

func ownChangeHidesNoOther(t *testing.T, open Opener) {
	a, b := opened(t, open), opened(t, open)
	heard := follow(t, a, "rules")
	want := []string{}
	for range 5 { // the table keeps the newest change of p only, and that is a's own
		change(t, b, "rules", "p", nil)
		change(t, a, "rules", "p", nil)
		change(t, a, "rules", "p", nil)
		want = append(want, "p")
		heard.wait(t, want...)
	}
	change(t, a, "rules", "p", nil)
	change(t, b, "rules", "q", nil)
	heard.wait(t, append(want, "q")...)
}
