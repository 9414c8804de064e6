package monitoring

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/inbox"
)

// Kinds of the events that the service reads.
const (
	DecisionEvents = "decisions" // commonv1.DecisionRecord
	VerdictEvents  = "verdicts"  // reviewv1.Verdict
)

// consumer is how the inbox knows the service.
const consumer = "monitoring"

// Event is something that happened.
type Event struct {
	// Kind is DecisionEvents or VerdictEvents; others are passed over.
	Kind string
	// ID is unique for ever.
	ID string
	// Seq is its place in the stream that Source names, the same at every delivery.
	Seq  uint64
	Data []byte
}

// Apply counts what happened, all in one transaction. An event that comes again has no effect. source names the stream that the events' places belong to.
func (s *Service) Apply(ctx context.Context, source string, events []Event) error {
	var b *batch
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		b = &batch{Tx: tx, s: s, traffic: map[hourKey]*counts{}, states: map[stateKey]*state{}, people: map[key]*people{}, trials: map[key][]*trial{}, now: s.now()}
		w, err := loadWindow(tx, source)
		if err != nil {
			return err
		}
		fresh := false
		for _, e := range events {
			switch e.Kind {
			case DecisionEvents:
				if !w.add(e.Seq) {
					continue
				}
				fresh = true
				err = b.decision(ctx, e)
			case VerdictEvents:
				err = b.verdict(ctx, e)
			}
			if err != nil {
				return fmt.Errorf("event %s: %w", e.ID, err)
			}
		}
		if fresh {
			if err := w.save(tx, source); err != nil {
				return err
			}
		}
		return b.flush()
	})
	if err != nil {
		return fmt.Errorf("apply %d events: %w", len(events), err)
	}
	if b.stops {
		s.signal()
	}
	return nil
}

// batch is a transaction that counts.
type batch struct {
	*db.Tx
	s       *Service
	now     time.Time
	traffic map[hourKey]*counts
	states  map[stateKey]*state
	people  map[key]*people
	trials  map[key][]*trial
	stops   bool // automation has to be stopped somewhere
}

// decision counts one decision, and notes it when it was drawn for an audit.
func (b *batch) decision(ctx context.Context, e Event) error {
	d, ok := readRecord(e.Data)
	if !ok {
		// It would fail for ever and hold up all that follow; it stays in the stream for whoever looks into it.
		b.s.log.ErrorContext(ctx, "a decision cannot be read, so it is not counted", "id", e.ID, "sequence", e.Seq)
		return nil
	}
	if d.reason == commonv1.DecisionReason_DECISION_REASON_SHADOW {
		return nil
	}
	b.count(&d)
	certificate := d.counts()
	if !d.selected || certificate == "" {
		return nil
	}
	decided := d.seconds*1e6 + d.nanos/1e3
	n, err := b.Exec(`INSERT INTO monitoring_audits (project, decision, certificate, operation, deployment, propensity, decided, wrong, truth, state, model)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0, '', 1, ?) ON CONFLICT (project, decision) DO NOTHING`,
		d.project, d.id, certificate, int32(d.operation), d.deployment, d.propensity, decided, d.digest)
	if err != nil || n == 1 { // the usual case: nobody has judged it yet
		return err
	}
	_, err = b.Exec(`UPDATE monitoring_audits SET certificate = ?, operation = ?, deployment = ?, propensity = ?, decided = ?, model = ? WHERE project = ? AND decision = ? AND state = 2`,
		certificate, int32(d.operation), d.deployment, d.propensity, decided, d.digest, d.project, d.id)
	if err != nil {
		return err
	}
	return b.complete(ctx, d.project, d.id)
}

