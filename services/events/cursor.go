package events

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// cursor is a place between two events: after the one with the number, or before those that were stored from a time on. It is a position, not a permission: every
// stream is restricted to the caller's project by itself.
type cursor struct {
	seq  uint64
	time time.Time // counts when it is set
}

const (
	cursorSeq  = 1
	cursorTime = 2
)

// String returns the opaque form.
func (c cursor) String() string {
	var b [13]byte
	if b[0] = cursorSeq; c.time.IsZero() {
		binary.BigEndian.PutUint64(b[1:], c.seq)
	} else {
		b[0] = cursorTime
		binary.BigEndian.PutUint64(b[1:], uint64(c.time.UnixMicro()))
	}
	binary.BigEndian.PutUint32(b[9:], crc32.ChecksumIEEE(b[:9]))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// parseCursor reads the opaque form. It fails with INVALID_ARGUMENT.
func parseCursor(s string) (cursor, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 13 || crc32.ChecksumIEEE(b[:9]) != binary.BigEndian.Uint32(b[9:]) || b[0] != cursorSeq && b[0] != cursorTime {
		return cursor{}, fault.InvalidField("cursor", "is not a cursor of an event or a stream of events").Cause(err)
	}
	n := binary.BigEndian.Uint64(b[1:])
	if b[0] == cursorTime {
		return cursor{time: time.UnixMicro(int64(n)).UTC()}, nil
	}
	return cursor{seq: n}, nil
}

// start returns where reading goes on.
func (c cursor) start() Start {
	if !c.time.IsZero() {
		return Start{Time: c.time}
	}
	return Start{Seq: c.seq + 1}
}
