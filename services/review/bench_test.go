package review_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// BenchmarkNextItem measures LeaseItems over gRPC, commit included, in front of a long queue: SWITCHYARD_REVIEW_ITEMS waiting items, 100,000 without.
//
//	SWITCHYARD_REVIEW_ITEMS=1000000 go test -run '^$' -bench NextItem -benchtime 2000x -timeout 60m ./services/review
func BenchmarkNextItem(b *testing.B) {
	items := 100_000
	if n, err := strconv.Atoi(os.Getenv("SWITCHYARD_REVIEW_ITEMS")); err == nil {
		items = n
	}
	if testing.Short() {
		items = 2_000
	}
	k := start(b)
	fillQueue(b, k, items)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		begin := time.Now()
		r, err := k.LeaseItems(reviewer(b, fmt.Sprint("person", i%8)), &reviewv1.LeaseItemsRequest{Lease: durationpb.New(time.Hour)})
		took = append(took, time.Since(begin))
		if err != nil || len(r.GetItems()) != 1 {
			b.Fatalf("lease: %v %v", err, r)
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(items), "items")
}

// fillQueue makes waiting items as a busy day would: two queues, some labels that need a skill, a third overdue, a tenth with a first opinion or a "not sure" of one of eight
// people.
func fillQueue(tb testing.TB, k *desk, items int) {
	tb.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	k.apply(tb, k.ticket("first"), k.comment("first"))
	k.settings(tb, &reviewv1.QueueSettings{
		DueAfter: durationpb.New(48 * time.Hour), LabelSkills: map[string]string{"billing": "accounts"}, LabelHarm: map[string]float64{"access": 4},
	})
	for p := range 8 {
		_, err := k.UpdateReviewer(lead(tb), &reviewv1.UpdateReviewerRequest{Reviewer: fmt.Sprint("key:person", p), Skills: [][]string{nil, {"accounts"}}[p%2]})
		if err != nil {
			tb.Fatal(err)
		}
	}
	begin, seen := time.Now(), 0
	for done := 0; done < items; {
		var records []*commonv1.DecisionRecord
		for range min(1000, items-done) {
			p := 0.34 + 0.65*r.Float64()
			labels := []string{"hardware", "billing", "access"}
			r.Shuffle(3, func(i, j int) { labels[i], labels[j] = labels[j], labels[i] })
			text := fmt.Sprintf("%s %s I have had trouble with this for some days now and nobody answers", at(r.Int()), at(r.Int()))
			rec := k.ticket(text, labels[0], p, labels[1], (1-p)*0.7, labels[2], (1-p)*0.3)
			if r.IntN(4) == 0 {
				rec = k.comment(text)
			}
			rec.Decision.Time = timestamppb.New(k.time().Add(-time.Duration(r.Int64N(int64(72 * time.Hour)))))
			rec.Action = int32(1 + r.IntN(4))
			records = append(records, rec)
		}
		k.apply(tb, records...)
		done += len(records)
		for seen < done/100 { // leases that end in "not sure" put items into lanes of their own
			name := fmt.Sprint("person", r.IntN(8))
			got, err := k.LeaseItems(reviewer(tb, name), &reviewv1.LeaseItemsRequest{MaxItems: 10})
			if err != nil {
				tb.Fatal(err)
			}
			for _, it := range got.GetItems() {
				k.say(tb, name, it)
			}
			seen += 10
			k.pass(tb, 0)
		}
	}
	tb.Logf("%d items in %v", items, time.Since(begin).Round(time.Second))
}
