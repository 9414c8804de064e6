package redact

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                     "",
		"nothing to hide":                      "nothing to hide",
		"mail me at jane.doe+x@example.co.uk.": "mail me at [email].",
		"(joe@example.com)":                    "([email])",
		"jörg@müller.de, ok?":                  "[email], ok?",
		"a@b, @user, me@, x@y.":                "a@b, @user, me@, x@y.",
		"call +43 660 1234567 now":             "call [phone] now",
		"call 0664/123 45 67":                  "call [phone]",
		"(555) 123-4567":                       "[phone]",
		"555-123-4567":                         "[phone]",
		"00436601234567":                       "[phone]",
		"card 4111 1111 1111 1111, exp 12/29":  "card [card], exp 12/29",
		"4111111111111111":                     "[card]",
		"4111111111111112":                     "4111111111111112", // Luhn says no
		"IBAN AT61 1904 3002 3457 3201 please": "IBAN [iban] please",
		"DE89370400440532013000.":              "[iban].",
		"DE89370400440532013001":               "DE89370400440532013001",
		"from 192.168.1.17:80 to 10.0.0.1.":    "from [ip]:80 to [ip].",
		"version 1.2.3 of 999.1.1.1":           "version 1.2.3 of 999.1.1.1",
		"fe80::1ff:fe23:4567:890a and ::1":     "[ip] and [ip]",
		"2001:db8:85a3::8a2e:370:7334":         "[ip]",
		"at 10:30:45 on 2026-11-23":            "at 10:30:45 on 2026-11-23",
		"order 1234567, 23.11.2026, 1.234,56":  "order 1234567, 23.11.2026, 1.234,56",
		"invoice INV20260001 and room B1204":   "invoice INV20260001 and room B1204",
		"a::b std::string foo::bar()":          "a::b std::string foo::bar()",
		"x@example.com y@example.com":          "[email] [email]",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"a@b.cd +43 660 1234567 4111111111111111 ::1 1.2.3.4 DE89370400440532013000", "@@@@", ":::::::", "+(((0", "\xff@\xff.\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := Text(s)
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("%q became invalid: %q", s, got)
		}
		if len(got) > 4*len(s) {
			t.Errorf("%q grew to %q", s, got)
		}
	})
}

func BenchmarkText(b *testing.B) {
	text := strings.Repeat("my number is +43 660 1234567 and the mail is a@example.com, thanks a lot for the help. ", 12)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		Text(text)
	}
}
