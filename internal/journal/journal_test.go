package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// small is a configuration whose segments fill up fast.
func small() Config {
	c := Default()
	c.SegmentBytes, c.QuotaBytes = 8<<10, 1<<20
	c.EntryBytes, c.PendingBytes, c.AsyncBytes = 4<<10, 64<<10, 64<<10
	c.AsyncDelay, c.RetryDelay = time.Millisecond, 20*time.Millisecond
	return c
}

func mustOpen(t testing.TB, dir string, c Config, opts ...Option) *Journal {
	t.Helper()
	j, err := Open(dir, c, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func entry(i int) Entry {
	return Entry{
		Subject: fmt.Sprintf("switchyard.p%d.decisions", i%3), ID: fmt.Sprintf("id-%d", i),
		Data: []byte(strings.Repeat(fmt.Sprint(i, ";"), 1+i%40)),
	}
}

func mustAppend(t testing.TB, j *Journal, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if _, err := j.Append(t.Context(), entry(i)); err != nil {
			t.Fatal(err)
		}
	}
}

func readAll(t testing.TB, j *Journal, from uint64) []Entry {
	t.Helper()
	var all []Entry
	if err := j.Read(t.Context(), from, func(e Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

func sameEntries(t testing.TB, got []Entry, from, to int, firstSeq uint64) {
	t.Helper()
	if len(got) != to-from {
		t.Fatalf("read %d entries, want %d", len(got), to-from)
	}
	for k, e := range got {
		want := entry(from + k)
		if e.Seq != firstSeq+uint64(k) || e.ID != want.ID || e.Subject != want.Subject || string(e.Data) != string(want.Data) {
			t.Fatalf("entry %d is %d %q %q %q", k, e.Seq, e.Subject, e.ID, e.Data)
		}
	}
}

func TestEntriesComeBackInOrderAfterReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir, small())
	mustAppend(t, j, 0, 300)
	sameEntries(t, readAll(t, j, 0), 0, 300, 1)
	if s := j.Stats(); s.Segments < 3 || s.Last != 300 {
		t.Fatalf("stats %+v: want several segments", s)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, dir, small())
	mustAppend(t, j, 300, 400)
	sameEntries(t, readAll(t, j, 0), 0, 400, 1)
	for from := 1; from <= 400; from += 7 {
		sameEntries(t, readAll(t, j, uint64(from)), from-1, 400, uint64(from))
	}
	if err := j.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, j, 401); len(got) != 0 {
		t.Fatalf("%d entries after the last", len(got))
	}
}

func TestConcurrentCallersShareCommits(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, t.TempDir(), small(), WithFS(slowSync{OS, time.Millisecond}))
	const callers, each = 32, 20
	seen := make([]map[uint64]bool, callers)
	var wg sync.WaitGroup
	for c := range callers {
		seen[c] = map[uint64]bool{}
		wg.Go(func() {
			for i := range each {
				seq, err := j.Append(t.Context(), entry(c*each+i))
				if err != nil {
					t.Error(err)
					return
				}
				seen[c][seq] = true
			}
		})
	}
	wg.Wait()
	all := map[uint64]bool{}
	for _, s := range seen {
		for seq := range s {
			all[seq] = true
		}
	}
	if len(all) != callers*each {
		t.Fatalf("%d different sequences, want %d", len(all), callers*each)
	}
	s := j.Stats()
	if s.Appended != callers*each || s.Commits > s.Appended/4 {
		t.Fatalf("%d entries took %d commits", s.Appended, s.Commits)
	}
	if err := j.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// slowSync makes commits take time, so that callers meet.
type slowSync struct {
	FS
	d time.Duration
}

func (s slowSync) Create(path string) (File, error) {
	f, err := s.FS.Create(path)
	return slowFile{f, s.d}, err
}

type slowFile struct {
	File
	d time.Duration
}

func (f slowFile) Sync() error {
	time.Sleep(f.d)
	return f.File.Sync()
}

func TestBatchIsContiguous(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, t.TempDir(), small())
	last, err := j.AppendBatch(t.Context(), []Entry{entry(0), entry(1), entry(2)})
	if err != nil || last != 3 {
		t.Fatalf("last %d, %v", last, err)
	}
	sameEntries(t, readAll(t, j, 1), 0, 3, 1)
}

func TestInvalidEntriesAreRefused(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, t.TempDir(), small())
	big := make([]byte, 4<<10)
	for name, e := range map[string]Entry{
		"no subject": {ID: "a"}, "no id": {Subject: "a"}, "large data": {Subject: "a", ID: "a", Data: big},
		"long subject": {Subject: strings.Repeat("s", 1025), ID: "a"}, "long id": {Subject: "a", ID: strings.Repeat("i", 513)},
	} {
		if _, err := j.Append(t.Context(), e); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if err := j.AppendAsync(e); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s, asynchronous: %v", name, err)
		}
	}
	if _, err := j.AppendBatch(t.Context(), nil); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func TestReleaseDeletesWholeSegmentsOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir, small())
	mustAppend(t, j, 0, 300)
	before := j.Stats()
	if err := j.Release(150); err != nil {
		t.Fatal(err)
	}
	s := j.Stats()
	if s.Segments >= before.Segments || s.First <= 1 || s.First > 151 || s.Released != 150 || s.Bytes >= before.Bytes {
		t.Fatalf("stats %+v", s)
	}
	sameEntries(t, readAll(t, j, 151), 150, 300, 151)
	if err := j.Read(t.Context(), 1, func(Entry) error { return nil }); !errors.Is(err, ErrReleased) {
		t.Fatalf("reading deleted entries: %v", err)
	}
	if err := j.Release(301); !errors.Is(err, ErrInvalid) {
		t.Fatalf("releasing the future: %v", err)
	}
	if err := j.Release(300); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, dir, small())
	if s := j.Stats(); s.Released != 300 || s.Last != 300 || s.Segments != 1 {
		t.Fatalf("stats after reopening %+v", s)
	}
	mustAppend(t, j, 300, 310)
	sameEntries(t, readAll(t, j, 301), 300, 310, 301)
	if err := j.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(dir, "*.seg"))
	if len(names) != j.Stats().Segments {
		t.Fatalf("files %v", names)
	}
}

