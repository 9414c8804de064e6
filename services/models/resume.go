package models

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// endedKept is how many ended trials a deployment remembers.
const endedKept = 5

// ResumeChallenger puts a version on trial again as it was when its trial ended.
func (s *Service) ResumeChallenger(ctx context.Context, req *modelsv1.ResumeChallengerRequest) (*modelsv1.ResumeChallengerResponse, error) {
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
		edit: func(tx *db.Tx, next *modelsv1.Deployment, log *modelsv1.DeploymentChange) error {
			v, err := s.named(tx, project, req.GetModel(), req.GetVersion())
			if err != nil || challenger(next, v.version) != nil {
				return err
			}
			aboutTrial(log, v.version)
			return s.resume(next, v)
		},
	})
	if err != nil {
		return nil, err
	}
	return &modelsv1.ResumeChallengerResponse{Deployment: d}, nil
}

// resume adds the challenger of an ended trial, with what its version, the policy and the time make of it now.
func (s *Service) resume(d *modelsv1.Deployment, v *stored) error {
	i := slices.IndexFunc(d.GetEndedTrials(), func(e *modelsv1.EndedTrial) bool { return sameVersion(e.GetChallenger().GetVersion(), v.version) })
	if i < 0 {
		return fault.NotFound(fmt.Sprintf("ended trial of %s version %d in deployment", v.version.GetModel(), v.version.GetVersion()), d.GetName())
	}
	ended := d.GetEndedTrials()[i]
	c, err := s.trial(d, v) // certified under the policy as it is
	if err != nil {
		return err
	}
	if err := brokenBefore(d, c); err != nil {
		return err
	}
	for _, was := range ended.GetChallenger().GetCertificates() {
		if at := slices.IndexFunc(c.GetCertificates(), func(is *modelsv1.Certificate) bool { return samePromise(is, was) }); at >= 0 { // else it would answer by another one
			c.Certificates[at] = proto.CloneOf(was) // so that decisions name the one that they were counted for
		}
	}
	was := ended.GetChallenger()
	c.Mode, c.Share, c.Guardrails, c.StartTime = was.GetMode(), was.GetShare(), was.GetGuardrails(), was.GetStartTime()
	c.ResumeTime, c.EndedFor = timestamppb.New(s.now().Truncate(time.Microsecond)), ended.GetReason()
	forgetEnded(d, v.version)
	return checkShares(d)
}

func sameVersion(a, b *modelsv1.ModelVersion) bool {
	return a.GetModel() == b.GetModel() && a.GetVersion() == b.GetVersion()
}

// samePromise says whether two certificates of a version promise the same by the same threshold: what was found of one holds for the other.
func samePromise(a, b *modelsv1.Certificate) bool {
	return a.GetSide() == b.GetSide() && a.GetMaxError() == b.GetMaxError() && a.GetConfidence() == b.GetConfidence() && a.GetThreshold() == b.GetThreshold() && a.GetCertified() == b.GetCertified()
}

// brokenBefore refuses a challenger that would answer by a promise which it was proven to break in a trial beside the same champion.
func brokenBefore(d *modelsv1.Deployment, c *modelsv1.Challenger) error {
	for _, ended := range d.GetEndedTrials() {
		if !sameVersion(ended.GetChallenger().GetVersion(), c.GetVersion()) {
			continue
		}
		for _, was := range ended.GetChallenger().GetCertificates() {
			if was.GetCertificateId() == ended.GetCertificateId() && slices.ContainsFunc(c.GetCertificates(), func(is *modelsv1.Certificate) bool { return samePromise(is, was) }) {
				return fault.PromotionRefused("guarantee", "%s version %d has broken certificate %s, which it would answer by: %s; another policy or another version can be certified anew",
					c.GetVersion().GetModel(), c.GetVersion().GetVersion(), was.GetCertificateId(), ended.GetReason()).With("certificateId", was.GetCertificateId())
			}
		}
	}
	return nil
}

