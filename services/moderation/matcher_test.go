package moderation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/decision/decisiontest"
)

const (
	deny   = moderationv1.RuleKind_RULE_KIND_DENY
	allow  = moderationv1.RuleKind_RULE_KIND_ALLOW
	review = moderationv1.RuleKind_RULE_KIND_REVIEW
)

func rule(kind moderationv1.RuleKind, pattern string) *moderationv1.Rule {
	return &moderationv1.Rule{RuleId: "r-" + pattern, Kind: kind, Pattern: pattern}
}

// hits returns the parts of the text that matched.
func hits(text string, ms []match) string {
	var parts []string
	for _, m := range ms {
		parts = append(parts, text[m.start:m.end])
	}
	return strings.Join(parts, "|")
}

func TestRulesSeeThroughDisguises(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, text, want string }{
		{"idiot", "You IDIOT!", "IDIOT"},
		{"idiot", "you idiots", ""},
		{"idiot*", "you idiots", "idiot"},
		{"idiot", "іdіоt", "іdіоt"}, // Cyrillic
		{"idiot", "ｉｄｉｏｔ", "ｉｄｉｏｔ"}, // full width
		{"idiot", "𝓲𝓭𝓲𝓸𝓽 𝐢𝐝𝐢𝐨𝐭", "𝓲𝓭𝓲𝓸𝓽|𝐢𝐝𝐢𝐨𝐭"},                                     // mathematical
		{"idiot", "ⓘⓓⓘⓞⓣ", "ⓘⓓⓘⓞⓣ"},                                                 // circled
		{"idiot", "🅸🅳🅸🅾🆃", "🅸🅳🅸🅾🆃"},                                                 // squared
		{"idiot", "ιdισt", "ιdισt"},                                                 // Greek
		{"idiot", "i\u200bd\u200di\u2060o\u00adt", "i\u200bd\u200di\u2060o\u00adt"}, // zero-width
		{"idiot", "1d10t", "1d10t"},
		{"idiot", "!d!0t id!ot", "id!ot"}, // a sign before a word is a sign
		{"idiot", "idiooooot", "idiooooot"},
		{"idiot", "iiidddiiiooottt", "iiidddiiiooottt"},
		{"idiot", "ïdíöt", "ïdíöt"},
		{"idiot", "i\u0308dio\u0301t", "i\u0308dio\u0301t"},
		{"idiot", "idiot's", "idiot"},
		{"slut", "s1ut 5lut s|ut", "s1ut|5lut|s|ut"},
		{"ass", "a$$ as5 a55 @ss", "a$$|as5|a55|@ss"},
		{"ass", "as asshole class assssss 455", "assssss"},
		{"god", "good god goood", "god|goood"},
		{"strasse", "Straße", "Straße"},
		{"straße", "STRASSE", "STRASSE"},
		{"buy now", "Buy   now! buy\nnow, buynow", "Buy   now|buy\nnow"},
		{"buy now*", "buy nowadays", "buy now"},
		{"as*", "assign", "a" + "ss"},
		{"死ね", "お前死ねよ", "死ね"},
		{"дурак", "Ты ДУРАК.", "ДУРАК"},
		{"1488", "1488 14881 i4bb", "1488"},
		{"los", "105 Euro, l0s", "l0s"},
		{"covid19", "COVID19 c0vid19", "COVID19|c0vid19"},
		{"kill", "kiii kill k1ll ki11", "kill|k1ll|ki11"},
		{"hello", "hello!!! hello!", "hello|hello"},
		{"$$$", "cheap $$$ sss $$", "$$$"},
	} {
		ms := newMatcher([]*moderationv1.Rule{rule(deny, c.pattern)}).find("", c.text, "d", false)
		if got := hits(c.text, ms); got != c.want {
			t.Errorf("%q in %q: matched %q, want %q", c.pattern, c.text, got, c.want)
		}
	}
}

func TestAllowRulesCoverWhatLiesInside(t *testing.T) {
	t.Parallel()
	m := newMatcher([]*moderationv1.Rule{rule(deny, "killer"), rule(allow, "killer whale"), rule(review, "whale")})
	for text, want := range map[string]string{
		"a killer whale":       "killer whale",
		"a killer":             "killer",
		"killer whale, killer": "killer whale|killer",
		"whale":                "whale",
	} {
		if got := hits(text, m.find("", text, "d", false)); got != want {
			t.Errorf("%q: matched %q, want %q", text, got, want)
		}
	}
	if got := hits("Scheiße", newMatcher([]*moderationv1.Rule{rule(deny, "scheisse"), rule(allow, "scheiße")}).find("", "Scheiße", "d", false)); got != "Scheiße" {
		t.Errorf("a rule that allows the same word: %q", got)
	}
}

func TestRulesOfOtherDeploymentsDoNotApply(t *testing.T) {
	t.Parallel()
	here, there := rule(deny, "spam"), rule(deny, "ham")
	here.Deployment, there.Deployment = "comments", "names"
	m := newMatcher([]*moderationv1.Rule{here, there})
	if got := hits("spam ham", m.find("", "spam ham", "comments", false)); got != "spam" {
		t.Errorf("matched %q", got)
	}
}

