package modelfile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

type entry struct {
	Section
	crc uint32
}

type directory struct {
	description []byte
	entries     []entry
}

// readDirectory checks the prologue and the place of every part. Parts must lie exactly where Encode would put them, so that
// nothing can overlap, hide in a gap or lie outside the file.
func readDirectory(b []byte) (*directory, error) {
	if len(b) < prologue+trailer {
		return nil, damaged("file has %d bytes, too short for a model", len(b))
	}
	if string(b[:len(magic)]) != magic {
		return nil, damaged("first bytes are not those of a model")
	}
	le := binary.LittleEndian
	if v := le.Uint32(b[8:]); v != version {
		return nil, damaged("format version %d, this release reads %d", v, version)
	}
	count, size, length := le.Uint32(b[12:]), le.Uint64(b[16:]), le.Uint32(b[24:])
	switch {
	case size > MaxSize:
		return nil, damaged("file claims %d bytes, limit %d", size, MaxSize)
	case size != uint64(len(b)):
		return nil, damaged("file has %d bytes, its prologue says %d", len(b), size)
	case count > MaxSections:
		return nil, damaged("%d sections, limit %d", count, MaxSections)
	}
	body := b[:len(b)-trailer]
	r := &cursor{b: body, at: prologue + int(count)*entrySize}
	if r.at > len(body) || !zero(b[32:prologue]) {
		return nil, damaged("prologue is damaged")
	}
	d := &directory{}
	var ok bool
	if d.description, ok = r.take(uint64(r.at), uint64(length)); !ok {
		return nil, damaged("description does not fit into the file")
	}
	if crc32.Checksum(d.description, castagnoli) != le.Uint32(b[28:]) {
		return nil, damaged("description: checksum does not match")
	}
	for i := range int(count) {
		raw := body[prologue+i*entrySize:][:entrySize]
		name, rest, _ := bytes.Cut(raw[:MaxNameBytes], []byte{0})
		e := entry{Section: Section{Name: string(name)}, crc: le.Uint32(raw[48:])}
		if !validName(e.Name) || !zero(rest) || !zero(raw[52:]) {
			return nil, damaged("directory entry %d is damaged", i)
		}
		for _, other := range d.entries {
			if other.Name == e.Name {
				return nil, damaged("section %q stands twice", e.Name)
			}
		}
		if e.Data, ok = r.take(le.Uint64(raw[32:]), le.Uint64(raw[40:])); !ok {
			return nil, damaged("section %q is not where it must be", e.Name)
		}
		d.entries = append(d.entries, e)
	}
	if r.at != len(body) {
		return nil, damaged("%d bytes follow the last section", len(body)-r.at)
	}
	return d, nil
}

// cursor hands out the parts of a file one after the other.
type cursor struct {
	b  []byte
	at int // always a multiple of align, or past the end
}

func (c *cursor) take(offset, length uint64) ([]byte, bool) {
	if offset != uint64(c.at) || length > uint64(len(c.b)-c.at) {
		return nil, false
	}
	end := c.at + int(length)
	next := (end + align - 1) / align * align
	if next > len(c.b) || !zero(c.b[end:next]) {
		return nil, false
	}
	part := c.b[c.at:end:end]
	c.at = next
	return part, true
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

func validName(name string) bool {
	if name == "" || len(name) > MaxNameBytes {
		return false
	}
	for _, c := range []byte(name) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
