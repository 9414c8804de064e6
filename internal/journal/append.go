package journal

import (
	"bytes"
	"context"
	"fmt"
)

// batch is what one fsync makes durable: the encoded entries of all callers that came while the batch before was being written.
type batch struct {
	buf   []byte
	count int
	last  uint64
	head  [hashSize]byte // chain after last
	async []Entry        // those of its entries that nobody waits for
	done  chan struct{}  // closed when err is final
	err   error
}

func newBatch(buf []byte) *batch { return &batch{buf: buf[:0], done: make(chan struct{})} }

// Append makes one entry durable and returns its sequence. All callers that append at the same time share one fsync.
//
// It fails with ErrInvalid, ErrFull (back-pressure: nothing was written), ErrUnavailable (the disk failed; try again with the same ID),
// ErrClosed, or the context's error; in the last case the entry may still become durable.
func (j *Journal) Append(ctx context.Context, e Entry) (seq uint64, err error) {
	return j.AppendBatch(ctx, []Entry{e})
}

// AppendBatch makes several entries durable with one fsync and returns the sequence of the last one; the others have those before it,
// without gaps. It fails like Append, and then for all of them.
func (j *Journal) AppendBatch(ctx context.Context, es []Entry) (last uint64, err error) {
	var size int64
	for i := range es {
		n, err := j.check(&es[i])
		if err != nil {
			return 0, err
		}
		size += n
	}
	if size > j.cfg.PendingBytes {
		return 0, fmt.Errorf("append %d entries: %w: together they take %d bytes, limit %d", len(es), ErrInvalid, size, j.cfg.PendingBytes)
	}
	if len(es) == 0 {
		return 0, fmt.Errorf("append: %w: no entries", ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	b, last, err := j.enqueue(ctx, es, size)
	if err != nil {
		return 0, err
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if b.err != nil {
		return 0, b.err
	}
	return last, nil
}

// check returns the size of an entry on disk.
func (j *Journal) check(e *Entry) (int64, error) {
	switch n := int64(len(e.Subject)) + int64(len(e.ID)) + int64(len(e.Data)); {
	case e.Subject == "" || len(e.Subject) > subjectLimit:
		return 0, fmt.Errorf("append: %w: subject has %d bytes, from 1 to %d", ErrInvalid, len(e.Subject), subjectLimit)
	case e.ID == "" || len(e.ID) > idLimit:
		return 0, fmt.Errorf("append: %w: id has %d bytes, from 1 to %d", ErrInvalid, len(e.ID), idLimit)
	case n > j.cfg.EntryBytes:
		return 0, fmt.Errorf("append: %w: entry has %d bytes, limit %d", ErrInvalid, n, j.cfg.EntryBytes)
	}
	return recordSize(e), nil
}

// enqueue encodes entries into the batch that is being filled. When that is full it waits for the committer to take it.
func (j *Journal) enqueue(ctx context.Context, es []Entry, size int64) (*batch, uint64, error) {
	j.mu.Lock()
	for {
		if err := j.admit(size); err != nil {
			j.mu.Unlock()
			return nil, 0, err
		}
		if len(j.cur.buf) == 0 || int64(len(j.cur.buf))+size <= j.cfg.PendingBytes {
			break
		}
		if j.swapped == nil {
			j.swapped = make(chan struct{})
		}
		ch := j.swapped
		j.mu.Unlock()
		signal(j.wake)
		select {
		case <-ch:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
		j.mu.Lock()
	}
	for i := range es {
		j.encode(&es[i])
	}
	b, last := j.cur, j.next-1
	j.mu.Unlock()
	signal(j.wake)
	return b, last, nil
}

// admit says whether that many bytes may be appended now. The caller holds mu.
func (j *Journal) admit(size int64) error {
	switch used := j.used + j.inflight + int64(len(j.cur.buf)) + j.async.bytes - j.reclaimable; {
	case j.closed:
		return ErrClosed
	case j.broken != nil:
		return j.broken
	case used+size > j.cfg.QuotaBytes:
		return &FullError{What: "disk quota", Used: used, Limit: j.cfg.QuotaBytes}
	}
	return nil
}

// encode appends one entry to the current batch. The caller holds mu.
func (j *Journal) encode(e *Entry) {
	j.cur.buf = appendRecord(j.cur.buf, e, j.next, j.durable, &j.head, j.sha)
	j.cur.count++
	j.next++
}

// asyncQueue holds entries that nobody waits for. They stay here until they are durable, so that a failing disk does not lose them.
type asyncQueue struct {
	queue    []Entry
	bytes    int64 // on disk, of the queue and of those being written
	counters *counters
}

// AppendAsync accepts an entry that becomes durable within about Config.AsyncDelay, and never blocks. A crash loses at most what the buffer
// of Config.AsyncBytes holds; Stats.AsyncLost of the next start says how many that can be. A failing disk loses none: they wait.
//
// It fails with ErrFull when buffer or quota are used up (counted in Stats.AsyncDropped), with ErrInvalid and with ErrClosed.
func (j *Journal) AppendAsync(e Entry) error {
	size, err := j.check(&e)
	if err != nil {
		return err
	}
	e.Data = bytes.Clone(e.Data)
	j.mu.Lock()
	if err := j.admit(size); err != nil && j.broken == nil || j.closed {
		j.stats.AsyncDropped++
		j.mu.Unlock()
		return err
	}
	if j.async.bytes+size > j.cfg.AsyncBytes {
		used := j.async.bytes
		j.stats.AsyncDropped++
		j.mu.Unlock()
		return &FullError{What: "asynchronous buffer", Used: used, Limit: j.cfg.AsyncBytes}
	}
	j.async.queue = append(j.async.queue, e)
	j.async.bytes += size
	half := j.async.bytes > j.cfg.AsyncBytes/2
	j.async.counters.accepted.Add(1) // under mu: Close unmaps the counters
	j.mu.Unlock()
	if half {
		signal(j.wake)
	} else {
		signal(j.soon)
	}
	return nil
}

// signal leaves a token in a channel of capacity one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