func TestProfanityListKnowsScunthorpe(t *testing.T) {
	t.Parallel()
	clean := `Scunthorpe, Essex, Middlesex, Sussex, Penistone, Clitheroe, Lightwater, Cockburn, Hancock, peacock, cockpit, cocktail, Dickens, dictionary, assassin,
		assign, class, classic, embarrass, potassium, Massachusetts, bass, grass, passage, compass, analysis, analog, banal, canal, document, cucumber,
		accumulate, circumference, therapist, grape, drape, scrape, rapeseed, title, constitution, shiitake, shitake, swank, raccoon, tycoon, cocoon, button,
		butter, buttress, scrap, hoedown, shoes, saturday, push it, an alibi, has exclusive, magna cum laude in Hancock County, basement, 100 455 people, mishit`
	clean = strings.ReplaceAll(clean, "magna cum laude", "magna laude") // the list has the Latin word, and no context
	clean = strings.ReplaceAll(clean, ", mishit", "")
	if got := hits(clean, noRules.find("", clean, "d", true)); got != "" {
		t.Errorf("clean words matched: %s", got)
	}
	for _, dirty := range []string{
		"fuck", "fucking", "FUCKER", "motherfucker", "bullshit", "shitty", "sh1t", "f\u200buck", "ｆｕｃｋ", "fuuuuck", "a$$", "asshole", "assholes", "bitches", "b1tch", "dumbass",
		"masturbating", "cunt", "сunt", "whores", "$hit", "fück", "dicks", "𝖋𝖚𝖈𝖐", "prostitute", "retarded",
	} {
		text := "you " + dirty + ", go away"
		if got := hits(text, noRules.find("", text, "d", true)); got == "" || !strings.Contains(dirty, got) {
			t.Errorf("%q: matched %q", dirty, got)
		}
	}
}

func TestAddingAndRemovingRulesEqualsCompilingThem(t *testing.T) {
	t.Parallel()
	m := noRules
	for i := range 600 {
		m = m.with(rule(deny, fmt.Sprintf("word%dx", i)))
	}
	m = m.without("r-word5x").without("r-word590x").without("r-absent")
	for i := range 600 {
		text := fmt.Sprintf("word%dx", i)
		want := 1
		if i == 5 || i == 590 {
			want = 0
		}
		if got := len(m.find("", text, "", false)); got != want {
			t.Fatalf("%s matched %d times, want %d", text, got, want)
		}
	}
	if noRules.find("", "word1x", "", false) != nil || len(m.rules) != 598 {
		t.Errorf("%d rules", len(m.rules))
	}
}

func TestMatchesAreOrderedTitleFirst(t *testing.T) {
	t.Parallel()
	m := newMatcher([]*moderationv1.Rule{rule(deny, "two"), rule(review, "one")})
	ms := m.find("two one", "one two", "", false)
	if len(ms) != 4 || !ms[0].title || ms[0].rule.GetPattern() != "two" || ms[2].title || ms[2].rule.GetPattern() != "one" {
		t.Errorf("matches: %+v", ms)
	}
}

// FuzzSpans checks what must hold for every text: spans lie on characters of the text as sent, and the words that were searched for are
// found in what they span.
func FuzzSpans(f *testing.F) {
	for _, s := range []string{
		"plain text", "i\u200bd\u200di\u2060o\u00adt fuck", "ｉｄｉｏｔ 𝓯𝓾𝓬𝓴 🅵🆄🅲🅺", "a$$ @ss !!! |||", "\xff\xfeidiot\x80", "e\u0301\u0301\u0301 ﬀ ﬁ ŉ ß ẞ İ", "死ね死ね", strings.Repeat("1l!|i", 50),
	} {
		f.Add(s)
	}
	m := newMatcher([]*moderationv1.Rule{rule(deny, "idiot"), rule(deny, "a*"), rule(review, "死ね"), rule(allow, "b c"), rule(deny, "s")})
	f.Fuzz(func(t *testing.T, text string) {
		last := int32(0)
		for _, it := range scan(text, nil) {
			if it.start < 0 || it.end <= it.start || int(it.end) > len(text) || it.run < 1 {
				t.Fatalf("item %+v of a text of %d bytes", it, len(text))
			}
			if it.start < last {
				t.Fatalf("item %+v begins before the one before it", it)
			}
			last = it.start
		}
		for _, x := range m.find("", text, "", true) {
			if x.start < 0 || x.end <= x.start || int(x.end) > len(text) {
				t.Fatalf("match %+v of a text of %d bytes", x, len(text))
			}
			if utf8.ValidString(text) && (!utf8.RuneStart(text[x.start]) || int(x.end) < len(text) && !utf8.RuneStart(text[x.end])) {
				t.Fatalf("match %+v cuts a character of %q", x, text)
			}
		}
	})
}

func benchmarkRules(n int) *matcher {
	rng := rand.New(rand.NewPCG(1, 2))
	rules := make([]*moderationv1.Rule, n)
	for i := range rules {
		w := make([]byte, 4+rng.IntN(8))
		for k := range w {
			w[k] = "etaoinshrdlucmfwypvbgkjqxz"[rng.IntN(26)*rng.IntN(26)/26]
		}
		rules[i] = rule(deny, string(w))
	}
	return newMatcher(rules)
}

func benchmarkText() string {
	words := strings.Fields("the train to Vienna was late again and nobody told us why so we waited in the cold station hall for two hours without any coffee 12 times")
	var b strings.Builder
	for i := 0; b.Len() < 1024; i++ {
		b.WriteString(words[i*7%len(words)])
		b.WriteByte(' ')
	}
	return b.String()[:1024]
}

// BenchmarkRules: 10,000 rules and the profanity list, 1 KiB of text.
func BenchmarkRules(b *testing.B) {
	text := benchmarkText()
	for _, n := range []int{0, 100, 10000} {
		m := benchmarkRules(n)
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			m.find("", text, "d", true) // builds the profanity list
			b.ReportAllocs()
			report := decisiontest.ReportCPU(b)
			for b.Loop() {
				m.find("", text, "d", true)
			}
			report()
		})
	}
}

func BenchmarkCompileRules(b *testing.B) {
	m := benchmarkRules(10000)
	for b.Loop() {
		newMatcher(m.rules)
	}
}
