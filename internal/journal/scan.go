package journal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// scanner reads the records of one segment in order and checks each by itself; chaining them is up to the caller.
type scanner struct {
	name   string
	r      *bufio.Reader
	offset int64  // where the next record begins
	limit  int64  // where the segment ends
	seq    uint64 // what the next record has to be; 0 accepts any
	buf    []byte
	head   header // of the record that next failed on; zero when the header itself is bad
}

var (
	errSequence = errors.New("the sequence is not the next one")
	errChain    = errors.New("the hash does not follow from the record and the one before it")
)

func newScanner(name string, f io.ReaderAt, at place, limit int64) *scanner {
	r := io.NewSectionReader(f, at.offset, max(0, limit-at.offset))
	return &scanner{name: name, r: bufio.NewReaderSize(r, 64<<10), offset: at.offset, limit: limit, seq: at.seq}
}

// next returns the next record; its bytes are valid until the following call. The error is io.EOF at the end, one of the reasons for
// damage, or that of the disk.
func (s *scanner) next() (h header, rec []byte, err error) {
	left := s.limit - s.offset
	if left <= 0 {
		return header{}, nil, io.EOF
	}
	s.head = header{}
	if left < headerSize {
		return header{}, nil, errShort
	}
	b, err := s.r.Peek(headerSize)
	if err != nil {
		return header{}, nil, s.disk(err)
	}
	if h, err = parseHeader(b); err != nil {
		return header{}, nil, err
	}
	s.head = h
	if h.length > left {
		return h, nil, errShort
	}
	if int64(cap(s.buf)) < h.length {
		s.buf = make([]byte, h.length, max(h.length, 4<<10))
	}
	rec = s.buf[:h.length]
	if _, err := io.ReadFull(s.r, rec); err != nil {
		return h, nil, s.disk(err)
	}
	s.offset += h.length
	if err := h.checkPayload(rec); err != nil {
		s.offset -= h.length
		return h, nil, err
	}
	if s.seq != 0 && h.seq != s.seq {
		s.offset -= h.length
		return h, nil, errSequence
	}
	s.seq = h.seq + 1
	return h, rec, nil
}

// disk names the place of a read that failed. A file that ends before its known size is damage, not the end.
func (s *scanner) disk(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errShort
	}
	return fmt.Errorf("read segment %s at %d: %w", s.name, s.offset, err)
}

// isDamage tells damaged bytes from a disk that did not answer.
func isDamage(err error) bool {
	for _, reason := range []error{errShort, errHeader, errPayload, errLayout, errSequence, errChain} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// damage names the place where next failed; other errors pass.
func (s *scanner) damage(err error) error {
	if !isDamage(err) {
		return err
	}
	return &DamageError{Segment: s.name, Offset: s.offset, Seq: s.seq, Reason: err.Error()}
}
