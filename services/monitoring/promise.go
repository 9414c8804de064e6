package monitoring

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// listName is what page tokens of ListPromises are bound to.
	listName = "promises"
	// recentAudits are what RecentError is about.
	recentAudits = 200
	// mostSides bounds the certificates that a promise tells about: a policy may limit a thousand labels.
	mostSides = 200
)

// GetPromise says what a deployment promises, and what audits show of it.
func (s *Service) GetPromise(ctx context.Context, req *monitoringv1.GetPromiseRequest) (*monitoringv1.GetPromiseResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	k := key{project, int32(req.GetOperation()), req.GetDeployment()}
	res := &monitoringv1.GetPromiseResponse{}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		d, err := loadDeployment(tx, k)
		if err == nil && d != nil {
			res.Promise, err = s.promise(tx, k, d)
		}
		return err
	})
	if err == nil && res.GetPromise() == nil {
		return nil, fault.DeploymentNotFound(req.GetOperation(), req.GetDeployment())
	}
	return res, err
}

// ListPromises lists the promises of the project by operation and deployment.
func (s *Service) ListPromises(ctx context.Context, req *monitoringv1.ListPromisesRequest) (*monitoringv1.ListPromisesResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	filter := req.GetOperation().String()
	after, _, err := db.ParseToken(req.GetPage().GetToken(), listName, filter, 2)
	if err != nil {
		return nil, err
	}
	afterOp, afterName := 0, ""
	if len(after) > 0 {
		if afterOp, err = strconv.Atoi(after[0]); err != nil {
			return nil, fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
		}
		afterName = after[1]
	}
	res := &monitoringv1.ListPromisesResponse{Page: &commonv1.PageResponse{}}
	size, op := db.PageSize(req.GetPage().GetSize()), int32(req.GetOperation())
	err = s.db.View(ctx, func(tx *db.Tx) error {
		var all []*modelsv1.Deployment
		err := tx.Each(`SELECT message FROM monitoring_deployments WHERE project = ? AND (? = 0 OR operation = ?)
			AND (operation > ? OR (operation = ? AND deployment > ?)) ORDER BY operation, deployment LIMIT ?`,
			[]any{project, op, op, afterOp, afterOp, afterName, size + 1}, func(scan func(...any) error) error {
				var message []byte
				if err := scan(&message); err != nil {
					return err
				}
				d := &modelsv1.Deployment{}
				all = append(all, d)
				if err := proto.Unmarshal(message, d); err != nil {
					return fmt.Errorf("decode stored deployment: %w", err)
				}
				return nil
			})
		if err != nil {
			return err
		}
		if len(all) > size {
			all = all[:size]
			res.Page.NextToken = db.Token(listName, filter, strconv.Itoa(int(all[size-1].GetOperation())), all[size-1].GetName())
		}
		for _, d := range all {
			p, err := s.promise(tx, key{project, int32(d.GetOperation()), d.GetName()}, d)
			if err != nil {
				return err
			}
			res.Promises = append(res.Promises, p)
		}
		return nil
	})
	return res, err
}

