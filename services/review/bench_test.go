package review_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// BenchmarkNextItem measures LeaseItems over gRPC, commit included, in front of a long queue: SWITCHYARD_REVIEW_ITEMS waiting items, 100,000 without. With SWITCHYARD_REVIEW_STREAM so many
// more come in each second meanwhile, a second's at once.
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
	real := min(items, 20_000)
	fillQueue(b, k, real)
	multiply(b, k, items/real)
	var took []time.Duration
	if n, err := strconv.Atoi(os.Getenv("SWITCHYARD_REVIEW_STREAM")); err == nil {
		defer k.stream(b, n)()
	}
	for i := 0; b.Loop(); i++ {
		begin := time.Now()
		r, err := k.LeaseItems(reviewer(b, fmt.Sprint("person", i%8)), &reviewv1.LeaseItemsRequest{Lease: durationpb.New(time.Hour)})
		took = append(took, time.Since(begin))
		if err != nil || len(r.GetItems()) != 1 {
			b.Fatalf("lease: %v %v", err, r)
		}
	}
	q, err := k.GetQueue(lead(b), &reviewv1.GetQueueRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("counts of routing/support: %v", q.GetQueue().GetCounts())
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	b.ReportMetric(float64(items), "items")
}

// stream lets items come in until the function is called that it returns, each second so many.
func (k *desk) stream(tb testing.TB, items int) (end func()) {
	tb.Helper()
	ended, done := make(chan struct{}), make(chan error, 1)
	go func() {
		r := rand.New(rand.NewPCG(2, 2))
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			if err := k.service.Apply(context.Background(), k.job(r, items)); err != nil {
				done <- err
				return
			}
			select {
			case <-ended:
				done <- nil
				return
			case <-tick.C:
			}
		}
	}()
	return func() {
		close(ended)
		if err := <-done; err != nil {
			tb.Error(err)
		}
	}
}

// multiply makes every waiting item into so many, each a little less urgent than the one before, and far faster than by applying them.
func multiply(tb testing.TB, k *desk, times int) {
	tb.Helper()
	begin := time.Now()
	for i := 1; i < times; i++ {
		err := k.db.Tx(tb.Context(), func(tx *db.Tx) error {
			id := fmt.Sprintf("%04x", i)
			_, err := tx.Exec(`INSERT INTO review_records (project, id, subject, record, search)
				SELECT project, substr(id, 1, 24) || ? || substr(id, 29), subject, record, search FROM review_records r
				WHERE substr(id, 25, 4) <> ? AND EXISTS (SELECT 1 FROM review_items i WHERE i.project = r.project AND i.id = r.id AND i.state = 1 AND i.content <> '')`, id, id)
			if err != nil {
				return err
			}
			columns := `project, operation, deployment, state, kind, lane, since, decided, created, priority, harm, uncertainty, label, locale, skills, seen, sha, second,
				role, round, not_sure, escalated, lease, lease_key, person, lease_from, lease_until, undo_until, verdict, verdict_label, gold, closed`
			_, err = tx.Exec(`INSERT INTO review_items (id, rank, due, content, `+columns+`)
				SELECT substr(id, 1, 24) || ? || substr(id, 29), rank - ?, due + ?, '', `+columns+` FROM review_items
				WHERE state = 1 AND content <> '' AND substr(id, 25, 4) <> ?`, id, float64(i)/1e5, i, id)
			return err
		})
		if err != nil {
			tb.Fatal(err)
		}
	}
	err := k.db.Tx(tb.Context(), func(tx *db.Tx) error {
		if _, err := tx.Exec(`UPDATE review_lanes SET n_open = (SELECT count(*) FROM review_items i WHERE i.lane = review_lanes.lane AND i.state = 1)`); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE review_queues SET n_open = (SELECT count(*) FROM review_items i WHERE i.project = review_queues.project
			AND i.operation = review_queues.operation AND i.deployment = review_queues.deployment AND i.state = 1)`)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Logf("multiplied by %d in %v", times, time.Since(begin).Round(time.Second))
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

// BenchmarkApply measures what one item costs that a decision makes, in transactions of 200. The machine's load matters less to processor time than to the clock.
func BenchmarkApply(b *testing.B) {
	k := start(b)
	k.apply(b, k.ticket("first"))
	r := rand.New(rand.NewPCG(1, 1))
	batch := func() (records []*commonv1.DecisionRecord) {
		for range 200 {
			text := fmt.Sprintf("%s %s I have had trouble with this for some days now and nobody answers, the printer says %d and the phone %d", at(r.Int()), at(r.Int()), r.Int(), r.Int())
			records = append(records, k.ticket(text+"\n"+text, "hardware", 0.5, "billing", 0.3, "access", 0.2))
		}
		return records
	}
	var used time.Duration
	items := 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		records := batch()
		before := processorTime()
		b.StartTimer()
		k.apply(b, records...)
		used += processorTime() - before
		items += len(records)
	}
	b.ReportMetric(float64(used.Microseconds())/float64(items), "cpu-µs/item")
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
