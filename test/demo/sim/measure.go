package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

// settleTimeout bounds the wait until what was decided is in the lake and with all who follow, in real time.
const settleTimeout = 30 * time.Second

// rows of the lake, as far as the report needs them; the names are those of the columns.
type (
	decisionRow struct {
		DecisionID        string    `json:"decision_id"`
		Outcome           string    `json:"outcome"`
		Label             string    `json:"label"`
		ContentID         string    `json:"content_id"`
		Probabilities     []float64 `json:"probabilities"`
		AuditSelected     bool      `json:"audit_selected"`
		CostMicros        int64     `json:"cost_micros"`
		ComputeCostMicros int64     `json:"compute_cost_micros"`
		Text              string    `json:"text"`
	}
	verdictRow struct {
		DecisionID string    `json:"decision_id"`
		Time       time.Time `json:"time"`
		Labels     []string  `json:"labels"`
		Role       string    `json:"role"`
		Reviewer   string    `json:"reviewer"`
		Outcome    string    `json:"outcome"`
		Final      bool      `json:"final"`
		Gold       bool      `json:"gold"`
	}
)

// content is what the lake holds.
type content struct {
	decisions map[string]*decisionRow
	rows      int                    // of decisions
	final     map[string]*verdictRow // the newest final verdict by decision
	disputed  string                 // a decision that two people judged differently
}

// Report asks the product for everything that it knows of the days, stops it, verifies the ledger, and holds the figures against the labels.
func (w *World) Report() (*summary.Report, error) {
	r := &summary.Report{
		Seed: w.o.Seed, Started: w.started, HourSeconds: w.o.Hour.Seconds(), Model: *w.model, Hours: w.hours,
	}
	stats, err := w.ask(w.ctx, r)
	if err != nil {
		return nil, err
	}
	if err := w.settle(w.ctx, r); err != nil {
		return nil, err
	}
	c, err := w.readLake(w.ctx)
	if err != nil {
		return nil, err
	}
	w.traffic(r)
	w.judgeAutomation(r, c)
	w.judgePeople(r, c)
	w.audits(r, c, stats)
	w.costs(r, c)
	if r.Example, err = w.example(w.ctx, c); err != nil {
		return nil, err
	}
	if err := w.verify(r); err != nil {
		return nil, err
	}
	w.check(r, c)
	r.TookSeconds = time.Since(w.started).Seconds()
	return r, nil
}

// ask reads what the product says of the promise, the queue and the people.
func (w *World) ask(ctx context.Context, r *summary.Report) (*reviewv1.GetQueueStatsResponse, error) {
	d, err := modelsv1.NewModelServiceClient(w.lead).GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: operation, Deployment: deployment})
	if err != nil {
		return nil, fmt.Errorf("read the deployment: %w", err)
	}
	policy := d.GetDeployment().GetPolicy()
	r.Promise = summary.Promise{
		Statement: d.GetDeployment().GetStatement(), MaxError: policy.GetMaxError(), Confidence: policy.GetConfidence(), AuditRate: policy.GetAuditRate(),
	}
	if all := d.GetDeployment().GetCertificates(); len(all) > 0 {
		cert := all[0]
		r.Promise.CertificateID, r.Promise.Threshold, r.Promise.PValue, r.Promise.Coverage = cert.GetCertificateId(), cert.GetThreshold(), cert.GetPValue(), cert.GetCoverage()
		r.Promise.Rows, r.Promise.Accepted, r.Promise.Errors = cert.GetRows(), cert.GetAccepted(), cert.GetErrors()
	}
	r.Cost = summary.Cost{Currency: policy.GetCurrency(), ReviewerHour: policy.GetReviewerHourMicros(), ItemSeconds: policy.GetReviewSeconds()}
	review, since := reviewv1.NewReviewServiceClient(w.lead), timestamppb.New(w.started)
	stats, err := review.GetQueueStats(ctx, &reviewv1.GetQueueStatsRequest{Operation: operation, Deployment: deployment, Since: since})
	if err != nil {
		return nil, fmt.Errorf("read the queue's figures: %w", err)
	}
	simulated := func(d time.Duration) float64 { return w.Clock.Simulated(d).Seconds() }
	r.Review = summary.Review{
		Verdicts: stats.GetVerdicts(), ItemsClosed: stats.GetItemsClosed(), SecondOpinions: stats.GetSecondOpinions(), Disagreements: stats.GetDisagreements(),
		NotSure: stats.GetNotSure(), Accepted: stats.GetSuggestionAccepted(), Overturned: stats.GetOverturned(), Appeals: w.appealed, Feedback: w.heard,
		// The product measured waiting in real time; the time that people spent came with their answers.
		WaitMedian: simulated(stats.GetWaitMedian().AsDuration()), WaitP90: simulated(stats.GetWaitP90().AsDuration()),
		TimeMedian: stats.GetTimeSpentMedian().AsDuration().Seconds(), TimeSpent: stats.GetTimeSpent().AsDuration().Seconds(), GoldItems: w.gold,
	}
	for _, h := range w.hours {
		r.Review.MaxOpen = max(r.Review.MaxOpen, h.Waiting)
	}
	agreement, err := review.GetAgreement(ctx, &reviewv1.GetAgreementRequest{Operation: operation, Deployment: deployment, Since: since})
	if err != nil {
		return nil, fmt.Errorf("read the agreement: %w", err)
	}
	w.agreement(r, agreement)
	people, err := review.ListReviewers(ctx, &reviewv1.ListReviewersRequest{Since: since})
	if err != nil {
		return nil, fmt.Errorf("list the reviewers: %w", err)
	}
	w.everybody(r, people.GetReviewers(), agreement.GetReviewers())
	return stats, nil
}