// promise puts together what is known of a deployment.
func (s *Service) promise(tx *db.Tx, k key, d *modelsv1.Deployment) (*monitoringv1.Promise, error) {
	traffic, err := trafficOf(tx, k, s.now())
	if err != nil {
		return nil, err
	}
	people, err := loadPeople(tx, k)
	if err != nil {
		return nil, err
	}
	confidence := d.GetPolicy().GetConfidence()
	r := s.reviewers(people, 1-confidence)
	p := &monitoringv1.Promise{
		Operation: d.GetOperation(), Deployment: d.GetName(), Model: d.GetChampion().GetModel(), ModelVersion: d.GetChampion().GetVersion(),
		Traffic: traffic, LabelsReviewed: people.reviewed, Revision: d.GetRevision(),
		Reviewers: &monitoringv1.ReviewerQuality{
			Lower: r.Low, Upper: r.High, Answers: people.answers, Wrong: people.wrong, Measured: people.answers >= int64(s.config.ReviewerAnswers),
		},
	}
	var scope risk.Sequence
	for _, c := range d.GetCertificates()[:min(mostSides, len(d.GetCertificates()))] {
		side, st, err := s.side(tx, k, d, c, people)
		if err != nil {
			return nil, err
		}
		p.Sides = append(p.Sides, side)
		scope.Join(st.scope())
	}
	if traffic.GetDecisions() > 0 { // of what was automated by the audits, of the rest by the verdicts
		among := 0.0
		if people.reviewed > 0 {
			among = float64(people.outOfScope) / float64(people.reviewed)
		}
		traffic.OutOfScopeShare = traffic.GetAutomatedShare()*scope.Rate() + (1-traffic.GetAutomatedShare())*among
	}
	p.Statement = statement(p, d)
	return p, nil
}

// side puts together what is known of one certificate.
func (s *Service) side(tx *db.Tx, k key, d *modelsv1.Deployment, c *modelsv1.Certificate, people *people) (*monitoringv1.SidePromise, *state, error) {
	p := &monitoringv1.SidePromise{
		Side: c.GetSide(), CertificateId: c.GetCertificateId(), MaxError: c.GetMaxError(), Confidence: c.GetConfidence(), LabelsNeeded: c.GetLabelsNeeded(),
		State: monitoringv1.AutomationState_AUTOMATION_STATE_NOT_CERTIFIED, MoreAudits: -1,
	}
	audited := c.GetCertificateId() // what audits that wait are noted under
	root, err := rootOf(tx, k.project, audited)
	if err != nil {
		return nil, nil, err
	}
	switch h := haltOf(d, c); {
	case h != nil:
		p.State, p.StopTime, p.StopReason = monitoringv1.AutomationState_AUTOMATION_STATE_STOPPED, h.GetTime(), h.GetReason()
	case c.GetCertified():
		p.State = monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING
	case d.GetPolicy().GetUncertified() == modelsv1.Uncertified_UNCERTIFIED_AUTOMATE:
		p.State = monitoringv1.AutomationState_AUTOMATION_STATE_UNCERTIFIED
		audited = uncertifiedRoot(d.GetChampion().GetDigest())
		root = audited
	}
	if c.GetCertified() {
		p.Threshold = c.GetThreshold()
	}
	if _, err := tx.Get(`SELECT count(*) FROM monitoring_audits WHERE project = ? AND certificate = ? AND state = 1`, []any{k.project, audited}, &p.AuditsWaiting); err != nil {
		return nil, nil, err
	}
	st, err := loadState(tx, k.project, root)
	if err != nil {
		return nil, nil, err
	}
	s.measured(p, st, people)
	return p, st, nil
}

// measured fills in what the audits show.
func (s *Service) measured(p *monitoringv1.SidePromise, st *state, people *people) {
	delta := 1 - p.GetConfidence()
	r := s.reviewers(people, delta)
	total, recent := st.Errors.Total(), st.Errors.Recent(recentAudits)
	n, k := total.Audits()
	p.Audits, p.Disagreements, p.Disagreement = int64(n), int64(k), total.Rate()
	p.LiveError, p.RecentError = r.Estimate(total.Rate()), r.Estimate(recent.Rate())
	p.LiveErrorLower, p.LiveErrorUpper = r.Correct(total.Interval(delta - r.Delta))
	scope := st.scope()
	p.OutOfScope, p.OutOfScopeUpper = scope.Rate(), scope.Upper(delta)
	p.LabelShift = st.Labels.shift()
	if p.GetState() == monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING {
		rate, more := risk.Tighter(total, p.GetMaxError(), delta, r)
		if more > 0 {
			p.NextMaxError, p.MoreAudits = rate, int64(more)
		}
	}
}
