package sim

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// traffic is what the help desk counted.
func (w *World) traffic(r *summary.Report) {
	answered, automated, _ := w.desk.counts()
	r.Traffic = summary.Traffic{
		Inquiries: answered, Batch: w.desk.viaBatch, REST: w.desk.viaREST, Repeated: w.desk.again, Late: w.product.again.Load(), Automated: automated, Review: answered - automated,
	}
}

// judgeAutomation holds the automated decisions of the lake against the labels.
func (w *World) judgeAutomation(r *summary.Report, c *content) {
	a := &r.Automated
	for _, d := range c.decisions {
		if d.Outcome != "automated" {
			continue
		}
		a.Decisions++
		if d.Label != w.truth[d.ContentID] {
			a.Wrong++
		}
	}
	if c.rows > 0 {
		a.Share = float64(a.Decisions) / float64(c.rows)
	}
	if a.Decisions > 0 {
		a.Error = float64(a.Wrong) / float64(a.Decisions)
	}
	a.Low, a.High = summary.Interval(a.Wrong, a.Decisions, 0.05)
}

// judgePeople holds the last words of people about undecided inquiries against the labels.
func (w *World) judgePeople(r *summary.Report, c *content) {
	for id, d := range c.decisions {
		if d.Outcome != "review" {
			continue
		}
		r.Review.Items++
		v := c.final[id]
		if v == nil {
			continue
		}
		r.Review.Decided++
		if right(&reviewv1.Answer{Labels: v.Labels}, w.truth[d.ContentID]) {
			r.Review.FinalRight++
		}
	}
}

// audits compares what audits say of the automation with what is true. How often their reviewers err is the mean of the estimated errors of those who closed them; where two agreed it is next to nothing.
func (w *World) audits(r *summary.Report, c *content, stats *reviewv1.GetQueueStatsResponse) {
	a := &r.Audits
	a.Closed, a.Errors, a.Error = stats.GetAudits(), stats.GetAuditErrors(), stats.GetAuditErrorRate()
	a.Low, a.High = summary.Interval(int(a.Errors), int(a.Closed), 0.05)
	closed := map[string]float64{} // by people who alone closed an audit
	for id, d := range c.decisions {
		if d.Outcome != "automated" || !d.AuditSelected {
			continue
		}
		a.Drawn++
		v := c.final[id]
		if v == nil {
			continue
		}
		if v.Role == "first" {
			closed[v.Reviewer]++
		}
		if d.Label != w.truth[d.ContentID] {
			a.TrueErrors++
		}
	}
	variance := 0.0
	for _, p := range r.People {
		if a.Closed == 0 || p.Items == 0 {
			continue
		}
		weight := closed[p.Name] / float64(a.Closed)
		a.ReviewerError += weight * p.Estimated
		variance += weight * weight * p.Estimated * (1 - p.Estimated) / float64(p.Items)
	}
	a.ReviewerSpread, a.Corrected = math.Sqrt(variance), a.Correct(a.Error)
	a.CorrectedLow, a.CorrectedHigh = a.CorrectedInterval(0.05)
}

// costs sums up what the decisions of the lake cost, and what the people took.
func (w *World) costs(r *summary.Report, c *content) {
	k := &r.Cost
	for _, d := range c.decisions {
		k.Decisions += d.CostMicros
		k.Compute += d.ComputeCostMicros
	}
	perItem := int64(math.Round(float64(k.ReviewerHour) * k.ItemSeconds / 3600))
	k.Baseline = perItem * int64(c.rows)
	hour := float64(k.ReviewerHour) / 3600
	k.Spent = k.Compute + int64(r.Review.TimeSpent*hour)
	if r.Review.Verdicts > 0 {
		k.SpentBaseline = int64(r.Review.TimeSpent / float64(r.Review.Verdicts) * float64(c.rows) * hour)
	}
}

// example tells the story of an inquiry about which two people differed; nil when there was none.
func (w *World) example(ctx context.Context, c *content) (*summary.Example, error) {
	d := c.decisions[c.disputed]
	if d == nil {
		return nil, nil
	}
	it, err := reviewv1.NewReviewServiceClient(w.lead).GetItem(ctx, &reviewv1.GetItemRequest{ItemId: d.DecisionID})
	if err != nil {
		return nil, fmt.Errorf("read item %s: %w", d.DecisionID, err)
	}
	e := &summary.Example{DecisionID: d.DecisionID, Text: d.Text, Suggestion: d.Label, Truth: w.truth[d.ContentID]}
	if len(d.Probabilities) > 0 {
		e.Confidence = d.Probabilities[0]
	}
	said := map[time.Time]string{}
	for _, v := range it.GetVerdicts() {
		said[v.GetSubmitTime().AsTime().Truncate(time.Microsecond)] = strings.Join(v.GetAnswer().GetLabels(), ", ")
	}
	e.Steps = append(e.Steps, summary.Step{Time: w.Clock.Of(it.GetItem().GetDecideTime().AsTime()), What: "arrives; not certain enough, so people decide"})
	if d.Outcome == "automated" {
		e.Steps[0].What = "arrives, is routed by itself, and is drawn for an audit"
	}
	for _, h := range it.GetHistory() {
		e.Steps = append(e.Steps, summary.Step{Time: w.Clock.Of(h.GetTime().AsTime()), Who: h.GetReviewer(), What: happened(h, said[h.GetTime().AsTime().Truncate(time.Microsecond)])})
	}
	return e, nil
}

