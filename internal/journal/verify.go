package journal

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Verify reads all durable entries and checks every checksum, every sequence and the whole chain of hashes. It returns all damage that it found, joined; each piece
// is a *DamageError. It may run while entries are appended.
func (j *Journal) Verify(ctx context.Context) error {
	views, durable, err := j.view(0)
	if err != nil {
		return err
	}
	var found []error
	if d := j.pos.damaged; d != nil {
		found = append(found, d)
	}
	if c := j.async.counters; c != nil && c.damaged != nil {
		found = append(found, c.damaged)
	}
	for i, v := range views {
		var next *view
		if i+1 < len(views) {
			next = &views[i+1]
		}
		damage, err := j.verifySegment(ctx, v, next, durable)
		found = append(found, damage...)
		if err != nil {
			return errors.Join(append(found, fmt.Errorf("verify journal: %w", err))...)
		}
	}
	return errors.Join(found...)
}

// verifySegment returns the damage of one segment and goes on behind a damaged record where its header can be trusted. next is nil for the newest segment.
func (j *Journal) verifySegment(ctx context.Context, v view, next *view, durable uint64) (found []error, err error) {
	f, err := j.fs.Open(j.path(v.name))
	if errors.Is(err, fs.ErrNotExist) {
		if j.trimmed(v.number) {
			return nil, nil
		}
		return []error{&DamageError{Segment: v.name, Seq: v.base, Reason: "the segment is missing"}}, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := checkHeader(f, v); err != nil {
		found = append(found, err)
	}
	sc := newScanner(v.name, f, place{v.base, segmentHeader}, v.size)
	head, sha, last := v.chain, sha256.New(), v.base-1
	for {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		at := place{sc.seq, sc.offset}
		h, rec, err := sc.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			want, got := h.chain(rec, head, sha)
			if want != got {
				found = append(found, &DamageError{Segment: v.name, Offset: at.offset, Seq: at.seq, Reason: errChain.Error()})
			}
			head, last = got, h.seq
			continue
		}
		if !isDamage(err) {
			return found, err
		}
		found = append(found, sc.damage(err))
		if !errors.Is(err, errPayload) {
			return found, nil // what follows cannot be told apart
		}
		// The scanner has read the record whole: step behind it and take the hash that it carries, so that one damaged record is named once.
		copy(head[:], sc.buf[h.length-hashSize:h.length])
		last, sc.seq = h.seq, h.seq+1
		sc.offset += h.length
	}
	want := durable
	if next != nil {
		want = next.base - 1
	}
	if last < want {
		found = append(found, &DamageError{Segment: v.name, Offset: sc.offset, Seq: last + 1, Reason: fmt.Sprintf("acknowledged entries up to %d are missing", want)})
	}
	if next != nil && head != next.chain {
		found = append(found, &DamageError{Segment: v.name, Offset: sc.offset, Seq: last, Reason: "the next segment does not follow from the last hash"})
	}
	return found, nil
}

// checkHeader compares the header on disk with the one that was read or written at first.
func checkHeader(f io.ReaderAt, v view) error {
	b := make([]byte, segmentHeader)
	if _, err := f.ReadAt(b, 0); err != nil {
		return &DamageError{Segment: v.name, Reason: "segment header: " + err.Error()}
	}
	s := segment{name: v.name, number: v.number}
	if err := s.decodeHeader(b); err != nil {
		return &DamageError{Segment: v.name, Reason: "segment header: " + err.Error()}
	}
	if s.base != v.base || s.chain != v.chain {
		return &DamageError{Segment: v.name, Seq: v.base, Reason: "segment header: it changed since the journal was opened"}
	}
	return nil
}