// verdict counts what a person said.
func (b *batch) verdict(ctx context.Context, e Event) error {
	v := &reviewv1.Verdict{}
	if err := proto.Unmarshal(e.Data, v); err != nil {
		b.s.log.ErrorContext(ctx, "a verdict cannot be read, so it is not counted", "id", e.ID, "sequence", e.Seq, "error", err)
		return nil
	}
	// An appeal is no random sample: who complains has been wronged more often than others.
	settled := v.GetFinal() && v.GetRole() != reviewv1.VerdictRole_VERDICT_ROLE_APPEAL && v.GetRound() == 0
	if !settled && !v.GetGold() {
		return nil
	}
	fresh, err := inbox.Once(b.Tx, consumer, e.ID)
	if err != nil || !fresh {
		return err
	}
	k := key{v.GetProject(), int32(v.GetOperation()), v.GetDeployment()}
	p, err := b.peopleOf(k)
	if err != nil {
		return err
	}
	switch {
	case v.GetGold():
		if p.answers++; !v.GetGoldRight() {
			p.wrong++
		}
		return nil
	case v.GetOutcome() == commonv1.Outcome_OUTCOME_REVIEW:
		if p.reviewed++; v.GetAnswer().GetOutOfScope() {
			p.outOfScope++
		}
		return nil
	case !v.GetAudit().GetSelected():
		return nil
	}
	// Two people who judge the same audit independently measure each other, on just the decisions that matter. The second one closes an item only when both agree.
	switch v.GetRole() {
	case reviewv1.VerdictRole_VERDICT_ROLE_SECOND:
		p.answers += 2
	case reviewv1.VerdictRole_VERDICT_ROLE_ADJUDICATION:
		p.answers, p.wrong = p.answers+2, p.wrong+1
	default:
	}
	wrong := 1
	if v.GetAgrees() {
		wrong = 0
	}
	id := strings.ToLower(v.GetDecisionId())
	_, err = b.Exec(`INSERT INTO monitoring_audits (project, decision, certificate, operation, deployment, propensity, decided, wrong, truth, state)
		VALUES (?, ?, '', ?, ?, 0, ?, ?, ?, 2) ON CONFLICT (project, decision) DO UPDATE SET wrong = excluded.wrong, truth = excluded.truth
		WHERE monitoring_audits.state = 1`,
		k.project, id, k.operation, k.deployment, db.Micros(v.GetDecideTime().AsTime()), wrong, truthOf(v))
	if err != nil {
		return err
	}
	return b.complete(ctx, k.project, id)
}

// truthOf is what a person found: the label, the action in moderation.
func truthOf(v *reviewv1.Verdict) string {
	a := v.GetAnswer()
	switch {
	case a.GetOutOfScope():
		return outOfScope
	case a.GetAction() != 0:
		return strings.ToLower(strings.TrimPrefix(a.GetAction().String(), "ACTION_"))
	case len(a.GetLabels()) > 3:
		return strings.Join(a.GetLabels()[:3], " + ") + " + …"
	}
	return strings.Join(a.GetLabels(), " + ")
}

// outOfScope stands for the truth "none of the labels".
const outOfScope = "(out of scope)"

// complete counts an audit of which both halves are there.
func (b *batch) complete(ctx context.Context, project, id string) error {
	var certificate, deployment, truth, model string
	var operation int32
	var propensity float64
	var decided, wrong int64
	found, err := b.Get(`SELECT certificate, operation, deployment, propensity, decided, wrong, truth, model FROM monitoring_audits
		WHERE project = ? AND decision = ? AND state <> 3 AND certificate <> '' AND truth <> ''`, []any{project, id},
		&certificate, &operation, &deployment, &propensity, &decided, &wrong, &truth, &model)
	if err != nil || !found {
		return err
	}
	if _, err := b.Exec(`UPDATE monitoring_audits SET state = 3 WHERE project = ? AND decision = ?`, project, id); err != nil {
		return err
	}
	if err := b.observeTrials(key{project, operation, deployment}, model, decided, propensity, wrong != 0); err != nil {
		return err
	}
	root, err := rootOf(b.Tx, project, certificate)
	if err != nil {
		return err
	}
	st, err := b.stateOf(stateKey{key{project, operation, deployment}, root})
	if err != nil || decided < st.Since { // drawn before somebody let automation go on
		return err
	}
	if err := st.observe(propensity, wrong != 0, truth); err != nil {
		b.s.log.ErrorContext(ctx, "an audit is not counted", "decision", id, "error", err)
	}
	return nil
}
