package summary

import (
	"fmt"
	"strings"
)

// MonthDays begins the table of the month, which MonthDay continues as it goes.
func (t *TextWriter) MonthDays() error {
	t.heading("The month")
	t.linef("%-4s %9s %11s %9s %11s %18s   %-14s %s", "day", "automated", "true error", "audited", "live error", "interval", "evening", "share by itself")
	return t.w.Flush()
}

// MonthDay writes how a day was.
func (t *TextWriter) MonthDay(d MonthDay) error {
	wrong, audited, live, interval := "", "", "", ""
	if d.Automated > 0 {
		wrong = percent(d.Error())
	}
	if d.Audited > 0 {
		audited, live, interval = number(d.Audited), percent(d.Live), between(d.LiveLow, d.LiveHigh)
	}
	t.linef("%-4d %9s %11s %9s %11s %18s   %-14s %s", d.Day, percent(d.Share()), wrong, audited, live, interval, words(d.State), strings.Repeat("█", int(width*d.Share()+0.5)))
	return t.w.Flush()
}

// words writes the name of a state as people do.
func words(state string) string { return strings.ReplaceAll(state, "_", " ") }

// Month writes what came of it.
func (t *TextWriter) Month(m *Month) error {
	t.heading("From examples to a promise, and back to one")
	t.linef("First day: %s.", m.Beginning)
	if n := len(m.Days); n > 0 {
		t.linef("Last day:  %s.", m.Days[n-1].Statement)
	}
	for _, h := range m.Halts {
		by := "by a person"
		if h.ByItself {
			by = "by itself"
		}
		t.linef("Stopped %s on day %d, the change came on day %d: %s.", by, h.Day, m.DriftDay, h.Reason)
		if h.ResumedDay > 0 {
			t.linef("It went on after day %d, with a new certificate.", h.ResumedDay)
		}
	}
	t.heading("Training runs")
	for _, r := range m.Runs {
		t.linef("after day %-3d %s: %s", r.Day, r.Cause, shorten(r.Statement, 150))
	}
	calm := len(m.Days)
	if m.DriftDay > 0 {
		calm = m.DriftDay - 1
	}
	before, all := m.Between(1, calm), m.Between(1, len(m.Days))
	t.heading("What was promised, and what became of it")
	rows := [][]string{
		{"promised", whole(m.MaxError), "at most, of what is automated"},
		{"before the change", percent(before.Error()), fmt.Sprintf("wrong of %s automated, %s of all inquiries", number(before.Automated), percent(before.Share()))},
	}
	for _, h := range m.Halts {
		if h.ResumedDay > 0 {
			after := m.Between(h.ResumedDay+1, len(m.Days))
			during := m.Between(m.DriftDay, h.Day)
			rows = append(rows,
				[]string{"until it was stopped", percent(during.Error()), fmt.Sprintf("wrong of %s automated, of which %s were audited", number(during.Automated), number(during.Audits))},
				[]string{"since it goes on", percent(after.Error()), fmt.Sprintf("wrong of %s automated, %s of all inquiries", number(after.Automated), percent(after.Share()))})
		}
	}
	t.table(false, append(rows, []string{"the whole month", percent(all.Share()), fmt.Sprintf("automated of %s inquiries", number(all.Inquiries))}))
	t.checks(&Report{Checks: m.Checks})
	return t.w.Flush()
}
