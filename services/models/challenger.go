package models

import (
	"context"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	challengerKind = modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_CHALLENGER
	promoteKind    = modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_PROMOTE
	guardrailKind  = modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_GUARDRAIL

	shadow = modelsv1.ChallengerMode_CHALLENGER_MODE_SHADOW
	canary = modelsv1.ChallengerMode_CHALLENGER_MODE_CANARY

	// maxChallengers bounds what one decision may cost more.
	maxChallengers = 3
)

// What guardrails mean where they say nothing, as the contract documents it.
const (
	defaultMinDecisions    = 200
	leastMinDecisions      = 50
	defaultMaxErrorRate    = 0.01
	defaultMaxLatencyRatio = 5
	defaultMaxLabelShift   = 0.25
)

// guardrails returns a copy with the defaults filled in.
func guardrails(g *modelsv1.Guardrails) (*modelsv1.Guardrails, error) {
	g = proto.CloneOf(g)
	if g == nil {
		g = &modelsv1.Guardrails{}
	}
	orDefault(&g.MinDecisions, defaultMinDecisions)
	orDefault(&g.MaxErrorRate, defaultMaxErrorRate)
	orDefault(&g.MaxLatencyRatio, defaultMaxLatencyRatio)
	orDefault(&g.MaxLabelShift, defaultMaxLabelShift)
	if g.GetMinDecisions() < leastMinDecisions {
		return nil, fault.InvalidField("guardrails.min_decisions", "is %d, must be 0 or at least %d", g.GetMinDecisions(), leastMinDecisions)
	}
	if g.GetMaxLatencyRatio() < 1 {
		return nil, fault.InvalidField("guardrails.max_latency_ratio", "is %v, must be 0 or at least 1", g.GetMaxLatencyRatio())
	}
	return g, nil
}

