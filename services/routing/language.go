package routing

import (
	"math/bits"
	"strings"
	"unicode"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
)

// The language of an inquiry is told from its script, from function words and from letters that few languages have. Detection by
// trigrams (whatlanggo 1.0.1) was measured first: 1 to 2 ms for a text of 130 bytes, fifty times what the rest of a call costs. This costs
// about 2 µs, in the same pass that looks for urgency.

// language is one language in Latin script that function words tell apart.
type language uint8

const (
	english language = iota
	german
	french
	spanish
	italian
	portuguese
	dutch
	danish
	swedish
	norwegian
	finnish
	polish
	czech
	hungarian
	romanian
	turkish
	indonesian
	lithuanian
	croatian
	catalan
	languages // how many there are
)

// codes are the ISO 639-1 codes; "hr" stands for the Latin-script varieties of Serbo-Croatian.
var codes = [languages]string{
	"en", "de", "fr", "es", "it", "pt", "nl", "da", "sv", "no", "fi", "pl", "cs", "hu", "ro", "tr", "id", "lt", "hr", "ca",
}

// languageSet has bit l set for language l.
type languageSet uint32

func set(ls ...language) languageSet {
	var s languageSet
	for _, l := range ls {
		s |= 1 << l
	}
	return s
}

// letters are those beyond a to z that speak for few languages.
var letters = map[rune]languageSet{
	'ß': set(german), 'ä': set(german, swedish, finnish), 'ö': set(german, swedish, finnish, hungarian, turkish), 'ü': set(german, turkish, hungarian),
	'à': set(french, italian, portuguese, catalan), 'â': set(french, portuguese, romanian), 'ç': set(french, portuguese, turkish, catalan), 'è': set(french, italian, catalan),
	'é': set(french, spanish, italian, portuguese, czech, hungarian, catalan), 'ê': set(french, portuguese), 'ë': set(french, dutch), 'î': set(french, romanian), 'ï': set(french, dutch, catalan),
	'ô': set(french, portuguese), 'ù': set(french, italian), 'û': set(french), 'œ': set(french), 'á': set(spanish, portuguese, czech, hungarian),
	'í': set(spanish, portuguese, czech, hungarian, catalan), 'ó': set(spanish, portuguese, polish, hungarian, catalan), 'ú': set(spanish, portuguese, czech, hungarian, catalan), 'ñ': set(spanish),
	'ì': set(italian), 'ò': set(italian, catalan), 'ã': set(portuguese), 'õ': set(portuguese), 'å': set(danish, swedish, norwegian), 'æ': set(danish, norwegian), 'ø': set(danish, norwegian),
	'ą': set(polish, lithuanian), 'ć': set(polish, croatian), 'ę': set(polish, lithuanian), 'ł': set(polish), 'ń': set(polish), 'ś': set(polish), 'ź': set(polish), 'ż': set(polish),
	'č': set(czech, lithuanian, croatian), 'ď': set(czech), 'ě': set(czech), 'ň': set(czech), 'ř': set(czech), 'š': set(czech, lithuanian, croatian), 'ť': set(czech), 'ů': set(czech),
	'ý': set(czech), 'ž': set(czech, lithuanian, croatian), 'đ': set(croatian), 'ő': set(hungarian), 'ű': set(hungarian), 'ă': set(romanian), 'ș': set(romanian), 'ş': set(turkish, romanian),
	'ț': set(romanian), 'ţ': set(romanian), 'ğ': set(turkish), 'ı': set(turkish), 'ė': set(lithuanian), 'į': set(lithuanian), 'ų': set(lithuanian), 'ū': set(lithuanian),
}

// script is a script that tells the language, or the family of languages that its letters divide.
type script struct {
	table *unicode.RangeTable
	code  string
}

var scripts = [...]script{
	{unicode.Cyrillic, "ru"},
	{unicode.Arabic, "ar"},
	{unicode.Han, "zh"},
	{unicode.Hiragana, "ja"},
	{unicode.Katakana, "ja"},
	{unicode.Hangul, "ko"},
	{unicode.Greek, "el"},
	{unicode.Hebrew, "he"},
	{unicode.Devanagari, "hi"},
	{unicode.Thai, "th"},
	{unicode.Bengali, "bn"},
	{unicode.Tamil, "ta"},
	{unicode.Telugu, "te"},
	{unicode.Gujarati, "gu"},
	{unicode.Gurmukhi, "pa"},
	{unicode.Kannada, "kn"},
	{unicode.Malayalam, "ml"},
	{unicode.Sinhala, "si"},
	{unicode.Georgian, "ka"},
	{unicode.Armenian, "hy"},
	{unicode.Khmer, "km"},
	{unicode.Lao, "lo"},
	{unicode.Myanmar, "my"},
	{unicode.Ethiopic, "am"},
}

// Places of the scripts whose letters tell more than one language apart.
const (
	scriptCyrillic = 0
	scriptArabic   = 1
	scriptHan      = 2
	scriptHiragana = 3
	scriptKatakana = 4
)

// variants are letters that only some languages of a script have.
var variants = map[rune]string{
	'і': "uk", 'ї': "uk", 'є': "uk", 'ґ': "uk",
	'ә': "kk", 'ғ': "kk", 'қ': "kk", 'ң': "kk", 'ұ': "kk", 'һ': "kk", 'ө': "kk", 'ү': "kk",
	'ђ': "sr", 'ј': "sr", 'љ': "sr", 'њ': "sr", 'ћ': "sr", 'џ': "sr",
	'ў': "be", 'ѓ': "mk", 'ѕ': "mk", 'ќ': "mk",
	'پ': "fa", 'چ': "fa", 'ژ': "fa", 'گ': "fa", 'ٹ': "ur", 'ڈ': "ur", 'ڑ': "ur", 'ے': "ur", 'ں': "ur",
}

