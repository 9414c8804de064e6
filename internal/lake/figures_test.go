package lake_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/lake/laketest"
)

// typical makes decisions as a deployment with 77 labels makes them, without their texts: nothing in them is more regular than in life.
func typical(first, n uint64, at time.Time) []lake.Decision {
	rows := make([]lake.Decision, n)
	for i := range rows {
		at = at.Add(time.Duration(rand.IntN(200_000)))
		d := &rows[i]
		sha := make([]byte, 32)
		for j := range sha {
			sha[j] = byte(rand.IntN(256))
		}
		label := fmt.Sprint("label-", min(rand.IntN(77), rand.IntN(77)))
		*d = lake.Decision{
			Project: "p", DecisionID: decision.NewID(), StreamSeq: int64(first) + int64(i), Time: at.Truncate(time.Microsecond), TimeNanos: int32(at.Nanosecond() % 1000), //nolint:gosec // below 1000
			Operation: "routing", Deployment: "support", Outcome: "automated", Reason: "certified", Label: label, ChosenLabels: []string{label}, Stage: "model", Variant: "champion",
			ModelName: "support", ModelVersion: 3, ModelDigest: "sha256:0123456789abcdef", PolicyDigest: "sha256:0123456789abcdef", CertificateID: "c", AuditProbability: 0.01,
			AuditSelected: rand.IntN(100) == 0, LatencyNanos: 20_000 + rand.Int64N(1_000_000), ComputeNanos: 4_000 + rand.Int64N(20_000), CostMicros: rand.Int64N(2), ComputeCostMicros: rand.Int64N(2),
			Currency: "EUR", InputRetention: "full", InputSHA256: sha, Caller: "key", RequestID: decision.NewID(),
		}
		p := rand.Float32()
		for range lake.MaxLabels {
			d.Labels, d.Probabilities = append(d.Labels, fmt.Sprint("label-", rand.IntN(77))), append(d.Probabilities, p)
			p *= rand.Float32()
		}
		if i%5 == 0 {
			d.Outcome, d.Reason, d.CertificateID, d.AuditProbability, d.ReviewCostMicros = "review", "below_threshold", "", 0, 250_000
		}
	}
	return rows
}

// bigLake makes a lake of n decisions, in files as compaction leaves them.
func bigLake(tb testing.TB, n uint64) *lake.Lake {
	tb.Helper()
	store, err := lake.OpenFolder(filepath.Join(tb.TempDir(), "lake"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	l, err := lake.Open(tb.Context(), store, laketest.Config(), nil)
	if err != nil {
		tb.Fatal(err)
	}
	const each = 500_000
	for first := uint64(1); first <= n; first += each {
		last := min(n, first+each-1)
		at := laketest.Epoch.Add(time.Duration(first) * 100 * time.Microsecond) //nolint:gosec // far from the end
		if err := l.Append(tb.Context(), &lake.Batch{Stream: "s", After: first - 1, Last: last, Decisions: typical(first, last-first+1, at)}); err != nil {
			tb.Fatal(err)
		}
	}
	return l
}

func TestFigureBytesOfADecision(t *testing.T) {
	t.Parallel()
	l := bigLake(t, 50_000)
	bytes, rows := int64(0), int64(0)
	for _, f := range l.State().Files {
		bytes, rows = bytes+f.Bytes, rows+f.Rows
	}
	got := float64(bytes) / float64(rows)
	t.Logf("%.1f bytes a decision, without the text", got)
	if got > 120 {
		t.Errorf("a decision takes %.1f bytes, at most 120", got)
	}
}

// BenchmarkHistogram counts the labels of many decisions: 10 million with SWITCHYARD_BENCH_ROWS=10000000.
func BenchmarkHistogram(b *testing.B) {
	n := uint64(1_000_000)
	if s := os.Getenv("SWITCHYARD_BENCH_ROWS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			b.Fatal(err)
		}
	}
	l := bigLake(b, n)
	for b.Loop() {
		counts, err := l.Histogram(b.Context(), lake.Filter{})
		if err != nil {
			b.Fatal(err)
		}
		total := int64(0)
		for _, c := range counts {
			total += c
		}
		if total != int64(n) { //nolint:gosec // far from the end
			b.Fatalf("%d decisions were counted, want %d", total, n)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

// BenchmarkFind looks for single decisions among a million.
func BenchmarkFind(b *testing.B) {
	l := bigLake(b, 1_000_000)
	var ids []string
	err := l.Each(b.Context(), lake.Decisions, lake.Filter{}, func(r any) error { ids = append(ids, r.(*lake.Decision).DecisionID); return nil })
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := l.FindDecision(b.Context(), "p", ids[rand.IntN(len(ids))]); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAppend is what taking in 20,000 decisions costs.
func BenchmarkAppend(b *testing.B) {
	l := bigLake(b, 1)
	after := uint64(1)
	for b.Loop() {
		b.StopTimer()
		rows := typical(after+1, 20_000, time.Now())
		b.StartTimer()
		if err := l.Append(b.Context(), &lake.Batch{Stream: "s", After: after, Last: after + 20_000, Decisions: rows}); err != nil {
			b.Fatal(err)
		}
		after += 20_000
	}
}