// remember notes a trial that ends. end says why.
func (s *Service) remember(d *modelsv1.Deployment, c *modelsv1.Challenger, end *modelsv1.EndedTrial) {
	end.Challenger, end.EndTime = proto.CloneOf(c), timestamppb.New(s.now().Truncate(time.Microsecond))
	v := end.GetChallenger().GetVersion()
	end.Challenger.Version = &modelsv1.ModelVersion{Model: v.GetModel(), Version: v.GetVersion(), Digest: v.GetDigest(), Operation: v.GetOperation()}
	d.EndedTrials = slices.DeleteFunc(d.GetEndedTrials(), func(e *modelsv1.EndedTrial) bool {
		return sameVersion(e.GetChallenger().GetVersion(), v) && (e.GetCertificateId() == "" || end.GetCertificateId() != "") // what a version broke stays known when it was only looked at since
	})
	d.EndedTrials = slices.Insert(d.GetEndedTrials(), 0, end)
	d.EndedTrials = d.EndedTrials[:min(endedKept, len(d.EndedTrials))]
}

// forgetEnded forgets an ended trial of a version, which is on trial again. What the version broke stays known: the policy may come to promise it again.
func forgetEnded(d *modelsv1.Deployment, v *modelsv1.ModelVersion) {
	d.EndedTrials = slices.DeleteFunc(d.GetEndedTrials(), func(e *modelsv1.EndedTrial) bool {
		return sameVersion(e.GetChallenger().GetVersion(), v) && e.GetCertificateId() == ""
	})
	if len(d.EndedTrials) == 0 {
		d.EndedTrials = nil // as it is read back
	}
}

// settleEnded keeps what is remembered of ended trials as long as the champion stays that they were beside.
func settleEnded(now, next *modelsv1.Deployment, edited bool) {
	switch {
	case next.GetChampion().GetDigest() != now.GetChampion().GetDigest():
		next.EndedTrials = nil
	case !edited:
		next.EndedTrials = now.GetEndedTrials()
	}
}

// markResumed notes in what is counted of a trial where it was when the trial was resumed, with the first report after that.
func markResumed(have *modelsv1.Comparison, d *modelsv1.Deployment) {
	i := slices.IndexFunc(d.GetChallengers(), func(c *modelsv1.Challenger) bool { return c.GetVersion().GetDigest() == have.GetChallengerDigest() })
	if i < 0 || d.GetChampion().GetDigest() != have.GetChampionDigest() {
		return
	}
	at := d.GetChallengers()[i].GetResumeTime()
	if at == nil || !have.GetResumedFrom().GetUpdateTime().AsTime().Before(at.AsTime()) {
		return
	}
	have.ResumedFrom = proto.CloneOf(&modelsv1.Comparison{Compared: have.GetCompared(), Champion: have.GetChampion(), Challenger: have.GetChallenger(), UpdateTime: at})
}

// sinceResumed returns of two states of a comparison what was counted since the trial was resumed last.
func sinceResumed(before, after *modelsv1.Comparison) (b, a *modelsv1.Comparison) {
	from := after.GetResumedFrom()
	if from == nil {
		return before, after
	}
	less := func(c *modelsv1.Comparison) *modelsv1.Comparison {
		c = proto.CloneOf(c)
		c.Compared -= from.GetCompared()
		lessArm(c.GetChampion(), from.GetChampion())
		lessArm(c.GetChallenger(), from.GetChallenger())
		return c
	}
	return less(before), less(after)
}

// lessArm takes counts away from those that they are part of.
func lessArm(a, part *modelsv1.Arm) {
	a.Decisions -= part.GetDecisions()
	a.Errors -= part.GetErrors()
	a.Automated -= part.GetAutomated()
	for i, n := range part.GetTimes() {
		a.Times[i] -= n
	}
	for label, n := range part.GetLabels() {
		a.Labels[label] -= n
	}
}