// languageCount adds up what words and letters say.
type languageCount struct {
	latin    int
	scripts  [len(scripts)]int
	last     int // script of the letter before
	words    [languages]float32
	letters  [languages]float32
	variant  string // of the first telling letter
	variants int
	russian  int // letters that Ukrainian and Bulgarian lack
	hard     int // ъ, everywhere in Bulgarian and rare in Russian
}

// word counts a function word: for one language it is a whole sign, for several a part for each.
func (c *languageCount) word(s languageSet) {
	n := bits.OnesCount32(uint32(s))
	if n == 0 {
		return
	}
	weight := wordWeight[n]
	for s != 0 {
		c.words[bits.TrailingZeros32(uint32(s))] += weight
		s &= s - 1
	}
}

// ending counts an ending, which says less than a word.
func (c *languageCount) ending(s languageSet) {
	weight := endingWeight * wordWeight[bits.OnesCount32(uint32(s))]
	for s != 0 {
		c.words[bits.TrailingZeros32(uint32(s))] += weight
		s &= s - 1
	}
}

const endingWeight = 0.35

// wordWeight is what a word says that stands in the lists of n languages.
var wordWeight = func() (w [int(languages) + 1]float32) {
	for n := 1; n < len(w); n++ {
		w[n] = 1 / float32(n)
	}
	return w
}()

// letter counts a letter beyond ASCII, in lower case.
func (c *languageCount) letter(r rune) {
	if r < 0x250 {
		c.latin++
		s := letters[r]
		n := bits.OnesCount32(uint32(s))
		for s != 0 {
			c.letters[bits.TrailingZeros32(uint32(s))] += wordWeight[n]
			s &= s - 1
		}
		return
	}
	if !unicode.Is(scripts[c.last].table, r) {
		found := false
		for i := range scripts {
			if unicode.Is(scripts[i].table, r) {
				c.last, found = i, true
				break
			}
		}
		if !found {
			return
		}
	}
	c.scripts[c.last]++
	switch r {
	case 'ы', 'э', 'ё':
		c.russian++
	case 'ъ':
		c.hard++
	}
	if c.last == scriptCyrillic || c.last == scriptArabic {
		if v := variants[r]; v != "" {
			if c.variant == "" || c.variant == "uk" && v == "kk" || c.variant == "fa" && v == "ur" { // і is in both, گ too
				c.variant = v
			}
			c.variants++
		}
	}
}

// detect names the language and how sure that is. Its zero, when nothing can be told, is "und".
func (c *languageCount) detect() (code string, confidence float64) {
	best, letters, all := 0, 0, c.latin
	for i, n := range c.scripts {
		all += n
		if n > letters {
			best, letters = i, n
		}
	}
	if all == 0 {
		return "und", 0
	}
	// A letter of a script without cases holds more than a Latin one, and a few English words are in every language.
	if 2*letters < c.latin {
		return c.detectLatin()
	}
	share := min(1, 2*float64(letters)/float64(all))
	switch best {
	case scriptCyrillic, scriptArabic:
		if c.variant != "" && (c.russian == 0 || c.variant == "kk") {
			return c.variant, share * 0.95
		}
		if best == scriptCyrillic && c.russian == 0 && c.hard > 0 {
			return "bg", share * 0.8
		}
	case scriptHan:
		if c.scripts[scriptHiragana]+c.scripts[scriptKatakana] > 0 {
			return "ja", share
		}
	}
	return scripts[best].code, share * 0.95
}

// prior breaks near ties in favour of the languages that inquiries are more often written in.
var prior = func() (p [languages]float32) {
	for l := range p {
		p[l] = 0.85
	}
	for _, l := range [...]language{english, german, french, spanish, italian, portuguese, dutch} {
		p[l] = 1
	}
	p[catalan] = 0.7
	return p
}()

// detectLatin compares the two best languages. One sign alone is a guess, and says so.
func (c *languageCount) detectLatin() (code string, confidence float64) {
	first, second := -1, float32(0)
	score := func(l int) float32 { return prior[l] * (c.words[l] + 0.5*min(c.letters[l], 4)) }
	for l := range codes {
		switch s := score(l); {
		case s == 0:
		case first < 0 || s > score(first):
			if first >= 0 {
				second = score(first)
			}
			first = l
		case s > second:
			second = s
		}
	}
	if first < 0 {
		return "und", 0
	}
	top := float64(score(first))
	return codes[first], top / (top + float64(second)) * top / (top + 0.5)
}

// languageOf returns the language that the caller named, else the one that was read.
func languageOf(locale string, c *languageCount) *routingv1.Language {
	if code := primary(locale); code != "" {
		return &routingv1.Language{Code: code, Confidence: 1}
	}
	code, confidence := c.detect()
	return &routingv1.Language{Code: code, Confidence: confidence}
}

// primary returns the language of a BCP 47 tag, "" when it names none.
func primary(locale string) string {
	tag, _, _ := strings.Cut(locale, "-")
	tag, _, _ = strings.Cut(tag, "_")
	if len(tag) < 2 || len(tag) > 3 {
		return ""
	}
	for i := range len(tag) {
		if tag[i]|0x20 < 'a' || tag[i]|0x20 > 'z' {
			return ""
		}
	}
	if tag = strings.ToLower(tag); tag == "und" {
		return ""
	}
	return tag
}
