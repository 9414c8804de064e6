package summary

import (
	"math"
	"strings"
	"testing"
)

func TestFiguresReadAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0":             number(0),
		"999":           number(999),
		"1,000":         number(1000),
		"12,345,678":    number(int64(12_345_678)),
		"-1,234":        number(-1234),
		"4.9 %":         percent(0.0487),
		"5 %":           whole(0.05),
		"2.5 %":         whole(0.025),
		"34 s":          span(34.2),
		"11 min":        span(11.2 * 60),
		"2 h":           span(7199),
		"2 h 38 min":    span(2*3600 + 38*60),
		"1,244 €":       money(1_244_446_000, "EUR", 0),
		"0.356 €":       money(355_556, "EUR", 3),
		"0.36 CHF":      money(355_556, "CHF", 2),
		"9,999 B":       size(9999),
		"852 kB":        size(852_100),
		"12.3 MB":       size(12_300_000),
		"one two …":     shorten("one two three", 10),
		"one two three": shorten("one two three", 13),
		"Certified":     title("certified"),
		"1.0 to 11.1 %": between(0.0101, 0.111),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestCorrectedAuditsFindTheTruth draws no lots: with exact shares the correction is exact, and its interval holds what was not corrected for.
func TestCorrectedAuditsFindTheTruth(t *testing.T) {
	t.Parallel()
	const truth, errs = 0.04, 0.06
	seen := truth + (1-truth)*errs
	a := Audits{Closed: 10_000, Errors: int64(math.Round(seen * 10_000)), Error: seen, ReviewerError: errs, ReviewerSpread: 0.005}
	if got := a.Correct(seen); math.Abs(got-truth) > 1e-9 {
		t.Errorf("corrected to %.4f", got)
	}
	low, high := a.CorrectedInterval(0.05)
	without := a
	without.ReviewerSpread = 0
	narrowLow, narrowHigh := without.CorrectedInterval(0.05)
	if low > narrowLow-0.004 || high < narrowHigh+0.004 || !a.Plausible(0.05, 0.05) || a.Plausible(0.08, 0.05) || a.Plausible(0.01, 0.05) {
		t.Errorf("interval %.4f to %.4f, %.4f to %.4f with known reviewers", low, high, narrowLow, narrowHigh)
	}
	if none := (Audits{}); !none.Plausible(0.5, 0.05) {
		t.Error("no audits contradict something")
	}
}

func TestAnEmptyDayCanBeTold(t *testing.T) {
	t.Parallel()
	var text, page strings.Builder
	r := &Report{People: []Person{{Name: "anna"}}, Checks: []Check{{What: "something", Detail: "<b>", OK: false}}}
	if err := NewText(&text).Report(r); err != nil {
		t.Fatal(err)
	}
	if err := HTML(&page, r); err != nil {
		t.Fatal(err)
	}
	if r.OK() || !strings.Contains(text.String(), "✗ something") || strings.Contains(page.String(), "<b></td>") {
		t.Error("a failed check is not told as one")
	}
	for _, s := range []string{text.String(), page.String()} {
		if strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
			t.Errorf("not a number:\n%s", s)
		}
	}
}
