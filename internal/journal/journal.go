// Package journal makes records durable on the local disk before anybody is told that they are: an append-only log of opaque
// entries, checksummed, hash-chained, and written with one fsync for all callers that append at the same time.
//
// It knows nothing of decisions, of JetStream or of projects beyond an entry's subject. A relay reads it, hands the entries on,
// and releases them; only then may a segment be deleted.
//
// # What is guaranteed
//
//   - When Append returns nil the entry is on disk: it survives kill -9 and, as far as the disk keeps what fsync confirmed, a power cut.
//   - When Append fails, the entry is not acknowledged. It may still turn up after a crash; give it a stable ID and append it again.
//   - Any damage to an acknowledged entry that leaves its bytes in place, such as a flipped bit, is reported with segment, offset and
//     sequence: by Open for the newest segment, by Read and Verify for all. It is never repaired by cutting data off.
//   - Open cuts off only what no fsync ever confirmed: bytes at the end of the newest segment that end early or hold a sector that was
//     never written. The position file, which names the last durable entry, vetoes the cut when it would reach an acknowledged entry.
//     That file is written at every commit and synced once a second, so the one case that cannot be told from a torn write is
//     entries of the last second before a power cut whose sectors the disk lost although it had confirmed them.
//   - After a failed write or fsync the same pages are never synced again: the bytes go from memory to a fresh segment, or the
//     callers get ErrUnavailable and the journal returns to service by itself as soon as the disk takes a fresh segment.
package journal

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Entry is one record of the journal.
type Entry struct {
	Seq     uint64 // place in the journal, from 1, without gaps; set by the journal
	Subject string // where the relay publishes it, such as "switchyard.<project>.decisions"; 1 to 1024 bytes
	ID      string // message id by which the bus recognises a repetition; 1 to 512 bytes
	Data    []byte // opaque; at most Config.EntryBytes
}

// Journal is an open journal. All its methods may be called from many goroutines.
type Journal struct {
	dir  string
	cfg  Config
	fs   FS
	log  *slog.Logger
	lock *os.File

	mu          sync.Mutex
	cur         *batch         // being filled by callers
	spare       []byte         // the buffer of an earlier batch, to be filled again
	swapped     chan struct{}  // closed when cur is taken, for callers that found it full; nil when none waits
	next        uint64         // sequence of the next entry
	head        [hashSize]byte // chain after entry next-1
	sha         hash.Hash
	broken      error // why nothing can be appended at the moment
	closed      bool
	segments    []*segment // oldest first; the last one is written to
	durable     uint64     // last sequence that is on disk
	durHead     [hashSize]byte
	released    uint64
	used        int64  // bytes of all segments
	reclaimable int64  // bytes of released segments that are kept only because of RetainBytes
	inflight    int64  // bytes of the batch being written
	lastNumber  uint64 // number of the newest segment that was ever created
	async       asyncQueue
	changed     chan struct{} // closed at the next commit; nil when nobody waits
	hint        readHint
	stats       Stats

	pos     *position
	relMu   sync.Mutex    // one Release at a time
	wake    chan struct{} // entries wait for a commit
	soon    chan struct{} // asynchronous entries wait for a commit that may take its time
	notify  chan struct{}
	turn    chan chan error // asks for a new segment
	stop    chan struct{}
	stopped chan struct{}
}

// Option changes how a journal works in ways that are not configuration.
type Option func(*Journal)

// WithFS replaces the file system, so that tests can make it fail.
func WithFS(fs FS) Option { return func(j *Journal) { j.fs = fs } }

// WithLogger sets where repairs, failures and recoveries are logged. The default discards them; errors are returned either way.
func WithLogger(l *slog.Logger) Option { return func(j *Journal) { j.log = l } }

// Open opens the journal in dir, creating it when absent, and repairs a torn tail. It fails with ErrLocked when another process has
// the journal open, and with a *DamageError when acknowledged entries are damaged or missing.
func Open(dir string, c Config, opts ...Option) (*Journal, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	j := &Journal{
		dir: dir, cfg: c, fs: OS, log: slog.New(slog.DiscardHandler), sha: sha256.New(),
		wake: make(chan struct{}, 1), soon: make(chan struct{}, 1), notify: make(chan struct{}, 1),
		turn: make(chan chan error), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	for _, o := range opts {
		o(j)
	}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("open journal %s: %w", dir, err)
	}
	go j.run()
	return j, nil
}

