package models

import (
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	maxLabelSets = 200
	maxExamples  = 50
	otherLabels  = "…"
	// reporterMemory is how long a process that reports no more is remembered; none repeats a report that long.
	reporterMemory = 24 * time.Hour
)

// ReportTraffic adds what a process has counted, and acts where a guardrail is broken.
func (s *Service) ReportTraffic(ctx context.Context, req *modelsv1.ReportTrafficRequest) (*modelsv1.ReportTrafficResponse, error) {
	if c := auth.FromContext(ctx); !c.Has("platform:serve") {
		return nil, fault.ScopeMissing("platform:serve")
	}
	for _, c := range req.GetComparisons() {
		for _, a := range []*modelsv1.Arm{c.GetChampion(), c.GetChallenger()} {
			if err := checkAudits(a); err != nil {
				return nil, err
			}
		}
	}
	now := s.now()
	type news struct{ before, after *modelsv1.Comparison }
	var judge []news
	err := s.store.db.Tx(ctx, func(tx *db.Tx) error {
		judge = nil
		fresh, err := s.store.reported(tx, req.GetReporter(), req.GetSequence(), now)
		if err != nil || !fresh {
			return err
		}
		for _, c := range req.GetComparisons() {
			before, late, err := s.store.known(tx, c)
			if err != nil {
				return err
			}
			if late {
				continue
			}
			after := merge(proto.CloneOf(before), c, now)
			if err := s.store.putComparison(tx, after, before == nil, now); err != nil {
				return err
			}
			judge = append(judge, news{before, after})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, n := range judge {
		if err := s.guard(ctx, n.before, n.after); err != nil {
			// The counts are stored. The guardrail is looked at again when twice as many are.
			s.log.ErrorContext(ctx, "guardrails could not be judged", "project", n.after.GetProject(), "deployment", n.after.GetDeployment(), "error", err)
		}
	}
	return &modelsv1.ReportTrafficResponse{}, nil
}

// guard judges a comparison by the guardrails of its trial, whenever what has been seen has doubled: looking at every report would let chance break them in the long run.
func (s *Service) guard(ctx context.Context, before, after *modelsv1.Comparison) error {
	c := change{project: after.GetProject(), operation: after.GetOperation(), name: after.GetDeployment(), kind: guardrailKind}
	var d *modelsv1.Deployment
	err := s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		d, err = s.store.deployment(tx, c.project, c.operation, c.name)
		return err
	})
	if err != nil || d.GetChampion().GetDigest() != after.GetChampionDigest() {
		return err // it has changed meanwhile
	}
	before, after = sinceResumed(before, after)
	for _, t := range d.GetChallengers() {
		if t.GetVersion().GetDigest() != after.GetChallengerDigest() || !doubled(before, after, t.GetGuardrails()) {
			continue
		}
		if c.reason = broken(t.GetGuardrails(), after.GetChampion(), after.GetChallenger()); c.reason == "" {
			return nil
		}
		s.log.WarnContext(ctx, "challenger broke a guardrail", "project", c.project, "deployment", c.name, "model", t.GetVersion().GetModel(),
			"version", t.GetVersion().GetVersion(), "reason", c.reason)
		c.edit = func(_ *db.Tx, next *modelsv1.Deployment, log *modelsv1.DeploymentChange) error {
			s.endTrial(next, log, &modelsv1.EndedTrial{Reason: c.reason}, func(c *modelsv1.Challenger) bool { return c.GetVersion().GetDigest() == after.GetChallengerDigest() })
			return nil
		}
		_, err := s.apply(ctx, c)
		return err
	}
	if d.GetProbation() == nil || d.GetPrevious().GetDigest() != after.GetChallengerDigest() || !doubled(before, after, d.GetProbation()) {
		return nil
	}
	// Here the new one is the champion, and the one before stands beside it.
	c.reason = broken(d.GetProbation(), after.GetChallenger(), after.GetChampion())
	return s.endProbation(ctx, c, after)
}

// endProbation takes a champion back that broke its guardrails, else leaves it alone from now on.
func (s *Service) endProbation(ctx context.Context, c change, seen *modelsv1.Comparison) error {
	back := c.reason != ""
	if back {
		s.log.WarnContext(ctx, "champion broke a guardrail and is taken back", "project", c.project, "deployment", c.name, "reason", c.reason)
	} else {
		c.reason = fmt.Sprintf("kept all guardrails over %d decisions", evidence(seen))
	}
	c.edit = func(tx *db.Tx, next *modelsv1.Deployment, _ *modelsv1.DeploymentChange) error {
		if next.GetChampion().GetDigest() != seen.GetChampionDigest() {
			return nil
		}
		certificates := next.GetPreviousCertificates()
		next.Probation, next.PreviousCertificates = nil, nil
		if !back {
			return nil
		}
		v, err := s.find(tx, c.project, next.GetPrevious().GetModel(), next.GetPrevious().GetVersion())
		if err != nil {
			return err
		}
		if len(certificates) == 0 { // it was promoted by an earlier release
			if certificates, err = certify(v, next.GetPolicy(), s.now().Truncate(time.Microsecond)); err != nil {
				return err
			}
		}
		next.Champion, next.Previous, next.Certificates = v.version, next.GetChampion(), certificates
		next.Statement = statement(next)
		return nil
	}
	_, err := s.apply(ctx, c)
	return err
}

// doubled says whether the decisions seen have passed the least number, or twice it, or four times it, and so on.
func doubled(before, after *modelsv1.Comparison, g *modelsv1.Guardrails) bool {
	step := func(c *modelsv1.Comparison) int { return bits.Len64(uint64(evidence(c) / max(1, g.GetMinDecisions()))) }
	return step(after) > step(before)
}

// merge adds a report to what is known; nil stands for nothing yet.
func merge(into, c *modelsv1.Comparison, now time.Time) *modelsv1.Comparison {
	if into == nil {
		into = &modelsv1.Comparison{
			Project: c.GetProject(), Operation: c.GetOperation(), Deployment: c.GetDeployment(), ChampionDigest: c.GetChampionDigest(), ChallengerDigest: c.GetChallengerDigest(),
			Champion: &modelsv1.Arm{}, Challenger: &modelsv1.Arm{}, StartTime: timestamppb.New(now), TrialTime: c.GetTrialTime(),
		}
	}
	into.UpdateTime = timestamppb.New(now)
	into.Compared += c.GetCompared()
	into.SameLabels += c.GetSameLabels()
	into.AutomatedBoth += c.GetAutomatedBoth()
	into.AutomatedChampion += c.GetAutomatedChampion()
	into.AutomatedChallenger += c.GetAutomatedChallenger()
	into.Flips += c.GetFlips()
	into.Dropped += c.GetDropped()
	mergeArm(into.Champion, c.GetChampion())
	mergeArm(into.Challenger, c.GetChallenger())
	into.Examples = append(into.Examples, c.GetExamples()...)
	into.Examples = into.Examples[max(0, len(into.Examples)-maxExamples):]
	return into
}

func mergeArm(into, a *modelsv1.Arm) {
	into.Decisions += a.GetDecisions()
	into.Errors += a.GetErrors()
	into.Automated += a.GetAutomated()
	if n := audits(a); n > 0 && n >= audits(into) { // all so far: counted once however often they are told, in whatever order
		into.Audits = a.GetAudits()
	}
	for i, n := range a.GetTimes() {
		if i >= len(into.Times) {
			into.Times = append(into.Times, 0)
		}
		into.Times[i] += n
	}
	for _, label := range slices.Sorted(maps.Keys(a.GetLabels())) {
		if into.Labels == nil {
			into.Labels = map[string]int64{}
		}
		key := label
		if _, known := into.Labels[key]; !known && len(into.Labels) >= maxLabelSets {
			key = otherLabels
		}
		into.Labels[key] += a.GetLabels()[label]
	}
}

// reported notes a report of a process; false when it was counted before.
func (*store) reported(tx *db.Tx, reporter string, sequence int64, now time.Time) (bool, error) {
	var last int64
	if _, err := tx.Get(`SELECT sequence FROM traffic_reporters WHERE reporter = ?`, []any{reporter}, &last); err != nil {
		return false, err
	}
	if sequence <= last {
		return false, nil
	}
	if _, err := tx.Exec(`DELETE FROM traffic_reporters WHERE seen < ?`, db.Micros(now.Add(-reporterMemory))); err != nil {
		return false, err
	}
	_, err := tx.Exec(`INSERT INTO traffic_reporters (reporter, sequence, seen) VALUES (?, ?, ?)
		ON CONFLICT (reporter) DO UPDATE SET sequence = excluded.sequence, seen = excluded.seen`, reporter, sequence, db.Micros(now))
	return true, err
}
