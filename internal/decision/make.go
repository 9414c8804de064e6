package decision

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

// Answer is what a service found out about one input.
type Answer struct {
	Verdict
	Input         Input
	Labels        []string  // of the model, in the order of Probabilities
	Probabilities []float32 // calibrated; copied, so that the caller may use the slice again. Empty when no model was asked
	Chosen        []string
	RuleIDs       []string
	Action        int32 // the service's own enum; 0 when it has none
	SubjectID     string
	ContentID     string
	Compute       time.Duration // processor time that the answer took
	Scored        Scored        // what a version in shadow scores too; zero when no model was asked
}

// Scored is what a model was asked, and how to judge what another one says to it.
type Scored struct {
	Input engine.Input
	Took  time.Duration // Scores.Took
	// Judge says what the operation makes of probabilities that t's version computed: whether they may be acted on, and the labels.
	Judge func(t *Target, p []float32) (Verdict, []string)
}

// bundle holds a record and all its fixed parts, so that a decision costs one allocation instead of nine.
type bundle struct {
	record   commonv1.DecisionRecord
	decision commonv1.Decision
	input    commonv1.RecordedInput
	audit    commonv1.Audit
	cost     commonv1.Cost
	time     timestamppb.Timestamp
	latency  durationpb.Duration
	compute  durationpb.Duration
	sha      [32]byte
}

// Make turns an answer into a decision and the record of it: the caller's answer is the record's decision. It does no I/O.
func (m *Maker) Make(c *Call, t *Target, a *Answer) *commonv1.DecisionRecord {
	now := m.now()
	policy := t.policy()
	b := &bundle{sha: a.Input.Digest()}

	d := &b.decision
	if d.DecisionId = c.Seed; d.DecisionId == "" {
		d.DecisionId = m.newID()
	}
	d.Project, d.Operation, d.Deployment = c.Project, c.Operation, t.Deployment.GetName()
	b.time.Seconds, b.time.Nanos = now.Unix(), int32(now.Nanosecond())
	d.Time = &b.time
	d.Outcome, d.Reason, d.Stage = a.Outcome, a.Reason, a.Stage
	d.CertificateId, d.Uncertified = a.CertificateID, a.Uncertified
	d.Labels, d.ChosenLabels = topLabels(a.Labels, a.Probabilities), a.Chosen
	if len(a.Probabilities) > 0 {
		d.Model = t.Ref
	}
	d.PolicyDigest = t.Deployment.GetPolicyDigest()
	d.Variant = t.variant()
	audit(&b.audit, policy, a.Outcome, m.draw(c.Seed != "", d.DecisionId))
	d.Audit = &b.audit
	setDuration(&b.latency, now.Sub(c.Start))
	d.Latency = &b.latency
	m.cost(b, policy, a)
	d.Cost = &b.cost

	r := &b.record
	r.Decision = d
	r.Caller, r.Traceparent, r.RequestId, r.IdempotencyKey = c.Caller, c.Traceparent, c.RequestID, c.IdempotencyKey
	r.SubjectId, r.ContentId = a.SubjectID, a.ContentID
	r.InputSha256 = b.sha[:]
	a.Input.retain(t, &b.input, r)
	if len(a.Probabilities) > maxLabels {
		r.Probabilities = append([]float32(nil), a.Probabilities...)
	}
	r.RuleIds, r.Action = a.RuleIDs, a.Action
	if len(t.Trials) > 0 && a.Scored.Judge != nil {
		m.traffic.note(t, a, d)
	}
	return r
}

// audit notes whether a person checks an automated decision, and with which probability that was drawn: without that number no estimate from audits could
// ever be corrected for a rate that changed.
func audit(into *commonv1.Audit, p *modelsv1.Policy, o commonv1.Outcome, draw float64) {
	if o != commonv1.Outcome_OUTCOME_AUTOMATED {
		return
	}
	into.Probability = min(1, max(0, p.GetAuditRate()))
	into.Selected = into.Probability > 0 && draw < into.Probability
}

// draw returns a number from 0 to below 1. That of a seeded id is always the same: a call that is begun again after a crash must be answered as its
// record says, which may have been written before.
func (m *Maker) draw(seeded bool, id string) float64 {
	if !seeded {
		return m.random()
	}
	var room [64]byte
	sum := sha256.Sum256(append(append(room[:0], "audit/"...), id...))
	return float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
}

// rename gives a record of a batch the id that its seed says, and what is drawn by it.
func (m *Maker) rename(r *commonv1.DecisionRecord, p *modelsv1.Policy, id string) {
	d := r.GetDecision()
	d.DecisionId = id
	audit(d.GetAudit(), p, d.GetOutcome(), m.draw(true, id))
	costReview(d.GetCost(), p, d)
}

func (m *Maker) cost(b *bundle, p *modelsv1.Policy, a *Answer) {
	setDuration(&b.compute, a.Compute)
	b.cost.Compute = &b.compute
	b.cost.Currency = currency(p)
	if p.GetComputeHourMicros() > 0 {
		b.cost.ComputeMicros = computeMicros(p, a.Compute, m.random())
	}
	costReview(&b.cost, p, &b.decision)
}

// costReview adds what a person's look at a decision costs, where somebody has to.
func costReview(c *commonv1.Cost, p *modelsv1.Policy, d *commonv1.Decision) {
	c.ReviewMicros = 0
	if d.GetOutcome() == commonv1.Outcome_OUTCOME_REVIEW || d.GetAudit().GetSelected() {
		c.ReviewMicros = reviewMicros(p)
	}
	c.TotalMicros = c.ComputeMicros + c.ReviewMicros
}

func setDuration(into *durationpb.Duration, d time.Duration) {
	d = max(0, d)
	into.Seconds, into.Nanos = int64(d/time.Second), int32(d%time.Second)
}
