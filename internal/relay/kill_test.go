package relay_test

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
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/relay"
	"github.com/switchyard-ai/switchyard/internal/relay/relaytest"
)

const childEnv = "SWITCHYARD_RELAY_TEST_CHILD"

// TestMain turns this test binary into the process that is killed, when it is asked to be that.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, child(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child appends from 64 goroutines and prints each id after it was acknowledged, while a relay carries the entries to an embedded server.
func child(dir string) error {
	c := journal.Default()
	c.SegmentBytes, c.QuotaBytes = 1<<20, 1<<30
	j, err := journal.Open(filepath.Join(dir, "journal"), c)
	if err != nil {
		return err
	}
	b, err := bus.New(filepath.Join(dir, "bus"), bus.Default(), nil)
	if err != nil {
		return err
	}
	if err := b.Start(context.Background()); err != nil {
		return err
	}
	errs := make(chan error, 65)
	go func() { errs <- relay.New(j, b, nil).Run(context.Background()) }()
	run := time.Now().UnixNano()
	data := []byte(strings.Repeat("x", 300))
	for w := range 64 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%x-%d-%d", run, w, i)
				if _, err := j.Append(context.Background(), journal.Entry{Subject: "switchyard.p.decisions", ID: id, Data: data}); err != nil {
					errs <- err
					return
				}
				fmt.Println(id)
				time.Sleep(2 * time.Millisecond) // so that the relay keeps up and every round ends in a different state
			}
		}()
	}
	return <-errs
}

func TestNoAcknowledgedEntryIsLostByKillingTheProcess(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("kills processes")
	}
	dir := t.TempDir()
	var acknowledged []string
	for range 12 {
		acknowledged = append(acknowledged, round(t, dir)...)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	found, err := relaytest.Drain(ctx, relaytest.Dirs{Journal: filepath.Join(dir, "journal"), Bus: filepath.Join(dir, "bus")})
	if err != nil {
		t.Fatal(err)
	}
	if missing := found.Missing(acknowledged); len(missing) > 0 {
		t.Fatalf("%d of %d acknowledged entries are not in the stream, such as %s", len(missing), len(acknowledged), missing[0])
	}
	if repeated := found.Repeated(); len(repeated) > 0 {
		t.Fatalf("%d entries are in the stream more than once, such as %s", len(repeated), repeated[0])
	}
	t.Logf("12 kills, %d acknowledged entries, %d in the stream, 0 missing, 0 repeated", len(acknowledged), len(found.Stream))
}

// round starts a child, kills it after a while, and returns the ids that it acknowledged.
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
	enough := 200 + rand.IntN(6000)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		// The last line can be cut short only in the middle of a write, which a pipe does not do at this size.
		if ids = append(ids, lines.Text()); len(ids) == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if len(ids) < enough {
		t.Fatalf("the child ended by itself after %d entries: %s", len(ids), stderr.String())
	}
	return ids
}
