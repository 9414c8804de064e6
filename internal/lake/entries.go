package lake

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
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
// the key of a new row, and almost nothing is looked up; those of a job's items are in no order, and are compared with each file in one pass. The entries are sorted
// afterwards.
func distinct[T any, R row[T]](ctx context.Context, l *Lake, s *State, table string, entries []entry[T]) (kept []entry[T], repeated int64, err error) {
	if len(entries) == 0 {
		return entries, 0, nil
	}
	sortEntries(entries)
	n := len(entries)
	entries = slices.CompactFunc(entries, func(a, b entry[T]) bool { return a.key == b.key && a.day == b.day && a.project == b.project })
	repeated = int64(n - len(entries))
	files := map[partition][]*File{}
	for _, f := range s.Files {
		if f.Table == table {
			files[f.partition()] = append(files[f.partition()], f)
		}
	}
	kept = entries[:0]
	for rest := entries; len(rest) > 0; {
		n := partLen(rest)
		part := rest[:n]
		rest = rest[n:]
		for _, f := range files[partition{part[0].project, table, part[0].date()}] {
			from, to := keysWithin(part, f)
			if from == to {
				continue
			}
			p, err := l.open(ctx, f)
			if err != nil {
				return nil, 0, err
			}
			keys := make([]string, 0, to-from)
			for _, e := range part[from:to] {
				keys = append(keys, e.key)
			}
			known, err := tables[table].known(p, keys)
			if err != nil {
				return nil, 0, fmt.Errorf("look for %d keys in %s: %w", len(keys), f.Path, err)
			}
			if len(known) > 0 {
				before := len(part)
				part = slices.DeleteFunc(part, func(e entry[T]) bool { return known[e.key] })
				repeated += int64(before - len(part))
			}
		}
		kept = append(kept, part...) // in the memory of those before it, which are looked at no more
	}
	return kept, repeated, nil
}

// partLen returns how many of the first entries belong to the same partition.
func partLen[T any](entries []entry[T]) int {
	n := 1
	for n < len(entries) && entries[n].project == entries[0].project && entries[n].day == entries[0].day {
		n++
	}
	return n
}

// keysWithin returns which sorted entries of a partition a file could hold.
func keysWithin[T any](part []entry[T], f *File) (from, to int) {
	from, _ = slices.BinarySearchFunc(part, f.MinKey, func(e entry[T], key string) int { return strings.Compare(e.key, key) })
	to, found := slices.BinarySearchFunc(part, f.MaxKey, func(e entry[T], key string) int { return strings.Compare(e.key, key) })
	if found {
		to++
	}
	return from, max(from, to)
}

// encodeRows is how many rows are made at a time; in between whoever waits for a processor has it.
const encodeRows = 64

// encode makes the files of sorted entries that belong to any projects and days. fill makes rows of those that are none yet; one that fails is left out and counted.
func encode[T any, R row[T]](table string, entries []entry[T], fill func(e *entry[T], into *T) error) (out []*encoded, broken int64, err error) {
	rows := make([]T, min(encodeRows, len(entries)))
	for len(entries) > 0 {
		n := partLen(entries)
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
			runtime.Gosched()
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