func (j *Journal) open() (err error) {
	if err := j.fs.MkdirAll(j.dir); err != nil {
		return err
	}
	if j.lock, err = lockFile(filepath.Join(j.dir, "lock")); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			j.closeFiles()
		}
	}()
	if j.pos, err = openPosition(j.fs, filepath.Join(j.dir, "position")); err != nil {
		return err
	}
	if j.async.counters, err = openCounters(filepath.Join(j.dir, "async")); err != nil {
		return err
	}
	if j.stats.AsyncLost = j.async.counters.lost(); j.stats.AsyncLost > 0 {
		j.log.Warn("asynchronous entries were lost in a crash", "journal", j.dir, "at_most", j.stats.AsyncLost)
	}
	if err := j.recover(); err != nil {
		return err
	}
	j.next, j.head = j.durable+1, j.durHead
	j.cur = newBatch(nil)
	return nil
}

// Close commits what is pending, waits for it, and gives the journal free for another process. Further calls fail with ErrClosed.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrClosed
	}
	j.closed = true
	j.mu.Unlock()
	close(j.stop)
	<-j.stopped
	return j.closeFiles()
}

// closeFiles syncs the position and closes every file; the lock goes last.
func (j *Journal) closeFiles() error {
	var errs []error
	if len(j.segments) > 0 {
		if f := j.segments[len(j.segments)-1].f; f != nil {
			errs = append(errs, f.Close())
		}
	}
	if j.pos != nil {
		errs = append(errs, j.pos.close())
	}
	if j.async.counters != nil {
		errs = append(errs, j.async.counters.close())
	}
	if j.lock != nil {
		errs = append(errs, unlockFile(j.lock))
	}
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("close journal %s: %w", j.dir, err)
		}
	}
	return nil
}

// Notify returns a channel that receives a value after commits. Several commits may share one value; only one goroutine should use it.
func (j *Journal) Notify() <-chan struct{} { return j.notify }

// Wait returns nil as soon as an entry after that sequence is durable, and ErrClosed when the journal closes before.
func (j *Journal) Wait(ctx context.Context, after uint64) error {
	for {
		j.mu.Lock()
		if j.durable > after {
			j.mu.Unlock()
			return nil
		}
		if j.changed == nil {
			j.changed = make(chan struct{})
		}
		ch := j.changed
		j.mu.Unlock()
		select {
		case <-ch:
		case <-j.stopped:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// announce tells those who wait that durable has moved. The caller holds mu.
func (j *Journal) announce() {
	if j.changed != nil {
		close(j.changed)
		j.changed = nil
	}
	select {
	case j.notify <- struct{}{}:
	default:
	}
}

// Stats are counts and positions of a journal since it was opened.
type Stats struct {
	First       uint64        // oldest entry still on disk; Last+1 when there is none
	Last        uint64        // newest durable entry, 0 when there was never one
	Released    uint64        // newest entry that the relay handed on
	Segments    int           // segment files on disk
	Bytes       int64         // bytes of all segments
	Quota       int64         // limit of Bytes
	Appended    uint64        // entries made durable
	Commits     uint64        // fsyncs that made them durable; Appended/Commits is the size of a group
	CommitTime  time.Duration // time spent writing and syncing
	Failures    uint64        // failed writes and fsyncs
	Unavailable error         // why appending fails at the moment, nil in service
	Repaired    int64         // bytes of a torn tail that Open cut off
	// AsyncPending entries wait in the buffer of AppendAsync; a crash loses at most these and those being written.
	AsyncPending int
	// AsyncDropped entries were refused by AppendAsync because the buffer was full.
	AsyncDropped uint64
	// AsyncLost is the largest number of accepted asynchronous entries that the previous process can have lost in a crash.
	AsyncLost uint64
}

// Stats returns the present counts.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.First, s.Last, s.Released, s.Segments = j.durable+1, j.durable, j.released, len(j.segments)
	if len(j.segments) > 0 {
		s.First = j.segments[0].base
	}
	s.Bytes, s.Quota, s.Unavailable, s.AsyncPending = j.used, j.cfg.QuotaBytes, j.broken, len(j.async.queue)
	return s
}