func TestRetainedSegmentsGiveWayToTheQuota(t *testing.T) {
	t.Parallel()
	c := small()
	c.QuotaBytes, c.RetainBytes = 64<<10, 40<<10
	j := mustOpen(t, t.TempDir(), c)
	for i := range 800 {
		mustAppend(t, j, i, i+1)
		if err := j.Release(uint64(i + 1)); err != nil {
			t.Fatal(err)
		}
		if s := j.Stats(); s.Bytes > c.QuotaBytes {
			t.Fatalf("%d bytes on disk, quota %d", s.Bytes, c.QuotaBytes)
		}
	}
	if s := j.Stats(); s.Bytes < c.RetainBytes/2 {
		t.Fatalf("only %d bytes retained", s.Bytes)
	}
	if err := j.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestQuotaPushesBackUntilReleased(t *testing.T) {
	t.Parallel()
	c := small()
	c.QuotaBytes = 32 << 10
	j := mustOpen(t, t.TempDir(), c)
	var n int
	var err error
	for ; err == nil; n++ {
		_, err = j.Append(t.Context(), entry(n))
	}
	var full *FullError
	if !errors.Is(err, ErrFull) || !errors.As(err, &full) || full.Limit != c.QuotaBytes || full.Used > full.Limit {
		t.Fatalf("error %v, %+v", err, full)
	}
	if err := j.AppendAsync(entry(n)); !errors.Is(err, ErrFull) {
		t.Fatalf("asynchronous: %v", err)
	}
	if err := j.Release(j.Stats().Last); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, j, n-1, n+10)
	if s := j.Stats(); s.AsyncDropped != 1 || s.Bytes > c.QuotaBytes {
		t.Fatalf("stats %+v", s)
	}
}

func TestAsynchronousEntriesArriveByThemselves(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir, small())
	for i := range 50 {
		if err := j.AppendAsync(entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := j.Wait(ctx, 49); err != nil {
		t.Fatal(err)
	}
	sameEntries(t, readAll(t, j, 1), 0, 50, 1)
	if err := j.AppendAsync(entry(50)); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil { // Close writes what waits
		t.Fatal(err)
	}
	j = mustOpen(t, dir, small())
	sameEntries(t, readAll(t, j, 1), 0, 51, 1)
	if s := j.Stats(); s.AsyncLost != 0 {
		t.Fatalf("%d lost", s.AsyncLost)
	}
}

func TestAsynchronousBufferIsBounded(t *testing.T) {
	t.Parallel()
	c := small()
	c.AsyncBytes = c.EntryBytes
	j := mustOpen(t, t.TempDir(), c, WithFS(slowSync{OS, 50 * time.Millisecond}))
	var full *FullError
	for i := 0; ; i++ {
		err := j.AppendAsync(entry(i))
		if errors.As(err, &full) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if full.What != "asynchronous buffer" || j.Stats().AsyncDropped != 1 {
		t.Fatalf("%v, %+v", full, j.Stats())
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustOpen(t, dir, small())
	if _, err := Open(dir, small()); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
}

func TestClosedJournalRefuses(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, t.TempDir(), small())
	waiting := make(chan error)
	go func() { waiting <- j.Wait(context.Background(), 0) }()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := j.Append(t.Context(), entry(0))
	for _, err := range []error{err, j.AppendAsync(entry(0)), j.Release(0), j.Close(), j.Read(t.Context(), 0, nil), <-waiting} {
		if !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	err := Config{}.Validate()
	for _, want := range []string{"segment_bytes", "entry_bytes", "pending_bytes", "async_delay", "retry_delay"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
}

func TestReadersAndReleaserRunBesideWriters(t *testing.T) {
	t.Parallel()
	j := mustOpen(t, t.TempDir(), small())
	const total = 2000
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := range total / 4 {
				if _, err := j.Append(t.Context(), entry(c*total/4+i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		next := uint64(1)
		for next <= total {
			if err := j.Wait(t.Context(), next-1); err != nil {
				t.Error(err)
				return
			}
			err := j.Read(t.Context(), next, func(e Entry) error {
				if e.Seq != next {
					return fmt.Errorf("sequence %d, want %d", e.Seq, next)
				}
				next++
				return nil
			})
			if err == nil && rand.IntN(4) == 0 {
				err = errors.Join(j.Release(next-1), j.Verify(t.Context()))
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	})
	wg.Wait()
}

func TestLockIsGivenFree(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir, small())
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir, small()) // the lock went with the first
}
