package monitoring

import (
	"encoding/json"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// stateKey names what audits are counted for.
type stateKey struct {
	key
	root string
}

// state is what audits have shown, as it is stored.
type state struct {
	risk.Watch
	Labels labelCounts `json:"labels"`
	Since  int64       `json:"since"` // audits of earlier decisions do not count
}

// scope is what the audits show of inputs that belong to none of the labels: those are the "wrong" ones.
func (st *state) scope() risk.Sequence { return st.Foreign.Total() }

func (st *state) observe(propensity float64, wrong bool, truth string) error {
	foreign := truth == outOfScope
	if err := st.Watch.Observe(propensity, wrong, foreign); err != nil {
		return err
	}
	st.Labels.add(truth)
	return nil
}

// earlier takes over what an earlier release counted apart, some of it before it watched for a change. What is missing from that watch goes before everything in it, where it is no start of a change:
// audits before a first block are what "before" means.
func (st *state) earlier(scope risk.Sequence) {
	known := st.scope()
	var missing risk.Sequence
	for _, s := range scope.Strata {
		for _, k := range known.Strata {
			if k.Propensity == s.Propensity {
				s.Audits, s.Wrong = s.Audits-k.Audits, s.Wrong-k.Wrong
			}
		}
		if s.Audits > 0 && s.Wrong >= 0 && s.Wrong <= s.Audits {
			missing.Strata = append(missing.Strata, s)
		}
	}
	if len(missing.Strata) > 0 {
		st.Foreign.Blocks = slices.Insert(st.Foreign.Blocks, 0, risk.Block{Sequence: missing})
	}
}

func loadState(tx *db.Tx, project, root string) (*state, error) {
	st := &state{}
	var data []byte
	found, err := tx.Get(`SELECT state FROM monitoring_states WHERE project = ? AND root = ?`, []any{project, root}, &data)
	if err != nil || !found {
		return st, err
	}
	var old struct {
		*state
		Scope risk.Sequence `json:"scope"`
	}
	old.state = st
	if err := json.Unmarshal(data, &old); err != nil {
		return nil, fmt.Errorf("decode stored state of %s: %w", root, err)
	}
	st.earlier(old.Scope)
	return st, nil
}

func (b *batch) stateOf(k stateKey) (*state, error) {
	if st := b.states[k]; st != nil {
		return st, nil
	}
	st, err := loadState(b.Tx, k.project, k.root)
	if err == nil {
		b.states[k] = st
	}
	return st, err
}

// rootOf returns what audits of a certificate are counted for.
func rootOf(tx *db.Tx, project, certificate string) (string, error) {
	root := certificate
	_, err := tx.Get(`SELECT root FROM monitoring_certificates WHERE project = ? AND id = ?`, []any{project, certificate}, &root)
	return root, err
}

// loadDeployment returns a deployment as it was last heard of; nil when it is not known.
func loadDeployment(tx *db.Tx, k key) (*modelsv1.Deployment, error) {
	var message []byte
	found, err := tx.Get(`SELECT message FROM monitoring_deployments WHERE project = ? AND operation = ? AND deployment = ?`,
		[]any{k.project, k.operation, k.deployment}, &message)
	if err != nil || !found {
		return nil, err
	}
	d := &modelsv1.Deployment{}
	if err := proto.Unmarshal(message, d); err != nil {
		return nil, fmt.Errorf("decode stored deployment %s: %w", k.deployment, err)
	}
	return d, nil
}

// judge stores a state, with the bounds that it means, and notes when automation has to be stopped for it. It says whether it does.
func (s *Service) judge(tx *db.Tx, k stateKey, st *state, now int64) (stops bool, err error) {
	d, err := loadDeployment(tx, k.key)
	if err != nil {
		return false, err
	}
	p, err := loadPeople(tx, k.key)
	if err != nil {
		return false, err
	}
	due, confidence := "", d.GetPolicy().GetConfidence()
	var inForce []*modelsv1.Certificate // that the audits are counted for
	for _, c := range d.GetCertificates() {
		root, err := rootOf(tx, k.project, c.GetCertificateId())
		if err != nil {
			return false, err
		}
		if root != k.root {
			continue
		}
		confidence = c.GetConfidence()
		inForce = append(inForce, c)
		if c.GetCertified() && haltOf(d, c) == nil {
			due = s.broken(st, c, p)
		}
	}
	if confidence <= 0 || confidence >= 1 {
		confidence = 0.95
	}
	r := s.reviewers(p, 1-confidence)
	total := st.Errors.Total()
	lower, upper := r.Correct(total.Interval(1 - confidence - r.Delta))
	audits, _ := total.Audits()
	data, err := json.Marshal(st)
	if err != nil {
		return false, fmt.Errorf("encode state of %s: %w", k.root, err)
	}
	_, err = tx.Exec(`INSERT INTO monitoring_states (project, root, operation, deployment, state, audits, live, lower, upper, due, updated)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, root) DO UPDATE SET state = excluded.state, audits = excluded.audits, live = excluded.live,
		lower = excluded.lower, upper = excluded.upper, due = excluded.due, updated = excluded.updated`,
		k.project, k.root, k.operation, k.deployment, data, audits, r.Estimate(total.Rate()), lower, upper, due, now)
	if err != nil || audits == 0 {
		return due != "", err
	}
	for _, c := range inForce {
		p := point{side: c.GetSide(), maxError: c.GetMaxError(), audits: int64(audits), live: r.Estimate(total.Rate()), lower: lower, upper: upper}
		if err := p.save(tx, k, st.Since, now); err != nil {
			return false, err
		}
	}
	return due != "", nil
}

// broken says in a sentence why automation under a certificate has to be stopped; empty when it has not.
func (s *Service) broken(st *state, c *modelsv1.Certificate, p *people) string {
	r := s.reviewers(p, 1-c.GetConfidence())
	alpha, confidence := percent(c.GetMaxError()), percent(c.GetConfidence())
	disagreed := func(shown risk.Sequence) string {
		n, k := shown.Audits()
		return fmt.Sprintf("people disagreed with %d of the last %d automated decisions that they checked, about %s wrong", k, n, percent(r.Estimate(shown.Rate())))
	}
	switch st.Judge(c.GetMaxError(), 1-c.GetConfidence(), r) {
	case risk.TooManyErrors:
		return fmt.Sprintf("audits show an error above %s (%s): %s", alpha, confidence, disagreed(st.Errors.Strongest(r.Alarm(c.GetMaxError()))))
	case risk.WorldChanged:
		return fmt.Sprintf("audits show that inputs which belong to none of the labels have become more frequent (%s), and the error since then is probably above %s: %s",
			confidence, alpha, disagreed(st.SinceChange()))
	case risk.Kept:
	}
	return ""
}

// reviewers returns the bounds of the reviewers' errors: measured on test items when there are enough answers, which takes a fifth of delta, and
// else assumed.
func (s *Service) reviewers(p *people, delta float64) risk.ReviewerError {
	if p.answers < int64(s.config.ReviewerAnswers) {
		return risk.ReviewerError{High: s.config.ReviewerError, Rate: s.config.ReviewerError}
	}
	r := risk.MeasureReviewers(int(p.wrong), int(p.answers), delta/5)
	r.Low = 0 // they may be better on what is automated, which is easier than test items are
	if !r.Valid() {
		r.High = 0.49 // worse than that no audit tells anything
	}
	return r
}

// haltOf returns the halt that stops what a certificate automates; nil when it goes on.
func haltOf(d *modelsv1.Deployment, c *modelsv1.Certificate) *modelsv1.Halt {
	for _, h := range d.GetHalts() {
		if h.GetSide() == c.GetSide() {
			return h
		}
	}
	return nil
}
