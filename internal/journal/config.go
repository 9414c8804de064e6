package journal

import (
	"errors"
	"fmt"
	"time"
)

// Config sets the sizes and limits of a journal.
type Config struct {
	// SegmentBytes is the size at which a segment is closed and the next one begun. From 4 KiB; default 64 MiB.
	SegmentBytes int64 `yaml:"segment_bytes"`
	// QuotaBytes limits the disk that all segments together take. Appending beyond it fails with ErrFull until the relay has caught up.
	// At least two segments; default 4 GiB.
	QuotaBytes int64 `yaml:"quota_bytes"`
	// RetainBytes of released entries stay on disk, newest first, so that a bus that lost its store can be fed again. They give way when the quota
	// needs the room. Default 0: a segment is deleted as soon as all its entries are released.
	RetainBytes int64 `yaml:"retain_bytes"`
	// EntryBytes limits subject, id and data of one entry together. From 1 KiB to 64 MiB; default 1 MiB.
	EntryBytes int64 `yaml:"entry_bytes"`
	// PendingBytes limits the entries that wait for the next fsync; callers beyond it wait. At least EntryBytes; default 8 MiB.
	PendingBytes int64 `yaml:"pending_bytes"`
	// AsyncBytes bounds the buffer of AppendAsync, and with it what a crash can lose. Default 4 MiB.
	AsyncBytes int64 `yaml:"async_bytes"`
	// AsyncDelay is how long an asynchronous entry may wait for company before it is written. Default 20 ms.
	AsyncDelay time.Duration `yaml:"async_delay"`
	// RetryDelay is the longest pause between two attempts to return to service after the disk failed. From 1 ms to 5 s; default 500 ms.
	RetryDelay time.Duration `yaml:"retry_delay"`
}

// Default returns the configuration of a journal on one machine.
func Default() Config {
	return Config{
		SegmentBytes: 64 << 20, QuotaBytes: 4 << 30, EntryBytes: 1 << 20, PendingBytes: 8 << 20,
		AsyncBytes: 4 << 20, AsyncDelay: 20 * time.Millisecond, RetryDelay: 500 * time.Millisecond,
	}
}

// Validate returns all that is wrong with the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.SegmentBytes >= 4<<10, "segment_bytes is %d, at least 4096", c.SegmentBytes)
	check(c.QuotaBytes >= 2*c.SegmentBytes, "quota_bytes is %d, at least two segments of %d", c.QuotaBytes, c.SegmentBytes)
	check(c.RetainBytes >= 0, "retain_bytes is %d, at least 0", c.RetainBytes)
	check(c.EntryBytes >= 1<<10 && c.EntryBytes <= 64<<20, "entry_bytes is %d, from 1024 to 67108864", c.EntryBytes)
	check(c.PendingBytes >= c.EntryBytes+recordOverhead && c.PendingBytes <= 1<<30,
		"pending_bytes is %d, from entry_bytes + %d to 1073741824", c.PendingBytes, recordOverhead)
	check(c.AsyncBytes >= c.EntryBytes, "async_bytes is %d, at least entry_bytes (%d)", c.AsyncBytes, c.EntryBytes)
	check(c.AsyncDelay > 0 && c.AsyncDelay <= 10*time.Second, "async_delay is %v, above 0 up to 10s", c.AsyncDelay)
	check(c.RetryDelay >= time.Millisecond && c.RetryDelay <= 5*time.Second, "retry_delay is %v, from 1ms to 5s", c.RetryDelay)
	return errors.Join(errs...)
}
