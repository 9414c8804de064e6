package moderation

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Folding brings what looks alike to one form, so that "ｆÜсk", "f🅤ck" and "fu\u200bck" read the same. Rules and texts are folded by the
// same function: what it gets wrong, it gets wrong on both sides. A letter keeps its meaning in its own script: only characters that
// are drawn like Latin ones become Latin.

// folded is what one character becomes: nothing, one or two characters in lower case.
type folded struct {
	n    uint8 // how many of r are used
	mark bool  // belongs to the character before it (an accent)
	r    [2]rune
}

// foldTable holds the answers for the scripts that texts are mostly written in.
var foldTable = sync.OnceValue(buildFoldTable)

const foldTableSize = 0x600

func buildFoldTable() *[foldTableSize]folded {
	var t [foldTableSize]folded
	for r := range rune(foldTableSize) {
		t[r] = foldSlow(r)
	}
	return &t
}

func fold(r rune) folded {
	if r < foldTableSize {
		return foldTable()[r]
	}
	return foldSlow(r)
}

func foldSlow(r rune) folded {
	switch {
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
		return folded{mark: true}
	case invisible(r):
		return folded{}
	}
	if two, ok := ligatures[r]; ok {
		return folded{n: 2, r: two}
	}
	r = drawnLike(unicode.ToLower(r))
	var buf [utf8.UTFMax]byte
	d := norm.NFKD.Properties(buf[:utf8.EncodeRune(buf[:], r)]).Decomposition()
	if d == nil {
		return folded{n: 1, r: [2]rune{r}}
	}
	var f folded
	for len(d) > 0 && f.n < 2 {
		part, size := utf8.DecodeRune(d)
		d = d[size:]
		if !unicode.Is(unicode.Mn, part) {
			f.r[f.n] = drawnLike(unicode.ToLower(part))
			f.n++
		}
	}
	return f
}

// invisible says whether a character takes no room: zero-width spaces and joiners, direction marks, soft hyphens, variation selectors,
// tags, fillers.
func invisible(r rune) bool {
	switch {
	case r == 0xAD || r == 0x34F || r == 0x61C || r == 0x115F || r == 0x1160 || r == 0x17B4 || r == 0x17B5 || r == 0x3164 || r == 0xFFA0 || r == 0xFEFF,
		r >= 0x180B && r <= 0x180F, r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F,
		r >= 0xFE00 && r <= 0xFE0F, r >= 0x1F3FB && r <= 0x1F3FF, r >= 0xE0000 && r <= 0xE0FFF:
		return true
	}
	return false
}

// ligatures are letters that people also write as two.
var ligatures = map[rune][2]rune{
	'ß': {'s', 's'}, 'ẞ': {'s', 's'}, 'æ': {'a', 'e'}, 'Æ': {'a', 'e'}, 'œ': {'o', 'e'}, 'Œ': {'o', 'e'}, 'ĳ': {'i', 'j'}, 'Ĳ': {'i', 'j'},
}

// drawnLike returns the Latin letter that a lower-case character looks like, or the character itself.
func drawnLike(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		return r
	case r >= 0x1F130 && r <= 0x1F149: // squared
		return 'a' + r - 0x1F130
	case r >= 0x1F150 && r <= 0x1F169: // negative circled
		return 'a' + r - 0x1F150
	case r >= 0x1F170 && r <= 0x1F189: // negative squared
		return 'a' + r - 0x1F170
	case r >= 0x1F1E6 && r <= 0x1F1FF: // regional indicators
		return 'a' + r - 0x1F1E6
	}
	if l, ok := looks()[r]; ok {
		return l
	}
	return r
}

// looks lists characters by the Latin letter that they are drawn like. Those that Unicode itself takes apart (full width, mathematical, circled,
// accents) are not listed.
var looks = sync.OnceValue(func() map[rune]rune {
	return invertLooks(map[rune]string{
		'a': "аαɑᴀаª∂", 'b': "ьвʙƄɓ", 'c': "сϲᴄƈçⅽ", 'd': "ԁɗᴅđð", 'e': "еεᴇєɛҽə℮", 'f': "ƒꜰϝ", 'g': "ɡɢġɠց", 'h': "һнʜհħ", 'i': "іιıɪɩӏ¡", 'j': "јϳᴊʝ",
		'k': "кκᴋƙқ", 'l': "ʟłɭⅼℓ", 'm': "мᴍɱⅿ", 'n': "ηɴոпƞŋ", 'o': "оοσᴏօøөօ০", 'p': "рρᴘƥϼ", 'q': "ԛզɋ", 'r': "гʀɾɼ", 's': "ѕꜱʂƨտ", 't': "тτᴛŧƭ", 'u': "υᴜսцʋ",
		'v': "νѵᴠⅴ", 'w': "ԝшщωᴡɯѡ", 'x': "хχⅹ×", 'y': "уүγʏყ", 'z': "ᴢʐƶȥ",
	})
})

func invertLooks(by map[rune]string) map[rune]rune {
	all := make(map[rune]rune, 256)
	for latin, drawn := range by {
		for _, r := range drawn {
			all[r] = latin
		}
	}
	return all
}
