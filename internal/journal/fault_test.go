package journal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/journal/faultfs"
)

// tiny is a configuration whose segments fill up fast.
func tiny() journal.Config {
	c := journal.Default()
	c.SegmentBytes, c.QuotaBytes = 8<<10, 1<<20
	c.EntryBytes, c.PendingBytes, c.AsyncBytes = 4<<10, 64<<10, 64<<10
	c.AsyncDelay, c.RetryDelay = time.Millisecond, 20*time.Millisecond
	return c
}

func open(t testing.TB, dir string, c journal.Config, opts ...journal.Option) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir, c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func item(id string) journal.Entry {
	return journal.Entry{Subject: "switchyard.p.decisions", ID: id, Data: []byte("data of " + id)}
}

// stored returns how often each id is in the journal, and fails unless all of it verifies.
func stored(t testing.TB, j *journal.Journal) map[string]int {
	t.Helper()
	ids := map[string]int{}
	last := uint64(0)
	err := j.Read(t.Context(), 0, func(e journal.Entry) error {
		if ids[e.ID]++; last != 0 && e.Seq != last+1 {
			return fmt.Errorf("sequence %d follows %d", e.Seq, last)
		}
		last = e.Seq
		return nil
	})
	if err := errors.Join(err, j.Verify(t.Context())); err != nil {
		t.Fatal(err)
	}
	return ids
}

// until tries again and again until the condition holds.
func until(t testing.TB, what string, holds func() bool) {
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

// Every way in which the disk can refuse, once and for a while: what was acknowledged is there, also after a restart, and service returns by itself.
func TestAFailingDiskLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		op    faultfs.Op
		fault faultfs.Fault
	}{
		{"full disk at write", faultfs.Write, faultfs.Fault{Err: syscall.ENOSPC}},
		{"full disk after half a write", faultfs.Write, faultfs.Fault{Err: syscall.ENOSPC, Short: 70}},
		{"write error", faultfs.Write, faultfs.Fault{Err: syscall.EIO}},
		{"short write without an error", faultfs.Write, faultfs.Fault{Err: nil, Short: 70}},
		{"sync error", faultfs.Sync, faultfs.Fault{Err: syscall.EIO}},
		{"full disk at sync", faultfs.Sync, faultfs.Fault{Err: syscall.ENOSPC}},
		{"slow sync", faultfs.Sync, faultfs.Fault{Delay: 20 * time.Millisecond}},
		{"directory sync error", faultfs.SyncDir, faultfs.Fault{Err: syscall.EIO}},
		{"no new file", faultfs.Create, faultfs.Fault{Err: syscall.ENOSPC}},
	} {
		for _, times := range []int{1, 2, 7, -1} {
			t.Run(fmt.Sprint(c.name, " ", times), func(t *testing.T) {
				t.Parallel()
				fault := c.fault
				fault.Times, fault.After = times, 3
				survive(t, c.op, fault)
			})
		}
	}
}

