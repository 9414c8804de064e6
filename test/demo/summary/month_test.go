package summary

import (
	"strings"
	"testing"
)

// month returns one of ten days, stopped on the sixth, that goes on after the eighth.
func month() *Month {
	m := &Month{
		MaxError: 0.08, Confidence: 0.95, AuditRate: 0.1, DriftDay: 5, Swapped: [2]string{"Access", "HR Support"}, Beginning: "not certified: about 9 more labelled rows are needed",
		Halts:  []Stop{{Day: 6, ByItself: true, Reason: "audits show an error above 8 %", ResumedDay: 8}},
		Runs:   []MonthRun{{Day: 2, Promoted: true, Statement: "version 2 answers", Cause: "labels support"}, {Day: 8, Promoted: true, Statement: "version 3 answers <b>", Cause: "halt support"}},
		Checks: []Check{{What: "automation grew", OK: true}},
	}
	for day := 1; day <= 10; day++ {
		d := MonthDay{Day: day, Inquiries: 100, State: "not_certified"}
		if day > 2 && day <= 6 || day > 8 {
			d.Automated, d.Wrong, d.Audited, d.Live, d.LiveHigh, d.State = 40, 2, int64(4*day), 0.05, 0.9, "automating"
		}
		m.Days = append(m.Days, d)
	}
	return m
}

func TestAMonthIsToldInTextAndAsOnePage(t *testing.T) {
	t.Parallel()
	var text, page strings.Builder
	if err := NewText(&text).Month(month()); err != nil {
		t.Fatal(err)
	}
	if err := MonthHTML(&page, month()); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{"text": text.String(), "page": page.String()} {
		for _, want := range []string{"audits show an error above 8 %", "about 9 more labelled rows", "day 6", "halt support", "automation grew"} {
			if !strings.Contains(s, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		if strings.Contains(s, "NaN") || strings.Contains(s, "%!") || strings.Contains(s, "Inf") {
			t.Errorf("%s has what people cannot read:\n%s", name, s)
		}
	}
	p := page.String()
	if strings.Contains(p, "<script") || strings.Contains(p, "src=") || strings.Contains(p, "href=") || strings.Contains(p, "answers <b>") {
		t.Error("the page asks for something else, or takes text for markup")
	}
	if n := strings.Count(p, `class="promoted"`); n != 4 { // two in each plot
		t.Errorf("%d promotions are drawn", n)
	}
	if !strings.Contains(p, `class="stopped"`) || !strings.Contains(p, `class="limit"`) {
		t.Error("the stop or the promise is not drawn")
	}
}

func TestTheDaysOfAMonthAddUp(t *testing.T) {
	t.Parallel()
	m := month()
	if s := m.Between(3, 6); s.Automated != 160 || s.Wrong != 8 || s.Share() != 0.4 || s.Error() != 0.05 {
		t.Errorf("%+v", s)
	}
	if s := m.Between(7, 8); s.Automated != 0 || s.Error() != 0 {
		t.Errorf("%+v", s)
	}
	if !m.OK() {
		t.Error("all that was checked holds")
	}
	if m.Checks[0].OK = false; m.OK() {
		t.Error("a check has failed")
	}
}

func TestAMonthOfNoDaysIsNoFailure(t *testing.T) {
	t.Parallel()
	var text, page strings.Builder
	if err := NewText(&text).Month(&Month{MaxError: 0.05}); err != nil {
		t.Fatal(err)
	}
	if err := MonthHTML(&page, &Month{MaxError: 0.05}); err != nil {
		t.Fatal(err)
	}
}
