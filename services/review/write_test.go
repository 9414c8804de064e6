package review_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// BenchmarkWritten measures what one item costs that a job's decision makes, in calls of 200 and of 1,000, once so many items wait: SWITCHYARD_REVIEW_ITEMS, 30,000 without. Bytes are those that the process
// hands to the system for files, whatever the disk makes of them; Linux counts them.
//
//	SWITCHYARD_REVIEW_ITEMS=300000 go test -run '^$' -bench Written -benchtime 50x -timeout 60m ./services/review
func BenchmarkWritten(b *testing.B) {
	items := 30_000
	if n, err := strconv.Atoi(os.Getenv("SWITCHYARD_REVIEW_ITEMS")); err == nil {
		items = n
	}
	if testing.Short() {
		items = 1_000
	}
	k := start(b)
	alone := k.apply(b, k.ticket("like nothing else: "+at(1)))[0]
	r := rand.New(rand.NewPCG(1, 1))
	begin, before, cpu := time.Now(), written(b), processorTime()
	for done := 0; done < items; done += 200 {
		k.apply(b, k.job(r, 200)...)
	}
	b.Logf("%d items in %v, %d bytes and %v of processor time each", items, time.Since(begin).Round(time.Second), (written(b)-before)/int64(items), (processorTime()-cpu)/time.Duration(items))
	k.pass(b, 0)
	for _, call := range []int{200, 1000} {
		b.Run(fmt.Sprint("calls of ", call), func(b *testing.B) {
			var used time.Duration
			var bytes int64
			n := 0
			for b.Loop() {
				b.StopTimer()
				records := k.job(r, call)
				before, from := processorTime(), written(b)
				b.StartTimer()
				k.apply(b, records...)
				used += processorTime() - before
				bytes += written(b) - from
				n += len(records)
			}
			b.ReportMetric(float64(bytes)/float64(n), "B-written/item")
			b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-µs/item")
		})
	}
	var took time.Duration
	for range 20 {
		begin := time.Now()
		if ids := k.similar(b, alone); len(ids) > 0 {
			b.Fatalf("%v are like nothing else", ids)
		}
		took += time.Since(begin)
	}
	b.Logf("what is similar is found in %v; rows are %v", took/20, k.rowsOf(b))
}

// job makes the records of decisions that a job of short questions leaves to people: each of other words, the best labels of many.
func (k *desk) job(r *rand.Rand, n int) (records []*commonv1.DecisionRecord) {
	words := strings.Fields("why is my card transfer still pending after the exchange rate top up fee cash atm pin refund account identity verify limit country payment declined lost stolen" +
		" how do I what when can you please tell me about a new virtual physical order where money received twice charged cancel change address number phone app reason")
	for range n {
		var b strings.Builder
		for range 6 + r.IntN(12) {
			b.WriteString(words[r.IntN(len(words))] + " ")
		}
		labels, p := []any{}, 0.2+0.5*r.Float64()
		for i := range 5 {
			labels = append(labels, fmt.Sprint("label_", r.IntN(77)), p)
			if p = (1 - p) * p / 2; i == 4 {
				break
			}
		}
		rec := k.ticket(b.String(), labels...)
		rec.Input.Title, rec.SubjectId, rec.ContentId = "", "", ""
		records = append(records, rec)
	}
	return records
}

// written returns how many bytes the process has handed to the system.
func written(tb testing.TB) int64 {
	tb.Helper()
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		tb.Skip("the system does not count: ", err)
	}
	for line := range strings.Lines(string(data)) {
		if n, ok := strings.CutPrefix(line, "wchar: "); ok {
			bytes, err := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			if err != nil {
				tb.Fatal(err)
			}
			return bytes
		}
	}
	tb.Skip("the system does not count")
	return 0
}
