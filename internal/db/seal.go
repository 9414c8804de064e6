package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
)

// A sealed SQLite file carries a checksum in the last 8 bytes of every page, which SQLite leaves to whoever asks for them (byte 20 of the header). They are written when a page
// goes to the file and checked whenever one comes from it, so that a flipped bit is an error and never an answer. Pages in the write-ahead log have SQLite's own checksums.

const (
	pageSize  = 4096
	sealBytes = 8
	// Offsets in the header of the file, https://www.sqlite.org/fileformat2.html.
	reservedAt = 20
	headerSize = 100
	magic      = "SQLite format 3\x00"
)

// ErrDamaged means that a page of the database is not what was written.
var ErrDamaged = errors.New("database is damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sealOf returns the checksum of a page: two different sums of its content and its number, so that a page at the wrong place is noticed too. Both run at several gigabytes a second
// on processors of the last ten years.
func sealOf(page []byte, number uint64) uint64 {
	body := page[:len(page)-sealBytes]
	a := crc32.Update(uint32(number)^0x5357, castagnoli, body)
	b := crc32.Update(bits.ReverseBytes32(uint32(number))^0x5944, crc32.IEEETable, body)
	return uint64(a)<<32 | uint64(b)
}

// stamp writes the checksum of a page into it.
func stamp(page []byte, number uint64) {
	binary.BigEndian.PutUint64(page[len(page)-sealBytes:], sealOf(page, number))
}

// whole says whether a page is what was written. A page of zeros is one that the file has room for and that was never written.
func whole(page []byte, number uint64) bool {
	return binary.BigEndian.Uint64(page[len(page)-sealBytes:]) == sealOf(page, number) || empty(page)
}

func empty(page []byte) bool {
	for len(page) >= 8 {
		if binary.NativeEndian.Uint64(page) != 0 {
			return false
		}
		page = page[8:]
	}
	return true
}

// newPage is the only page of an empty database that is sealed from the beginning.
func newPage() []byte {
	p := make([]byte, pageSize)
	copy(p, magic)
	binary.BigEndian.PutUint16(p[16:], pageSize)
	p[18], p[19], p[reservedAt] = 1, 1, sealBytes
	p[21], p[22], p[23] = 64, 32, 32
	binary.BigEndian.PutUint32(p[24:], 1) // change counter
	binary.BigEndian.PutUint32(p[28:], 1) // pages
	binary.BigEndian.PutUint32(p[44:], 4) // schema format
	binary.BigEndian.PutUint32(p[56:], 1) // UTF-8
	binary.BigEndian.PutUint32(p[92:], 1) // the change counter that the number of pages belongs to
	binary.BigEndian.PutUint32(p[96:], 3_046_000)
	p[headerSize] = 0x0d                                                     // the schema: a leaf without rows
	binary.BigEndian.PutUint16(p[headerSize+5:], uint16(pageSize-sealBytes)) // where its content begins
	stamp(p, 1)
	return p
}

// prepare makes a sealed empty database where there is no file, and says whether the file is sealed. A file of an earlier release is not, and stays as it is.
func prepare(path string) (sealed bool, err error) {
	page := make([]byte, pageSize)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, create(path)
	}
	if err != nil {
		return false, err
	}
	n, err := io.ReadFull(f, page)
	if err := f.Close(); err != nil {
		return false, err
	}
	switch {
	case n == 0:
		return false, nil // somebody made an empty file; SQLite makes its own kind of it
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return false, err
	case whole(page, 1) && page[reservedAt] == sealBytes:
		return true, nil
	}
	// The byte that says whether a file is sealed is as easily flipped as any other.
	page[reservedAt] = sealBytes
	if n == pageSize && binary.BigEndian.Uint64(page[pageSize-sealBytes:]) == sealOf(page, 1) {
		return true, fmt.Errorf("page 1: %w", ErrDamaged)
	}
	return unsealed(path)
}

// unsealed tells a file of an earlier release from a sealed one whose first page is damaged: the second page of a sealed one has a checksum.
func unsealed(path string) (sealed bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	page := make([]byte, pageSize)
	for number := uint64(2); number <= 16; number++ {
		if _, err := f.ReadAt(page, int64(number-1)*pageSize); err != nil {
			break
		}
		if !empty(page) && whole(page, number) {
			return true, fmt.Errorf("page 1: %w", ErrDamaged)
		}
	}
	return false, nil
}

// create makes the file in one step: of two processes that come at once, one makes it and the other finds it.
func create(path string) (err error) {
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	_, err = temp.Write(newPage())
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
