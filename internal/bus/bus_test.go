package bus_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/bus/bustest"
)

func open(tb testing.TB, dir string, c bus.Config) *bus.Bus {
	tb.Helper()
	b, err := bus.New(dir, c, nil)
	if err != nil {
		tb.Fatal(err)
	}
	if err := b.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = b.Close() })
	return b
}

func wait(tb testing.TB, b *bus.Bus) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	if err := b.WaitReady(ctx); err != nil {
		tb.Fatal(err)
	}
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	bustest.Run(t, func(tb testing.TB, c bus.Config) *bus.Bus { return open(tb, tb.TempDir(), c) })
}

func TestMessagesAndIDsOutliveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir, bus.Default())
	wait(t, b)
	msgs := bustest.Messages("p", "a", 150)
	if err := b.PublishBatch(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.PublishBatch(t.Context(), msgs); !errors.Is(err, bus.ErrClosed) {
		t.Fatalf("publishing after Close: %v", err)
	}
	b = open(t, dir, bus.Default())
	wait(t, b)
	if err := b.PublishBatch(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	if n := len(bustest.Stored(t, b, bus.Subjects)); n != len(msgs) {
		t.Fatalf("%d messages", n)
	}
}

// A process that was killed after the stream had stored its last batches and before it heard of it publishes them again, perhaps days later.
func TestWhatIsRepeatedByALaterProcessIsStoredOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := bus.Default()
	c.Duplicates = time.Second
	b := open(t, dir, c)
	wait(t, b)
	msgs := bustest.Messages("p", "a", 6000)
	if err := b.PublishBatch(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond)
	b = open(t, dir, c)
	wait(t, b)
	others := bustest.Messages("p", "b", 30)
	for _, again := range [][]bus.Msg{msgs[len(msgs)-1000:], others, msgs[len(msgs)-2000 : len(msgs)-1000], others[:5], msgs[len(msgs)-3:]} {
		if err := b.PublishBatch(t.Context(), again); err != nil {
			t.Fatal(err)
		}
	}
	stored := map[string]int{}
	for _, d := range bustest.Stored(t, b, bus.Subjects) {
		stored[d.Headers().Get(jetstream.MsgIDHeader)]++
	}
	if s := b.Stats(); len(stored) != len(msgs)+len(others) || s.Repeated < 2003 {
		t.Fatalf("%d ids are stored, %d repetitions were noticed", len(stored), s.Repeated)
	}
	for id, n := range stored {
		if n != 1 {
			t.Errorf("%s is stored %d times", id, n)
		}
	}
}

// A block that cannot be read says nothing about what was stored, and holds nobody up.
func TestADamagedEndOfTheStreamHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := bus.Default()
	c.AckTimeout = 2 * time.Second
	b := open(t, dir, c)
	wait(t, b)
	if err := b.PublishBatch(t.Context(), bustest.Messages("p", "a", 600)); err != nil {
		t.Fatal(err)
	}
	blocks, err := filepath.Glob(filepath.Join(dir, "jetstream/*/streams/switchyard/msgs/*.blk"))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("no blocks in %s (%v)", dir, err)
	}
	b.Restart("a test wants it")
	for deadline := time.Now().Add(20 * time.Second); (b.Stats().Restarts == 0 || !b.Ready()) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	for _, name := range blocks { // nothing of it is in memory yet
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range data[:len(data)/2] {
			data[len(data)/4+i] ^= 0x55
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	others := bustest.Messages("p", "b", 3)
	for err = b.PublishBatch(ctx, others); err != nil && ctx.Err() == nil; err = b.PublishBatch(ctx, others) {
		t.Logf("refused: %v", err)
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("nothing can be published any more: %v", err)
	}
	read := 0
	err = b.Read(ctx, bus.Position{}, nil, func(bus.Delivery) error { read++; return nil })
	if err != nil || read < len(others) || read == 600+len(others) {
		t.Errorf("%d messages can be read: nothing was damaged, or nothing published (%v)", read, err)
	}
}

func TestNothingListens(t *testing.T) {
	before := listening(t)
	b := open(t, t.TempDir(), bus.Default())
	wait(t, b)
	if after := listening(t); after > before {
		t.Fatalf("%d listening sockets in this process, %d before the start", after, before)
	}
}

// listening counts this process's listening TCP sockets.
func listening(t *testing.T) int {
	t.Helper()
	inodes := map[string]bool{}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc")
	}
	for _, fd := range fds {
		if link, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(link, "socket:[") {
			inodes[strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")] = true
		}
	}
	n := 0
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, _ := os.ReadFile(table)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" && inodes[f[9]] {
				n++
			}
		}
	}
	return n
}

// After a write error the store stays dead until its server is restarted, even when the disk has room again.
func TestAFullDiskIsOutlived(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "24m")
	c := bus.Default()
	c.AckTimeout, c.ProbeInterval = 2*time.Second, 50*time.Millisecond
	b := open(t, filepath.Join(dir, "bus"), c)
	wait(t, b)
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	msgs := bustest.Messages("p", "a", 400)
	for i := range msgs {
		msgs[i].Data = make([]byte, 4<<10)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	until(ctx, t, "the full disk is noticed", func() bool {
		err := b.PublishBatch(ctx, msgs)
		return err != nil && b.Stats().Restarts > 0
	})
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	freed := time.Now()
	until(ctx, t, "publishing works again", func() bool { return b.PublishBatch(ctx, msgs) == nil })
	t.Logf("back in service %v after the disk had room, %d restarts", time.Since(freed), b.Stats().Restarts)
	ids := map[string]int{}
	for _, m := range bustest.Stored(t, b, bus.Subjects) {
		ids[m.Headers().Get("Nats-Msg-Id")]++
	}
	if len(ids) != len(msgs) {
		t.Fatalf("%d of %d messages are in the stream", len(ids), len(msgs))
	}
	for id, n := range ids {
		if n != 1 {
			t.Fatalf("%s is in the stream %d times", id, n)
		}
	}
}

// until tries again and again until the condition holds or the context ends.
func until(ctx context.Context, t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		}
	}
}

// fill writes a file until the disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 512; {
		if _, err := f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

func TestConfigNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	if err := bus.Default().Validate(); err != nil {
		t.Fatal(err)
	}
	err := bus.Config{Replicas: 3, CAFile: "x", Duplicates: time.Millisecond}.Validate()
	for _, want := range []string{"replicas", "ca_file", "max_bytes", "duplicates", "message_bytes", "max_inflight", "ack_timeout", "probe_interval"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %s", err, want)
		}
	}
	if _, err := bus.New(t.TempDir(), bus.Config{}, nil); err == nil {
		t.Error("New took an invalid configuration")
	}
}
