package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// Journal finds records that are durable here and not yet in the stream.
//
// Usually that are the entries of the last 50 ms, which are read in a row. While the stream is away they can be millions: then the place is found by
// bisection over the ids' times, at most 256 KiB of reading for each of some 20 steps, and read from there.
type Journal struct {
	Journal interface {
		Stats() journal.Stats
		Read(ctx context.Context, from uint64, fn func(journal.Entry) error) error
	}
}

var _ Place = Journal{}

// scanFrom is from how many entries on bisection is cheaper than reading all.
const scanFrom = 5_000

// Find looks at the entries that are not released.
func (j Journal) Find(ctx context.Context, k Key) (*commonv1.DecisionRecord, error) {
	stats := j.Journal.Stats()
	first, end := stats.Released+1, stats.Last+1
	if end-first > scanFrom {
		var err error
		if first, err = j.bisect(ctx, first, end, k.Time.Add(-skew)); err != nil {
			return nil, fromJournal(err)
		}
	}
	if first >= end {
		return nil, ErrNotFound
	}
	s := search{key: k}
	var data []byte
	err := j.Journal.Read(ctx, first, func(e journal.Entry) error {
		if e.Subject != k.subject() && e.ID == k.ID {
			return nil // another project's, or something else about this decision
		}
		found, enough := s.visit(e.ID)
		if found {
			data = e.Data
		}
		if enough {
			return errStop
		}
		return nil
	})
	switch {
	case data != nil:
		return decode(data)
	case err != nil && !errors.Is(err, errStop):
		return nil, fromJournal(err)
	}
	return nil, ErrNotFound
}

// bisect returns the first entry whose id was made at that time or later.
func (j Journal) bisect(ctx context.Context, first, end uint64, t time.Time) (uint64, error) {
	for first < end {
		middle := first + (end-first)/2
		at, next, err := j.timeAt(ctx, middle, end)
		if err != nil {
			return 0, err
		}
		if !at.IsZero() && at.Before(t) {
			first = next
		} else {
			end = middle
		}
	}
	return first, nil
}

// timeAt returns the time in the id of the first entry from seq on that has one, and the sequence after it; the zero time when none before end has.
func (j Journal) timeAt(ctx context.Context, seq, end uint64) (at time.Time, next uint64, err error) {
	err = j.Journal.Read(ctx, seq, func(e journal.Entry) error {
		if e.Seq >= end {
			return errStop
		}
		if t, ok := lake.IDTime(e.ID); ok {
			at, next = t, e.Seq+1
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return at, next, err
}

// fromJournal tells apart what went on to the stream meanwhile.
func fromJournal(err error) error {
	if errors.Is(err, journal.ErrReleased) {
		return ErrNotFound
	}
	return fmt.Errorf("look in the journal: %w", err)
}
