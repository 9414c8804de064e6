package monitoring

import (
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

const (
	// trafficSpan is what Traffic tells about, trafficKeep how long it is kept.
	trafficSpan = 7 * 24 * time.Hour
	trafficKeep = 35 * 24 * time.Hour
	// auditsKeep is how long audits that nobody answered, and those that were counted, are remembered.
	auditsKeep = 90 * 24 * time.Hour
)

// hourKey is an hour of a deployment, in hours since 1970.
type hourKey struct {
	key
	hour int64
}

// counts are decisions.
type counts struct{ decisions, automated, outOfScope, halted, audits int64 }

func (b *batch) count(d *made) {
	k := hourKey{key{d.project, int32(d.operation), d.deployment}, d.seconds / 3600}
	c := b.traffic[k]
	if c == nil {
		c = &counts{}
		b.traffic[k] = c
	}
	c.decisions++
	if d.outcome == commonv1.Outcome_OUTCOME_AUTOMATED {
		c.automated++
	}
	if d.selected {
		c.audits++
	}
	switch d.reason {
	case commonv1.DecisionReason_DECISION_REASON_OUT_OF_SCOPE:
		c.outOfScope++
	case commonv1.DecisionReason_DECISION_REASON_HALTED:
		c.halted++
	default:
	}
}

// flush writes what the batch has counted, and looks whether a promise is broken.
func (b *batch) flush() error {
	for k, c := range b.traffic {
		_, err := b.Exec(`INSERT INTO monitoring_traffic (project, operation, deployment, hour, decisions, automated, out_of_scope, halted, audits)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, operation, deployment, hour) DO UPDATE SET
			decisions = monitoring_traffic.decisions + excluded.decisions, automated = monitoring_traffic.automated + excluded.automated,
			out_of_scope = monitoring_traffic.out_of_scope + excluded.out_of_scope, halted = monitoring_traffic.halted + excluded.halted,
			audits = monitoring_traffic.audits + excluded.audits`,
			k.project, k.operation, k.deployment, k.hour, c.decisions, c.automated, c.outOfScope, c.halted, c.audits)
		if err != nil {
			return err
		}
	}
	for k, p := range b.people {
		if err := p.save(b.Tx, k); err != nil {
			return err
		}
	}
	for k, st := range b.states {
		stops, err := b.s.judge(b.Tx, k, st, db.Micros(b.now))
		if err != nil {
			return err
		}
		trialStops, err := b.s.judgeTrial(b.Tx, k, st)
		if err != nil {
			return err
		}
		b.stops = b.stops || stops || trialStops
	}
	return b.flushTrials()
}

// trafficOf adds up the last days of a deployment.
func trafficOf(tx *db.Tx, k key, now time.Time) (*monitoringv1.Traffic, error) {
	t := &monitoringv1.Traffic{}
	_, err := tx.Get(`SELECT COALESCE(SUM(decisions), 0), COALESCE(SUM(automated), 0), COALESCE(SUM(out_of_scope), 0), COALESCE(SUM(halted), 0), COALESCE(SUM(audits), 0)
		FROM monitoring_traffic WHERE project = ? AND operation = ? AND deployment = ? AND hour >= ?`,
		[]any{k.project, k.operation, k.deployment, now.Add(-trafficSpan).Unix() / 3600}, &t.Decisions, &t.Automated, &t.OutOfScope, &t.Halted, &t.Audits)
	if t.GetDecisions() > 0 {
		t.AutomatedShare = float64(t.GetAutomated()) / float64(t.GetDecisions())
	}
	return t, err
}

// people is what is known of those who review a deployment, and what they found.
type people struct {
	answers, wrong       int64 // to test items, and of two people to the same audit
	reviewed, outOfScope int64 // decisions that were left to people
}

func loadPeople(tx *db.Tx, k key) (*people, error) {
	p := &people{}
	_, err := tx.Get(`SELECT answers, wrong, reviewed, out_of_scope FROM monitoring_people WHERE project = ? AND operation = ? AND deployment = ?`,
		[]any{k.project, k.operation, k.deployment}, &p.answers, &p.wrong, &p.reviewed, &p.outOfScope)
	return p, err
}

func (b *batch) peopleOf(k key) (*people, error) {
	if p := b.people[k]; p != nil {
		return p, nil
	}
	p, err := loadPeople(b.Tx, k)
	b.people[k] = p
	return p, err
}

func (p *people) save(tx *db.Tx, k key) error {
	_, err := tx.Exec(`INSERT INTO monitoring_people (project, operation, deployment, answers, wrong, reviewed, out_of_scope) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, operation, deployment) DO UPDATE SET answers = excluded.answers, wrong = excluded.wrong, reviewed = excluded.reviewed,
		out_of_scope = excluded.out_of_scope`, k.project, k.operation, k.deployment, p.answers, p.wrong, p.reviewed, p.outOfScope)
	return err
}

// forget deletes what is too old to matter.
func forget(tx *db.Tx, now time.Time) error {
	if _, err := tx.Exec(`DELETE FROM monitoring_traffic WHERE hour < ?`, now.Add(-trafficKeep).Unix()/3600); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM monitoring_trials WHERE until > 0 AND until < ?`, db.Micros(now.Add(-auditsKeep))); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM monitoring_audits WHERE decided < ?`, db.Micros(now.Add(-auditsKeep)))
	return err
}
