// Package alike tells how alike two texts are, and finds candidates without comparing all with all. Texts are compared as sets of character
// sequences (shingles); likeness is the Jaccard index of the sets. Candidates share a band of a MinHash signature (Broder 1997; banding after Leskovec,
// Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3).
package alike

import (
	"math"
	"slices"
	"strings"
	"unicode"
)

const (
	// Shingle is the number of characters in a sequence.
	Shingle = 5
	// MaxRunes bounds what is compared. Longer texts have no signature: only equal ones count as alike.
	MaxRunes = 20_000
	// Bands and rows of a signature. Of pairs with likeness 0.95 they find 99.4 %, of 0.9 95.9 %, of 0.5 17 %; what they find is compared anyway.
	bands, rows = 3, 4
)

// Set is the set of a text's shingles, as sorted hashes. The hashes are the same in every process.
type Set []uint64

// Of returns the shingles of a text. Case and runs of white space do not count. It is empty for an empty text and for one that is too long.
func Of(text string) Set {
	set := shingles(text)
	slices.Sort(set)
	return slices.Compact(set)
}

// shingles returns the hashes of all shingles in the order of the text.
func shingles(text string) Set {
	runes := make([]rune, 0, min(len(text), MaxRunes+1))
	space := false
	for _, r := range strings.TrimSpace(text) {
		if unicode.IsSpace(r) {
			space = true
			continue
		}
		if space {
			runes, space = append(runes, ' '), false
		}
		if runes = append(runes, unicode.ToLower(r)); len(runes) > MaxRunes {
			return nil
		}
	}
	if len(runes) == 0 {
		return nil
	}
	set := make(Set, 0, max(1, len(runes)-Shingle+1))
	for i := 0; i == 0 || i+Shingle <= len(runes); i++ {
		h := uint64(14695981039346656037) // FNV-1a over code points
		for _, r := range runes[i:min(i+Shingle, len(runes))] {
			h = (h ^ uint64(r)) * 1099511628211
		}
		set = append(set, mix(h))
	}
	return set
}

// KeysOf returns Keys(Of(text)) in a third of the time: how often a shingle is there, and where, does not matter to the keys.
func KeysOf(text string) []int64 { return Keys(shingles(text)) }

// Likeness returns the share of the shingles of both that both have, 0 to 1; 0 when one of them is empty.
func Likeness(a, b Set) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	both := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			both++
			i++
			j++
		case a[i] < b[j]:
			i++
		default:
			j++
		}
	}
	return float64(both) / float64(len(a)+len(b)-both)
}

// Keys returns the keys of the bands: two texts that share one are candidates. Keys are not negative, so that they fit into a signed column. An empty
// set has none.
func Keys(s Set) []int64 {
	if len(s) == 0 {
		return nil
	}
	keys := make([]int64, bands)
	for b := range bands {
		key := uint64(b)
		for r := range rows {
			seed := mix(uint64(b*rows+r) + 0x9e3779b97f4a7c15)
			least := uint64(math.MaxUint64)
			for _, h := range s {
				least = min(least, mix(h^seed))
			}
			key = mix(key ^ least)
		}
		keys[b] = int64(key & math.MaxInt64)
	}
	return keys
}

// mix is the finalizer of SplitMix64: every bit of the input changes every bit of the output.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
