package routing

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// readLimit is how many bytes of an inquiry are read for language and priority. The first lines tell both, and a long mail must not
// cost more than its classification.
const readLimit = 2048

// wordLimit is the longest word in bytes that can be in a list.
const wordLimit = 40

// word is what the lists know of one word.
type word struct {
	languages languageSet
	urgency   urgency
}

// lexicon is what the lists of language_words.go and urgency_words.go say, by word and by ending.
type lexicon struct {
	words map[string]word
	tails map[string]languageSet
}

// theLexicon is built when the first inquiry needs it.
var theLexicon = sync.OnceValue(newLexicon)

func newLexicon() *lexicon {
	x := &lexicon{words: make(map[string]word, 4096), tails: make(map[string]languageSet, 512)}
	for lang, list := range functionWords {
		for w := range strings.FieldsSeq(list) {
			entry := x.words[w]
			entry.languages |= 1 << lang
			x.words[w] = entry
		}
	}
	for u, list := range urgencyWords {
		for _, w := range list {
			entry := x.words[w]
			entry.urgency = u
			x.words[w] = entry
		}
	}
	for lang, list := range endings {
		for e := range strings.FieldsSeq(list) {
			x.tails[e] |= 1 << lang
		}
	}
	return x
}

// tail returns the languages of the longest ending of a word that is in no list.
func (x *lexicon) tail(w []byte) languageSet {
	for n := min(len(w)-2, maxTail); n >= 2; n-- {
		if s, ok := x.tails[string(w[len(w)-n:])]; ok {
			return s
		}
	}
	return 0
}

// maxTail is the longest ending in bytes.
const maxTail = 6

// reading is what one pass over an inquiry found, for the language and the priority: reading it twice would cost twice.
type reading struct {
	language languageCount
	urgency  urgencyCount
}

// read reads the beginning of a text; it may be called for subject and body in turn.
func (r *reading) read(s string) {
	if len(s) > readLimit {
		s = s[:readLimit]
	}
	x := theLexicon()
	var buf [wordLimit]byte
	n := 0        // length of the word in buf
	whole := true // false when the word is longer than any in the lists
	flush := func() {
		if n > 0 && whole {
			w := x.words[string(buf[:n])]
			if w.languages != 0 {
				r.language.word(w.languages)
			} else if n >= 4 {
				r.language.ending(x.tail(buf[:n]))
			}
			r.urgency.word(w.urgency)
		}
		n, whole = 0, true
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c >= 'A' && c <= 'Z':
				c |= 0x20
				fallthrough
			case c >= 'a' && c <= 'z':
				r.language.latin++
				if n < wordLimit {
					buf[n] = c
					n++
				} else {
					whole = false
				}
			case c == '\'' && n > 0: // l'appareil, don't: two words
				flush()
			default:
				flush()
				r.urgency.punctuation(c)
			}
			continue
		}
		char, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if char == '’' {
			flush()
			continue
		}
		if !unicode.IsLetter(char) && !unicode.Is(unicode.M, char) {
			flush()
			continue
		}
		char = unicode.ToLower(char)
		r.language.letter(char)
		if n+utf8.UTFMax <= wordLimit {
			n += utf8.EncodeRune(buf[n:], char)
		} else {
			whole = false
		}
	}
	flush()
	r.urgency.end()
}
