package decision

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"
)

// lastStamp is the newest time that an id carries: milliseconds in the upper 52 bits, a fraction in units of 256 ns in the lower 12.
var lastStamp atomic.Int64

// NewID returns a UUIDv7 (RFC 9562, section 5.7, with method 3: the twelve bits after the milliseconds hold a finer fraction). Ids of
// one process sort in the order in which they were made. It costs one allocation and no system call, which the uuid package cannot do
// without a process-wide switch; 62 bits come from the runtime's ChaCha8 generator, which the operating system seeds.
func NewID() string {
	nano := time.Now().UnixNano()
	milli := nano / 1e6
	stamp := milli<<12 | (nano-milli*1e6)>>8
	for {
		last := lastStamp.Load()
		stamp = max(stamp, last+1)
		if lastStamp.CompareAndSwap(last, stamp) {
			break
		}
	}
	return formatID(stamp, rand.Uint64())
}

func formatID(stamp int64, random uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], uint64(stamp)>>12<<16|0x7000|uint64(stamp)&0xfff)
	binary.BigEndian.PutUint64(b[8:], random&(1<<62-1)|1<<63)
	var s [36]byte
	hex.Encode(s[0:8], b[0:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:36], b[10:16])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}

// SeededIDs returns the ids of the n items of a batch whose call has a seed.
func SeededIDs(seed string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = seededID(seed, i)
	}
	return ids
}

// seededID returns the id of item i of a batch whose call has a seed: the seed's time, and always the same for the same seed and item.
func seededID(seed string, i int) string {
	var b [8]byte
	if len(seed) != 36 {
		return NewID() // no seed of ours
	}
	if _, err := hex.Decode(b[:], []byte(seed[0:8]+seed[9:13]+seed[14:18])); err != nil {
		return NewID()
	}
	stamp := binary.BigEndian.Uint64(b[:])
	sum := sha256.Sum256([]byte(seed + "/" + strconv.Itoa(i)))
	return formatID(int64(stamp>>16<<12|stamp&0xfff), binary.BigEndian.Uint64(sum[:8]))
}