// survive writes from eight goroutines through a fault and checks what came of it.
func survive(t *testing.T, op faultfs.Op, fault faultfs.Fault) {
	dir, fsys := t.TempDir(), faultfs.New(".seg")
	j := open(t, dir, tiny(), journal.WithFS(fsys))
	fsys.Set(op, fault)
	// The removal of segments that could not be completed fails as well, and so does cutting off what was not acknowledged.
	fsys.Set(faultfs.Remove, faultfs.Fault{Err: syscall.EIO, Times: 2})
	fsys.Set(faultfs.Truncate, faultfs.Fault{Err: syscall.EIO, Times: 2})
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	write := func(round string, writers int) (failed error) {
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range 40 {
					id := fmt.Sprint(round, "-", w, "-", i)
					_, err := j.Append(t.Context(), item(id))
					mu.Lock()
					if err == nil {
						acknowledged[id] = true
					} else {
						failed = err
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		return failed
	}
	err := write("during", 8)
	if err != nil && !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("the disk's failure came as %v", err)
	}
	if err != nil && fault.Err != nil && !errors.Is(err, fault.Err) {
		t.Fatalf("%v does not name the cause %v", err, fault.Err)
	}
	fsys.Clear()
	cleared := time.Now()
	until(t, "service returns", func() bool { return j.Stats().Unavailable == nil })
	if d := time.Since(cleared); d > 5*time.Second {
		t.Fatalf("service returned only after %v", d)
	}
	if err := write("after", 8); err != nil {
		t.Fatalf("after the disk recovered: %v", err)
	}
	check := func(j *journal.Journal) {
		t.Helper()
		ids := stored(t, j)
		for id := range acknowledged {
			if ids[id] != 1 {
				t.Fatalf("acknowledged entry %s is in the journal %d times", id, ids[id])
			}
		}
	}
	check(j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	check(open(t, dir, tiny()))
}

// A single failed fsync is not even seen by the callers: the bytes go to a fresh segment.
func TestOneFailedSyncIsInvisible(t *testing.T) {
	t.Parallel()
	fsys := faultfs.New(".seg")
	j := open(t, t.TempDir(), tiny(), journal.WithFS(fsys))
	if _, err := j.Append(t.Context(), item("a")); err != nil {
		t.Fatal(err)
	}
	fsys.Set(faultfs.Sync, faultfs.Fault{Err: syscall.EIO, Times: 1})
	if seq, err := j.Append(t.Context(), item("b")); err != nil || seq != 2 {
		t.Fatal(seq, err)
	}
	if s := j.Stats(); s.Failures != 1 || s.Segments != 2 {
		t.Fatalf("%+v", s)
	}
	if ids := stored(t, j); len(ids) != 2 {
		t.Fatal(ids)
	}
}

func TestAsynchronousEntriesOutliveAFailingDisk(t *testing.T) {
	t.Parallel()
	fsys := faultfs.New(".seg")
	j := open(t, t.TempDir(), tiny(), journal.WithFS(fsys))
	fsys.Set(faultfs.Sync, faultfs.Fault{Err: syscall.EIO, Times: -1})
	for i := range 100 {
		if err := j.AppendAsync(item(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "the failure shows", func() bool { return j.Stats().Unavailable != nil })
	fsys.Clear()
	until(t, "all are durable", func() bool { return j.Stats().Last >= 100 })
	if ids := stored(t, j); len(ids) != 100 {
		t.Fatalf("%d entries", len(ids))
	}
}

// The position file is a second witness, not a condition: without it appending goes on.
func TestAFailingPositionFileStopsNothing(t *testing.T) {
	t.Parallel()
	dir, fsys := t.TempDir(), faultfs.New("position")
	j := open(t, dir, tiny(), journal.WithFS(fsys))
	fsys.Set(faultfs.Write, faultfs.Fault{Err: syscall.EIO, Times: -1})
	fsys.Set(faultfs.Sync, faultfs.Fault{Err: syscall.EIO, Times: -1})
	for i := range 100 {
		if _, err := j.Append(t.Context(), item(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Release(50); !errors.Is(err, syscall.EIO) { // but nothing may be deleted on its word
		t.Fatal(err)
	}
	_ = j.Close()
	if ids := stored(t, open(t, dir, tiny())); len(ids) != 100 {
		t.Fatalf("%d entries", len(ids))
	}
}

func TestAFullDiskIsLeftByItself(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "1m")
	c := tiny()
	c.SegmentBytes, c.QuotaBytes = 64<<10, 64<<20 // far more than there is
	j := open(t, filepath.Join(dir, "journal"), c)
	var acknowledged []string
	data := make([]byte, 2000)
	var err error
	for i := 0; err == nil; i++ {
		id := fmt.Sprint(i)
		if _, err = j.Append(t.Context(), journal.Entry{Subject: "s", ID: id, Data: data}); err == nil {
			acknowledged = append(acknowledged, id)
		}
	}
	if !errors.Is(err, journal.ErrUnavailable) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := j.Release(uint64(len(acknowledged) / 2)); err != nil { // the relay makes room
		t.Fatal(err)
	}
	freed := time.Now()
	until(t, "service returns", func() bool {
		_, err := j.Append(t.Context(), journal.Entry{Subject: "s", ID: "after", Data: data})
		return err == nil
	})
	t.Logf("back in service %v after the disk had room", time.Since(freed))
	ids := stored(t, j)
	for _, id := range acknowledged[len(acknowledged)/2:] {
		if ids[id] != 1 {
			t.Fatalf("entry %s is in the journal %d times", id, ids[id])
		}
	}
}

func TestAnEndedContextEndsTheWait(t *testing.T) {
	t.Parallel()
	fsys := faultfs.New(".seg")
	j := open(t, t.TempDir(), tiny(), journal.WithFS(fsys))
	fsys.Set(faultfs.Sync, faultfs.Fault{Delay: 200 * time.Millisecond, Times: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := j.Append(ctx, item("slow")); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	until(t, "it becomes durable all the same", func() bool { return j.Stats().Last == 1 })
}

func TestFailedFilesAreCleanedUpAtTheNextStart(t *testing.T) {
	t.Parallel()
	dir, fsys := t.TempDir(), faultfs.New(".seg")
	j := open(t, dir, tiny(), journal.WithFS(fsys))
	if _, err := j.Append(t.Context(), item("a")); err != nil {
		t.Fatal(err)
	}
	fsys.Set(faultfs.SyncDir, faultfs.Fault{Err: syscall.EIO, Times: 1})
	fsys.Set(faultfs.Remove, faultfs.Fault{Err: syscall.EIO, Times: -1})
	fsys.Set(faultfs.Sync, faultfs.Fault{Err: syscall.EIO, Times: 1})
	_, err := j.Append(t.Context(), item("b"))
	until(t, "service returns", func() bool { return j.Stats().Unavailable == nil })
	if err != nil {
		_, err = j.Append(t.Context(), item("b"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadDir(dir)
	j = open(t, dir, tiny())
	if ids := stored(t, j); ids["a"] != 1 || ids["b"] != 1 {
		t.Fatal(ids)
	}
	after, _ := os.ReadDir(dir)
	if len(after) >= len(before) {
		t.Fatalf("%d files before, %d after", len(before), len(after))
	}
}
