package ledger

import (
	"context"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// gap is a run of messages that the stream does not hold although it holds older ones.
type gap struct {
	first, last uint64
	project     string // of the message before
	time        time.Time
}

// gaps finds messages that are missing inside of the stream. What is too old leaves at its beginning; in its midst only an erasure takes messages, and leaves its mark in the lake.
type gaps struct {
	last  *bus.Delivery
	found []gap
}

// see looks at the next message of the stream.
func (g *gaps) see(d bus.Delivery) {
	if g.last != nil && d.Seq > g.last.Seq+1 {
		g.found = append(g.found, gap{g.last.Seq + 1, d.Seq - 1, projectOf(g.last.Subject), g.last.Time})
	}
	d.Data, d.Header = nil, nil
	g.last = &d
}

// report names what is missing and was not erased. Decisions that the lake holds are named elsewhere.
func (g *gaps) report(ctx context.Context, v Verifier, r *Report, inLake places) error {
	if len(g.found) == 0 {
		return nil
	}
	erased := places{}
	if v.Lake != nil {
		for table, of := range map[string]func(row any) (int64, time.Time){
			lake.Decisions:  func(row any) (int64, time.Time) { d := row.(*lake.Decision); return d.StreamSeq, d.ErasedAt },
			lake.Verdicts:   func(row any) (int64, time.Time) { d := row.(*lake.Verdict); return d.StreamSeq, d.ErasedAt },
			lake.FeedbackOf: func(row any) (int64, time.Time) { d := row.(*lake.Feedback); return d.StreamSeq, d.ErasedAt },
		} {
			err := v.Lake.Each(ctx, table, lake.Filter{}, func(row any) error {
				if seq, at := of(row); !at.IsZero() {
					erased.add(uint64(seq))
				}
				return nil
			})
			if damaged(err) {
				return nil // named already; what was erased cannot be told from what is missing
			}
			if err != nil {
				return err
			}
		}
	}
	named := 0
	for _, gap := range g.found {
		if v.Lake != nil && v.Lake.Expired(gap.project, gap.time) {
			continue // the marks of erasures are gone with the rows
		}
		for seq := gap.first; seq <= gap.last && named < maxGaps; seq++ {
			if !erased.has(seq) && !inLake.has(seq) {
				r.problemf("stream: message %d is missing", seq)
				named++
			}
		}
	}
	return nil
}

// maxGaps is how many missing messages are named.
const maxGaps = 1000
