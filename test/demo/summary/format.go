package summary

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// number writes a count with commas: 12,345.
func number[N int | int64](n N) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// percent writes a share with one digit: 4.9 %.
func percent(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }

// whole writes a share that people chose, without digits where it has none: 5 %.
func whole(v float64) string {
	if p := 100 * v; math.Abs(p-math.Round(p)) < 1e-9 {
		return fmt.Sprintf("%.0f %%", p)
	}
	return percent(v)
}

// between writes an interval of shares: 1.0 to 9.9 %.
func between(low, high float64) string { return fmt.Sprintf("%.1f to %.1f %%", 100*low, 100*high) }

// span writes a duration as people say it: 34 s, 11 min, 2 h 38 min.
func span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d.Round(time.Minute) < time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	d = d.Round(time.Minute)
	if m := int(d.Minutes()) % 60; m > 0 {
		return fmt.Sprintf("%d h %d min", int(d.Hours()), m)
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}

// money writes millionths of a currency.
func money(micros int64, currency string, digits int) string {
	sign := currency
	if sign == "EUR" {
		sign = "€"
	}
	v := fmt.Sprintf("%.*f", digits, float64(micros)/1e6)
	units, rest, _ := strings.Cut(v, ".")
	var n int64
	_, _ = fmt.Sscan(units, &n)
	if rest != "" {
		rest = "." + rest
	}
	return number(n) + rest + " " + sign
}

// size writes bytes.
func size(n int64) string {
	switch {
	case n < 10_000:
		return number(n) + " B"
	case n < 1_000_000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func clock(t time.Time) string { return t.Format("15:04") }

// title writes a name with a capital.
func title(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// shorten cuts a text at a word, with dots.
func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	cut := strings.LastIndexByte(s[:most], ' ')
	return s[:max(cut, 1)] + " …"
}
