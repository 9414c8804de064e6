package models

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// comparisonsKept is how many comparisons of a deployment are kept, and comparisonMemory for how long after their last report.
	comparisonsKept  = 100
	comparisonMemory = 90 * 24 * time.Hour
)

// GetComparison returns how a version does against the champion.
func (s *Service) GetComparison(ctx context.Context, req *modelsv1.GetComparisonRequest) (*modelsv1.GetComparisonResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	var d *modelsv1.Deployment
	var c *modelsv1.Comparison
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		if d, err = s.store.deployment(tx, project, req.GetOperation(), req.GetDeployment()); err != nil {
			return err
		}
		if d == nil {
			return fault.DeploymentNotFound(req.GetOperation(), req.GetDeployment())
		}
		other := d.GetPrevious()
		if req.GetModel() != "" {
			v, err := s.find(tx, project, req.GetModel(), req.GetVersion())
			if err != nil {
				return err
			}
			other = v.version
		}
		c, err = s.store.comparison(tx, d, other.GetDigest())
		return err
	})
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, fault.NotFound("comparison", fault.OperationName(req.GetOperation())+"/"+req.GetDeployment())
	}
	c.Project = ""
	compareAudits(c, d.GetPolicy().GetConfidence())
	return &modelsv1.GetComparisonResponse{Comparison: c}, nil
}

// compareAudits works out what the audits of both versions show.
func compareAudits(c *modelsv1.Comparison, confidence float64) {
	if confidence <= 0 || confidence >= 1 { // of an earlier release
		confidence = defaultConfidence
	}
	delta := 1 - confidence
	bound := func(a *modelsv1.Arm) risk.Sequence {
		s := sequenceOf(a)
		a.AuditedError = s.Rate()
		a.AuditedErrorLower, a.AuditedErrorUpper = s.Interval(delta)
		return s
	}
	champion, challenger := bound(c.GetChampion()), bound(c.GetChallenger())
	c.Confidence = confidence
	c.ErrorChangeLower, c.ErrorChangeUpper = risk.Difference(champion, challenger, delta)
	if audits(c.GetChampion()) > 0 && audits(c.GetChallenger()) > 0 {
		c.ErrorChange = c.GetChallenger().GetAuditedError() - c.GetChampion().GetAuditedError()
	}
}

func sequenceOf(a *modelsv1.Arm) (s risk.Sequence) {
	for _, n := range a.GetAudits() {
		s.Strata = append(s.Strata, risk.Stratum{Propensity: n.GetPropensity(), Audits: int(n.GetAudits()), Wrong: int(n.GetWrong())})
	}
	return s
}

// audits is how many audits of a version people have answered.
func audits(a *modelsv1.Arm) (n int64) {
	for _, c := range a.GetAudits() {
		n += c.GetAudits()
	}
	return n
}

// checkAudits checks what a process tells of audits.
func checkAudits(a *modelsv1.Arm) error {
	for _, c := range a.GetAudits() {
		if !(c.GetPropensity() > 0 && c.GetPropensity() <= 1) || c.GetWrong() < 0 || c.GetWrong() > c.GetAudits() {
			return fault.InvalidField("comparisons.audits", "%d wrong ones of %d audits with probability %v cannot be", c.GetWrong(), c.GetAudits(), c.GetPropensity())
		}
	}
	if len(a.GetAudits()) > mostAuditCounts {
		return fault.InvalidField("comparisons.audits", "has %d probabilities, at most %d", len(a.GetAudits()), mostAuditCounts)
	}
	return nil
}

// mostAuditCounts is how many probabilities risk.Sequence tells apart.
const mostAuditCounts = 16

// begunAt returns when the comparison of a deployment's champion with another version began: with the trial of that, or, for the version before, with the champion. Nil when neither is so, or when it
// is not known.
func begunAt(d *modelsv1.Deployment, other string) *timestamppb.Timestamp {
	i := slices.IndexFunc(d.GetChallengers(), func(c *modelsv1.Challenger) bool { return c.GetVersion().GetDigest() == other })
	switch {
	case i >= 0:
		return d.GetChallengers()[i].GetStartTime()
	case d.GetPrevious() != nil && d.GetPrevious().GetDigest() == other:
		return d.GetChampionTime()
	}
	return nil
}

