package lake_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/lake/laketest"
)

// jobRows makes decisions as a job's items make them: their ids come from the job's, are in no order, and files cannot be told apart by them.
func jobRows(first, n uint64) []lake.Decision {
	rows := typical(first, n, laketest.Epoch)
	for i := range rows {
		r := rand.New(rand.NewPCG(first+uint64(i), 7))
		rows[i].DecisionID = fmt.Sprintf("019e4000-0000-7%03x-8%03x-%012x", r.IntN(4096), r.IntN(4096), r.Uint64N(1<<48))
	}
	return rows
}

func TestRepetitionsAmongIdsInNoOrderAreLeftOut(t *testing.T) {
	t.Parallel()
	l := laketest.OpenLake(t, folders(t)(t, "jobs"))
	seq, distinct := uint64(0), map[string]bool{}
	var all []lake.Decision
	for part := range uint64(6) {
		rows := jobRows(part*3000+1, 3000)
		for i := range part * 60 { // of all parts before and of this one
			again := all[rand.IntN(len(all))]
			if i%10 == 0 {
				again = rows[rand.IntN(len(rows))]
			}
			rows = append(rows, again)
		}
		for i := range rows {
			rows[i].StreamSeq = int64(seq) + int64(i) + 1
			distinct[rows[i].DecisionID] = true
		}
		all = append(all, rows...)
		last := seq + uint64(len(rows))
		laketest.Append(t, l, &lake.Batch{Stream: "s", After: seq, Last: last, Decisions: rows})
		seq = last
	}
	seen := map[string]bool{}
	err := l.Each(t.Context(), lake.Decisions, lake.Filter{}, func(r any) error {
		id := r.(*lake.Decision).DecisionID
		if seen[id] {
			return fmt.Errorf("%s is there twice", id)
		}
		seen[id] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(distinct) || len(all) == len(distinct) {
		t.Fatalf("%d rows of %d decisions in %d messages", len(seen), len(distinct), len(all))
	}
}

// BenchmarkAppendOfAJob is what taking in 20,000 decisions costs whose ids lie among 200,000 that are there.
func BenchmarkAppendOfAJob(b *testing.B) {
	l := bigLake(b, 1)
	seq := uint64(1)
	add := func() {
		b.StopTimer()
		rows := jobRows(seq+1, 20_000)
		b.StartTimer()
		if err := l.Append(b.Context(), &lake.Batch{Stream: "s", After: seq, Last: seq + 20_000, Decisions: rows}); err != nil {
			b.Fatal(err)
		}
		seq += 20_000
	}
	for range 10 {
		add()
	}
	for b.Loop() {
		add()
	}
}
