package models

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// HaltAutomation stops what a certificate automates, or everything that a deployment automates. The reason stays in the deployment and in its history.
func (s *Service) HaltAutomation(ctx context.Context, req *modelsv1.HaltAutomationRequest) (*modelsv1.HaltAutomationResponse, error) {
	project, err := owner(ctx, req.GetProject())
	if err != nil {
		return nil, err
	}
	reason, err := checkReason(req.GetReason())
	if err != nil {
		return nil, err
	}
	d, err := s.amend(ctx, project, req.GetOperation(), req.GetDeployment(), "halt: "+reason, func(d *modelsv1.Deployment) error {
		at, caller := timestamppb.New(s.now().Truncate(time.Microsecond)), auth.FromContext(ctx).KeyID
		add := func(side, certificate string) {
			if haltOf(d, side) == nil {
				d.Halts = append(d.Halts, &modelsv1.Halt{Side: side, CertificateId: certificate, Reason: reason, Time: at, Caller: caller})
			}
		}
		for _, c := range d.GetCertificates() {
			if id := req.GetCertificateId(); id == "" || id == c.GetCertificateId() {
				add(c.GetSide(), c.GetCertificateId())
			}
		}
		if req.GetCertificateId() == "" {
			add("", "") // whatever is automated without a certificate
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.HaltAutomationResponse{Deployment: d}, nil
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
	d, err := s.amend(ctx, project, req.GetOperation(), req.GetDeployment(), "resume: "+reason, func(d *modelsv1.Deployment) error {
		current, expected := d.GetRevision(), req.GetExpectedRevision()
		if expected != 0 && expected != current && (len(d.GetHalts()) > 0 || expected != current-1) { // a retry finds its own work done
			return fault.VersionConflict("deployment", fault.OperationName(d.GetOperation())+"/"+d.GetName(), current, expected)
		}
		d.Halts = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.ResumeAutomationResponse{Deployment: d}, nil
}

// amend changes a deployment without certifying it anew; a change that changes nothing is none.
func (s *Service) amend(
	ctx context.Context, project string, op commonv1.Operation, name, kind string, fn func(*modelsv1.Deployment) error,
) (*modelsv1.Deployment, error) {
	var next *modelsv1.Deployment
	changed := false
	err := s.store.db.Tx(ctx, func(tx *db.Tx) error {
		now, err := s.store.deployment(tx, project, op, name)
		if err != nil {
			return err
		}
		if now == nil {
			return fault.DeploymentNotFound(op, name)
		}
		next = proto.CloneOf(now)
		if err := fn(next); err != nil {
			return err
		}
		if changed = !proto.Equal(now, next); !changed {
			return nil
		}
		next.Revision++
		next.UpdateTime, next.Statement = timestamppb.New(s.now().Truncate(time.Microsecond)), statement(next)
		if err := s.store.putDeployment(tx, next, kind, auth.FromContext(ctx).KeyID); err != nil {
			return err
		}
		return tx.Changed(topic, project)
	})
	if err != nil || !changed {
		return next, err
	}
	s.watch.publish(next)
	s.log.WarnContext(ctx, "automation changed", "project", project, "operation", fault.OperationName(op), "deployment", name, "revision", next.GetRevision(), "change", kind)
	if s.applied != nil {
		s.applied(ctx, next)
	}
	return next, nil
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

// carryHalts keeps a halt over changes that leave the version as it is: its certificates come from the same rows as before, and those no longer speak
// for the traffic. The certificates of another version end it. A side that is new with the policy was part of another one, so it stays stopped too.
func carryHalts(now, next *modelsv1.Deployment) {
	if len(now.GetHalts()) == 0 || next.GetChampion().GetDigest() != now.GetChampion().GetDigest() {
		return
	}
	first := now.GetHalts()[0]
	for _, c := range next.GetCertificates() {
		h := haltOf(now, c.GetSide())
		if h == nil && !slices.ContainsFunc(now.GetCertificates(), func(o *modelsv1.Certificate) bool { return o.GetSide() == c.GetSide() }) {
			h = first
		}
		if h != nil {
			next.Halts = append(next.Halts, &modelsv1.Halt{
				Side: c.GetSide(), CertificateId: c.GetCertificateId(), Reason: h.GetReason(), Time: h.GetTime(), Caller: h.GetCaller(),
			})
		}
	}
	if h := haltOf(now, ""); h != nil && haltOf(next, "") == nil {
		next.Halts = append(next.Halts, h)
	}
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
		v, err = s.find(tx, project, req.GetModel(), req.GetVersion())
		return err
	})
	if err != nil {
		return nil, err
	}
	p := fill(req.GetPolicy(), v.version.GetOperation())
	if err := checkPolicy(p, v.version.GetOperation(), v.version); err != nil {
		return nil, err
	}
	certificates, err := certify(v.version, v.samples, p, s.now().Truncate(time.Microsecond))
	if err != nil {
		return nil, err
	}
	return &modelsv1.PreviewCertificatesResponse{Certificates: certificates, Policy: p, Version: v.version}, nil
}
