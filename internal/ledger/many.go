package ledger

import (
	"context"
	"errors"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/journal"
)

// FindTogether returns those of some decisions that are recorded, by id. The decisions were made by one call, so their ids carry the same time and their records lie together: journal and
// stream are read once for all of them. j is nil in a process without a journal. What neither holds is looked for in the lake in its order, until one is not there: records of a call
// are written in order. They were written soon after the time of their ids, or after another time that is later, which is zero otherwise: ids of a job carry the time when it was submitted.
func FindTogether(ctx context.Context, keys []Key, after time.Time, j *Journal, s Stream, inLake Place) (map[string]*commonv1.DecisionRecord, error) {
	t := together{after: after, keys: keys, wanted: make(map[string]bool, len(keys)), found: map[string]*commonv1.DecisionRecord{}}
	for _, k := range keys {
		t.wanted[k.ID] = true
	}
	if len(keys) == 0 {
		return t.found, nil
	}
	if t.from = keys[0].Time; after.After(t.from) {
		t.from = after
	}
	if j != nil {
		if err := t.journal(ctx, *j); err != nil {
			return nil, err
		}
	}
	if err := t.stream(ctx, s); err != nil {
		return nil, err
	}
	for _, k := range keys {
		if !t.wanted[k.ID] {
			continue
		}
		if inLake == nil || time.Since(t.from) < settledAfter {
			break
		}
		r, err := inLake.Find(ctx, k)
		if errors.Is(err, ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
		t.found[k.ID] = r
	}
	return t.found, nil
}

type together struct {
	keys   []Key
	after  time.Time
	from   time.Time       // when the first record can have been written
	wanted map[string]bool // what was not found yet
	found  map[string]*commonv1.DecisionRecord
}

// take keeps a record that is wanted; true when it was the last one.
func (t *together) take(id string, data []byte) (all bool, err error) {
	if !t.wanted[id] {
		return len(t.wanted) == 0, nil
	}
	r, err := decode(data)
	if err != nil {
		return false, err
	}
	delete(t.wanted, id)
	t.found[id] = r
	return len(t.wanted) == 0, nil
}

func (t *together) journal(ctx context.Context, j Journal) error {
	stats := j.Journal.Stats()
	first, end := stats.Released+1, stats.Last+1
	var err error
	if end-first > scanFrom && t.after.IsZero() { // the place of other records says nothing about the time of their ids
		if first, err = j.bisect(ctx, first, end, t.from.Add(-skew)); err != nil {
			return ignoreReleased(err)
		}
	}
	if first >= end {
		return nil
	}
	err = j.Journal.Read(ctx, first, func(e journal.Entry) error {
		if e.Subject != t.keys[0].subject() {
			return nil
		}
		all, err := t.take(e.ID, e.Data)
		if all {
			err = errStop
		}
		return err
	})
	return ignoreReleased(err)
}

// ignoreReleased passes over what went on to the stream meanwhile.
func ignoreReleased(err error) error {
	if err == nil || errors.Is(err, errStop) {
		return nil
	}
	if err = fromJournal(err); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (t *together) stream(ctx context.Context, s Stream) error {
	if len(t.wanted) == 0 {
		return nil
	}
	if err := s.wait(ctx); err != nil {
		return err
	}
	look := search{key: Key{Time: t.from}} // an empty id is nobody's: only the time counts
	err := s.Bus.Read(ctx, bus.Position{Time: t.from.Add(-skew)}, []string{t.keys[0].subject()}, func(d bus.Delivery) error {
		all, err := t.take(d.EventID, d.Data)
		if _, enough := look.visit(d.EventID); err == nil && (all || enough) {
			err = errStop
		}
		return err
	})
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}
