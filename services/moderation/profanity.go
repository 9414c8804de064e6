package moderation

import (
	"strings"
	"sync"

	goaway "github.com/TwiN/go-away"
)

// The built-in list of profanities is that of github.com/TwiN/go-away, which is maintained; the matching is ours, because the library
// looks for its words anywhere, also across words ("Essex", "potassium", "push it"), says only which was the first, and costs 30 times as
// much. We look for its words as words, with the endings of English.

// endings are what may follow a profanity of the list.
var endings = []string{"", "s", "es", "ed", "er", "ers", "ing", "ings", "y", "ies", "head", "heads", "hole", "holes"}

// doubling are endings before which English doubles the last consonant.
var doubling = []string{"ed", "er", "ers", "ing", "y", "ies"}

// stem is the length from which a word of the list matches with any ending: it is then long enough to be in no other word, and some
// ("masturbat") are no words without one.
const stem = 7

// certain is the index of patterns that no false positive excuses: the library's false negatives.
const certain = 1

// insides are the words of the list that people build longer ones around, and that no other English word contains but those that the
// library lists as false positives.
var insides = map[string]bool{"fuck": true, "shit": true, "cunt": true, "bitch": true, "nigga": true, "whore": true}

// profanity finds the words of the built-in list.
type profanity struct {
	words  *trie    // at the beginning of words
	inside *trie    // anywhere
	first  [32]bool // letters that a pattern of inside begins with, by their place in the alphabet
}

// builtin is built when the first text needs it.
var builtin = sync.OnceValue(newProfanity)

func newProfanity() *profanity {
	var words, inside []pattern
	seen := map[string]bool{}
	add := func(w string, any bool, index int) {
		if any {
			w += "*"
		}
		if p, ok := newPattern(w, index); ok && !seen[w] {
			seen[w] = true
			words = append(words, p)
		}
	}
	for _, w := range goaway.DefaultFalseNegatives {
		add(w, true, certain)
	}
	p := &profanity{}
	for _, w := range goaway.DefaultProfanities {
		if insides[w] {
			in, _ := newPattern(w+"*", 0)
			inside = append(inside, in)
			p.first[in.items[0].class-'a'] = true
		}
		if len(w) >= stem {
			add(w, true, 0)
			continue
		}
		for _, e := range endings {
			add(w+e, false, 0)
		}
		for _, e := range doubling {
			add(w+w[len(w)-1:]+e, false, 0)
		}
	}
	p.words, p.inside = newTrie(words), newTrie(inside)
	return p
}

// find calls found with the first and the last item, exclusive, of every profanity.
func (p *profanity) find(items []item, found func(start, end int)) {
	for i := range items {
		if startsWord(items, i) {
			p.words.walk(items, i, func(w *pattern, end int) {
				if w.index == certain || !harmlessWord(items, i, end) {
					found(i, end)
				}
			})
		}
		if c := items[i].class - 'a'; c >= 0 && c < 26 && p.first[c] {
			p.inside.walk(items, i, func(_ *pattern, end int) {
				if !harmlessWord(items, i, end) {
					found(i, end)
				}
			})
		}
	}
}

// harmlessWord says whether the word around a match is one that the library lists as a false positive.
func harmlessWord(items []item, start, end int) bool {
	for start > 0 && items[start-1].class != separator {
		start--
	}
	for end < len(items) && items[end].class != separator {
		end++
	}
	var word strings.Builder
	for i := start; i < end && word.Len() < 256; i++ {
		word.WriteRune(items[i].exact)
		if items[i].run > 1 && !elongated(&items[i]) {
			word.WriteRune(items[i].exact)
		}
	}
	for _, w := range goaway.DefaultFalsePositives {
		if strings.Contains(word.String(), w) {
			return true
		}
	}
	return false
}