func (w *World) agreement(r *summary.Report, a *reviewv1.GetAgreementResponse) {
	r.Agreement = summary.Agreement{Items: a.GetItems(), Alpha: a.GetAlpha()}
	weighted, items := 0.0, 0.0
	for _, p := range a.GetPairs() {
		r.Agreement.Pairs = append(r.Agreement.Pairs, summary.Pair{
			First: p.GetFirst(), Second: p.GetSecond(), Items: p.GetItems(), Agreement: p.GetAgreement(), Kappa: p.GetKappa(), Defined: p.GetKappaDefined(),
		})
		if p.GetKappaDefined() {
			weighted, items = weighted+p.GetKappa()*float64(p.GetItems()), items+float64(p.GetItems())
		}
	}
	if items > 0 {
		r.Agreement.Kappa = weighted / items
	}
}

// everybody puts beside each other what the product estimates of each person and what the simulation knows.
func (w *World) everybody(r *summary.Report, listed []*reviewv1.Reviewer, judged []*reviewv1.ReviewerQuality) {
	for _, p := range w.people {
		out := summary.Person{Name: p.Name, SimulatedRate: p.Error, Answers: p.record.answers, Wrong: p.record.wrong}
		for _, l := range listed {
			if l.GetReviewer() == p.Name {
				out.Verdicts, out.NotSure, out.TimeSpent = l.GetVerdicts(), l.GetNotSure(), l.GetTimeSpent().AsDuration().Seconds()
			}
		}
		for _, q := range judged {
			if q.GetReviewer() == p.Name {
				out.Estimated, out.Items = q.GetErrorRate(), q.GetItems()
				out.GoldItems, out.GoldErrors, out.GoldUpper = q.GetGoldItems(), q.GetGoldErrors(), q.GetGoldErrorUpper()
			}
		}
		out.Low, out.High = out.Interval()
		r.People = append(r.People, out)
		r.Review.GoldAnswers += out.GoldItems
		r.Review.Undone, r.Review.Expired = r.Review.Undone+p.record.undone, r.Review.Expired+p.record.expired
		r.Review.Extended, r.Review.Released = r.Review.Extended+p.record.extended, r.Review.Released+p.record.returned
	}
}

// settle waits until the lake, the event stream and the ticket system hold what was recorded; what does not come is told by the checks.
func (w *World) settle(ctx context.Context, r *summary.Report) error {
	answered, _, _ := w.desk.counts()
	for deadline := time.Now().Add(settleTimeout); ; {
		var err error
		if r.Lake, err = w.product.lakeFiles(ctx); err != nil {
			return err
		}
		e := &r.Events
		e.Decisions, e.Verdicts, e.Feedback, e.Reviews = w.events.count("decisions"), w.events.count("verdicts"), w.events.count("feedback"), w.events.count("reviews")
		e.Webhooks, e.Refused = w.tickets.count()
		e.Twice, r.Review.Escalated = w.events.repeated(), w.events.escalated()
		done := int(r.Rows("decisions")) >= answered && r.Rows("verdicts") >= r.Review.Verdicts && int(r.Rows("feedback")) >= w.heard &&
			e.Decisions >= answered && e.Webhooks >= int(r.Review.Verdicts)+w.heard
		if done || time.Now().After(deadline) {
			return nil
		}
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// readLake reads decisions and verdicts.
func (w *World) readLake(ctx context.Context) (*content, error) {
	c := &content{decisions: map[string]*decisionRow{}, final: map[string]*verdictRow{}}
	err := readLake(ctx, w.product, "decisions", func(d *decisionRow) {
		c.rows++
		c.decisions[d.DecisionID] = d
	})
	if err != nil {
		return nil, err
	}
	disputed := map[string]bool{}
	err = readLake(ctx, w.product, "verdicts", func(v *verdictRow) {
		if v.Role == "adjudication" {
			disputed[v.DecisionID] = true
		}
		if before := c.final[v.DecisionID]; v.Final && !v.Gold && (before == nil || before.Time.Before(v.Time)) {
			c.final[v.DecisionID] = v
		}
	})
	if err != nil {
		return nil, err
	}
	// A short one reads best.
	for id := range disputed {
		if d := c.decisions[id]; d != nil && (c.disputed == "" || len(d.Text) < len(c.decisions[c.disputed].Text)) {
			c.disputed = id
		}
	}
	return c, nil
}

// verify stops the server and lets the ledger be verified.
func (w *World) verify(r *summary.Report) error {
	ctx := context.WithoutCancel(w.ctx)
	p := w.product
	w.product = nil
	w.cancel()
	if err := w.background.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return errors.Join(err, p.kill())
	}
	if err := p.stop(); err != nil {
		return err
	}
	out, err := p.local(ctx, "ledger", "verify")
	r.Ledger = summary.Ledger{Clean: err == nil, Output: out}
	// What was waiting for its flush when the server stopped is in the lake now.
	tables, err := p.lakeFiles(ctx)
	if err == nil {
		r.Lake = tables
	}
	return err
}
