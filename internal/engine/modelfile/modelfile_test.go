package modelfile_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
)

func header() modelfile.Header {
	return modelfile.Header{
		Kind: engine.KindRecordLinear, Task: engine.Multiclass, Labels: []string{"yes", "no", "weiß nicht"}, OutOfScope: 2,
		Columns: []engine.Column{{Name: "age", Kind: engine.Number}, {Name: "job", Kind: engine.Text}},
		Meta:    map[string]string{"seed": "7", "rows": "120", "note": ""},
	}
}

func example(tb testing.TB) []byte {
	tb.Helper()
	b, err := modelfile.Encode(header(), modelfile.Section{Name: "weights", Data: []byte("0123456789")}, modelfile.Section{Name: "empty"},
		modelfile.Section{Name: "bias", Data: bytes.Repeat([]byte{7}, 64)})
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestOpenReturnsWhatEncodeWrote(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m")
	if err := os.WriteFile(path, example(t), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := modelfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	h := header()
	want := &engine.Info{Kind: h.Kind, Task: h.Task, Labels: h.Labels, OutOfScope: 2, Columns: h.Columns, Meta: h.Meta, Digest: f.Info().Digest}
	if diff := cmp.Diff(want, f.Info()); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(f.Info().Digest, "sha256:") || len(f.Info().Digest) != 7+64 {
		t.Errorf("digest %q", f.Info().Digest)
	}
	for name, want := range map[string]string{"weights": "0123456789", "empty": "", "bias": strings.Repeat("\a", 64)} {
		got, err := f.Section(name)
		if err != nil || string(got) != want {
			t.Errorf("section %s: %q, %v", name, got, err)
		}
	}
	if _, err := f.Section("absent"); !errors.Is(err, engine.ErrFormat) {
		t.Errorf("absent section: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if f.Info().Labels[1] != "no" {
		t.Error("the description did not survive Close")
	}
}

func TestEncodingIsTheSameEveryTime(t *testing.T) {
	t.Parallel()
	for range 20 {
		if !bytes.Equal(example(t), example(t)) {
			t.Fatal("two encodings differ")
		}
	}
}

func TestEveryFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	good := example(t)
	for i := range len(good) * 8 {
		b := bytes.Clone(good)
		b[i/8] ^= 1 << (i % 8)
		if _, err := modelfile.Parse(b); !errors.Is(err, engine.ErrFormat) {
			t.Fatalf("bit %d of byte %d: %v", i%8, i/8, err)
		}
	}
}

func TestEveryTruncationAndAdditionIsFound(t *testing.T) {
	t.Parallel()
	good := example(t)
	path := filepath.Join(t.TempDir(), "m")
	for n := range len(good) {
		if _, err := modelfile.Parse(good[:n]); !errors.Is(err, engine.ErrFormat) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if n%97 == 0 {
			if err := os.WriteFile(path, good[:n], 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := modelfile.Open(path); !errors.Is(err, engine.ErrFormat) {
				t.Fatalf("file of %d bytes: %v", n, err)
			}
		}
	}
	if _, err := modelfile.Parse(append(bytes.Clone(good), 0)); !errors.Is(err, engine.ErrFormat) {
		t.Fatalf("one byte more: %v", err)
	}
}

func TestParseAcceptsAnyAlignment(t *testing.T) {
	t.Parallel()
	room := make([]byte, 256+len(example(t)))
	for skip := range 65 {
		b := room[skip : skip+len(example(t))]
		copy(b, example(t))
		if _, err := modelfile.Parse(b); err != nil {
			t.Fatalf("skip %d: %v", skip, err)
		}
	}
}

// seal repairs the checksums of a file whose prologue or description a test changed, as a hostile author would.
func seal(b []byte) []byte { return modelfile.Reseal(b) }

func TestHostileFilesAreRefusedByName(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	const description = 64 + 3*64
	for name, c := range map[string]struct {
		change func(b []byte)
		want   string
	}{
		"newer version":       {func(b []byte) { le.PutUint32(b[8:], 9) }, "version 9"},
		"many sections":       {func(b []byte) { le.PutUint32(b[12:], 1<<31) }, "sections"},
		"fewer sections":      {func(b []byte) { le.PutUint32(b[12:], 2) }, "description"},
		"huge size":           {func(b []byte) { le.PutUint64(b[16:], 1<<62) }, "limit"},
		"long description":    {func(b []byte) { le.PutUint32(b[24:], 1<<31) }, "description"},
		"overlap":             {func(b []byte) { copy(b[64+64+32:64+64+40], b[64+32:64+40]) }, `"empty" is not where`},
		"long section":        {func(b []byte) { le.PutUint64(b[64+40:], 1<<63) }, `"weights" is not where`},
		"same name":           {func(b []byte) { copy(b[128:160], b[64:96]) }, "stands twice"},
		"unknown kind":        {func(b []byte) { b[description] = 99 }, "kind 99"},
		"unknown task":        {func(b []byte) { b[description+1] = 0 }, "task 0"},
		"out of scope":        {func(b []byte) { le.PutUint32(b[description+2:], 3) }, "out-of-scope label 3"},
		"many labels":         {func(b []byte) { le.PutUint32(b[description+6:], 1<<30) }, "count 1073741824"},
		"more labels":         {func(b []byte) { le.PutUint32(b[description+6:], 16000) }, "count 16000"},
		"one label too many":  {func(b []byte) { le.PutUint32(b[description+6:], 4) }, "description"},
		"long label":          {func(b []byte) { le.PutUint32(b[description+10:], 1<<31) }, "limit 256"},
		"label not UTF-8":     {func(b []byte) { b[description+14] = 0xff }, "UTF-8"},
		"bytes in the gap":    {func(b []byte) { b[60] = 1 }, "prologue"},
		"bytes in a name":     {func(b []byte) { b[64+31] = 'x' }, "directory entry 0"},
		"bytes after section": {func(b []byte) { b[len(b)-32-64-1] = 1 }, "not where it must be"},
	} {
		b := example(t)
		c.change(b)
		_, err := modelfile.Parse(seal(b))
		if !errors.Is(err, engine.ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestEncodeRefusesWhatParseWouldRefuse(t *testing.T) {
	t.Parallel()
	many := make([]string, modelfile.MaxLabels+1)
	for i := range many {
		many[i] = strings.Repeat("x", i%200) + string(rune('a'+i%26)) + string(rune(0x4e00+i))
	}
	for name, change := range map[string]func(h *modelfile.Header){
		"no labels":       func(h *modelfile.Header) { h.Labels = nil },
		"empty label":     func(h *modelfile.Header) { h.Labels[0] = "" },
		"same label":      func(h *modelfile.Header) { h.Labels[0] = "no" },
		"long label":      func(h *modelfile.Header) { h.Labels[0] = strings.Repeat("x", 257) },
		"too many labels": func(h *modelfile.Header) { h.Labels = many },
		"no kind":         func(h *modelfile.Header) { h.Kind = 0 },
		"no task":         func(h *modelfile.Header) { h.Task = 0 },
		"out of scope":    func(h *modelfile.Header) { h.OutOfScope = 3 },
		"same column":     func(h *modelfile.Header) { h.Columns[0].Name = "job" },
		"column type":     func(h *modelfile.Header) { h.Columns[0].Kind = 0 },
		"long note":       func(h *modelfile.Header) { h.Meta["x"] = strings.Repeat("x", 1<<16+1) },
	} {
		h := header()
		change(&h)
		if _, err := modelfile.Encode(h); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, sections := range [][]modelfile.Section{{{Name: ""}}, {{Name: "a b"}}, {{Name: strings.Repeat("x", 33)}}, {{Name: "a"}, {Name: "a"}}} {
		if _, err := modelfile.Encode(header(), sections...); err == nil {
			t.Errorf("sections %v: accepted", sections)
		}
	}
	h := header()
	h.Labels = many[:modelfile.MaxLabels]
	if b, err := modelfile.Encode(h); err != nil {
		t.Error(err)
	} else if _, err := modelfile.Parse(b); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(example(f))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, seal(bytes.Clone(b))} {
			file, err := modelfile.Parse(b)
			if err != nil {
				if !errors.Is(err, engine.ErrFormat) {
					t.Fatalf("error does not wrap ErrFormat: %v", err)
				}
				continue
			}
			if again := file.Reencode(t); !bytes.Equal(again, b) {
				t.Fatal("an accepted file is not the canonical encoding of its content")
			}
		}
	})
}
