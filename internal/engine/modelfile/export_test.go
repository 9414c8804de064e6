package modelfile

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// Reseal repairs all checksums of b in place, as far as its parts can be found.
func Reseal(b []byte) []byte {
	le := binary.LittleEndian
	if len(b) < prologue+trailer {
		return b
	}
	body := b[:len(b)-trailer]
	part := func(offset, length uint64) []byte {
		if offset > uint64(len(body)) || length > uint64(len(body))-offset {
			return nil
		}
		return body[offset : offset+length]
	}
	count := le.Uint32(b[12:])
	if count <= MaxSections && prologue+int(count)*entrySize <= len(body) {
		for i := range int(count) {
			e := body[prologue+i*entrySize:]
			le.PutUint32(e[48:], crc32.Checksum(part(le.Uint64(e[32:]), le.Uint64(e[40:])), castagnoli))
		}
		le.PutUint32(b[28:], crc32.Checksum(part(uint64(prologue+int(count)*entrySize), uint64(le.Uint32(b[24:]))), castagnoli))
	}
	sum := sha256.Sum256(body)
	copy(b[len(body):], sum[:])
	return b
}

// Reencode encodes what was read.
func (f *File) Reencode(t *testing.T) []byte {
	t.Helper()
	i := f.info
	b, err := Encode(Header{Kind: i.Kind, Task: i.Task, Labels: i.Labels, OutOfScope: i.OutOfScope, Columns: i.Columns, Meta: i.Meta}, f.sections...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
