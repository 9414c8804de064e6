package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// Lake finds records that are in the lake. Open returns nil while the lake cannot be reached.
type Lake struct {
	Open func() *lake.Lake
}

var _ Place = Lake{}

// errNoLake means that the lake was not reached since the start.
var errNoLake = errors.New("look in the lake: it was not reached yet")

// Find looks for the id in the files that can hold it.
func (l Lake) Find(ctx context.Context, k Key) (*commonv1.DecisionRecord, error) {
	open := l.Open()
	if open == nil {
		return nil, errNoLake
	}
	row, err := open.FindDecision(ctx, k.Project, k.ID)
	if errors.Is(err, lake.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("look in the lake: %w", err)
	}
	return decisionRecord(row)
}

// Verdicts returns the verdicts on a decision that were submitted in a period, both ends included, oldest first. It reads the files of those days.
func (l Lake) Verdicts(ctx context.Context, project, decision string, from, to time.Time) (out []*reviewv1.Verdict, err error) {
	open := l.Open()
	if open == nil {
		return nil, errNoLake
	}
	filter := lake.Filter{Project: project, From: from, To: to.Add(time.Microsecond)}
	err = open.Each(ctx, lake.Verdicts, filter, func(row any) error {
		if v := row.(*lake.Verdict); v.DecisionID == decision && !v.Gold { // a test item that was made of it says nothing about it
			out = append(out, verdictOf(v))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for verdicts in the lake: %w", err)
	}
	slices.SortFunc(out, func(a, b *reviewv1.Verdict) int {
		return a.GetSubmitTime().AsTime().Compare(b.GetSubmitTime().AsTime())
	})
	return out, nil
}

const (
	// settledAfter is the age from which a decision is rather in the lake than on its way to it.
	settledAfter = time.Minute
	// lakePatience is how long a lake may take that is asked first: a bucket that hangs must not hide what the stream holds.
	lakePatience = time.Second
)

// OldestFirst looks for old decisions in the lake first, and for all in every place in the order of their way.
type OldestFirst struct {
	Places
	Lake Place
}

// Find looks in the lake and in all places.
func (o OldestFirst) Find(ctx context.Context, k Key) (*commonv1.DecisionRecord, error) {
	if time.Since(k.Time) > settledAfter {
		brief, cancel := context.WithTimeout(ctx, lakePatience)
		r, err := o.Lake.Find(brief, k)
		cancel()
		if err == nil {
			return r, nil
		}
	}
	return o.Places.Find(ctx, k)
}
