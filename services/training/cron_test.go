package training

import (
	"testing"
	"time"
)

func TestWhatCronSaysIsUnderstood(t *testing.T) {
	t.Parallel()
	after := time.Date(2026, 1, 1, 12, 30, 15, 0, time.UTC) // a Thursday
	for expression, want := range map[string]string{
		"* * * * *":          "2026-01-01 12:31",
		"0 3 * * *":          "2026-01-02 03:00",
		"0 3 * * 1":          "2026-01-05 03:00",
		"0 3 * * mon":        "2026-01-05 03:00",
		"*/20 * * * *":       "2026-01-01 12:40",
		"30 12 1 1 *":        "2027-01-01 12:30",
		"0 0 29 2 *":         "2028-02-29 00:00",
		"0 0 13 * 5":         "2026-01-02 00:00", // the 13th, or any Friday: as every cron has it
		"15,45 8-10 * * 1-5": "2026-01-02 08:15",
		"0 0 1 */3 *":        "2026-04-01 00:00",
	} {
		got, err := nextTime(expression, after)
		if err != nil || got.Format("2006-01-02 15:04") != want {
			t.Errorf("%s: %v %v, want %s", expression, got, err, want)
		}
	}
	for _, expression := range []string{
		"", "* * * *", "* * * * * *", "@daily", "61 * * * *", "* 25 * * *", "TZ=0 * * * *", "0 0 31 2 *", "a b c d e", "* * * * 9", "*/0 * * * *", "1-* * * * *", "\x00 * * * *", "5-1 * * * *",
	} {
		if got, err := nextTime(expression, after); err == nil {
			t.Errorf("%q is taken for %v", expression, got)
		}
	}
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"* * * * *", "0 3 * * mon", "1-5,7 */2 1 1 1", "TZ=0", "0 0 31 2 *"} {
		f.Add(s)
	}
	after := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if next, err := nextTime(s, after); err == nil && !next.After(after) {
			t.Errorf("%q is due at %v, which is not after %v", s, next, after)
		}
	})
}