// StartChallenger puts a version on trial, or changes its trial.
func (s *Service) StartChallenger(ctx context.Context, req *modelsv1.StartChallengerRequest) (*modelsv1.StartChallengerResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	mode := req.GetMode()
	orDefault(&mode, shadow)
	rails, err := guardrails(req.GetGuardrails())
	if err != nil {
		return nil, err
	}
	switch {
	case mode == canary && !(req.GetShare() > 0):
		return nil, fault.InvalidField("share", "must be above 0 for a canary")
	case mode == shadow && req.GetShare() != 0:
		return nil, fault.InvalidField("share", "is for a canary only; a shadow scores everything")
	}
	d, err := s.apply(ctx, change{
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: challengerKind,
		reason: trialReason(req), expected: req.GetExpectedRevision(),
		edit: func(tx *db.Tx, next *modelsv1.Deployment, log *modelsv1.DeploymentChange) error {
			v, err := s.find(tx, project, req.GetModel(), req.GetVersion())
			if err != nil {
				return err
			}
			aboutTrial(log, v.version)
			c, err := s.trial(next, v)
			if err != nil {
				return err
			}
			if mode == canary && c.GetMode() != canary && req.GetSkipShadow() == "" {
				if err := s.compared(tx, next, c.GetVersion(), rails); err != nil {
					return err
				}
			}
			c.Mode, c.Share, c.Guardrails = mode, req.GetShare(), rails
			switch broken := brokenBefore(next, c); {
			case broken == nil:
				forgetEnded(next, v.version)
			case mode == canary:
				return broken
			} // a shadow answers nobody, and what it broke stays known
			return checkShares(next)
		},
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.StartChallengerResponse{Deployment: d}, nil
}

// trialReason is what the history says about a trial: why it was started, and why without a shadow.
func trialReason(req *modelsv1.StartChallengerRequest) string {
	switch reason, skip := req.GetReason(), req.GetSkipShadow(); {
	case skip == "":
		return reason
	case reason == "":
		return "without a shadow: " + skip
	default:
		return reason + "; without a shadow: " + skip
	}
}

// trial returns the challenger of that version, which is added when it is not on trial yet.
func (s *Service) trial(d *modelsv1.Deployment, v *stored) (*modelsv1.Challenger, error) {
	if v.version.GetOperation() != d.GetOperation() {
		return nil, fault.OperationMismatch(d.GetOperation(), v.version.GetOperation())
	}
	if c := challenger(d, v.version); c != nil {
		return c, nil
	}
	switch {
	case d.GetChampion() == nil:
		return nil, fault.PromotionRefused("champion", "deployment %s goes by rules alone, so there is nothing to compare with; deploy the version", d.GetName())
	case d.GetChampion().GetDigest() == v.version.GetDigest():
		return nil, fault.InvalidField("version", "version %d of model %s is the champion", v.version.GetVersion(), v.version.GetModel())
	case len(d.GetChallengers()) >= maxChallengers:
		return nil, fault.QuotaExceeded("challengers of deployment "+d.GetName(), maxChallengers)
	}
	if err := checkPolicy(d.GetPolicy(), d.GetOperation(), v.version); err != nil {
		return nil, fault.PromotionRefused("labels", "%s", fault.From(err).Error())
	}
	at := s.now().Truncate(time.Microsecond)
	certificates, err := certify(v, d.GetPolicy(), at)
	if err != nil {
		return nil, err
	}
	c := &modelsv1.Challenger{Version: v.version, Certificates: certificates, StartTime: timestamppb.New(at)}
	d.Challengers = append(d.Challengers, c)
	return c, nil
}

// checkShares refuses canaries that would answer more than everything.
func checkShares(d *modelsv1.Deployment) error {
	sum := 0.0
	for _, c := range d.GetChallengers() {
		sum += c.GetShare()
	}
	if sum > 1 {
		return fault.InvalidField("share", "makes the canaries of deployment %s answer %.4g of the calls, at most 1", d.GetName(), sum)
	}
	return nil
}

// compared refuses a version whose shadow, or share, has seen too few decisions.
func (s *Service) compared(tx *db.Tx, d *modelsv1.Deployment, v *modelsv1.ModelVersion, rails *modelsv1.Guardrails) error {
	have, err := s.store.comparison(tx, d, v.GetDigest())
	if err != nil {
		return err
	}
	seen, need := evidence(have), rails.GetMinDecisions()
	if seen >= need {
		return nil
	}
	return fault.PromotionRefused("shadow", "version %d of model %s was compared on %d decisions in shadow, %d are needed", v.GetVersion(), v.GetModel(), seen, need).
		With("have", strconv.FormatInt(seen, 10)).With("need", strconv.FormatInt(need, 10))
}

// evidence is the number of decisions that say something about the challenger.
func evidence(c *modelsv1.Comparison) int64 {
	return max(c.GetCompared(), min(c.GetChampion().GetDecisions(), c.GetChallenger().GetDecisions()))
}

// StopChallenger ends a trial.
func (s *Service) StopChallenger(ctx context.Context, req *modelsv1.StopChallengerRequest) (*modelsv1.StopChallengerResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	d, err := s.apply(ctx, change{
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: challengerKind,
		reason: req.GetReason(), expected: req.GetExpectedRevision(),
		edit: func(tx *db.Tx, next *modelsv1.Deployment, log *modelsv1.DeploymentChange) error {
			model, number, err := s.versionNamed(tx, project, req.GetModel(), req.GetVersion())
			s.endTrial(next, log, &modelsv1.EndedTrial{Reason: req.GetReason(), Caller: actorOf(ctx)}, func(c *modelsv1.Challenger) bool {
				return c.GetVersion().GetModel() == model && c.GetVersion().GetVersion() == number
			})
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.StopChallengerResponse{Deployment: d}, nil
}

// Promote makes a challenger the champion.
func (s *Service) Promote(ctx context.Context, req *modelsv1.PromoteRequest) (*modelsv1.PromoteResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	if req.GetReason() == "" {
		return nil, fault.InvalidField("reason", "must say why")
	}
	d, err := s.apply(ctx, change{
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: promoteKind,
		reason: req.GetReason(), expected: req.GetExpectedRevision(),
		edit: func(tx *db.Tx, next *modelsv1.Deployment, _ *modelsv1.DeploymentChange) error {
			model, number, err := s.versionNamed(tx, project, req.GetModel(), req.GetVersion())
			if err != nil {
				return err
			}
			if v := next.GetChampion(); v.GetModel() == model && v.GetVersion() == number {
				return nil // it was promoted, and the answer lost
			}
			i := slices.IndexFunc(next.GetChallengers(), func(c *modelsv1.Challenger) bool {
				return c.GetVersion().GetModel() == model && c.GetVersion().GetVersion() == number
			})
			if i < 0 {
				return fault.NotFound("challenger", model+" "+strconv.Itoa(int(number)))
			}
			c := next.GetChallengers()[i]
			if !req.GetSkipComparison() {
				if err := s.compared(tx, next, c.GetVersion(), c.GetGuardrails()); err != nil {
					return err
				}
			}
			if err := brokenBefore(next, c); err != nil {
				return err
			}
			next.Previous, next.PreviousCertificates = next.GetChampion(), next.GetCertificates()
			next.Champion, next.Certificates, next.Probation = c.GetVersion(), c.GetCertificates(), c.GetGuardrails()
			next.Challengers = slices.Delete(next.GetChallengers(), i, i+1)
			next.Statement = statement(next)
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.PromoteResponse{Deployment: d}, nil
}

func challenger(d *modelsv1.Deployment, v *modelsv1.ModelVersion) *modelsv1.Challenger {
	for _, c := range d.GetChallengers() {
		if c.GetVersion().GetModel() == v.GetModel() && c.GetVersion().GetVersion() == v.GetVersion() {
			return c
		}
	}
	return nil
}

// endTrial takes off a challenger, remembers its trial with why it ended, and makes the entry of the ledger one about it.
func (s *Service) endTrial(d *modelsv1.Deployment, log *modelsv1.DeploymentChange, end *modelsv1.EndedTrial, is func(*modelsv1.Challenger) bool) {
	i := slices.IndexFunc(d.GetChallengers(), is)
	if i < 0 {
		return
	}
	aboutTrial(log, d.GetChallengers()[i].GetVersion())
	s.remember(d, d.GetChallengers()[i], end)
	d.Challengers = slices.Delete(d.GetChallengers(), i, i+1)
	if len(d.Challengers) == 0 {
		d.Challengers = nil // as it is read back
	}
}

// aboutTrial makes an entry of the ledger one about a version on trial.
func aboutTrial(log *modelsv1.DeploymentChange, v *modelsv1.ModelVersion) {
	log.Trial, log.Model, log.Version, log.VersionDigest = true, v.GetModel(), v.GetVersion(), v.GetDigest()
}

// carry takes over into a deployment that is made anew what goes on beside its champion: trials, judged by the new policy, and the version to go back to.
func (s *Service) carry(tx *db.Tx, now, next *modelsv1.Deployment, at time.Time) error {
	if now == nil {
		return nil
	}
	next.Previous, next.Probation, next.PreviousCertificates = now.GetPrevious(), now.GetProbation(), now.GetPreviousCertificates()
	if now.GetChampion() != nil && now.GetChampion().GetDigest() != next.GetChampion().GetDigest() {
		next.Previous, next.Probation, next.PreviousCertificates = now.GetChampion(), nil, nil
	}
	if p := next.GetPrevious(); next.GetProbation() != nil && now.GetPolicyDigest() != next.GetPolicyDigest() {
		v, err := s.find(tx, now.GetProject(), p.GetModel(), p.GetVersion())
		if err != nil {
			return err
		}
		next.PreviousCertificates = nil
		if checkPolicy(next.GetPolicy(), next.GetOperation(), v.version) == nil { // else it lacks a label that the new policy limits
			if next.PreviousCertificates, err = certify(v, next.GetPolicy(), at); err != nil {
				return err
			}
		}
	}
	for _, c := range now.GetChallengers() {
		if next.GetChampion() == nil || c.GetVersion().GetDigest() == next.GetChampion().GetDigest() {
			continue
		}
		if c = proto.CloneOf(c); now.GetPolicyDigest() != next.GetPolicyDigest() {
			v, err := s.find(tx, now.GetProject(), c.GetVersion().GetModel(), c.GetVersion().GetVersion())
			if err != nil {
				return err
			}
			if err := checkPolicy(next.GetPolicy(), next.GetOperation(), v.version); err != nil {
				continue // it lacks a label that the new policy limits
			}
			if c.Certificates, err = certify(v, next.GetPolicy(), at); err != nil {
				return err
			}
		}
		next.Challengers = append(next.Challengers, c)
	}
	return nil
}
