package journal

import (
	"errors"
	"fmt"
)

var (
	// ErrFull means that the disk quota or the asynchronous buffer is used up; errors.As gives the *FullError with the numbers.
	ErrFull = errors.New("journal is full")
	// ErrUnavailable means that the disk refused a write or an fsync. The journal tries by itself to return to service.
	ErrUnavailable = errors.New("journal is unavailable")
	// ErrDamaged means that entries on disk are not what was written; errors.As gives the *DamageError that names the place.
	ErrDamaged = errors.New("journal is damaged")
	// ErrLocked means that another process has the journal open.
	ErrLocked = errors.New("journal is in use by another process")
	// ErrClosed means that the journal was closed.
	ErrClosed = errors.New("journal is closed")
	// ErrInvalid means that an entry has no subject or id, or is larger than the configuration allows.
	ErrInvalid = errors.New("invalid entry")
	// ErrReleased means that Read was asked for entries whose segment was deleted after their release.
	ErrReleased = errors.New("entries were released and deleted")
)

// FullError says how much of which limit is used; it is an ErrFull.
type FullError struct {
	What        string // "disk quota" or "asynchronous buffer"
	Used, Limit int64  // bytes
}

// Error names the limit and how much of it is used.
func (e *FullError) Error() string {
	return fmt.Sprintf("journal is full: %s has %d of %d bytes in use", e.What, e.Used, e.Limit)
}

// Is makes every FullError an ErrFull.
func (e *FullError) Is(target error) bool { return target == ErrFull }

// DamageError names a damaged place; it is an ErrDamaged.
type DamageError struct {
	Segment string // file name
	Offset  int64  // byte offset in the file
	Seq     uint64 // sequence of the entry that stands or should stand there; 0 when it concerns no entry
	Reason  string
}

// Error names segment, offset, sequence and what is wrong.
func (e *DamageError) Error() string {
	return fmt.Sprintf("journal is damaged: segment %s, offset %d, sequence %d: %s", e.Segment, e.Offset, e.Seq, e.Reason)
}

// Is makes every DamageError an ErrDamaged.
func (e *DamageError) Is(target error) bool { return target == ErrDamaged }

// unavailable wraps the disk's answer.
func unavailable(cause error) error { return fmt.Errorf("%w: %w", ErrUnavailable, cause) }
