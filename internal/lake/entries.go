package lake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Record is a decision that becomes a row only when it is written: until then its encoded form takes a third of the room, and nothing of it has to be looked at by the
// garbage collector.
type Record struct {
	Project string
	Key     string    // the decision's id
	Time    time.Time // of the decision
	Seq     uint64
	Data    []byte
}

// entry is a row that is to be written, made or not: what decides about order, file and repetition. Rows are large, so they are never moved.
type entry[T any] struct {
	project, key string
	day          int64 // since 1970, UTC
	seq          int64
	row          *T
	data         []byte // when row is nil
}

func dayOf(t time.Time) int64 {
	const day = 24 * 60 * 60
	s := t.Unix()
	if s < 0 {
		s -= day - 1
	}
	return s / day
}

func (e *entry[T]) date() string { return time.Unix(e.day*24*60*60, 0).UTC().Format(time.DateOnly) }

// entriesOf returns the entries of rows.
func entriesOf[T any, R row[T]](rows []T, extra int) []entry[T] {
	out := make([]entry[T], 0, len(rows)+extra)
	for i := range rows {
		r := R(&rows[i])
		out = append(out, entry[T]{project: *r.project(), key: r.key(), day: dayOf(r.when()), seq: r.place(), row: &rows[i]})
	}
	return out
}

// decisions are the entries of decisions, of both kinds.
func (b *Batch) decisions() []entry[Decision] {
	out := entriesOf[Decision](b.Decisions, len(b.Records))
	for i := range b.Records {
		r := &b.Records[i]
		out = append(out, entry[Decision]{project: r.Project, key: r.Key, day: dayOf(r.Time), seq: int64(r.Seq), data: r.Data})
	}
	return out
}

func sortEntries[T any](entries []entry[T]) {
	slices.SortStableFunc(entries, func(a, b entry[T]) int {
		return cmp.Or(strings.Compare(a.project, b.project), cmp.Compare(a.day, b.day), strings.Compare(a.key, b.key))
	})
}

// distinct leaves out entries whose key came before: in the same batch, or in a file that is in the lake. Ids are made in the order of time, so almost no file can hold
// the key of a new row, and almost nothing is looked up. The entries are sorted afterwards.
func distinct[T any, R row[T]](ctx context.Context, l *Lake, s *State, table string, entries []entry[T]) (kept []entry[T], repeated int64, err error) {
	if len(entries) == 0 {
		return entries, 0, nil
	}
	sortEntries(entries)
	files := map[partition][]*File{}
	for _, f := range s.Files {
		if f.Table == table {
			files[f.partition()] = append(files[f.partition()], f)
		}
	}
	opened := map[string]*parquet.File{}
	find := func(f *File, key string) (bool, error) {
		if opened[f.Path] == nil {
			if opened[f.Path], err = l.open(ctx, f); err != nil {
				return false, err
			}
		}
		_, err := tables[table].find(opened[f.Path], f.Project, key)
		if err != nil && !errors.Is(err, errNoRow) {
			return false, fmt.Errorf("look for %s in %s: %w", key, f.Path, err)
		}
		return err == nil, nil
	}
	kept = entries[:0]
	var there []*File // files of the partition of the entry
	var before entry[T]
	for i, e := range entries {
		if i == 0 || e.project != before.project || e.day != before.day {
			// Keys of the partition follow this one, so that files which end before it do not matter.
			there = slices.Clone(files[partition{e.project, table, e.date()}])
			there = slices.DeleteFunc(there, func(f *File) bool { return f.MaxKey < e.key })
		}
		known := i > 0 && e.project == before.project && e.day == before.day && e.key == before.key
		before = e
		for _, f := range there {
			if known {
				break
			}
			if e.key < f.MinKey || e.key > f.MaxKey {
				continue
			}
			if known, err = find(f, e.key); err != nil {
				return nil, 0, err
			}
		}
		if known {
			repeated++
			continue
		}
		kept = append(kept, e)
	}
	clear(entries[len(kept):])
	return kept, repeated, nil
}

// encodeRows is how many rows are made at a time.
const encodeRows = 256

// encode makes the files of sorted entries that belong to any projects and days. fill makes rows of those that are none yet; one that fails is left out and counted.
func encode[T any, R row[T]](table string, entries []entry[T], fill func(e *entry[T], into *T) error) (out []*encoded, broken int64, err error) {
	rows := make([]T, min(encodeRows, len(entries)))
	for len(entries) > 0 {
		n := 1
		for n < len(entries) && entries[n].project == entries[0].project && entries[n].day == entries[0].day {
			n++
		}
		p := partition{entries[0].project, table, entries[0].date()}
		enc := newEncoder[T, R]()
		for part := range slices.Chunk(entries[:n], encodeRows) {
			made := 0
			for i := range part {
				if part[i].row != nil {
					rows[made] = *part[i].row
				} else if err := fill(&part[i], &rows[made]); err != nil {
					broken++
					continue
				}
				made++
			}
			if err := enc.write(rows[:made]); err != nil {
				return nil, 0, fmt.Errorf("encode %s: %w", p.dir(), err)
			}
		}
		entries = entries[n:]
		if enc.file.Rows == 0 {
			continue // all of its records were broken
		}
		f, err := enc.finish(p)
		if err != nil {
			return nil, 0, fmt.Errorf("encode %s: %w", p.dir(), err)
		}
		out = append(out, f)
	}
	return out, broken, nil
}
