package summary

import "time"

// Month is what came of a month in which a model learns from what people say. Shares are 0 to 1.
type Month struct {
	Seed        uint64    `json:"seed"`
	Started     time.Time `json:"started"`
	TookSeconds float64   `json:"took_seconds"`
	// MaxError and Confidence are the promise, AuditRate the share of the automated decisions that people check.
	MaxError   float64 `json:"max_error"`
	Confidence float64 `json:"confidence"`
	AuditRate  float64 `json:"audit_rate"`
	// Examples is how many labelled inquiries the first version was trained on, Beginning what the product promised with it.
	Examples  int    `json:"examples"`
	Beginning string `json:"beginning"`
	// DriftDay is the day on whose morning the meaning of two queues is exchanged.
	DriftDay int        `json:"drift_day"`
	Swapped  [2]string  `json:"swapped"`
	Days     []MonthDay `json:"days"`
	Runs     []MonthRun `json:"runs"`
	Halts    []Stop     `json:"halts"`
	// ReviewerError is the share of the people's answers that were wrong, as the simulation knows it.
	ReviewerError float64 `json:"reviewer_error"`
	Ledger        Ledger  `json:"ledger"`
	Checks        []Check `json:"checks"`
}

// MonthDay is a day: what was decided, by the help desk's own count and the labels of the data, and what the product says in the evening.
type MonthDay struct {
	Day       int   `json:"day"`
	Inquiries int   `json:"inquiries"`
	Automated int   `json:"automated"`
	Wrong     int   `json:"wrong"` // of the automated, by the labels
	Audits    int   `json:"audits"`
	Answers   int64 `json:"answers"` // items that people closed
	// Version answers in the evening, with State and Statement of GetPromise.
	Version   int32  `json:"version"`
	State     string `json:"state"`
	Statement string `json:"statement"`
	// Live is the error that audits under the certificate show, with the interval that holds at all times; Audited is how many they are, and 0 when there is no certificate.
	Audited  int64   `json:"audited"`
	Live     float64 `json:"live"`
	LiveLow  float64 `json:"live_low"`
	LiveHigh float64 `json:"live_high"`
	Missing  int64   `json:"missing"` // labels that a certificate still needs, by GetPromise; -1 when more alone would not help
	// Automating says whether something was automated in the evening, after the night's run.
	Automating bool `json:"automating"`
}

// Share of the day's inquiries that was automated.
func (d MonthDay) Share() float64 { return share(d.Automated, d.Inquiries) }

// Error of the day's automated decisions.
func (d MonthDay) Error() float64 { return share(d.Wrong, d.Automated) }

// MonthRun is a training run, by ListRuns.
type MonthRun struct {
	Day       int     `json:"day"` // in whose night it ended
	ID        string  `json:"id"`
	Cause     string  `json:"cause"`
	Promoted  bool    `json:"promoted"`
	Version   int32   `json:"version"`
	Rows      int64   `json:"rows"`
	Certified bool    `json:"certified"`
	Coverage  float64 `json:"coverage"` // of the certificate
	Statement string  `json:"statement"`
}

// Stop is when automation was stopped and when it went on.
type Stop struct {
	Day         int    `json:"day"`
	ByItself    bool   `json:"by_itself"`
	Reason      string `json:"reason"`
	Certificate string `json:"certificate"` // that was lost
	// ResumedDay is the first day in whose evening something was automated again; 0 for never. New is the certificate that it goes on with.
	ResumedDay int    `json:"resumed_day"`
	New        string `json:"new_certificate"`
}

// OK says whether everything holds that must.
func (m *Month) OK() bool { return (&Report{Checks: m.Checks}).OK() }

// Between sums up the days from one to another, both included.
func (m *Month) Between(from, to int) (sum MonthDay) {
	for _, d := range m.Days {
		if d.Day >= from && d.Day <= to {
			sum.Inquiries, sum.Automated, sum.Wrong, sum.Audits = sum.Inquiries+d.Inquiries, sum.Automated+d.Automated, sum.Wrong+d.Wrong, sum.Audits+d.Audits
		}
	}
	return sum
}
