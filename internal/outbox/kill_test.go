package outbox_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/inbox"
	"github.com/switchyard-ai/switchyard/internal/outbox"
)

const childEnv = "SWITCHYARD_OUTBOX_TEST_CHILD"

// TestMain turns this test binary into the process that is killed, when it is asked to be that.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, child(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// system is all that an event passes: tables with an outbox, a bus, and a consumer that has effects in tables with an inbox.
type system struct {
	db  *db.DB
	bus *bus.Bus
}

func openSystem(ctx context.Context, dir string) (s system, err error) {
	if s.db, err = db.Open(ctx, db.Default(filepath.Join(dir, "switchyard.db"))); err != nil {
		return s, err
	}
	for _, migrate := range []func(context.Context, *db.DB) error{outbox.Migrate, inbox.Migrate} {
		if err := migrate(ctx, s.db); err != nil {
			return s, err
		}
	}
	if err := s.db.Migrate(ctx, "effects", []string{`CREATE TABLE effects (id TEXT NOT NULL, seq BIGINT NOT NULL)`}); err != nil {
		return s, err
	}
	if s.bus, err = bus.New(filepath.Join(dir, "bus"), bus.Default(), nil); err != nil {
		return s, err
	}
	return s, s.bus.Start(ctx)
}

// consume has the effect of every event, once.
func (s system) consume(ctx context.Context, name string) error {
	return s.bus.Consume(ctx, bus.Consumer{Name: name, Batch: 50, AckWait: 500 * time.Millisecond}, func(ctx context.Context, batch []bus.Delivery) error {
		return s.db.Tx(ctx, func(tx *db.Tx) error {
			for _, d := range batch {
				fresh, err := inbox.Once(tx, "effects", d.ID)
				if err != nil {
					return err
				}
				if !fresh {
					continue
				}
				if _, err := tx.Exec(`INSERT INTO effects (id, seq) VALUES (?, ?)`, d.EventID, int64(d.Seq)); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// child commits changes with their events and prints each id after the commit, while a relay carries the events and a consumer has their effects.
func child(dir string) error {
	ctx := context.Background()
	s, err := openSystem(ctx, dir)
	if err != nil {
		return err
	}
	errs := make(chan error, 8)
	go func() { errs <- outbox.New(s.db, s.bus, nil).Run(ctx) }()
	go func() { errs <- s.consume(ctx, "effects") }()
	run := time.Now().UnixNano()
	for w := range 4 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%x-%d-%d", run, w, i)
				err := s.db.Tx(ctx, func(tx *db.Tx) error {
					return outbox.Put(tx, outbox.Event{Project: "p", Kind: "verdicts", ID: id, Data: []byte("x")})
				})
				if err != nil {
					errs <- err
					return
				}
				fmt.Println(id)
				time.Sleep(time.Millisecond)
			}
		}()
	}
	return <-errs
}

func TestEveryCommittedEventHasItsEffectOnceHoweverTheProcessDies(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes")
	}
	dir := t.TempDir()
	var committed []string
	for range 10 {
		committed = append(committed, round(t, dir)...)
	}
	s, err := openSystem(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	defer s.bus.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 3)
	r := outbox.New(s.db, s.bus, nil)
	go func() { done <- r.Run(ctx) }()
	go func() { done <- s.consume(ctx, "effects") }()
	// A consumer that forgot its place gets everything again, as after the loss of a server; its inbox has not forgotten.
	go func() { done <- s.consume(ctx, "again") }()
	until(t, "all is published", func() bool { return waiting(t, r) == 0 })
	until(t, "all is consumed", func() bool {
		for _, name := range []string{"effects", "again"} {
			c, err := s.bus.JetStream().Consumer(ctx, bus.Stream, name)
			if err != nil {
				return false
			}
			if info, err := c.Info(ctx); err != nil || info.NumPending > 0 || info.NumAckPending > 0 {
				return false
			}
		}
		return true
	})
	cancel()
	for range 3 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	effects := map[string]int{}
	err = s.db.View(t.Context(), func(tx *db.Tx) error {
		return tx.Each(`SELECT id FROM effects`, nil, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			effects[id]++
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range committed {
		if effects[id] == 0 {
			t.Errorf("event %s was committed and had no effect", id)
		}
	}
	for id, n := range effects {
		if n != 1 {
			t.Errorf("event %s had its effect %d times", id, n)
		}
	}
	t.Logf("10 kills, %d committed events, %d effects, none missing, none twice", len(committed), len(effects))
}

// round starts a child, kills it after a while, and returns the ids that it committed.
func round(t *testing.T, dir string) (ids []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	enough := 20 + rand.IntN(600)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if ids = append(ids, lines.Text()); len(ids) == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if len(ids) < enough {
		t.Fatalf("the child ended by itself after %d events: %s", len(ids), stderr.String())
	}
	return ids
}
