package journal

import (
	"fmt"
	"hash/crc32"
	"os"
	"sync/atomic"
	"unsafe"
)

// counters count the asynchronous entries that were accepted and those of them that became durable, in memory that is mapped from a file.
// A crash of the process leaves both behind, so that the next one can say how many entries were lost, without a system call per entry.
type counters struct {
	f                 *os.File
	mem               []byte
	accepted, settled *atomic.Uint64
	closed            *atomic.Uint64 // the sum of both when they were closed in order, else 0
	before            uint64         // what the previous process accepted and did not settle
	damaged           *DamageError
}

const (
	countersSize = 4096
	countersUsed = 24
	asyncName    = "async"
)

func openCounters(path string) (*counters, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != countersSize {
		// Zeros are written, not left as a hole: storing into a hole on a full disk would end the process.
		_, err = f.WriteAt(make([]byte, countersSize), 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	mem, err := mapFile(f, countersSize)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	c := &counters{f: f, mem: mem}
	c.accepted = (*atomic.Uint64)(unsafe.Pointer(&mem[0]))
	c.settled = (*atomic.Uint64)(unsafe.Pointer(&mem[8]))
	c.closed = (*atomic.Uint64)(unsafe.Pointer(&mem[16]))
	if sum := c.closed.Load(); sum != 0 && sum != c.sum() {
		c.damaged = &DamageError{Segment: asyncName, Reason: errPayload.Error()}
	} else if !isZero(mem[countersUsed:]) {
		c.damaged = &DamageError{Segment: asyncName, Offset: countersUsed, Reason: errUnused.Error()}
	}
	if a, s := c.accepted.Load(), c.settled.Load(); a > s {
		c.before = a - s
	}
	c.closed.Store(0)
	c.accepted.Store(0)
	c.settled.Store(0)
	return c, nil
}

// lost returns the largest number of entries that the previous process can have lost.
func (c *counters) lost() uint64 { return c.before }

// sum is what a process that closes in order leaves behind. It is never 0, which a process leaves that was killed.
func (c *counters) sum() uint64 { return 1<<63 | uint64(crc32.Checksum(c.mem[:16], castagnoli)) }

func (c *counters) close() error {
	c.closed.Store(c.sum())
	if err := unmapFile(c.mem); err != nil {
		return err
	}
	return c.f.Close()
}
