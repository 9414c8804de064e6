// Package wal reads SQLite's write-ahead log before SQLite does, and tells what a killed process leaves from damage.
//
// The log is a header and frames of one page each (https://www.sqlite.org/fileformat2.html, section 4). Each frame carries a checksum over itself and everything before it.
// At the first opening SQLite takes over the frames up to the last commit before the first one whose checksum is wrong, and never says that others followed: a flipped bit would take
// acknowledged transactions with it. What a killed process leaves is told apart from damage like this:
//
//   - Beside the log lies its index (-shm), which says up to which frame transactions are committed. It is written after the log was synced and lives on when a process is killed. A wrong
//     frame up to there is damage.
//   - A power cut can leave an old index or none. But a transaction begins only after the one before it was synced: a wrong frame before a whole frame of a later transaction is damage too.
//   - A wrong frame in the last transaction, without an index, can be either. It is told, and is not called sure.
package wal

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

const (
	// pageSize is that of a log whose header cannot be believed.
	pageSize = 4096
	// again is how often a log is read that looks damaged, and betweenReads how long apart: it may just have begun anew.
	again        = 3
	betweenReads = 10 * time.Millisecond
	walHeader    = 32
	frameHeader  = 24
	// walMagic is the number that a log begins with; its last bit says that checksums are of big-endian words.
	walMagic = 0x377f0682
	// indexHeader is the size of the header of the index, which is there twice.
	indexHeader  = 48
	indexVersion = 3_007_000
)

// sum is a checksum of the log: it goes on from the one before.
type sum [2]uint32

// add returns the checksum over data, whose length is a multiple of 8.
func (s sum) add(order binary.ByteOrder, data []byte) sum {
	for ; len(data) >= 8; data = data[8:] {
		s[0] += order.Uint32(data) + s[1]
		s[1] += order.Uint32(data[4:]) + s[0]
	}
	return s
}

// sumAt reads a checksum as the log holds it.
func sumAt(b []byte) sum {
	return sum{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])}
}

// State is what a log turned out to be.
type State struct {
	Frames  int64  // whole frames that belong to it, from the first on
	Commits int64  // the last of them that ends a transaction; 0 for none
	Problem string // what is wrong; empty for nothing
	Sure    bool   // the problem is damage; otherwise a power cut can be the cause
}

// Index is how many frames the index of a log says to be committed, under which salts.
type Index struct {
	Frames int64
	Salts  [8]byte
}

// ReadIndex reads the header of the index. ok is false when there is none that can be believed.
func ReadIndex(header []byte) (c Index, ok bool) {
	for at := 0; at+indexHeader <= len(header) && at <= indexHeader; at += indexHeader {
		h := header[at : at+indexHeader]
		order := binary.NativeEndian
		s := sum{}
		for i := 0; i < 40; i += 8 {
			s[0] += order.Uint32(h[i:]) + s[1]
			s[1] += order.Uint32(h[i+4:]) + s[0]
		}
		if order.Uint32(h) != indexVersion || h[12] != 1 || s != (sum{order.Uint32(h[40:]), order.Uint32(h[44:])}) {
			continue
		}
		// The first copy is written last: both are whole in a process that was not killed between them.
		if n := int64(order.Uint32(h[16:])); !ok || n > c.Frames {
			c.Frames = n
			copy(c.Salts[:], h[32:40])
		}
		ok = true
	}
	return c, ok
}

// Read looks at a log of some bytes. index may be nil. It fails only when the log cannot be read.
func Read(log io.Reader, size int64, index *Index) (st State, err error) {
	in := bufio.NewReaderSize(log, 64*(frameHeader+pageSize))
	header := make([]byte, walHeader)
	if size < walHeader {
		return st, nil // its maker was killed before anything was in it
	}
	if _, err := io.ReadFull(in, header); err != nil {
		return st, err
	}
	w := walk{index: index, page: pageSize, order: binary.LittleEndian}
	w.begin(header)
	if w.page > 1<<16 || w.page < 512 {
		w.page, w.whole = pageSize, false
	}
	frame := make([]byte, frameHeader+w.page)
	for {
		if _, err := io.ReadFull(in, frame); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return w.end(), nil
		} else if err != nil {
			return st, err
		}
		w.frame(frame)
	}
}

// walk goes through the frames of a log.
type walk struct {
	index *Index
	order binary.ByteOrder
	page  int64
	salts [8]byte
	whole bool // the header is
	blank bool // the header was never written

	number  int64 // of the frame that was read last, from 1
	state   State
	good    sum // the checksum of everything so far, while nothing is wrong
	bad     int64
	stored  sum  // what the last frame says that its checksum is
	wanted  sum  // what that should have been, of the first wrong frame
	ended   bool // the transaction of the first wrong frame was seen to end
	later   bool // a whole frame of a later transaction was seen
	commits bool // a whole frame that commits was seen after the first wrong one
	first   [8]byte
}

