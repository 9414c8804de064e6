package lake

import (
	"fmt"
	"testing"
)

// What is remembered of written keys stays bounded, never says that a file lacks a key that it holds, and is seldom unsure.
func TestWrittenKeys(t *testing.T) {
	t.Parallel()
	const perFile = 20_000
	w := &written{}
	key := func(file, i int) string { return fmt.Sprintf("019e4000-%d-%d", file, i) }
	path := func(file int) string { return fmt.Sprint("file ", file) }
	for file := range 80 {
		w.add(path(file), perFile, func(i int) string { return key(file, i) })
	}
	w.add("too large", writtenMost+1, func(int) string { return "" })
	w.add("empty", 0, nil)
	bytes := 0
	for _, g := range w.gens {
		bytes += len(g.bits) * 8
	}
	if len(w.gens) != writtenGens || bytes > writtenGens*writtenMost*writtenBits/8 {
		t.Fatalf("%d generations of %d bytes", len(w.gens), bytes)
	}
	for _, unknown := range []string{path(0), "too large", "empty", "another's"} {
		if w.of(unknown) != nil {
			t.Errorf("the keys of %s are said to be known", unknown)
		}
	}
	covered := 0
	for file := range 80 {
		g := w.of(path(file))
		if g == nil {
			continue
		}
		covered++
		entries := make([]entry[Decision], perFile)
		for i := range entries {
			entries[i].key = key(file, i)
		}
		if n := len(perhaps(w, g, entries)); n != perFile {
			t.Fatalf("%d of %d keys of %s are known", n, perFile, path(file))
		}
	}
	if covered < 40 {
		t.Errorf("the keys of only %d files are known", covered)
	}
	// Files of one row each cost their paths.
	small := &written{}
	paths := 0
	for i := range 30_000 {
		small.add(path(i), 1, func(int) string { return key(i, 0) })
		small.add(path(i), 1, func(int) string { return key(i, 0) }) // again, as when somebody else wrote first
	}
	for _, g := range small.gens {
		paths += len(g.files)
	}
	if most := writtenGens * writtenMost / writtenLeast; paths > most || small.of(path(29_999)) == nil || small.of(path(0)) != nil {
		t.Errorf("%d paths are remembered, at most %d", paths, most)
	}
	others := make([]entry[Decision], 400_000)
	for i := range others {
		others[i].key = key(1000, i)
	}
	for _, g := range w.gens {
		if n := len(perhaps(w, g, others)); n > 40 {
			t.Errorf("%d of %d keys that no file holds have to be looked up", n, len(others))
		}
	}
}
