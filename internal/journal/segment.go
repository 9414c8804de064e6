package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"
)

// A segment is a file "<number>.seg" of a header and records:
//
//	 0  magic "SYJSEG01"
//	 8  number of the segment
//	16  sequence of its first record
//	24  number of the previous segment, 0 when there is none
//	32  bytes of the previous segment that count: what stands after them was never acknowledged
//	40  hash of the record before the first
//	72  zeros
//	124 CRC32C of bytes 0 to 124
const (
	segmentHeader = 128
	segmentSuffix = ".seg"
)

var segmentMagic = []byte("SYJSEG01")

// segment is one file. size changes only with commits, under Journal.mu; the rest never changes.
type segment struct {
	name     string
	number   uint64
	base     uint64 // sequence of the first record
	prev     uint64 // number of the previous segment
	prevSize int64  // bytes of it that count
	chain    [hashSize]byte
	size     int64 // durable bytes, header included
	f        File  // open for writing; nil for all but the last
	index    []place

	bad        *DamageError // what is wrong with the header, while the journal is being opened
	unfinished bool         // the header was never written as a whole
}

// place is where a record begins.
type place struct {
	seq    uint64
	offset int64
}

// indexStep is the distance between two places that a segment remembers: at most this much is read to find an entry.
const indexStep = 256 << 10

// remember notes where an entry begins when the last noted place is far enough away.
func (s *segment) remember(seq uint64, offset int64) {
	if n := len(s.index); n == 0 && offset >= indexStep || n > 0 && offset >= s.index[n-1].offset+indexStep {
		s.index = append(s.index, place{seq, offset})
	}
}

// find returns the last known place at or before an entry.
func (s *segment) find(seq uint64) place {
	at := place{s.base, segmentHeader}
	for _, p := range s.index {
		if p.seq > seq {
			break
		}
		at = p
	}
	return at
}

func segmentName(number uint64) string { return fmt.Sprintf("%020d%s", number, segmentSuffix) }

// segmentNumber returns the number in a file's name, and false for other files.
func segmentNumber(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

func (s *segment) encodeHeader() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, segmentHeader)
	b = append(b, segmentMagic...)
	b = le.AppendUint64(b, s.number)
	b = le.AppendUint64(b, s.base)
	b = le.AppendUint64(b, s.prev)
	b = le.AppendUint64(b, uint64(s.prevSize))
	b = append(b, s.chain[:]...)
	b = b[:segmentHeader]
	le.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	return b
}

// decodeHeader fills in what the first bytes of a segment say.
func (s *segment) decodeHeader(b []byte) error {
	le := binary.LittleEndian
	if len(b) < segmentHeader {
		return errShort
	}
	if string(b[:8]) != string(segmentMagic) || crc32.Checksum(b[:124], castagnoli) != le.Uint32(b[124:]) {
		return errHeader
	}
	if n := le.Uint64(b[8:]); n != s.number {
		return fmt.Errorf("the header belongs to segment %d", n)
	}
	s.base, s.prev, s.prevSize = le.Uint64(b[16:]), le.Uint64(b[24:]), int64(le.Uint64(b[32:]))
	copy(s.chain[:], b[40:72])
	if s.base == 0 || s.prevSize < 0 {
		return errLayout
	}
	return nil
}

// addSegment creates the segment that follows what is durable, and makes it and its name durable. A segment that cannot be completed is removed.
func (j *Journal) addSegment() error {
	j.mu.Lock()
	j.lastNumber++
	s := &segment{number: j.lastNumber, base: j.durable + 1, chain: j.durHead, size: segmentHeader}
	var empty *segment // the last one, when it never took an entry
	if n := len(j.segments); n > 0 {
		last := j.segments[n-1]
		s.prev, s.prevSize = last.number, last.size
		if last.size == segmentHeader {
			s.prev, s.prevSize, empty = last.prev, last.prevSize, last
		}
	}
	j.mu.Unlock()
	s.name = segmentName(s.number)
	path := filepath.Join(j.dir, s.name)
	f, err := j.fs.Create(path)
	if err != nil {
		return fmt.Errorf("create segment %s: %w", s.name, err)
	}
	if err = writeFull(f, s.encodeHeader(), 0); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fs.SyncDir(j.dir)
	}
	if err != nil {
		// What remains of it after a crash is recognised as a segment without entries that no later one refers to.
		return errors.Join(fmt.Errorf("create segment %s: %w", s.name, err), f.Close(), j.fs.Remove(path))
	}
	s.f = f
	j.mu.Lock()
	var before File
	if n := len(j.segments); n > 0 {
		before, j.segments[n-1].f = j.segments[n-1].f, nil
	}
	if empty != nil {
		j.segments = j.segments[:len(j.segments)-1]
		j.used -= empty.size
	}
	j.segments = append(j.segments, s)
	j.used += s.size
	j.mu.Unlock()
	if before != nil {
		// All that counts in it is synced.
		if err := before.Close(); err != nil {
			j.log.Warn("segment not closed", "error", err)
		}
	}
	if empty != nil {
		if err := j.fs.Remove(filepath.Join(j.dir, empty.name)); err != nil {
			j.log.Warn("an unused segment could not be removed; the next start will try again", "segment", empty.name, "error", err)
		}
	}
	return nil
}