func (w *walk) begin(header []byte) {
	copy(w.salts[:], header[16:24])
	w.blank = bytes.Count(header, []byte{0}) == len(header)
	magic := binary.BigEndian.Uint32(header)
	if magic&1 != 0 {
		w.order = binary.BigEndian
	}
	w.good = sum{}.add(w.order, header[:24])
	w.whole = magic&^1 == walMagic && binary.BigEndian.Uint32(header[4:]) == indexVersion && w.good == sumAt(header[24:])
	if w.whole {
		w.page = int64(binary.BigEndian.Uint32(header[8:]))
	}
}

// frame takes in one frame: its header and its page.
func (w *walk) frame(f []byte) {
	w.number++
	salts, commit, stored := [8]byte(f[8:16]), binary.BigEndian.Uint32(f[4:8]) != 0, sumAt(f[16:24])
	if w.number == 1 {
		w.first = salts
	}
	if w.bad == 0 && w.whole {
		s := w.good.add(w.order, f[:8]).add(w.order, f[frameHeader:])
		if salts == w.salts && stored == s {
			w.good = s
			if w.state.Frames = w.number; commit {
				w.state.Commits = w.number
			}
			return
		}
		// Frames after the end are those of an earlier round, whose salts are others. Whatever is wrong with this one, those after it tell what it was.
		w.bad, w.wanted, w.stored, w.ended = w.number, s, stored, commit
		return
	}
	if w.follows(f, salts, stored) {
		if w.later = w.later || w.ended; commit {
			w.ended, w.commits = true, true
		}
	}
	w.stored = stored
}

// follows says whether a frame after a wrong one is whole: its checksum goes on from what the frame before says, or from what that should say.
func (w *walk) follows(f []byte, salts [8]byte, stored sum) bool {
	if !w.whole {
		// Without a header nothing is known but what the frames say of each other.
		return w.number > 1 && salts == w.first && w.stored.add(w.order, f[:8]).add(w.order, f[frameHeader:]) == stored
	}
	if salts != w.salts {
		return false
	}
	return w.stored.add(w.order, f[:8]).add(w.order, f[frameHeader:]) == stored ||
		w.number == w.bad+1 && w.wanted.add(w.order, f[:8]).add(w.order, f[frameHeader:]) == stored
}

// end says what the log is.
func (w *walk) end() State {
	st := w.state
	known := w.index != nil && w.index.Salts == w.salts
	switch {
	case !w.whole:
		known = w.index != nil && w.index.Frames > 0
		if w.number == 0 && !known || w.blank {
			return st // nothing is in it
		}
		st.Problem, st.Sure = fmt.Sprintf("its header is damaged, so that all of its %d frames would be ignored", w.number), known || w.commits || w.first == w.salts
	case known && w.index.Frames > st.Frames && w.bad == 0:
		st.Problem, st.Sure = fmt.Sprintf("it ends after frame %d, and frame %d was committed", st.Frames, w.index.Frames), true
	case known && w.index.Frames > st.Frames:
		st.Problem, st.Sure = fmt.Sprintf("frame %d, at byte %d, is damaged, and frame %d was committed", w.bad, w.at(w.bad), w.index.Frames), true
	case w.later:
		st.Problem, st.Sure = fmt.Sprintf("frame %d, at byte %d, is damaged, and later transactions follow", w.bad, w.at(w.bad)), true
	case w.commits && !known:
		st.Problem = fmt.Sprintf("frame %d, at byte %d, of the last transaction is wrong: after a power cut that is how an unfinished transaction looks, otherwise the transaction is lost", w.bad, w.at(w.bad))
	}
	return st
}

// at is where a frame begins in the file.
func (w *walk) at(frame int64) int64 { return walHeader + (frame-1)*(frameHeader+w.page) }

// Verify reads the log of a database. It may run while others write: what looks damaged is read again, since the log may just have begun anew.
func Verify(path string) (st State, err error) {
	for range again {
		if st, err = read(path); err != nil || st.Problem == "" {
			return st, err
		}
		time.Sleep(betweenReads)
	}
	return st, nil
}

func read(path string) (st State, err error) {
	var index *Index
	if f, err := os.Open(path + "-shm"); err == nil {
		header := make([]byte, 2*indexHeader)
		n, _ := io.ReadFull(f, header)
		_ = f.Close()
		if c, ok := ReadIndex(header[:n]); ok {
			index = &c
		}
	}
	f, err := os.Open(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return st, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return st, err
	}
	return Read(f, info.Size(), index)
}
