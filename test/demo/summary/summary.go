// Package summary holds what came of a simulated day and tells it: as text for a terminal, as one HTML file, and as JSON. It computes nothing but shares and intervals.
package summary

import (
	"math"
	"time"

	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// Report is what came of a day. The comments say where each figure comes from; shares are 0 to 1, durations seconds, money millionths of the currency.
type Report struct {
	Seed        uint64    `json:"seed"`
	Started     time.Time `json:"started"`
	TookSeconds float64   `json:"took_seconds"`
	// HourSeconds is how long an hour of the simulation took. Times of the review queue are in simulated seconds.
	HourSeconds float64 `json:"hour_seconds"`

	Model     Model     `json:"model"`
	Promise   Promise   `json:"promise"`
	Traffic   Traffic   `json:"traffic"`
	Automated Automated `json:"automated"`
	Audits    Audits    `json:"audits"`
	Review    Review    `json:"review"`
	Agreement Agreement `json:"agreement"`
	People    []Person  `json:"people"`
	Cost      Cost      `json:"cost"`
	Events    Events    `json:"events"`
	Lake      []Table   `json:"lake"`
	Ledger    Ledger    `json:"ledger"`
	Hours     []Hour    `json:"hours"`
	Example   *Example  `json:"example,omitempty"`
	Checks    []Check   `json:"checks"`
}

// Model is what "switchyard train" says.
type Model struct {
	Name              string  `json:"name"`
	Version           int32   `json:"version"`
	Digest            string  `json:"digest"`
	Accuracy          float64 `json:"accuracy"` // on rows that may arrive during the day, and that training never saw
	TrainingRows      int     `json:"training_rows"`
	CalibrationRows   int     `json:"calibration_rows"`
	CertificationRows int     `json:"certification_rows"`
}

// Promise is the policy and the certificate, by GetDeployment.
type Promise struct {
	Statement     string  `json:"statement"`
	MaxError      float64 `json:"max_error"`
	Confidence    float64 `json:"confidence"`
	AuditRate     float64 `json:"audit_rate"`
	CertificateID string  `json:"certificate_id"`
	Threshold     float64 `json:"threshold"`
	Rows          int64   `json:"rows"`     // certified on
	Accepted      int64   `json:"accepted"` // of them at or above the threshold
	Errors        int64   `json:"errors"`   // of them wrong
	PValue        float64 `json:"p_value"`
	Coverage      float64 `json:"coverage"`
}

// Traffic is what the help desk sent, by its own count.
type Traffic struct {
	Inquiries int   `json:"inquiries"` // each answered with a decision of its own
	Batch     int   `json:"batch"`     // those of the night's job
	REST      int   `json:"rest"`      // those over REST; the others went over gRPC
	Repeated  int   `json:"repeated"`  // calls that were sent twice, and got the same decision
	Late      int64 `json:"late"`      // calls of all that were not answered in time and were sent again, with the same key
	Automated int   `json:"automated"`
	Review    int   `json:"review"`
}

// Automated is the decisions with outcome AUTOMATED in the lake, against the labels of the data.
type Automated struct {
	Decisions int     `json:"decisions"`
	Share     float64 `json:"share"`
	Wrong     int     `json:"wrong"`
	Error     float64 `json:"error"`
	Low       float64 `json:"low"` // 95 % interval of the error rate behind it
	High      float64 `json:"high"`
}

// Audits are by GetQueueStats, TrueErrors by the labels.
type Audits struct {
	Drawn      int     `json:"drawn"` // decisions in the lake that were drawn
	Closed     int64   `json:"closed"`
	Errors     int64   `json:"errors"`
	TrueErrors int     `json:"true_errors"` // of those closed
	Error      float64 `json:"error"`       // each audit weighted by the inverse of its probability
	Low        float64 `json:"low"`         // 95 % interval (Clopper-Pearson)
	High       float64 `json:"high"`
	// Reviewers err too. ReviewerError is how often those of the audits do, by GetAgreement; the corrected figures allow for it.
	ReviewerError float64 `json:"reviewer_error"`
	// ReviewerSpread is the standard error of ReviewerError.
	ReviewerSpread float64 `json:"reviewer_spread"`
	Corrected      float64 `json:"corrected"`
	CorrectedLow   float64 `json:"corrected_low"`
	CorrectedHigh  float64 `json:"corrected_high"`
}

// Correct allows for the errors of reviewers. Of the right decisions they call a share e wrong, so that of a true error t they see t + (1−t)·e, and t = (seen − e) / (1 − e). That whoever errs about a
// wrong decision may hit on the decision's label is left out: it is a small share of a small share.
func (a Audits) Correct(seen float64) float64 {
	return max(0, (seen-a.ReviewerError)/(1-a.ReviewerError))
}

// CorrectedInterval returns the interval of the corrected error, with the chance miss of the truth outside it: what is not known of the audits and of their reviewers is put together as independent.
func (a Audits) CorrectedInterval(miss float64) (low, high float64) {
	seenLow, seenHigh := Interval(int(a.Errors), int(a.Closed), miss)
	t := (a.Error - a.ReviewerError) / (1 - a.ReviewerError) // may be below 0
	reviewers := math.Sqrt2 * math.Erfinv(1-miss) * a.ReviewerSpread / (1 - a.ReviewerError)
	low = t - math.Hypot((a.Error-seenLow)/(1-a.ReviewerError), reviewers)
	high = t + math.Hypot((seenHigh-a.Error)/(1-a.ReviewerError), reviewers)
	return max(0, low), min(1, max(0, high))
}

// Plausible says whether the audits can come from decisions of which that share is wrong, with the chance miss of saying no wrongly.
func (a Audits) Plausible(truth, miss float64) bool {
	low, high := a.CorrectedInterval(miss)
	return a.Closed == 0 || low <= truth && truth <= high
}

// Review is by GetQueueStats and GetQueue; times are simulated seconds.
type Review struct {
	Items          int64   `json:"items"`   // that a person had to decide, by the lake's decisions
	Decided        int64   `json:"decided"` // of them with a final verdict in the lake
	Verdicts       int64   `json:"verdicts"`
	ItemsClosed    int64   `json:"items_closed"`
	SecondOpinions int64   `json:"second_opinions"`
	Disagreements  int64   `json:"disagreements"`
	NotSure        int64   `json:"not_sure"`
	Accepted       int64   `json:"accepted"`
	Appeals        int     `json:"appeals"`
	Overturned     int64   `json:"overturned"`
	Feedback       int     `json:"feedback"`
	GoldItems      int     `json:"gold_items"`
	GoldAnswers    int64   `json:"gold_answers"`
	Escalated      int     `json:"escalated"` // not answered when due, or after several could not say
	Undone         int     `json:"undone"`
	Expired        int     `json:"expired"`
	Extended       int     `json:"extended"`
	Released       int     `json:"released"`
	WaitMedian     float64 `json:"wait_median_seconds"`
	WaitP90        float64 `json:"wait_p90_seconds"`
	TimeMedian     float64 `json:"time_median_seconds"`
	TimeSpent      float64 `json:"time_spent_seconds"`
	MaxOpen        int64   `json:"max_open"`
	// FinalRight is how many of the items that people decided went to the true queue at last; by the lake's verdicts and the labels.
	FinalRight int `json:"final_right"`
}

// Agreement is by GetAgreement.
type Agreement struct {
	Items int64   `json:"items"`
	Alpha float64 `json:"alpha"` // Krippendorff's
	// Kappa is the mean of Cohen's kappa over the pairs, weighted by their items.
	Kappa float64 `json:"kappa"`
	Pairs []Pair  `json:"pairs"`
}

// Pair is two people who judged the same items.
type Pair struct {
	First     string  `json:"first"`
	Second    string  `json:"second"`
	Items     int64   `json:"items"`
	Agreement float64 `json:"agreement"`
	Kappa     float64 `json:"kappa"`
	Defined   bool    `json:"defined"`
}

// Person is by GetAgreement and ListReviewers; what is simulated is by the simulation.
type Person struct {
	Name          string  `json:"name"`
	Verdicts      int64   `json:"verdicts"`
	NotSure       int64   `json:"not_sure"`
	TimeSpent     float64 `json:"time_spent_seconds"`
	Estimated     float64 `json:"estimated_error"` // Dawid and Skene's
	Low           float64 `json:"low"`             // 95 % interval, as if the items behind it were all test items
	High          float64 `json:"high"`
	Items         int64   `json:"items"` // behind the estimate
	GoldItems     int64   `json:"gold_items"`
	GoldErrors    int64   `json:"gold_errors"`
	GoldUpper     float64 `json:"gold_upper"`
	SimulatedRate float64 `json:"simulated_rate"` // what the simulation draws with
	Answers       int     `json:"answers"`        // independent answers that counted
	Wrong         int     `json:"wrong"`          // of them wrong
}

// Realised is the share of the person's answers that were wrong.
func (p Person) Realised() float64 { return share(p.Wrong, p.Answers) }

// Cost is at the prices of the policy.
type Cost struct {
	Currency     string  `json:"currency"`
	ReviewerHour int64   `json:"reviewer_hour_micros"`
	ItemSeconds  float64 `json:"item_seconds"` // that the policy expects for an item
	Decisions    int64   `json:"decisions_micros"`
	Compute      int64   `json:"compute_micros"`
	Baseline     int64   `json:"baseline_micros"` // all inquiries by hand, as the policy expects
	// With the time that people took, test items and second opinions included; by hand each inquiry would take the mean time of a verdict.
	Spent         int64 `json:"spent_micros"`
	SpentBaseline int64 `json:"spent_baseline_micros"`
}

// Events is what followed.
type Events struct {
	Decisions int `json:"decisions"` // different events of the stream, by Subscribe
	Verdicts  int `json:"verdicts"`
	Feedback  int `json:"feedback"`
	Reviews   int `json:"reviews"`
	Twice     int `json:"twice"`
	Webhooks  int `json:"webhooks"` // different ones that the ticket system took, all signed
	Refused   int `json:"refused"`
}

// Table is a table of the lake, by "switchyard lake ls".
type Table struct {
	Name  string `json:"name"`
	Files int    `json:"files"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

// Ledger is what "switchyard ledger verify" says after the server has stopped.
type Ledger struct {
	Clean  bool   `json:"clean"`
	Output string `json:"output"`
}

// Hour is the state at a moment of the day: counts since its begin, and the queue as it is.
type Hour struct {
	Time      time.Time `json:"time"`
	Inquiries int       `json:"inquiries"`
	Automated int       `json:"automated"`
	Audits    int       `json:"audits"`
	Closed    int64     `json:"closed"`
	Waiting   int64     `json:"waiting"` // open or with a person
	Oldest    float64   `json:"oldest_seconds"`
}

// Example is one inquiry with all that happened to it.
type Example struct {
	DecisionID string  `json:"decision_id"`
	Text       string  `json:"text"`
	Suggestion string  `json:"suggestion"`
	Confidence float64 `json:"confidence"`
	Truth      string  `json:"truth"`
	Steps      []Step  `json:"steps"`
}

// Step is one thing that happened.
type Step struct {
	Time time.Time `json:"time"`
	Who  string    `json:"who"`
	What string    `json:"what"`
}

// Check is something that must hold.
type Check struct {
	What   string `json:"what"`
	Detail string `json:"detail"`
	OK     bool   `json:"ok"`
}

// OK says whether everything holds that must.
func (r *Report) OK() bool {
	for _, c := range r.Checks {
		if !c.OK {
			return false
		}
	}
	return true
}

// Interval returns the exact (Clopper-Pearson) interval of a share after k of n, with the chance miss of the truth outside it.
func Interval(k, n int, miss float64) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	return 1 - risk.UpperBound(n-k, n, miss/2), risk.UpperBound(k, n, miss/2)
}

// Interval returns the 95 % interval of a person's error, as if each item behind the estimate were a test item.
func (p Person) Interval() (low, high float64) { return p.interval(0.05) }

func (p Person) interval(miss float64) (low, high float64) {
	return Interval(int(math.Round(p.Estimated*float64(p.Items))), int(p.Items), miss)
}

// Plausible says whether the share of wrong answers that the simulation knows and the estimate can be the same person's, with the chance miss of saying no wrongly.
func (p Person) Plausible(miss float64) bool {
	low, high := p.interval(miss)
	return low <= p.Realised() && p.Realised() <= high
}

// RightAtLast is the share of all inquiries that were in the true queue in the end, routed by itself or by people.
func (r *Report) RightAtLast() float64 {
	return share(r.Automated.Decisions-r.Automated.Wrong+r.Review.FinalRight, r.Traffic.Inquiries)
}

// RightByHand is the share of right answers of these people: what they would reach if one of them routed each inquiry.
func (r *Report) RightByHand() float64 {
	answers, wrong := 0, 0
	for _, p := range r.People {
		answers, wrong = answers+p.Answers, wrong+p.Wrong
	}
	return 1 - share(wrong, answers)
}

// Rows returns how many rows a table of the lake has.
func (r *Report) Rows(table string) int64 {
	for _, t := range r.Lake {
		if t.Name == table {
			return t.Rows
		}
	}
	return 0
}

func share[N int | int64](k, n N) float64 {
	if n == 0 {
		return 0
	}
	return float64(k) / float64(n)
}