// happened says in words what happened to an item; answer is what somebody said then and did not take back.
func happened(h *reviewv1.HistoryEntry, answer string) string {
	what := map[reviewv1.HistoryKind]string{
		reviewv1.HistoryKind_HISTORY_KIND_LEASED:         "takes it",
		reviewv1.HistoryKind_HISTORY_KIND_RELEASED:       "gives it back",
		reviewv1.HistoryKind_HISTORY_KIND_EXPIRED:        "was away too long; it waits again",
		reviewv1.HistoryKind_HISTORY_KIND_VERDICT:        "answers",
		reviewv1.HistoryKind_HISTORY_KIND_UNDONE:         "takes the answer back",
		reviewv1.HistoryKind_HISTORY_KIND_NOT_SURE:       "is not sure; it goes on to another person",
		reviewv1.HistoryKind_HISTORY_KIND_SECOND_OPINION: "goes to a second person, who does not learn of the answer",
		reviewv1.HistoryKind_HISTORY_KIND_DISAGREED:      "the two differ, so a third person decides",
		reviewv1.HistoryKind_HISTORY_KIND_CLOSED:         "is closed",
		reviewv1.HistoryKind_HISTORY_KIND_REOPENED:       "opens it again",
		reviewv1.HistoryKind_HISTORY_KIND_ESCALATED:      "is escalated",
		reviewv1.HistoryKind_HISTORY_KIND_FEEDBACK:       "the application tells the truth that it learned",
	}[h.GetKind()]
	switch {
	case answer != "":
		what += ": " + answer
	case h.GetNote() != "":
		what += ": " + h.GetNote()
	}
	return what
}

// rare is the chance with which a check of an estimate fails although all is well.
const rare = 0.001

// check lists what must hold.
func (w *World) check(r *summary.Report, c *content) {
	check := func(ok bool, what, detail string, args ...any) {
		r.Checks = append(r.Checks, summary.Check{What: what, Detail: fmt.Sprintf(detail, args...), OK: ok})
	}
	n, events := r.Traffic.Inquiries, r.Events
	check(n == c.rows && n == int(r.Rows("decisions")) && len(c.decisions) == c.rows, "every decision is in the lake, once", "%d answered, %d rows", n, c.rows)
	check(n == r.Automated.Decisions+int(r.Review.Decided), "decisions in = automated + decided by people", "%d = %d + %d", n, r.Automated.Decisions, r.Review.Decided)
	check(r.Traffic.Automated == r.Automated.Decisions, "the lake says what the callers were told", "%d automated in both", r.Traffic.Automated)
	check(r.Audits.Drawn == int(r.Audits.Closed), "every audit that was drawn was done", "%d of %d", r.Audits.Closed, r.Audits.Drawn)
	check(r.Rows("verdicts") == r.Review.Verdicts, "every answer of a person is in the lake", "%d given, %d rows", r.Review.Verdicts, r.Rows("verdicts"))
	check(int(r.Rows("feedback")) == r.Review.Feedback, "all feedback is in the lake", "%d sent, %d rows", r.Review.Feedback, r.Rows("feedback"))
	check(events.Decisions == n && events.Verdicts == int(r.Review.Verdicts) && events.Feedback == r.Review.Feedback,
		"the event stream told everything", "%d decisions, %d verdicts, %d feedback", events.Decisions, events.Verdicts, events.Feedback)
	check(events.Webhooks == int(r.Review.Verdicts)+r.Review.Feedback && events.Refused == 0,
		"the ticket system got every webhook, signed", "%d taken, %d refused", events.Webhooks, events.Refused)
	check(r.Automated.Low <= r.Promise.MaxError, "the promise held, up to sampling error", "%.1f %% of %d wrong, at most %.0f %% promised", 100*r.Automated.Error, r.Automated.Decisions, 100*r.Promise.MaxError)
	check(r.Audits.Plausible(r.Automated.Error, rare), "audits found the true error", "%.1f %% (%.1f to %.1f %%) estimated, %.1f %% true",
		100*r.Audits.Corrected, 100*r.Audits.CorrectedLow, 100*r.Audits.CorrectedHigh, 100*r.Automated.Error)
	found := 0
	for _, p := range r.People {
		if p.Plausible(rare) {
			found++
		}
	}
	check(found == len(r.People), "the reviewers' errors were found", "%d of %d estimates fit what the simulation knows", found, len(r.People))
	check(r.Ledger.Clean, "journal, stream and lake agree, byte by byte", "%s", lastLine(r.Ledger.Output))
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
