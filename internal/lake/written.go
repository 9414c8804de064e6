package lake

import (
	"hash/maphash"
	"sync"
)

// written remembers in a few bits each which keys are in the files that this process has written, so that a batch whose keys are in no order, such as the decisions of a large job, need not be
// compared with each of its files again. It is bounded, and only ever says that a file does not hold a key: who is not in it, or perhaps is, is looked up in the file.
type written struct {
	mu   sync.Mutex
	seed maphash.Seed
	gens []*generation // the newest last
}

// generation is one Bloom filter for the keys of several files.
type generation struct {
	bits  []uint64
	room  int // keys that still fit
	files map[string]bool
}

const (
	// With 32 bits a key and 8 of them set, one key in 170,000 is looked up in vain.
	writtenBits  = 32
	writtenProbe = 8
	// A generation has room for so many keys at first, and for four times as many as the one before it up to the most: 1 MiB. There are four at most.
	writtenFirst = 16 << 10
	writtenMost  = 256 << 10
	writtenGens  = 4
	// writtenLeast is how many keys a file counts for at least, since its path is remembered too.
	writtenLeast = 64
)

// add notes the keys of a file.
func (w *written) add(path string, n int, key func(i int) string) {
	if n == 0 || n > writtenMost || w.of(path) != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.gens) == 0 {
		w.seed = maphash.MakeSeed()
	}
	cost := max(n, writtenLeast)
	if len(w.gens) == 0 || w.gens[len(w.gens)-1].room < cost {
		w.grow(cost)
	}
	g := w.gens[len(w.gens)-1]
	g.room -= cost
	g.files[path] = true
	for i := range n {
		g.note(maphash.String(w.seed, key(i)))
	}
}

// grow begins a generation with room for n keys and more. The caller holds mu.
func (w *written) grow(n int) {
	size := writtenFirst
	if len(w.gens) > 0 {
		size = min(writtenMost, 4*len(w.gens[len(w.gens)-1].bits)*64/writtenBits)
	}
	for size < n {
		size *= 4
	}
	if len(w.gens) == writtenGens {
		w.gens = append(w.gens[:0:0], w.gens[1:]...)
	}
	w.gens = append(w.gens, &generation{bits: make([]uint64, size*writtenBits/64), room: size, files: map[string]bool{}})
}

// of returns the generation that holds the keys of a file, nil when they are not known.
func (w *written) of(path string) *generation {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.gens {
		if g.files[path] {
			return g
		}
	}
	return nil
}

// perhaps returns those of the entries whose key a file of the generation may hold.
func perhaps[T any](w *written, g *generation, entries []entry[T]) (out []entry[T]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range entries {
		if g.has(maphash.String(w.seed, entries[i].key)) {
			out = append(out, entries[i])
		}
	}
	return out
}

func (g *generation) note(h uint64) {
	step := h>>32 | 1
	for range writtenProbe {
		at := h % uint64(len(g.bits)*64)
		g.bits[at/64] |= 1 << (at % 64)
		h += step
	}
}

func (g *generation) has(h uint64) bool {
	step := h>>32 | 1
	for range writtenProbe {
		at := h % uint64(len(g.bits)*64)
		if g.bits[at/64]&(1<<(at%64)) == 0 {
			return false
		}
		h += step
	}
	return true
}
