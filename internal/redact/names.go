package redact

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Names finds names of a list in texts: whole words, in any case, with a space, hyphen, dot or apostrophe between the parts of a name. The zero value finds
// none. It may be used by many goroutines.
type Names struct {
	byFirst map[string][][]string // first word → the names that begin with it as words, longest first
}

// NewNames returns the names of a list. Names without a letter or digit are left out.
func NewNames(list []string) Names {
	n := Names{byFirst: make(map[string][][]string, len(list))}
	for _, name := range list {
		var words []string
		for w := range wordsOf(name) {
			words = append(words, w.folded)
		}
		if len(words) > 0 {
			n.byFirst[words[0]] = append(n.byFirst[words[0]], words)
		}
	}
	for _, names := range n.byFirst {
		slices.SortFunc(names, func(a, b []string) int { return len(b) - len(a) })
	}
	return n
}

// mask writes s with each name replaced.
func (n Names) mask(s string) string {
	if len(n.byFirst) == 0 {
		return s
	}
	words := slices.Collect(wordsOf(s))
	var out strings.Builder
	from := 0
	for i := 0; i < len(words); i++ {
		count := n.match(s, words[i:])
		if count == 0 {
			continue
		}
		out.WriteString(s[from:words[i].start])
		out.WriteString(maskName)
		i += count - 1
		from = words[i].end
	}
	if from == 0 {
		return s
	}
	out.WriteString(s[from:])
	return out.String()
}

// match returns how many words the longest name at the first of them has, 0 for none.
func (n Names) match(s string, words []word) int {
names:
	for _, name := range n.byFirst[words[0].folded] {
		if len(name) > len(words) {
			continue
		}
		for k := 1; k < len(name); k++ {
			if words[k].folded != name[k] || !joins(s[words[k-1].end:words[k].start]) {
				continue names
			}
		}
		return len(name)
	}
	return 0
}

// joins says whether what stands between two words can stand inside a name.
func joins(between string) bool {
	if len(between) > 4 {
		return false
	}
	return strings.Trim(between, " -.'’\u00a0") == ""
}

// word is a run of letters, digits and marks.
type word struct {
	start, end int // bytes
	folded     string
}

func wordsOf(s string) func(yield func(word) bool) {
	return func(yield func(word) bool) {
		for i := 0; i < len(s); {
			r, size := utf8.DecodeRuneInString(s[i:])
			if !isWord(r) {
				i += size
				continue
			}
			end := i + size
			for end < len(s) {
				r, size := utf8.DecodeRuneInString(s[end:])
				if !isWord(r) {
					break
				}
				end += size
			}
			if !yield(word{start: i, end: end, folded: fold(s[i:end])}) {
				return
			}
			i = end
		}
	}
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// fold brings words that people take for the same to one form: composed, lower case.
func fold(s string) string {
	if !norm.NFC.IsNormalString(s) {
		s = norm.NFC.String(s)
	}
	return strings.ToLower(s)
}
