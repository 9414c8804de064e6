package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"sync"
)

// position is the journal's second witness: which entry was last durable, with which hash, and which was last released. It is written in
// place after every commit, alternating between two slots, and synced now and then: the first protects against kill -9, the second against a power cut.
type position struct {
	mu     sync.Mutex
	f      File
	gen    uint64
	state  positionState
	dirty  bool // written since the last successful sync
	failed bool // the last sync failed
	// damaged names a slot that could not be read although the other one could.
	damaged *DamageError
}

type positionState struct {
	durable, released uint64
	segment           uint64 // number of the segment that holds durable
	size              int64  // bytes of it that are durable
	hash              [hashSize]byte
}

const (
	positionName = "position"
	slotSize     = 128
	slotStep     = 4096 // so that no two slots share a sector or a page
)

// errUnused is damage that does no harm: nothing is read there.
var errUnused = errors.New("bytes that nothing is written to are not zero")

var slotMagic = []byte("SYJPOS01")

func openPosition(fsys FS, path string) (*position, error) {
	f, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if f, err = fsys.Create(path); err == nil {
			err = errors.Join(writeFull(f, make([]byte, 2*slotStep), 0), f.Sync(), fsys.SyncDir(filepath.Dir(path)))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	p := &position{f: f}
	if err := p.load(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

// load takes the newer of the two slots. A file that was never written is a journal without a witness, not damage.
func (p *position) load() error {
	b := make([]byte, 2*slotStep)
	if n, err := p.f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s: %w", positionName, err)
	} else if n < len(b) {
		return errors.Join(writeFull(p.f, make([]byte, len(b)-n), int64(n)), p.f.Sync())
	}
	found := false
	for i := range int64(2) {
		slot := b[i*slotStep : i*slotStep+slotSize]
		if !isZero(b[i*slotStep+slotSize : (i+1)*slotStep]) {
			p.damaged = &DamageError{Segment: positionName, Offset: i*slotStep + slotSize, Reason: errUnused.Error()}
		}
		if isZero(slot) {
			continue
		}
		if crc32.Checksum(slot[:124], castagnoli) != binary.LittleEndian.Uint32(slot[124:]) || string(slot[:8]) != string(slotMagic) {
			p.damaged = &DamageError{Segment: positionName, Offset: i * slotStep, Reason: errPayload.Error()}
			continue
		}
		if gen := binary.LittleEndian.Uint64(slot[8:]); !found || gen > p.gen {
			found, p.gen, p.state = true, gen, decodeSlot(slot)
		}
	}
	if !found && p.damaged != nil && p.damaged.Reason != errUnused.Error() {
		return p.damaged
	}
	return nil
}

func decodeSlot(b []byte) (s positionState) {
	le := binary.LittleEndian
	s.durable, s.released, s.segment, s.size = le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:]), int64(le.Uint64(b[40:]))
	copy(s.hash[:], b[48:80])
	return s
}

// update changes the state and writes it into the older slot, without waiting for the disk.
func (p *position) update(change func(*positionState)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.state)
	return p.write()
}

// write puts the state into the older slot. The caller holds mu.
func (p *position) write() error {
	p.gen++
	le := binary.LittleEndian
	var b [slotSize]byte
	copy(b[:], slotMagic)
	le.PutUint64(b[8:], p.gen)
	le.PutUint64(b[16:], p.state.durable)
	le.PutUint64(b[24:], p.state.released)
	le.PutUint64(b[32:], p.state.segment)
	le.PutUint64(b[40:], uint64(p.state.size))
	copy(b[48:], p.state.hash[:])
	le.PutUint32(b[124:], crc32.Checksum(b[:124], castagnoli))
	p.dirty = true
	return writeFull(p.f, b[:], int64(p.gen%2)*slotStep)
}

// sync makes what was written last durable. After a failure the state is written again before the next attempt, since that could succeed
// without having written the pages that the first one gave up.
func (p *position) sync() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dirty {
		return nil
	}
	if p.failed {
		if err := p.write(); err != nil {
			return err
		}
	}
	err := p.f.Sync()
	p.failed, p.dirty = err != nil, err != nil
	return err
}

func (p *position) close() error { return errors.Join(p.sync(), p.f.Close()) }

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// writeFull turns a short write without an error into one.
func writeFull(f io.WriterAt, b []byte, offset int64) error {
	n, err := f.WriteAt(b, offset)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
