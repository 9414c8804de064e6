package wal

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// sealedLog makes a log of so many frames, of which every third commits, and an index that says so.
func sealedLog(frames int) ([]byte, *Index) {
	header := make([]byte, walHeader)
	for i, v := range []uint32{walMagic, indexVersion, 512, 7, 0x01020304, 0x05060708} {
		binary.BigEndian.PutUint32(header[4*i:], v)
	}
	s := sum{}.add(binary.LittleEndian, header[:24])
	put := func(b []byte) { binary.BigEndian.PutUint32(b, s[0]); binary.BigEndian.PutUint32(b[4:], s[1]) }
	put(header[24:])
	log := header
	c := &Index{Salts: [8]byte(header[16:24])}
	for k := 1; k <= frames; k++ {
		f := make([]byte, frameHeader+512)
		binary.BigEndian.PutUint32(f, uint32(k))
		if k%3 == 0 {
			binary.BigEndian.PutUint32(f[4:], uint32(frames))
			c.Frames = int64(k)
		}
		copy(f[8:], header[16:24])
		f[frameHeader+k] = byte(k)
		s = s.add(binary.LittleEndian, f[:8]).add(binary.LittleEndian, f[frameHeader:])
		put(f[16:])
		log = append(log, f...)
	}
	return log, c
}

func TestALogIsReadAsSQLiteWritesIt(t *testing.T) {
	t.Parallel()
	log, c := sealedLog(10)
	st, err := Read(bytes.NewReader(log), int64(len(log)), c)
	if want := (State{Frames: 10, Commits: 9}); err != nil || st != want {
		t.Errorf("got %+v, %v, want %+v", st, err, want)
	}
}

// FuzzReadLog reads anything at all, and whole logs with one change: it never fails or panics, and no change before the last commit that the index knows of goes unnoticed.
func FuzzReadLog(f *testing.F) {
	log, _ := sealedLog(7)
	f.Add(log, uint16(100), byte(1))
	f.Add(log[:len(log)-5], uint16(33), byte(128))
	f.Add([]byte{}, uint16(0), byte(0))
	f.Add(bytes.Repeat([]byte{0x37, 0x7f, 6, 0x83}, 200), uint16(9), byte(9))
	f.Fuzz(func(t *testing.T, any []byte, at uint16, change byte) {
		for _, index := range []*Index{nil, {Frames: 3, Salts: [8]byte{1, 2, 3, 4, 5, 6, 7, 8}}} {
			st, err := Read(bytes.NewReader(any), int64(len(any)), index)
			if err != nil {
				t.Fatal(err)
			}
			if st.Commits > st.Frames || st.Frames > int64(len(any))/frameHeader || st.Sure && st.Problem == "" {
				t.Fatalf("%+v", st)
			}
		}
		if c, ok := ReadIndex(any); ok && c.Frames < 0 {
			t.Fatal(c)
		}
		log, c := sealedLog(7)
		used := walHeader + 6*(frameHeader+512)
		where := int(at) % used
		log[where] ^= change
		st, err := Read(bytes.NewReader(log), int64(len(log)), c)
		if err != nil {
			t.Fatal(err)
		}
		if change != 0 && !st.Sure {
			t.Fatalf("a change of byte %d goes unnoticed: %+v", where, st)
		}
		if change == 0 && st.Problem != "" {
			t.Fatalf("a whole log: %+v", st)
		}
	})
}
