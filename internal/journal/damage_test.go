package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every bit of every segment is flipped, with and without the position file as a second witness: each flip is reported in the right segment and nothing is cut off.
func TestEveryFlippedBitIsReported(t *testing.T) {
	t.Parallel()
	for _, witness := range []bool{true, false} {
		t.Run(fmt.Sprint("position file ", witness), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			whole := write(t, dir, 9, 500)
			if !witness {
				whole = whole.with(positionName, nil)
			}
			names := whole.segments()
			if len(names) < 3 {
				t.Fatalf("only %d segments", len(names))
			}
			flips := 0
			for _, name := range names {
				b := whole[name]
				for i := range b {
					for bit := range 8 {
						if !witness && name != names[len(names)-1] && bit != i%8 {
							continue // only the newest segment can be taken for torn; one bit of each byte does elsewhere
						}
						b[i] ^= 1 << bit
						m := whole.fs()
						_, err := inspect(t, dir, m)
						var d *DamageError
						if !errors.As(err, &d) || d.Segment != name || d.Offset > int64(i) {
							t.Fatalf("segment %s, byte %d, bit %d: %v", name, i, bit, err)
						}
						if !bytes.Equal(m.take()[name], b) {
							t.Fatalf("segment %s, byte %d, bit %d: the file was changed", name, i, bit)
						}
						b[i] ^= 1 << bit
						flips++
					}
				}
			}
			t.Logf("%d flips in %d segments", flips, len(names))
		})
	}
}

// A crash can leave any beginning of the last write, or any of its sectors unwritten. What came before is kept, and appending goes on.
func TestATornWriteIsCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := write(t, dir, 7, 1<<20)
	name := acknowledged.segments()[0]
	old := len(acknowledged[name])
	m := acknowledged.fs()
	j := mustOpen(t, dir, small(), WithFS(m))
	var es []Entry
	for i := range 3 {
		es = append(es, Entry{Subject: "s", ID: fmt.Sprint("torn", i), Data: bytes.Repeat([]byte{'x'}, 700)})
	}
	if _, err := j.AppendBatch(t.Context(), es); err != nil {
		t.Fatal(err)
	}
	_ = j.Close()
	written := m.take()[name]
	check := func(what string, content []byte) {
		t.Helper()
		m := acknowledged.with(name, content).fs()
		all, err := inspect(t, dir, m)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if len(all) < 7 || len(all) > 10 {
			t.Fatalf("%s: %d entries", what, len(all))
		}
		sameEntries(t, all[:7], 0, 7, 1)
		j, err := Open(dir, small(), WithFS(m))
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, j, 7, 8)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if again, err := inspect(t, dir, m); err != nil || len(again) != len(all)+1 {
			t.Fatalf("%s: after appending %d entries, %v", what, len(again), err)
		}
	}
	for n := old; n <= len(written); n += 5 {
		check(fmt.Sprint("cut at ", n), written[:n])
	}
	var sectors [][2]int
	for at := old; at < len(written); at = (at/sector + 1) * sector {
		sectors = append(sectors, [2]int{at, min((at/sector+1)*sector, len(written))})
	}
	for mask := 1; mask < 1<<len(sectors); mask++ {
		b := bytes.Clone(written)
		for i, s := range sectors {
			if mask>>i&1 == 1 {
				clear(b[s[0]:s[1]])
			}
		}
		check(fmt.Sprintf("sectors %b unwritten", mask), b)
	}
}

// The same marks of a torn write in acknowledged entries are damage: the position file knows better.
func TestAcknowledgedEntriesAreNeverCutOff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole := write(t, dir, 9, 1<<20)
	name := whole.segments()[0]
	b := whole[name]
	for n := range len(b) {
		if _, err := inspect(t, dir, whole.with(name, b[:n]).fs()); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	for at := segmentHeader; at < len(b); at = (at/sector + 1) * sector {
		c := bytes.Clone(b)
		clear(c[at:min((at/sector+1)*sector, len(c))])
		if _, err := inspect(t, dir, whole.with(name, c).fs()); !errors.Is(err, ErrDamaged) {
			t.Fatalf("sector at %d lost: %v", at, err)
		}
		// Without the position file a later record still testifies that the damaged one was durable, unless it is in the last one.
		last := bytes.LastIndex(b, recordMagic[:])
		if before := bytes.LastIndex(b[:last], recordMagic[:]); at < before {
			if _, err := inspect(t, dir, whole.with(name, c).with(positionName, nil).fs()); !errors.Is(err, ErrDamaged) {
				t.Fatalf("sector at %d lost, no position file: %v", at, err)
			}
		}
	}
}

func TestMissingSegmentsAreReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole := write(t, dir, 20, 700)
	for _, name := range whole.segments() {
		if _, err := inspect(t, dir, whole.with(name, nil).fs()); !errors.Is(err, ErrDamaged) {
			t.Errorf("without %s: %v", name, err)
		}
	}
	none := picture{positionName: whole[positionName]}
	if _, err := inspect(t, dir, none.fs()); !errors.Is(err, ErrDamaged) {
		t.Errorf("without any: %v", err)
	}
}

// Somebody who rewrites an entry and all of its checksums still breaks the chain.
func TestARewrittenEntryBreaksTheChain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole := write(t, dir, 20, 700)
	for _, name := range whole.segments() {
		b := bytes.Clone(whole[name])
		h, err := parseHeader(b[segmentHeader:])
		if err != nil {
			t.Fatal(err)
		}
		rec := b[segmentHeader : segmentHeader+h.length]
		e := h.entry(rec)
		e.Data[0] ^= 1
		var prev [hashSize]byte // the forger does not know what it has to be, or cannot change what follows
		copy(prev[:], b[40:72])
		prev[0] ^= 1
		copy(rec, appendRecord(nil, &e, h.seq, h.durable, &prev, sha256.New()))
		if _, err := inspect(t, dir, whole.with(name, b).fs()); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		copy(prev[:], b[40:72])
		copy(rec, appendRecord(nil, &e, h.seq, h.durable, &prev, sha256.New()))
		if _, err := inspect(t, dir, whole.with(name, b).fs()); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s, with the right chain before it: %v", name, err)
		}
	}
}

// Damage that appears while the journal is open is named by Verify, all of it, and by Read where it stands.
func TestVerifyNamesAllDamage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := mustOpen(t, dir, small())
	mustAppend(t, j, 0, 300)
	p := picture{}
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+segmentSuffix))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		p[filepath.Base(path)] = b
	}
	names := p.segments()
	var seqs []uint64
	for _, name := range []string{names[0], names[2]} {
		b := p[name]
		at := bytes.LastIndex(b, recordMagic[:]) // the last record of the segment
		h, err := parseHeader(b[at:])
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, h.seq)
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{b[at+60] ^ 4}, int64(at+60)); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	err := j.Verify(t.Context())
	for i, seq := range seqs {
		if want := fmt.Sprintf("segment %s, offset", names[2*i]); !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fmt.Sprintf("sequence %d:", seq)) {
			t.Errorf("%v does not name sequence %d", err, seq)
		}
	}
	if n := strings.Count(err.Error(), "is damaged"); n != 2 {
		t.Errorf("%d pieces of damage: %v", n, err)
	}
	var got uint64
	err = j.Read(t.Context(), 0, func(e Entry) error { got = e.Seq; return nil })
	var d *DamageError
	if !errors.As(err, &d) || d.Seq != seqs[0] || got != seqs[0]-1 {
		t.Errorf("Read gave entries up to %d, then %v", got, err)
	}
	if got := readAll(t, j, seqs[1]+1); len(got) != int(300-seqs[1]) {
		t.Errorf("%d entries behind the damage", len(got))
	}
	mustAppend(t, j, 300, 310) // damage to old entries does not stop new ones
}

// The position file's two slots stand in for each other; both gone is damage, no file is only a witness less.
func TestDamageToThePositionFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	whole := write(t, dir, 9, 1<<20)
	spoil := func(slots ...int) []byte {
		b := bytes.Clone(whole[positionName])
		for _, s := range slots {
			b[s*slotStep+20] ^= 1
		}
		return b
	}
	for _, c := range []struct {
		name    string
		content []byte
		opens   bool
	}{
		{"first slot", spoil(0), true},
		{"second slot", spoil(1), true},
		{"both slots", spoil(0, 1), false},
		{"absent", nil, true},
		{"empty", []byte{}, true},
	} {
		j, err := Open(dir, small(), WithFS(whole.with(positionName, c.content).fs()))
		if (err == nil) != c.opens || err != nil && !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		if n := len(readAll(t, j, 1)); n != 9 {
			t.Errorf("%s: %d entries", c.name, n)
		}
		if err := j.Verify(t.Context()); strings.HasSuffix(c.name, "slot") != errors.Is(err, ErrDamaged) {
			t.Errorf("%s: verify says %v", c.name, err)
		}
		_ = j.Close()
	}
}
