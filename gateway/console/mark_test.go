package console

import (
	"strings"
	"testing"
)

func TestTermsAreMarkedWhateverTheirCase(t *testing.T) {
	t.Parallel()
	terms := []term{{Text: "free prize", For: true}, {Text: "prize", For: false}, {Text: "now", For: false}, {Text: "a", For: true}, {Text: "İst", For: true}}
	for in, want := range map[string]string{
		"Win a FREE PRIZE now":    "Win a [for:FREE PRIZE] [against:now]",
		"nothing":                 "nothing",
		"prize, Prize":            "[against:prize], [against:Prize]",
		"İstanbul und \xff prize": "[for:İst]anbul und \xff [against:prize]",
		"":                        "",
	} {
		var out strings.Builder
		for _, s := range mark(in, terms) {
			if s.Mark == "" {
				out.WriteString(s.Text)
			} else {
				out.WriteString("[" + s.Mark + ":" + s.Text + "]")
			}
		}
		if out.String() != want {
			t.Errorf("%q became %q, want %q", in, out.String(), want)
		}
	}
}

func FuzzMark(f *testing.F) {
	f.Add("Win a free prize", "prize")
	f.Add("\xff\xfe", "\xff\xfe\xfd")
	f.Fuzz(func(t *testing.T, text, needle string) {
		var out strings.Builder
		for _, s := range mark(text, []term{{Text: needle, For: true}}) {
			out.WriteString(s.Text)
		}
		if out.String() != text {
			t.Errorf("marking changed %q to %q", text, out.String())
		}
	})
}
