package lake

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
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
// the key of a new row, and almost nothing is looked up; those of a job's items are in no order, and are compared with each file in one pass, unless this process
// wrote it and knows better. A call that is begun again on a later
// day, after a crash, is recorded with the id of the first day and the time of the later one: such rows are looked for on all days. The entries are sorted afterwards.
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
		look := lookup[T]{lake: l}
		for _, f := range files[partition{part[0].project, table, part[0].date()}] {
			known, err := look.known(ctx, f, part)
			if err != nil {
				return nil, 0, err
			}
			if len(known) > 0 {
				before := len(part)
				part = slices.DeleteFunc(part, func(e entry[T]) bool { return known[e.key] })
				repeated += int64(before - len(part))
			}
		}
		kept = append(kept, part...) // in the memory of those before it, which are looked at no more
	}
	strays, err := strayed(ctx, l, s, table, kept)
	if err != nil || len(strays) == 0 {
		return kept, repeated, err
	}
	before := len(kept)
	kept = slices.DeleteFunc(kept, func(e entry[T]) bool { return strays[place{e.project, e.key, e.day}] })
	return kept, repeated + int64(before-len(kept)), nil
}

// lookup looks for the keys of one part's entries, which are sorted, in one file after the other.
type lookup[T any] struct {
	lake    *Lake
	perhaps map[*generation][]entry[T] // the entries that files of a generation may hold
	keys    []string
}

// known returns the keys of the entries that a file holds.
func (u *lookup[T]) known(ctx context.Context, f *File, part []entry[T]) (map[string]bool, error) {
	if g := u.lake.wrote.of(f.Path); g != nil {
		few, ok := u.perhaps[g]
		if !ok {
			if u.perhaps == nil {
				u.perhaps = map[*generation][]entry[T]{}
			}
			few = perhaps(&u.lake.wrote, g, part)
			u.perhaps[g] = few
		}
		part = few
	}
	from, to := keysWithin(part, f)
	if from == to {
		return nil, nil
	}
	p, err := u.lake.open(ctx, f)
	if err != nil {
		return nil, err
	}
	keys := u.keys[:0]
	for _, e := range part[from:to] {
		keys = append(keys, e.key)
	}
	u.keys = keys
	known, err := tables[f.Table].known(p, keys)
	if err != nil {
		return nil, fmt.Errorf("look for %d keys in %s: %w", len(keys), f.Path, err)
	}
	return known, nil
}

// place is a row by its key and the day it would be written to.
type place struct {
	project, key string
	day          int64
}

// strayed returns the entries whose id was made on another day than they happened on, and whose key is known from another day: from a file, or from these entries.
func strayed[T any](ctx context.Context, l *Lake, s *State, table string, entries []entry[T]) (map[place]bool, error) {
	var strays []entry[T]
	for _, e := range entries {
		if made, ok := IDTime(e.key); ok && dayOf(made) != e.day {
			strays = append(strays, e)
		}
	}
	if len(strays) == 0 {
		return nil, nil
	}
	known := map[place]bool{}
	// Of the same key on two days the one that came first stays. One that is no stray itself may be it.
	first := map[[2]string]entry[T]{}
	for _, e := range strays {
		first[[2]string{e.project, e.key}] = e
	}
	for _, e := range entries {
		k := [2]string{e.project, e.key}
		if was, is := first[k]; is && e.seq < was.seq {
			first[k] = e
		}
	}
	for _, e := range strays {
		if was := first[[2]string{e.project, e.key}]; was.day != e.day {
			known[place{e.project, e.key, e.day}] = true
		}
	}
	slices.SortStableFunc(strays, func(a, b entry[T]) int {
		return cmp.Or(strings.Compare(a.project, b.project), strings.Compare(a.key, b.key))
	})
	for rest := strays; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].project == rest[0].project {
			n++
		}
		part := rest[:n]
		rest = rest[n:]
		look := lookup[T]{lake: l}
		for _, f := range s.Files {
			if f.Table != table || f.Project != part[0].project {
				continue
			}
			found, err := look.known(ctx, f, part)
			if err != nil {
				return nil, err
			}
			for _, e := range part {
				if found[e.key] {
					known[place{e.project, e.key, e.day}] = true
				}
			}
		}
	}
	return known, nil
}

// IDTime returns when a UUIDv7 was made; false for any other id.
func IDTime(id string) (time.Time, bool) {
	var b [8]byte
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[14] != '7' {
		return time.Time{}, false
	}
	if _, err := hex.Decode(b[2:], []byte(id[0:8]+id[9:13])); err != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b[:]))), true
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
