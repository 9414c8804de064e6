package sim

import (
	"fmt"
	"math"

	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// slack is three standard errors of a share of n at the promise: the certificate is about the inquiries, of which these are some.
func slack(alpha float64, n int) float64 { return 3 * math.Sqrt(alpha*(1-alpha)/float64(max(1, n))) }

// check lists what must hold.
func (m *Month) check() {
	r := m.report
	check := func(ok bool, what, detail string, args ...any) {
		r.Checks = append(r.Checks, summary.Check{What: what, Detail: fmt.Sprintf(detail, args...), OK: ok})
	}
	check(r.Days[0].Automated == 0 && r.Days[0].State == "not_certified", "the first day is all for people", "%d automated; %s", r.Days[0].Automated, r.Beginning)
	calm := len(r.Days)
	if r.DriftDay > 0 {
		calm = r.DriftDay - 1
	}
	quarter := max(1, calm/4)
	first, grown := r.Between(1, quarter), r.Between(calm-quarter+1, calm)
	check(grown.Share() > first.Share() && grown.Share() >= 0.2, "automation grew", "from %.1f %% of days 1 to %d to %.1f %% of days %d to %d",
		100*first.Share(), quarter, 100*grown.Share(), calm-quarter+1, calm)
	before := r.Between(1, calm)
	most := r.MaxError + slack(r.MaxError, before.Automated)
	check(before.Automated > 0 && before.Error() <= most, "the promise held before the change, up to sampling error", "%.2f %% of %d wrong, at most %.2f %%", 100*before.Error(), before.Automated, 100*most)
	early := 0
	var stop *summary.Stop
	for i, h := range r.Halts {
		switch {
		case r.DriftDay == 0 || h.Day < r.DriftDay:
			early++
		case stop == nil:
			stop = &r.Halts[i]
		}
	}
	check(early == 0, "automation was not stopped before the change", "%d stops", early)
	if r.DriftDay > 0 {
		m.checkDrift(check, stop)
	}
	check(r.Ledger.Clean, "journal, stream and lake agree, byte by byte", "%s", lastLine(r.Ledger.Output))
}

// checkDrift lists what must hold after the change.
func (m *Month) checkDrift(check func(bool, string, string, ...any), stop *summary.Stop) {
	r := m.report
	if stop == nil {
		check(false, "automation stopped by itself after the change", "it did not")
		return
	}
	check(stop.ByItself, "automation stopped by itself after the change", "on day %d, the change came on day %d: %s", stop.Day, r.DriftDay, stop.Reason)
	halted := 0 // a run may end before the evening of the day on which automation goes on
	for _, d := range r.Days {
		if d.Day > stop.Day && (stop.ResumedDay == 0 || d.Day < stop.ResumedDay) {
			halted += d.Automated
		}
	}
	check(halted == 0, "nothing was automated while it was stopped", "%d automated", halted)
	check(stop.ResumedDay > stop.Day && stop.New != "" && stop.New != stop.Certificate, "automation went on with a new certificate",
		"after day %d, certificate %s instead of %s", stop.ResumedDay, stop.New, stop.Certificate)
	if stop.ResumedDay == 0 {
		return
	}
	after := r.Between(stop.ResumedDay+1, len(r.Days))
	most := r.MaxError + slack(r.MaxError, after.Automated)
	check(after.Automated > 0 && after.Error() <= most, "the new promise held, up to sampling error", "%.2f %% of %d wrong, at most %.2f %%", 100*after.Error(), after.Automated, 100*most)
}
