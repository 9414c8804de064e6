package moderation

import (
	"unicode"
	"unicode/utf8"
)

// item is one character of a folded text, with all its repetitions.
type item struct {
	class      rune  // what it is looked up by: i, l, 1, ! and | are one class, a and 4, e and 3 and so on; ' ' separates words
	exact      rune  // the character itself
	run        int32 // how often it is repeated
	start, end int32 // bytes of the original text, end exclusive
	leet       bool  // a digit or sign that stands for letters
	alone      bool  // of a script that writes no spaces: every character is a word
}

// separator is the class of everything between words.
const separator = ' '

// leetClass gives the class of digits and signs that stand for letters.
func leetClass(r rune) rune {
	switch r {
	case '0':
		return 'o'
	case '1', '!', '|':
		return 'i'
	case '3', '€':
		return 'e'
	case '4', '@':
		return 'a'
	case '5', '$':
		return 's'
	case '7', '+':
		return 't'
	case '8':
		return 'b'
	case '9':
		return 'g'
	}
	return 0
}

// classOf returns the class of a letter. i and l share one because 1 and ! stand for both.
func classOf(r rune) rune {
	if r == 'l' {
		return 'i'
	}
	return r
}

// scan folds a text into items. into is used again.
func scan(text string, into []item) []item {
	s := scanner{items: into[:0]}
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			s.ascii(text, i)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		s.wide(text, r, i, i+size)
		i += size
	}
	return s.items
}

type scanner struct{ items []item }

func (s *scanner) ascii(text string, i int) {
	c := text[i]
	switch {
	case c >= 'a' && c <= 'z':
		s.add(rune(c), classOf(rune(c)), false, i, i+1)
	case c >= 'A' && c <= 'Z':
		s.add(rune(c|0x20), classOf(rune(c|0x20)), false, i, i+1)
	case c >= '0' && c <= '9':
		if class := leetClass(rune(c)); class != 0 {
			s.add(rune(c), class, true, i, i+1)
		} else {
			s.add(rune(c), rune(c), false, i, i+1)
		}
	default:
		s.sign(text, rune(c), i, i+1)
	}
}

func (s *scanner) wide(text string, r rune, start, end int) {
	f := fold(r)
	switch {
	case f.mark:
		if n := len(s.items); n > 0 && s.items[n-1].end == int32(start) {
			s.items[n-1].end = int32(end)
		}
		return
	case f.n == 0:
		return
	}
	for _, r := range f.r[:f.n] {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			class := classOf(r)
			leet := false
			if l := leetClass(r); l != 0 {
				class, leet = l, true
			}
			s.add(r, class, leet, start, end)
			s.items[len(s.items)-1].alone = writesNoSpaces(r)
		default:
			s.sign(text, r, start, end)
		}
	}
}

// sign adds a character that is no letter: a separator, or leetspeak where letters stand beside it. "!" and "|" need them on both
// sides, because they also end sentences and cells.
func (s *scanner) sign(text string, r rune, start, end int) {
	class := leetClass(r)
	if class != 0 {
		before := len(s.items) > 0 && s.items[len(s.items)-1].class != separator && int(s.items[len(s.items)-1].end) == start
		after := end < len(text) && (wordByte(text[end]) || text[end] == text[start])
		if r == '!' || r == '|' {
			if before && end < len(text) && wordByte(text[end]) {
				s.add(r, class, true, start, end)
				return
			}
		} else if before || after {
			s.add(r, class, true, start, end)
			return
		}
	}
	if n := len(s.items); n > 0 && s.items[n-1].class == separator {
		s.items[n-1].end = int32(end)
		return
	}
	s.items = append(s.items, item{class: separator, exact: separator, run: 1, start: int32(start), end: int32(end)})
}

func wordByte(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '$' || c == '@' || c >= utf8.RuneSelf
}

// add adds a letter or digit; a repetition of the one before makes that longer. "s$" is a repetition too; "1l" is not, because 1 may be an i.
func (s *scanner) add(r, class rune, leet bool, start, end int) {
	if n := len(s.items); n > 0 {
		last := &s.items[n-1]
		if last.class == class && !last.alone && (last.exact == r || (leet || last.leet) && class != 'i') {
			if last.leet && !leet {
				last.exact, last.leet = r, false
			}
			last.run++
			last.end = int32(end)
			return
		}
	}
	s.items = append(s.items, item{class: class, exact: r, run: 1, start: int32(start), end: int32(end), leet: leet})
}

func writesNoSpaces(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// startsWord says whether a word can begin at items[i].
func startsWord(items []item, i int) bool {
	return items[i].class != separator && (i == 0 || items[i-1].class == separator || items[i].alone || items[i-1].alone)
}

// endsWord says whether a word can end before items[i].
func endsWord(items []item, i int) bool {
	return i == len(items) || items[i].class == separator || items[i].alone || items[i-1].alone
}
