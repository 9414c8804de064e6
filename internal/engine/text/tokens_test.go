package text

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// features returns the n-grams of a text in a table large enough to be free of collisions.
func features(s string) []string {
	r := newReader(1 << 20)
	r.trace = true
	r.read(s)
	var out []string
	for _, x := range r.source {
		out = append(out, x.feature)
	}
	return out
}

func TestTextsAreReadAsWordAndCharacterGrams(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"":               nil,
		" \t\x00\n":      nil,
		"a":              {"a", " a", " a ", "a "},
		"It":             {"it", " i", " it", " it ", "it", "it ", "t "},
		"no!!":           {"no", " n", " no", " no ", "no", "no ", "o ", "!!", "no !!", " !", " !!", " !! ", "!!", "!! ", "! "},
		"ÄB":             {"äb", " ä", " äb", " äb ", "äb", "äb ", "b "},
		"\xff":           {"\uFFFD", " \uFFFD", " \uFFFD ", "\uFFFD "},
		"z\u200b\u00adu": features("zu"),
		"A  b":           features("a\nB"),
	} {
		if got := features(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := features("hello"); !slices.Contains(got, " hell") || !slices.Contains(got, "ello ") || slices.Contains(got, " hello") {
		t.Errorf("hello: %q", got)
	}
}

func TestSymbolsAndLongRunsAreSplit(t *testing.T) {
	t.Parallel()
	if got := features("?!"); !slices.Contains(got, "? !") {
		t.Errorf("different symbols are different tokens: %q", got)
	}
	if got := features(strings.Repeat("x", 3*maxToken)); !slices.Contains(got, strings.Repeat("x", maxToken)) {
		t.Error("a long run is not cut")
	}
}

func TestReaderForgetsTheTextBefore(t *testing.T) {
	t.Parallel()
	r, fresh := newReader(1<<12), newReader(1<<12)
	fresh.read("the second text, the last")
	r.gen = 1<<(32-slotBits) - 5 // the generations run over in between
	for range 10 {
		r.read("some other first text")
		r.read("the second text, the last")
		if !slices.Equal(r.grams, fresh.grams) {
			t.Fatal("another reading")
		}
	}
}

func TestHugeTextsHaveBoundedReadings(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	state := uint64(1)
	for b.Len() < 5<<20 {
		b.WriteRune(rune(0x4e00 + next(&state)%20000))
	}
	r := newReader(1 << 20)
	r.read(b.String())
	if len(r.grams) != maxGrams {
		t.Errorf("%d grams", len(r.grams))
	}
	sum := uint64(0)
	for _, g := range r.grams {
		sum += uint64(multiplierOf(int(g.count)))
	}
	if sum*127 >= 1<<31 {
		t.Errorf("multipliers sum to %d: 32 bits overflow", sum)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"", "Hello, World!", "größe 日本語 \xff\xc3", "a\x00b\u200bc", "İ ǅ ſ"} {
		f.Add(s)
	}
	r := newReader(1 << 12)
	f.Fuzz(func(t *testing.T, s string) {
		r.trace = false
		r.read(s)
		plain := slices.Clone(r.grams)
		r.trace = true
		r.read(s)
		if !slices.Equal(plain, r.grams) || len(r.source) != len(r.grams) {
			t.Fatal("tracing changes what is read")
		}
		total := 0
		for i, g := range r.grams {
			total += int(g.count)
			x := r.source[i]
			if g.bucket >= 1<<12 || g.count == 0 || x.start < 0 || x.end < x.start || x.end > len(s) || !utf8.ValidString(x.feature) {
				t.Fatalf("gram %+v from %+v", g, x)
			}
		}
		if total > 6*len(s) {
			t.Fatalf("%d n-grams from %d bytes", total, len(s))
		}
	})
}
