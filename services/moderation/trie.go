package moderation

import "unicode"

// pattern is a word or phrase, folded.
type pattern struct {
	items  []item
	prefix bool // any ending
	index  int  // the caller's number
}

// newPattern folds a rule's pattern. It returns false when nothing is left to look for.
func newPattern(text string, index int) (pattern, bool) {
	p := pattern{index: index}
	if n := len(text); n > 0 && text[n-1] == '*' {
		p.prefix, text = true, text[:n-1]
	}
	items := scan(text, nil)
	if len(items) > 0 && items[0].class == separator {
		items = items[1:]
	}
	if n := len(items); n > 0 && items[n-1].class == separator {
		items, p.prefix = items[:n-1], false // "two words *": the next word, whatever it is
	}
	p.items = items
	return p, len(items) > 0
}

// fits compares the pattern with as many items of a text, whose classes are known to be equal: letters must be the same or leetspeak for
// it, and be repeated as often or so often that it is on purpose.
func (p *pattern) fits(text []item) bool {
	letter, wantsLetter := false, false
	for i := range p.items {
		want, got := &p.items[i], &text[i]
		if got.exact != want.exact && (!got.leet || want.leet) {
			return false
		}
		if want.class == separator {
			continue
		}
		open := p.prefix && i == len(p.items)-1 && got.run > want.run // "as*" begins "assign"
		if got.run != want.run && !open && (!elongated(got) || !unicode.IsLetter(want.exact)) {
			return false
		}
		if !want.leet {
			wantsLetter = true
			letter = letter || !got.leet
		}
	}
	// "105 455" is a number, not "los ass".
	return letter || !wantsLetter
}

// elongated says whether a letter is repeated as no language does: three times, or twice where doubles are not written. Twice must not do
// for the others, or a rule for "god" would remove "good".
func elongated(t *item) bool {
	if t.run >= 3 {
		return true
	}
	switch t.exact {
	case 'h', 'i', 'j', 'q', 'u', 'v', 'w', 'x', 'y':
		return t.run == 2
	}
	return false
}

// trie finds patterns that begin at a place. It is built once and then only read.
//
// Nodes are numbers and edges one hash table of (node, class): with 10,000 patterns that is a tenth of the memory of a table for each node, and a
// look-up costs the same however many there are. Aho-Corasick would save nothing: patterns begin where words do, and the walk from
// a word's beginning ends after two or three characters.
type trie struct {
	edges    map[edge]int32
	ends     [][]int32 // node → patterns that end there
	patterns []pattern
	first    [letters]int32           // node after one letter, 0 for none
	second   [letters * letters]int32 // node after two: nearly every walk ends here, without a look-up
}

// letters is the size of the alphabet whose nodes have tables.
const letters = 26

// letterOf returns the place of a class in the alphabet, or -1.
func letterOf(class rune) int {
	if class >= 'a' && class <= 'z' {
		return int(class - 'a')
	}
	return -1
}

type edge struct {
	node  int32
	class rune
}

func newTrie(patterns []pattern) *trie {
	t := &trie{edges: make(map[edge]int32, 8*len(patterns)), ends: make([][]int32, 1), patterns: patterns}
	for n := range patterns {
		node := int32(0)
		for i := range patterns[n].items {
			e := edge{node, patterns[n].items[i].class}
			next, ok := t.edges[e]
			if !ok {
				next = int32(len(t.ends))
				t.edges[e] = next
				t.ends = append(t.ends, nil)
			}
			node = next
		}
		t.ends[node] = append(t.ends[node], int32(n))
	}
	for a := range rune(letters) {
		t.first[a] = t.edges[edge{0, 'a' + a}]
		for b := range rune(letters) {
			if t.first[a] != 0 {
				t.second[a*letters+b] = t.edges[edge{t.first[a], 'a' + b}]
			}
		}
	}
	return t
}

// next returns the node behind that of items[:i], 0 for none.
func (t *trie) next(node int32, items []item, at, i int) int32 {
	if i < at+2 {
		if b := letterOf(items[i].class); b >= 0 {
			if i == at {
				return t.first[b]
			}
			if a := letterOf(items[at].class); a >= 0 {
				return t.second[a*letters+b]
			}
		}
	}
	return t.edges[edge{node, items[i].class}]
}

// walk calls found for every pattern that matches at items[at]; end is the item after the last one.
func (t *trie) walk(items []item, at int, found func(p *pattern, end int)) {
	node := int32(0)
	for i := at; i < len(items); i++ {
		if node = t.next(node, items, at, i); node == 0 {
			return
		}
		for _, n := range t.ends[node] {
			p := &t.patterns[n]
			if (p.prefix || endsWord(items, i+1)) && p.fits(items[at:i+1]) {
				found(p, i+1)
			}
		}
	}
}
