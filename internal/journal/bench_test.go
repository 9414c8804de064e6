package journal_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchyard-ai/switchyard/internal/journal"
)

const (
	callers   = 64
	entrySize = 500
)

// share runs do n times, spread over the callers, and returns how long that took.
func share(tb testing.TB, n int, do func(i int) error) time.Duration {
	tb.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := do(int(i)); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func openBench(tb testing.TB) *journal.Journal {
	tb.Helper()
	j, err := journal.Open(tb.TempDir(), journal.Default())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = j.Close() })
	return j
}

// appender appends durable entries; ids are made beforehand, as a caller has one anyway.
func appender(j *journal.Journal) func(int) error {
	data := make([]byte, entrySize)
	for i := range data {
		data[i] = byte(i)
	}
	ids := make([]string, 1024)
	for i := range ids {
		ids[i] = fmt.Sprintf("0192d5c1-7a3e-7000-8000-%012d", i)
	}
	return func(i int) error {
		_, err := j.Append(context.Background(), journal.Entry{Subject: "switchyard.bench.decisions", ID: ids[i%len(ids)], Data: data})
		return err
	}
}

// publisher publishes to a JetStream in this process that syncs every message before it acknowledges it.
func publisher(tb testing.TB) func(int) error {
	tb.Helper()
	srv, err := server.NewServer(&server.Options{JetStream: true, StoreDir: tb.TempDir(), DontListen: true, SyncAlways: true, NoSigs: true, NoLog: true})
	if err != nil {
		tb.Fatal(err)
	}
	srv.Start()
	tb.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		tb.Fatal("the embedded server does not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(srv))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := js.CreateStream(tb.Context(), jetstream.StreamConfig{Name: "bench", Subjects: []string{"switchyard.*.>"}, Storage: jetstream.FileStorage}); err != nil {
		tb.Fatal(err)
	}
	data := make([]byte, entrySize)
	var id atomic.Int64
	return func(int) error {
		_, err := js.Publish(context.Background(), "switchyard.bench.decisions", data, jetstream.WithMsgID(fmt.Sprint(id.Add(1))))
		return err
	}
}

func BenchmarkAppend64(b *testing.B) {
	j := openBench(b)
	do := appender(j)
	b.ReportAllocs()
	b.SetBytes(entrySize)
	b.ResetTimer()
	d := share(b, b.N, do)
	s := j.Stats()
	b.ReportMetric(float64(b.N)/d.Seconds(), "entries/s")
	b.ReportMetric(float64(s.Appended)/float64(s.Commits), "entries/commit")
	b.ReportMetric(float64(s.CommitTime.Microseconds())/float64(s.Commits), "µs/commit")
}

func BenchmarkAppend1(b *testing.B) {
	do := appender(openBench(b))
	b.ReportAllocs()
	for i := range b.N {
		if err := do(i); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendAsync(b *testing.B) {
	j := openBench(b)
	data := make([]byte, entrySize)
	b.ReportAllocs()
	for b.Loop() {
		_ = j.AppendAsync(journal.Entry{Subject: "switchyard.bench.decisions", ID: "id", Data: data}) // full is an answer too
	}
}

func BenchmarkJetStreamPublish64(b *testing.B) {
	do := publisher(b)
	b.SetBytes(entrySize)
	b.ResetTimer()
	d := share(b, b.N, do)
	b.ReportMetric(float64(b.N)/d.Seconds(), "entries/s")
}

// BenchmarkDurableRatio compares the two with 64 callers in five alternating rounds and reports medians: run it with -benchtime 1x.
func BenchmarkDurableRatio(b *testing.B) {
	add, publish := appender(openBench(b)), publisher(b)
	share(b, 2000, add)
	share(b, 500, publish)
	for b.Loop() {
		var ours, theirs, ratios []float64
		for range 5 {
			const n, m = 40_000, 4_000
			o, t := n/share(b, n, add).Seconds(), m/share(b, m, publish).Seconds()
			ours, theirs, ratios = append(ours, o), append(theirs, t), append(ratios, o/t)
		}
		b.ReportMetric(median(ours), "journal/s")
		b.ReportMetric(median(theirs), "jetstream/s")
		b.ReportMetric(median(ratios), "ratio")
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
