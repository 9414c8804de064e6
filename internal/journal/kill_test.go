package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/journal"
)

const childEnv = "SWITCHYARD_JOURNAL_TEST_CHILD"

// TestMain turns this test binary into the process that is killed, when it is asked to be that.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, child(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// child appends from 64 goroutines and prints each sequence and id after it was acknowledged: "s" for durable entries, "a" for
// asynchronous ones, which are only accepted.
func child(dir string) error {
	c := journal.Default()
	c.SegmentBytes, c.QuotaBytes = 256<<10, 4<<30
	j, err := journal.Open(dir, c)
	if err != nil {
		return err
	}
	errs := make(chan error)
	run := fmt.Sprint(os.Getpid())
	data := []byte(strings.Repeat("x", 400))
	for w := range 64 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprint(run, "-", w, "-", i)
				e := journal.Entry{Subject: "switchyard.p.decisions", ID: id, Data: data}
				if i%8 == 7 {
					if j.AppendAsync(e) == nil { // a full buffer is what the bound is for
						fmt.Println("a", 0, id)
					}
					continue
				}
				seq, err := j.Append(context.Background(), e)
				if err != nil {
					errs <- err
					return
				}
				fmt.Println("s", seq, id)
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
	durable, accepted, seqs := 0, 0, map[string]string{}
	var lost, reported uint64
	for round := range 20 {
		here := killed(t, dir)
		j := open(t, dir, journal.Default())
		reported += j.Stats().AsyncLost
		if err := j.Verify(t.Context()); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		err := j.Read(t.Context(), 0, func(e journal.Entry) error { seqs[e.ID] = fmt.Sprint(e.Seq); return nil })
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range here {
			kind, rest, _ := strings.Cut(line, " ")
			seq, id, _ := strings.Cut(rest, " ")
			switch {
			case kind == "s" && seqs[id] != seq:
				t.Fatalf("round %d: acknowledged entry %s has sequence %q in the journal, want %s", round, id, seqs[id], seq)
			case kind == "s":
				durable++
			case seqs[id] == "":
				lost++
				fallthrough
			default:
				accepted++
			}
		}
		if lost > reported {
			t.Fatalf("round %d: %d accepted asynchronous entries are lost, %d reported", round, lost, reported)
		}
		if err := j.Release(j.Stats().Last); err != nil {
			t.Fatal(err)
		}
		clear(seqs)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("20 kills, %d durable entries acknowledged, 0 missing; %d asynchronous accepted, %d lost, at most %d reported", durable, accepted, lost, reported)
}

// killed starts a child, kills it after a while, and returns the lines that it printed.
func killed(t *testing.T, dir string) (lines []string) {
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
	enough := 100 + rand.IntN(8000)
	for s := bufio.NewScanner(out); s.Scan(); {
		if lines = append(lines, s.Text()); len(lines) == enough {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if len(lines) < enough {
		t.Fatalf("the child ended by itself after %d entries: %s", len(lines), stderr.String())
	}
	return lines
}
