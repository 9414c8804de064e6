package routing

import (
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

// words is built once from the lists of language.go and priority.go. It is only read.
var words = buildWords()

func buildWords() map[string]word {
	all := make(map[string]word, 4096)
	for lang, list := range functionWords {
		for _, w := range list {
			entry := all[w]
			entry.languages |= 1 << lang
			all[w] = entry
		}
	}
	for w, u := range urgencyWords {
		entry := all[w]
		entry.urgency = u
		all[w] = entry
	}
	return all
}

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
	var buf [wordLimit]byte
	n := 0        // length of the word in buf
	whole := true // false when the word is longer than any in the lists
	flush := func() {
		if n > 0 && whole {
			w := words[string(buf[:n])]
			r.language.word(w.languages)
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
