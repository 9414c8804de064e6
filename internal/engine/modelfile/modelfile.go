// Package modelfile reads and writes the container in which every model lives: a description, named sections of raw bytes,
// and checksums over all of it. It knows what a model is called and what it answers, not how it scores.
//
// # Layout
//
// All numbers are little endian. Every part begins at a multiple of 64 bytes; the gaps are zero.
//
//	prologue   64 bytes: magic (8), version u32, number of sections u32, file size u64, length of the description u32, CRC32C of it u32, zeros
//	directory  64 bytes a section: name (32, zero padded), offset u64, length u64, CRC32C of the data u32, zeros
//	description, then the sections in the order of the directory
//	trailer    the last 32 bytes: SHA-256 of everything before them
//
// There is exactly one encoding of a given content, and nothing in it is executed or sizes an allocation beyond the file's own
// length. A file can therefore be mapped into memory and used in place.
package modelfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"unsafe"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Limits of the format. A file beyond any of them is refused, when writing as well as when reading.
const (
	MaxSize        = 1 << 30 // bytes in a file
	MaxLabels      = 16384
	MaxLabelBytes  = 256
	MaxColumns     = 4096
	MaxColumnBytes = 256
	MaxMeta        = 256
	MaxKeyBytes    = 128
	MaxValueBytes  = 1 << 16
	MaxSections    = 64
	MaxNameBytes   = 32
)

const (
	magic     = "\x89SWYM\r\n\x1a" // the line ending shows a transfer in text mode
	version   = 1
	align     = 64
	prologue  = 64
	entrySize = 64
	trailer   = sha256.Size
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header describes a model.
type Header struct {
	Kind       engine.Kind
	Task       engine.Task
	Labels     []string // at least one; unique, in the order of the probabilities
	OutOfScope int      // index into Labels, -1 for none
	Columns    []engine.Column
	Meta       map[string]string
}

// Section is a named run of bytes. Names are 1 to 32 bytes of printable ASCII and unique in a file.
type Section struct {
	Name string
	Data []byte
}

// File is an opened model file. The bytes of its sections are valid until Close.
type File struct {
	info     *engine.Info
	sections []Section
	bytes    []byte
	unmap    func() error
}

// Open maps the file at path into memory and checks all of it. The file must not be changed while it is open: replace a
// model by writing another file, as the registry does. Damage is reported as an error wrapping [engine.ErrFormat].
func Open(path string) (*File, error) {
	b, unmap, err := openBytes(path)
	if err != nil {
		return nil, fmt.Errorf("open model %s: %w", path, err)
	}
	f, err := parse(b)
	if err != nil {
		_ = unmap()
		return nil, fmt.Errorf("open model %s: %w", path, err)
	}
	f.unmap = unmap
	return f, nil
}

// Parse checks a model file that is already in memory. It keeps b, or a copy of it when b does not begin at a multiple of 64.
func Parse(b []byte) (*File, error) {
	if len(b) > 0 && uintptr(unsafe.Pointer(&b[0]))%align != 0 {
		b = alignedCopy(b)
	}
	f, err := parse(b)
	if err != nil {
		return nil, fmt.Errorf("parse model: %w", err)
	}
	return f, nil
}

// Info describes the model. It stays valid after Close and must not be changed.
func (f *File) Info() *engine.Info { return f.info }

// Size returns the length of the file in bytes.
func (f *File) Size() int { return len(f.bytes) }

// Section returns the bytes of a section, in place; they begin at a multiple of 64 and must not be written to.
func (f *File) Section(name string) ([]byte, error) {
	for _, s := range f.sections {
		if s.Name == name {
			return s.Data, nil
		}
	}
	return nil, fmt.Errorf("section %q is missing: %w", name, engine.ErrFormat)
}

// Close unmaps the file. No slice that Section returned may be used afterwards.
func (f *File) Close() error {
	unmap := f.unmap
	f.unmap, f.sections, f.bytes = nil, nil, nil
	if unmap == nil {
		return nil
	}
	return unmap()
}

func parse(b []byte) (*File, error) {
	d, err := readDirectory(b)
	if err != nil {
		return nil, err
	}
	for _, e := range d.entries {
		if crc32.Checksum(e.Data, castagnoli) != e.crc {
			return nil, damaged("section %q: checksum does not match", e.Name)
		}
	}
	hash := sha256.New()
	hash.Write(b[:len(b)-trailer])
	if [trailer]byte(hash.Sum(nil)) != [trailer]byte(b[len(b)-trailer:]) {
		return nil, damaged("digest of the file does not match")
	}
	h, err := decodeHeader(d.description)
	if err != nil {
		return nil, err
	}
	hash.Write(b[len(b)-trailer:])
	f := &File{bytes: b, info: &engine.Info{
		Kind: h.Kind, Task: h.Task, Labels: h.Labels, OutOfScope: h.OutOfScope, Columns: h.Columns, Meta: h.Meta,
		Digest: "sha256:" + hex.EncodeToString(hash.Sum(nil)),
	}}
	for _, e := range d.entries {
		f.sections = append(f.sections, e.Section)
	}
	return f, nil
}

// damaged returns an error that wraps engine.ErrFormat and names what is wrong.
func damaged(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, engine.ErrFormat)...)
}

func alignedCopy(b []byte) []byte {
	room := make([]byte, len(b)+align)
	skip := (align - int(uintptr(unsafe.Pointer(&room[0]))%align)) % align
	room = room[skip : skip+len(b) : skip+len(b)]
	copy(room, b)
	return room
}

// readAll is the way in where files cannot be mapped.
func readAll(path string) ([]byte, func() error, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, nil, err
	}
	return alignedCopy(b), func() error { return nil }, nil
}
