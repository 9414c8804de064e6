package models

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// HaltAutomation stops what a certificate automates, or everything that a deployment automates. The reason stays in the deployment and in the ledger.
func (s *Service) HaltAutomation(ctx context.Context, req *modelsv1.HaltAutomationRequest) (*modelsv1.HaltAutomationResponse, error) {
	project, err := owner(ctx, req.GetProject())
	if err != nil {
		return nil, err
	}
	reason, err := checkReason(req.GetReason())
	if err != nil {
		return nil, err
	}
	d, err := s.apply(ctx, change{
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_HALT, reason: reason,
		edit: func(_ *db.Tx, next *modelsv1.Deployment, log *modelsv1.DeploymentChange) error {
			if s.haltTrial(next, log, req.GetCertificateId(), reason, whoStops(ctx, req)) {
				return nil
			}
			h := &modelsv1.Halt{Reason: reason, Time: timestamppb.New(s.now().Truncate(time.Microsecond)), Caller: whoStops(ctx, req)}
			halt(next, req.GetCertificateId(), h)
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.HaltAutomationResponse{Deployment: d}, nil
}

// haltTrial ends the trial that a certificate belongs to; false when it belongs to none. caller is empty when nobody asked for it: then audits have proven that the certificate is broken.
func (s *Service) haltTrial(d *modelsv1.Deployment, log *modelsv1.DeploymentChange, certificate, reason, caller string) bool {
	if certificate == "" {
		return false
	}
	before := len(d.GetChallengers())
	end := &modelsv1.EndedTrial{Reason: reason, Caller: caller}
	if caller == "" {
		end.CertificateId = certificate
	}
	s.endTrial(d, log, end, func(c *modelsv1.Challenger) bool {
		return slices.ContainsFunc(c.GetCertificates(), func(own *modelsv1.Certificate) bool { return own.GetCertificateId() == certificate })
	})
	if len(d.GetChallengers()) == before {
		return false
	}
	if log.Kind = challengerKind; caller == "" {
		log.Kind = guardrailKind
	}
	return true
}

// whoStops returns the key that called; empty for the service that watches the live error, which calls for the project of a deployment with the rights of the platform.
func whoStops(ctx context.Context, req *modelsv1.HaltAutomationRequest) string {
	c := auth.FromContext(ctx)
	if c.System || (req.GetProject() != "" && c.Has("platform:serve")) {
		return ""
	}
	return c.KeyID
}

// halt stops what one certificate automates, or everything; what is stopped already stays as it is.
func halt(d *modelsv1.Deployment, certificate string, h *modelsv1.Halt) {
	before := len(d.GetHalts())
	add := func(side, certificate string) {
		if haltOf(d, side) == nil {
			d.Halts = append(d.Halts, &modelsv1.Halt{Side: side, CertificateId: certificate, Reason: h.GetReason(), Time: h.GetTime(), Caller: h.GetCaller()})
		}
	}
	for _, c := range d.GetCertificates() {
		if certificate == "" || certificate == c.GetCertificateId() {
			add(c.GetSide(), c.GetCertificateId())
		}
	}
	if certificate == "" {
		add("", "") // whatever is automated without a certificate
	}
	if len(d.GetHalts()) > before {
		d.Statement = statement(d)
	}
}

// ResumeAutomation ends every halt of a deployment.
func (s *Service) ResumeAutomation(ctx context.Context, req *modelsv1.ResumeAutomationRequest) (*modelsv1.ResumeAutomationResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	reason, err := checkReason(req.GetReason())
	if err != nil {
		return nil, err
	}
	d, err := s.apply(ctx, change{
		project: project, operation: req.GetOperation(), name: req.GetDeployment(), kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_RESUME,
		reason: reason, expected: req.GetExpectedRevision(),
		edit: func(_ *db.Tx, next *modelsv1.Deployment, _ *modelsv1.DeploymentChange) error {
			if len(next.GetHalts()) > 0 {
				next.Halts = nil
				next.Statement = statement(next)
			}
			return nil
		},
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.ResumeAutomationResponse{Deployment: d}, nil
}

// owner returns the project that a call is about: the caller's own, or another one for those who serve the platform.
func owner(ctx context.Context, other string) (string, error) {
	c := auth.FromContext(ctx)
	if other == "" || (c != nil && other == c.Project) {
		return project(ctx)
	}
	if !c.Has("platform:serve") {
		return "", fault.ScopeMissing("platform:serve")
	}
	return other, nil
}

func checkReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if reason == "" || len([]rune(reason)) > 500 {
		return "", fault.InvalidField("reason", "must have 1 to 500 characters")
	}
	return reason, nil
}

// settleHalts keeps a halt over changes that leave the version as it is: its certificates come from the same rows as before, and those no longer speak for the traffic. The certificates of another
// version end it. A side that is new with the policy was part of another one, so it stays stopped too. restored is the earlier state that answers again, if any; edited says that all but what the change is about was left alone.
func settleHalts(now, restored, next *modelsv1.Deployment, edited bool) {
	switch {
	case len(now.GetHalts()) == 0 && len(next.GetHalts()) == 0 && len(restored.GetHalts()) == 0:
		return
	case next.GetChampion().GetDigest() != now.GetChampion().GetDigest():
		next.Halts = nil
	case edited:
		return
	default:
		next.Halts = carriedHalts(now, next)
	}
	next.Statement = statement(next)
}

// carriedHalts are the halts of a deployment as they stand under the certificates of its next revision.
func carriedHalts(now, next *modelsv1.Deployment) (out []*modelsv1.Halt) {
	if len(now.GetHalts()) == 0 {
		return nil
	}
	first := now.GetHalts()[0]
	for _, c := range next.GetCertificates() {
		h := haltOf(now, c.GetSide())
		if h == nil && !slices.ContainsFunc(now.GetCertificates(), func(o *modelsv1.Certificate) bool { return o.GetSide() == c.GetSide() }) {
			h = first
		}
		if h != nil {
			out = append(out, &modelsv1.Halt{Side: c.GetSide(), CertificateId: c.GetCertificateId(), Reason: h.GetReason(), Time: h.GetTime(), Caller: h.GetCaller()})
		}
	}
	if h := haltOf(now, ""); h != nil && !slices.ContainsFunc(out, func(o *modelsv1.Halt) bool { return o.GetSide() == "" }) {
		out = append(out, h)
	}
	return out
}

// haltOf returns the halt of a side; nil when there is none.
func haltOf(d *modelsv1.Deployment, side string) *modelsv1.Halt {
	for _, h := range d.GetHalts() {
		if h.GetSide() == side {
			return h
		}
	}
	return nil
}

// haltNote says in the statement of a deployment what is stopped.
func haltNote(d *modelsv1.Deployment) string {
	if len(d.GetHalts()) == 0 {
		return ""
	}
	h, of := d.GetHalts()[0], ""
	if len(d.GetHalts()) < len(d.GetCertificates()) {
		of = " " + strings.TrimSpace(sideName(h.GetSide()))
	}
	return fmt.Sprintf("; automation%s stopped since %s: %s", of, h.GetTime().AsTime().Format("2006-01-02 15:04 MST"), h.GetReason())
}

// PreviewCertificates computes what a version would be certified for under a policy.
func (s *Service) PreviewCertificates(ctx context.Context, req *modelsv1.PreviewCertificatesRequest) (*modelsv1.PreviewCertificatesResponse, error) {
	project, err := owner(ctx, req.GetProject())
	if err != nil {
		return nil, err
	}
	if req.GetPolicy() == nil {
		return nil, fault.InvalidField("policy", "must be set")
	}
	var v *stored
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		v, err = s.named(tx, project, req.GetModel(), req.GetVersion())
		return err
	})
	if err != nil {
		return nil, err
	}
	p := fill(req.GetPolicy(), v.version.GetOperation())
	if err := checkPolicy(p, v.version.GetOperation(), v.version); err != nil {
		return nil, err
	}
	certificates, err := certify(v, p, s.now().Truncate(time.Microsecond))
	if err != nil {
		return nil, err
	}
	return &modelsv1.PreviewCertificatesResponse{Certificates: certificates, Policy: p, Version: v.version}, nil
}
