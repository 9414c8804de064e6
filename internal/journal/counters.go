package journal

import (
	"fmt"
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
	before            uint64 // what the previous process accepted and did not settle
}

const countersSize = 4096

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
	if a, s := c.accepted.Load(), c.settled.Load(); a > s {
		c.before = a - s
	}
	c.accepted.Store(0)
	c.settled.Store(0)
	return c, nil
}

// lost returns the largest number of entries that the previous process can have lost.
func (c *counters) lost() uint64 { return c.before }

func (c *counters) close() error {
	if err := unmapFile(c.mem); err != nil {
		return err
	}
	return c.f.Close()
}