// stale says whether counts are of an earlier trial than the one that began at a time. Those of an earlier release do not name theirs.
func stale(c *modelsv1.Comparison, begun *timestamppb.Timestamp) bool {
	switch {
	case begun == nil:
		return false
	case c.GetTrialTime() != nil:
		return c.GetTrialTime().AsTime().Before(begun.AsTime())
	}
	return c.GetStartTime().AsTime().Before(begun.AsTime())
}

// comparison reads how a version does against the champion; nil when nothing is known. What was counted in an earlier trial of the same versions is not.
func (s *store) comparison(tx *db.Tx, d *modelsv1.Deployment, other string) (*modelsv1.Comparison, error) {
	c, err := s.counts(tx, pair{d.GetProject(), d.GetOperation(), d.GetName(), d.GetChampion().GetDigest(), other})
	if c == nil || err != nil || stale(c, begunAt(d, other)) {
		return nil, err
	}
	return c, nil
}

// known reads what a report adds to; nil when it is the first of its trial. late says that the report is of a trial before the present one: a process sends what it counted a while after it did.
func (s *store) known(tx *db.Tx, report *modelsv1.Comparison) (have *modelsv1.Comparison, late bool, err error) {
	d, err := s.deployment(tx, report.GetProject(), report.GetOperation(), report.GetDeployment())
	if err != nil {
		return nil, false, err
	}
	begun := report.GetTrialTime()
	if d.GetChampion().GetDigest() == report.GetChampionDigest() {
		now := begunAt(d, report.GetChallengerDigest())
		if begun == nil { // of an earlier release: it counts for the present trial
			begun = now
		}
		if now != nil && begun.AsTime().Before(now.AsTime()) {
			return nil, true, nil
		}
	}
	report.TrialTime = begun
	have, err = s.counts(tx, pairOf(report))
	switch {
	case err != nil || have == nil:
		return nil, false, err
	case stale(have, begun):
		return nil, false, nil
	case begun != nil && have.GetTrialTime() != nil && begun.AsTime().Before(have.GetTrialTime().AsTime()):
		return nil, true, nil
	}
	markResumed(have, d)
	return have, false, nil
}

// pair names a comparison over all projects.
type pair struct {
	project              string
	operation            commonv1.Operation
	name                 string
	champion, challenger string // digests
}

func pairOf(c *modelsv1.Comparison) pair {
	return pair{c.GetProject(), c.GetOperation(), c.GetDeployment(), c.GetChampionDigest(), c.GetChallengerDigest()}
}

// counts reads what was counted of a pair, whenever; nil when nothing was.
func (*store) counts(tx *db.Tx, p pair) (*modelsv1.Comparison, error) {
	var message []byte
	ok, err := tx.Get(`SELECT message FROM comparisons WHERE project = ? AND operation = ? AND name = ? AND champion = ? AND challenger = ?`,
		[]any{p.project, p.operation, p.name, p.champion, p.challenger}, &message)
	if err != nil || !ok {
		return nil, err
	}
	c := &modelsv1.Comparison{}
	return c, decode("comparison", message, c)
}

// putComparison stores what is counted. With the first counts of a trial, comparisons go that nobody will look at any more.
func (s *store) putComparison(tx *db.Tx, c *modelsv1.Comparison, first bool, now time.Time) error {
	p := pairOf(c)
	message, err := proto.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode comparison: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO comparisons (project, operation, name, champion, challenger, message, updated) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (project, operation, name, champion, challenger) DO UPDATE SET message = excluded.message, updated = excluded.updated`,
		p.project, p.operation, p.name, p.champion, p.challenger, message, db.Micros(now))
	if err != nil || !first {
		return err
	}
	oldest := db.Micros(now.Add(-comparisonMemory))
	var last int64
	found, err := tx.Get(`SELECT updated FROM comparisons WHERE project = ? AND operation = ? AND name = ? ORDER BY updated DESC LIMIT 1 OFFSET ?`,
		[]any{p.project, p.operation, p.name, comparisonsKept - 1}, &last)
	if err != nil {
		return err
	}
	if found {
		oldest = max(oldest, last)
	}
	_, err = tx.Exec(`DELETE FROM comparisons WHERE project = ? AND operation = ? AND name = ? AND updated < ?`, p.project, p.operation, p.name, oldest)
	return err
}
