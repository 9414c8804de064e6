package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
)

// Whatever stands in a segment: opening answers with an error or with a journal that verifies, reads and appends.
func FuzzSegment(f *testing.F) {
	dir := f.TempDir()
	whole := write(f, dir, 9, 1<<20)
	name := whole.segments()[0]
	f.Add(whole[name], true)
	f.Add(whole[name], false)
	f.Add(whole[name][:700], false)
	f.Add(append(bytes.Clone(whole[name]), make([]byte, 600)...), true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, content []byte, witness bool) {
		p := picture{name: content}
		if witness {
			p = whole.with(name, content)
		}
		j, err := Open(dir, small(), WithFS(p.fs()))
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		defer j.Close()
		if witness && j.Stats().Last < 9 {
			t.Fatalf("acknowledged entries are gone, %d are left", j.Stats().Last)
		}
		if _, err := j.Append(t.Context(), entry(1)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(j.Verify(t.Context()), j.Read(t.Context(), 0, func(Entry) error { return nil })); err != nil {
			t.Fatal(err)
		}
	})
}

// A record that the parser accepts encodes to the same bytes.
func FuzzRecord(f *testing.F) {
	var head [hashSize]byte
	e := entry(3)
	f.Add(appendRecord(nil, &e, 1, 0, &head, sha256.New()))
	f.Add(make([]byte, headerSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil || int64(len(b)) < h.length || h.checkPayload(b) != nil {
			return
		}
		e := h.entry(b)
		var prev [hashSize]byte
		again := appendRecord(nil, &e, h.seq, h.durable, &prev, sha256.New())
		if int64(len(again)) != h.length || !bytes.Equal(again[:32], b[:32]) {
			t.Fatalf("%x encodes to %x", b[:h.length], again)
		}
	})
}
