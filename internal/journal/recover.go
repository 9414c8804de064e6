package journal

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// recover finds the segments, repairs the tail of the newest, and holds the result against the position file.
func (j *Journal) recover() error {
	if err := j.listSegments(); err != nil {
		return err
	}
	was := j.pos.state
	j.released = was.released
	if len(j.segments) == 0 {
		if was.durable > was.released {
			return &DamageError{Segment: "(none)", Seq: was.released + 1, Reason: fmt.Sprintf("acknowledged entries up to %d are missing", was.durable)}
		}
		j.durable, j.durHead = was.durable, was.hash
		return j.addSegment()
	}
	first, last := j.segments[0], j.segments[len(j.segments)-1]
	if was.durable > 0 && first.base > was.released+1 {
		return &DamageError{
			Segment: first.name, Seq: was.released + 1,
			Reason: fmt.Sprintf("entries up to %d were not released and their segments are missing", first.base-1),
		}
	}
	j.released = max(was.released, first.base-1)
	if err := j.recoverTail(last, was); err != nil {
		return err
	}
	for _, s := range j.segments {
		j.used += s.size
	}
	err := j.pos.update(func(p *positionState) {
		p.durable, p.released, p.hash, p.segment, p.size = j.durable, j.released, j.durHead, last.number, last.size
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", positionName, err)
	}
	return j.trim(j.cfg.RetainBytes)
}

// listSegments reads the headers and follows them back from the newest segment. Each header names the segment before it, so what no later header
// refers to was abandoned before it held anything that counts, and is removed.
func (j *Journal) listSegments() error {
	all, err := j.loadHeaders()
	if err != nil {
		return err
	}
	for len(all) > 0 && all[len(all)-1].bad != nil {
		// A crash came while the newest segment was being created: no entry can have been written to it.
		s := all[len(all)-1]
		if !s.unfinished || s.number <= j.pos.state.segment {
			return s.bad
		}
		if err := j.removeVoid(s); err != nil {
			return err
		}
		all = all[:len(all)-1]
	}
	if len(all) == 0 {
		return nil
	}
	s := all[len(all)-1]
	chain := []*segment{s}
	for i := len(all) - 2; i >= 0; i-- {
		p := all[i]
		if p.number > s.prev {
			if err := j.removeVoid(p); err != nil {
				return err
			}
			continue
		}
		if err := s.follows(p); err != nil {
			return err
		}
		p.size = s.prevSize
		chain = append(chain, p)
		s = p
	}
	slices.Reverse(chain)
	j.segments = chain
	return nil
}

// follows says whether p is the segment that s names as the one before it.
func (s *segment) follows(p *segment) error {
	switch {
	case p.number < s.prev:
		return &DamageError{Segment: segmentName(s.prev), Seq: s.base - 1, Reason: "the segment is missing"}
	case p.bad != nil:
		return p.bad
	case p.size < s.prevSize:
		return &DamageError{
			Segment: p.name, Offset: p.size, Seq: s.base - 1,
			Reason: fmt.Sprintf("the segment ends early, %d bytes of it were acknowledged", s.prevSize),
		}
	case p.base > s.base:
		return &DamageError{Segment: p.name, Seq: p.base, Reason: "the segment begins after its successor"}
	}
	return nil
}

// loadHeaders reads the header and the size of every segment, by number.
func (j *Journal) loadHeaders() (all []*segment, err error) {
	names, err := j.fs.ReadDir(j.dir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		number, ok := segmentNumber(name)
		if !ok {
			continue
		}
		j.lastNumber = max(j.lastNumber, number)
		s := &segment{name: name, number: number}
		if err := j.loadHeader(s); err != nil {
			return nil, fmt.Errorf("read segment %s: %w", name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func (j *Journal) loadHeader(s *segment) (err error) {
	f, err := j.fs.Open(j.path(s.name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if s.size, err = f.Size(); err != nil {
		return err
	}
	b := make([]byte, segmentHeader)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bad := s.decodeHeader(b[:n]); bad != nil {
		s.bad = &DamageError{Segment: s.name, Reason: "segment header: " + bad.Error()}
		s.unfinished = s.size < segmentHeader || s.size == segmentHeader && isZero(b)
	}
	return nil
}

func (j *Journal) removeVoid(s *segment) error {
	j.log.Info("segment without entries removed", "segment", s.name)
	return j.fs.Remove(j.path(s.name))
}

// recoverTail reads the newest segment, cuts off what no fsync confirmed, and leaves it open for writing.
func (j *Journal) recoverTail(s *segment, was positionState) (err error) {
	f, err := j.fs.Open(j.path(s.name))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	size := s.size
	if err := j.scanTail(s, f, was); err != nil {
		return err
	}
	if j.durable < was.durable {
		return &DamageError{Segment: s.name, Offset: s.size, Seq: j.durable + 1, Reason: fmt.Sprintf("acknowledged entries up to %d are missing", was.durable)}
	}
	if s.size < size {
		j.stats.Repaired = size - s.size
		j.log.Warn("torn tail cut off", "segment", s.name, "offset", s.size, "bytes", size-s.size)
		if err := f.Truncate(s.size); err != nil {
			return fmt.Errorf("repair segment %s: %w", s.name, err)
		}
	}
	from := int64(0)
	if was.segment == s.number {
		from = was.size
	}
	if err := rewrite(f, from, s.size); err != nil {
		return fmt.Errorf("repair segment %s: %w", s.name, err)
	}
	if err := j.fs.SyncDir(j.dir); err != nil {
		return fmt.Errorf("sync directory %s: %w", j.dir, err)
	}
	s.f = f
	return nil
}

// scanTail follows the newest segment to its last good record and decides what the rest is.
func (j *Journal) scanTail(s *segment, f File, was positionState) error {
	j.durable, j.durHead = s.base-1, s.chain
	sc := newScanner(s.name, f, place{s.base, segmentHeader}, s.size)
	for {
		if j.durable == was.durable && j.durable >= s.base && j.durHead != was.hash {
			return sc.damage(errChain)
		}
		at := place{sc.seq, sc.offset}
		h, rec, err := sc.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			want, got := h.chain(rec, j.durHead, j.sha)
			if want == got {
				j.durable, j.durHead = h.seq, got
				s.remember(at.seq, at.offset)
				continue
			}
			sc.offset, sc.seq, err = at.offset, at.seq, errChain
		}
		if !isDamage(err) {
			return err
		}
		torn, terr := sc.torn(f, err, was.durable)
		if terr != nil {
			return terr
		}
		if !torn {
			return sc.damage(err)
		}
		s.size = sc.offset
		return nil
	}
}

// torn decides whether the bytes at which next failed are a write that a crash interrupted, which may be cut off, or damage to something that was
// acknowledged, which must not. A write is torn only when the position file does not know its sequence as durable, when no later record was written with
// that knowledge, and when it ends with the file or holds a sector that was never written.
func (s *scanner) torn(f io.ReaderAt, reason error, durable uint64) (bool, error) {
	if s.seq <= durable || errors.Is(reason, errSequence) || errors.Is(reason, errChain) || errors.Is(reason, errLayout) {
		return false, nil
	}
	if errors.Is(reason, errShort) {
		return true, nil
	}
	end := min(s.limit, s.offset+headerSize)
	if errors.Is(reason, errPayload) {
		end = s.offset + s.head.length
	}
	unwritten, err := unwrittenSector(f, s.offset, end, s.limit)
	if err != nil || !unwritten {
		return false, err
	}
	later, err := provenLater(f, s.offset, s.limit, s.seq)
	return !later, err
}

// unwrittenSector says whether a sector that overlaps the bytes from start to end holds only zeros after start and before limit.
func unwrittenSector(f io.ReaderAt, start, end, limit int64) (bool, error) {
	b := make([]byte, sector)
	for at := start; at < end; {
		next := min(at/sector*sector+sector, limit)
		if _, err := f.ReadAt(b[:next-at], at); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		if isZero(b[:next-at]) {
			return true, nil
		}
		at = next
	}
	return false, nil
}

// provenLater says whether a record header after start testifies that seq was durable when it was written. Records begin at multiples of 8.
func provenLater(f io.ReaderAt, start, limit int64, seq uint64) (bool, error) {
	const chunk = 1 << 20
	b := make([]byte, chunk+headerSize)
	for at := start; at < limit; at += chunk {
		n := min(int64(len(b)), limit-at)
		if _, err := f.ReadAt(b[:n], at); err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		for i := int64(0); i+headerSize <= n; i += 8 {
			if b[i] != recordMagic[0] {
				continue
			}
			if h, err := parseHeader(b[i:n]); err == nil && h.durable >= seq {
				return true, nil
			}
		}
	}
	return false, nil
}

// rewrite writes the bytes between from and to once more and syncs them. They are valid, but a process that was killed may have left them in memory only, or its
// fsync may have failed and dropped them from the pages that the next fsync looks at; writing them makes this process's own fsync cover them.
func rewrite(f File, from, to int64) error {
	b := make([]byte, 256<<10)
	for at := from; at < to; {
		n := min(int64(len(b)), to-at)
		if _, err := f.ReadAt(b[:n], at); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err := writeFull(f, b[:n], at); err != nil {
			return err
		}
		at += n
	}
	return f.Sync()
}
