package text

import (
	"math/bits"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Classes of runes.
const (
	space  = iota // ends a token
	letter        // letters, digits, marks: a run of them is a token
	symbol        // everything else: a run of the same one is a token
	hidden        // zero-width and formatting runes: read as if they were not there
)

const (
	// maxToken bounds a token in runes; longer runs, such as base64 or text without spaces, are cut into several.
	maxToken = 64
	// maxGrams bounds the distinct buckets of one text. Beyond it new n-grams are ignored, which keeps the integer sums
	// of a prediction inside 32 bits for texts of any length; it takes some 100,000 characters of ever new words to get there.
	maxGrams = 1 << 18
)

// folded returns the table of the runes below 0x10000: the lower-case rune in the low 24 bits, its class above. One look-up
// replaces three searches in the tables of package unicode for each character that is not ASCII.
var folded = sync.OnceValue(func() *[1 << 16]uint32 {
	t := new([1 << 16]uint32)
	for r := range rune(1 << 16) {
		t[r] = fold(r)
	}
	return t
})

func fold(r rune) uint32 {
	class := uint32(symbol)
	switch {
	case r == 0x200B || r == 0xFEFF || r == 0x00AD || unicode.Is(unicode.Cf, r):
		class = hidden
	case unicode.IsSpace(r) || unicode.IsControl(r):
		class = space
	case r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
		class = letter
	}
	return uint32(unicode.ToLower(r)) | class<<24
}

// The two channels of n-grams. Each has its own range of buckets and is brought to length 1 by itself, so that the hundreds
// of character n-grams of a text do not drown its few words.
const (
	words = iota
	chars
	channels
)

// gram is a bucket that occurs in a text.
type gram struct {
	bucket uint32
	count  uint32 // occurrences while reading, multiplier afterwards
}

// source is the place of the first n-gram that fell into a bucket.
type source struct {
	feature    string
	start, end int
}

// reader turns a text into the buckets of its word 1-2-grams and of the character 2-5-grams within its tokens, padded with
// one space on either side. It is used by one goroutine at a time; a pool hands it out.
type reader struct {
	table  *[1 << 16]uint32
	slots  []uint32 // per bucket: generation of the text in the upper bits, index into grams in the lower 18
	gen    uint32
	split  uint64 // buckets of the word channel, which come first
	rest   uint64 // buckets of the character channel
	grams  []gram
	trace  bool
	source []source // as long as grams when trace is set

	token  [maxToken + 2]uint32 // runes of the current token, padded
	offset [maxToken + 3]int    // byte offset of each of them, and the end
	length int                  // runes in the current token, without padding
	class  uint32
	last   previous
}

// previous is what a bigram needs to know of the token before.
type previous struct {
	hash       uint64
	text       string
	start, end int
	any        bool
}

func newReader(buckets int) *reader {
	split := wordBuckets(buckets)
	return &reader{
		table: folded(), slots: make([]uint32, buckets), split: uint64(split), rest: uint64(buckets - split),
		grams: make([]gram, 0, 1024),
	}
}

// wordBuckets returns how many of the buckets belong to the word channel. A quarter was 0.1 points worse on clinc150.
func wordBuckets(buckets int) int { return buckets / 2 }

const (
	multiplier = 0x9E3779B97F4A7C15 // 2^64 / golden ratio
	seedToken  = 0xD6E8FEB86659FD93
	seedChars  = 0xA0761D6478BD642F
	slotBits   = 18
	slotMask   = 1<<slotBits - 1
)

func mix(h, x uint64) uint64 { return (bits.RotateLeft64(h, 27) ^ x) * multiplier }

// read fills grams with the buckets of the text, in the order of their first occurrence, and their counts.
func (r *reader) read(text string) {
	r.gen++
	if r.gen >= 1<<(32-slotBits) {
		clear(r.slots)
		r.gen = 1
	}
	r.grams, r.source = r.grams[:0], r.source[:0]
	r.length, r.last = 0, previous{}
	for i := 0; i < len(text); {
		var f uint32
		size := 1
		if c := text[i]; c < utf8.RuneSelf {
			f = r.table[c]
		} else {
			var x rune
			x, size = utf8.DecodeRuneInString(text[i:]) // a byte that is not UTF-8 reads as U+FFFD
			if x < 1<<16 {
				f = r.table[x]
			} else {
				f = fold(x)
			}
		}
		class, x := f>>24, f&0xFFFFFF
		if class == hidden {
			i += size
			continue
		}
		if r.length > 0 && (class != r.class || class == symbol && x != r.token[r.length] || r.length == maxToken) {
			r.emit()
		}
		if class != space {
			r.class = class
			r.length++
			r.token[r.length], r.offset[r.length] = x, i
			r.offset[r.length+1] = i + size
		}
		i += size
	}
	if r.length > 0 {
		r.emit()
	}
}

// emit counts the n-grams of the current token and begins a new one.
func (r *reader) emit() {
	n := r.length
	r.length = 0
	r.token[0], r.token[n+1] = ' ', ' '
	r.offset[0], r.offset[n+2] = r.offset[1], r.offset[n+1]

	hash := uint64(seedToken)
	for _, x := range r.token[1 : n+1] {
		hash = mix(hash, uint64(x))
	}
	r.word(hash, n)

	padded := r.token[:n+2]
	for i := 0; i+2 <= len(padded); i++ {
		h := mix(seedChars, uint64(padded[i]))
		for k, x := range padded[i+1 : min(i+5, len(padded))] {
			h = mix(h, uint64(x))
			bucket := r.split + (h>>32*r.rest)>>32
			if r.add(uint32(bucket)) && r.trace {
				r.source = append(r.source, source{spell(padded[i : i+k+2]), r.offset[i], r.offset[i+k+2]})
			}
		}
	}
}

// word counts the current token of n runes as a 1-gram and, with the one before, as a 2-gram.
func (r *reader) word(hash uint64, n int) {
	now := previous{hash: hash, start: r.offset[1], end: r.offset[n+1], any: true}
	if r.trace {
		now.text = spell(r.token[1 : n+1])
	}
	if r.add(uint32(mix(hash, 1)>>32*r.split>>32)) && r.trace {
		r.source = append(r.source, source{now.text, now.start, now.end})
	}
	if r.last.any {
		if r.add(uint32(mix(r.last.hash, hash)>>32*r.split>>32)) && r.trace {
			r.source = append(r.source, source{r.last.text + " " + now.text, r.last.start, now.end})
		}
	}
	r.last = now
}

// add counts one occurrence of a bucket and reports whether it is the first.
func (r *reader) add(bucket uint32) bool {
	slot := r.slots[bucket]
	if slot>>slotBits == r.gen {
		r.grams[slot&slotMask].count++
		return false
	}
	if len(r.grams) == maxGrams {
		return false
	}
	r.slots[bucket] = r.gen<<slotBits | uint32(len(r.grams))
	r.grams = append(r.grams, gram{bucket, 1})
	return true
}

func spell(runes []uint32) string {
	b := make([]byte, 0, len(runes)*2)
	for _, x := range runes {
		b = utf8.AppendRune(b, rune(x))
	}
	return string(b)
}

// readers pools readers by the number of buckets, as a power of two: models of one size share them.
var readers [maxBucketBits + 1]sync.Pool

func borrow(buckets int) *reader {
	if r, ok := readers[bits.Len(uint(buckets))-1].Get().(*reader); ok {
		return r
	}
	return newReader(buckets)
}

// giveBack returns a reader to the pool, unless a huge text made it grow beyond what is worth keeping.
func giveBack(r *reader) {
	if cap(r.grams) > 1<<16 {
		return
	}
	r.trace, r.source = false, nil
	r.last = previous{}
	readers[bits.Len(uint(len(r.slots)))-1].Put(r)
}
