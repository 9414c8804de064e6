package idempotency_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"testing"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/idempotency"
	"github.com/switchyard-ai/switchyard/internal/mesh"
)

var (
	key = mesh.IdempotencyKey{Project: "acme", Caller: "k1", Key: "order-17"}
	one = sha256.Sum256([]byte("one"))
	two = sha256.Sum256([]byte("two"))
)

type clock struct{ now time.Time }

func open(t *testing.T, path string, c *clock) *idempotency.Store {
	t.Helper()
	d, err := db.Open(t.Context(), dbtest.Config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	s := idempotency.New(d, func() time.Time { return c.now }, nil)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func begin(t *testing.T, s *idempotency.Store, k mesh.IdempotencyKey, digest [32]byte) mesh.Reservation {
	t.Helper()
	r, err := s.Begin(t.Context(), k, digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func finish(t *testing.T, s *idempotency.Store, r mesh.Reservation, answer string) string {
	t.Helper()
	counts, err := s.Finish(t.Context(), r, []byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	r.Release()
	return string(counts)
}

func TestAnAnswerIsKeptOverARestart(t *testing.T) {
	t.Parallel()
	c := &clock{time.Now()}
	path := filepath.Join(t.TempDir(), "t.db")
	s := open(t, path, c)
	r := begin(t, s, key, one)
	if r.Answer != nil || r.Seed == "" {
		t.Fatalf("a new key came with an answer, or without a seed: %+v", r)
	}
	finish(t, s, r, "done")
	if again := begin(t, open(t, path, c), key, one); string(again.Answer) != "done" {
		t.Errorf("the repeated call was not answered with what the first one was: %q", again.Answer)
	}
}

func TestAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "t.db"), &clock{time.Now()})
	finish(t, s, begin(t, s, key, one), "done")
	_, err := s.Begin(t.Context(), key, two, nil)
	if f := fault.From(err); f == nil || f.Reason() != commonv1.ErrorReason_ERROR_REASON_IDEMPOTENCY_KEY_REUSED {
		t.Errorf("another request under the same key: %v", err)
	}
	for _, other := range []mesh.IdempotencyKey{{Project: "acme", Caller: "k2", Key: key.Key}, {Project: "other", Caller: "k1", Key: key.Key}} {
		if r := begin(t, s, other, two); r.Answer != nil {
			t.Errorf("%+v sees the answer of %+v", other, key)
		}
	}
}

func TestACallCutOffByACrashKeepsItsSeed(t *testing.T) {
	t.Parallel()
	c := &clock{time.Now()}
	path := filepath.Join(t.TempDir(), "t.db")
	first := begin(t, open(t, path, c), key, one) // and never finished, nor released
	s := open(t, path, c)
	second := begin(t, s, key, one)
	if second.Answer != nil || second.Seed != first.Seed {
		t.Errorf("begun again with seed %q, first %q", second.Seed, first.Seed)
	}
	// The first process lives on after all, and is too late: the answer of the second counts for both.
	if got := finish(t, s, second, "second"); got != "second" {
		t.Errorf("got %q", got)
	}
	if got, err := s.Finish(t.Context(), first, []byte("first")); err != nil || string(got) != "second" {
		t.Errorf("the later of two answers is %q (%v), want that of the first to finish", got, err)
	}
}

func TestCallsWithOneKeyWaitForEachOther(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "t.db"), &clock{time.Now()})
	first := begin(t, s, key, one)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Begin(ctx, key, one, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a second call began while the first one ran: %v", err)
	}
	answers := make(chan []byte)
	for range 8 {
		go func() {
			r, err := s.Begin(context.WithoutCancel(t.Context()), key, one, nil)
			if err != nil {
				t.Error(err)
			}
			answers <- r.Answer
		}()
	}
	finish(t, s, first, "done")
	for range 8 {
		if got := <-answers; !bytes.Equal(got, []byte("done")) {
			t.Errorf("got %q", got)
		}
	}
}

func TestAFailedCallMayBeRepeated(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "t.db"), &clock{time.Now()})
	first := begin(t, s, key, one)
	first.Release()
	if second := begin(t, s, key, one); second.Answer != nil || second.Seed != first.Seed {
		t.Errorf("after a failure: %+v", second)
	}
}

func TestAnswersAreForgottenInTheEnd(t *testing.T) {
	t.Parallel()
	c := &clock{time.Now()}
	s := open(t, filepath.Join(t.TempDir(), "t.db"), c)
	finish(t, s, begin(t, s, key, one), "done")
	c.now = c.now.Add(25 * time.Hour)
	if err := s.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := begin(t, s, key, one); string(r.Answer) != "done" {
		t.Error("forgotten within a day")
	}
	c.now = c.now.Add(idempotency.Keep)
	if r := begin(t, s, key, two); r.Answer != nil { // also before anybody has looked for old answers
		t.Errorf("kept for ever: %q", r.Answer)
	}
	if err := s.Prune(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestAnAnswerIsKeptWithTheEffectOrNeither(t *testing.T) {
	t.Parallel()
	c := &clock{time.Now()}
	path := filepath.Join(t.TempDir(), "t.db")
	s := open(t, path, c)
	d, err := db.Open(t.Context(), dbtest.Config(t, path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })

	first := begin(t, s, key, one)
	failed := errors.New("the effect failed")
	if err := d.Tx(t.Context(), func(tx *db.Tx) error { return errors.Join(s.Keep(tx, first, []byte("done")), failed) }); !errors.Is(err, failed) {
		t.Fatal(err)
	}
	first.Release()
	second := begin(t, s, key, one)
	if second.Answer != nil || second.Seed != first.Seed {
		t.Fatalf("after an effect that failed: %+v", second)
	}
	if err := d.Tx(t.Context(), func(tx *db.Tx) error { return s.Keep(tx, second, []byte("done")) }); err != nil {
		t.Fatal(err)
	}
	second.Release() // and here the process dies: nobody calls Finish
	if again := begin(t, open(t, path, c), key, one); string(again.Answer) != "done" {
		t.Errorf("after the crash: %+v", again)
	}
	if err := d.Tx(t.Context(), func(tx *db.Tx) error { return s.Keep(tx, second, []byte("twice")) }); err == nil {
		t.Error("an effect was had although another process had answered")
	}
}
