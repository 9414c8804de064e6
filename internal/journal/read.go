package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// readHint is where the last Read stopped, which is where the next one usually begins.
type readHint struct {
	segment uint64
	place   place
}

// view is what Read and Verify need of a segment, copied so that they hold no lock.
type view struct {
	name   string
	number uint64
	base   uint64
	size   int64
	chain  [hashSize]byte
	from   place
}

// view returns the segments that hold durable entries from that sequence on, and the last durable sequence.
func (j *Journal) view(from uint64) (views []view, durable uint64, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, 0, ErrClosed
	}
	if from == 0 {
		from = j.segments[0].base
	}
	if from < j.segments[0].base {
		return nil, 0, fmt.Errorf("read from %d: %w: the oldest left is %d", from, ErrReleased, j.segments[0].base)
	}
	for i, s := range j.segments {
		if i+1 < len(j.segments) && j.segments[i+1].base <= from {
			continue
		}
		v := view{name: s.name, number: s.number, base: s.base, size: s.size, chain: s.chain, from: s.find(max(from, s.base))}
		if h := j.hint; h.segment == s.number && h.place.seq <= from && h.place.seq > v.from.seq {
			v.from = h.place
		}
		views = append(views, v)
	}
	return views, j.durable, nil
}

// Read calls fn for every durable entry from that sequence on, in order, up to the last one that was durable when Read was called; 0 begins with the oldest that
// is left. The entry's Data may be kept. An error of fn ends the reading and is returned as it is.
//
// It fails with ErrReleased when the first entry was released and deleted, and with a *DamageError at the first damaged entry, after fn has
// received those before it.
func (j *Journal) Read(ctx context.Context, from uint64, fn func(Entry) error) error {
	views, durable, err := j.view(from)
	if err != nil {
		return err
	}
	for i, v := range views {
		last := durable
		if i+1 < len(views) {
			last = views[i+1].base - 1
		}
		if err := j.readSegment(ctx, v, from, last, fn); err != nil {
			return err
		}
	}
	return nil
}

func (j *Journal) readSegment(ctx context.Context, v view, from, last uint64, fn func(Entry) error) (err error) {
	if v.from.seq > last {
		return nil
	}
	f, err := j.fs.Open(j.path(v.name))
	if errors.Is(err, fs.ErrNotExist) && j.trimmed(v.number) {
		return fmt.Errorf("read from %d: %w", from, ErrReleased)
	}
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sc := newScanner(v.name, f, v.from, v.size)
	defer func() {
		j.mu.Lock()
		j.hint = readHint{v.number, place{sc.seq, sc.offset}}
		j.mu.Unlock()
	}()
	for sc.seq <= last {
		if err := ctx.Err(); err != nil {
			return err
		}
		before := place{sc.seq, sc.offset}
		h, rec, err := sc.next()
		if errors.Is(err, io.EOF) {
			err = errShort
		}
		if err != nil {
			return sc.damage(err)
		}
		if h.seq < from {
			continue
		}
		if err := fn(h.entry(rec)); err != nil {
			sc.seq, sc.offset = before.seq, before.offset
			return err
		}
	}
	return nil
}

// trimmed says whether a segment was deleted after its release.
func (j *Journal) trimmed(number uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return number < j.segments[0].number
}
