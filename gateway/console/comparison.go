package console

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/chart"
)

const (
	shownLabels = 12
	shownFlips  = 10
)

// comparison is how a version on trial has done beside the champion, ready to be shown. Shares are between 0 and 1.
type comparison struct {
	*modelsv1.Comparison
	Seen, Need int64 // decisions that say something, and how many the guardrails ask for
	Ready      bool
	Same       float64 // same labels, of what both scored
	Flipped    float64 // different labels, of what both would automate
	Sides      [2]armView
	Labels     []labelShare
	Flips      []*modelsv1.Flip
	// Audits is what people found in audits of both, where both answer; nil where they do not.
	Audits *auditView
}

// auditView compares the audited errors of both versions, between -1 and 1.
type auditView struct {
	Change, Lower, Upper, Confidence float64
	Worse, Better                    bool // for certain
}

// armView is what was counted of one version.
type armView struct {
	Name                 string
	Decisions, Errors    int64
	Automated, ErrorRate float64
	Audited              string        // its audited error, where either version is audited
	Median               time.Duration // upper bound of the bucket that the middle one is in; 0 without decisions
}

// labelShare is how often each version chose a label. The shares are of its own decisions.
type labelShare struct {
	Label          string
	Before, Beside float64
}

// comparison returns what has been counted so far: of a version on trial, or of the champion against the one before for nil. nil when nothing has.
func (c *Console) comparison(ctx context.Context, ref deploymentRef, v *modelsv1.ModelVersion, rails *modelsv1.Guardrails) *comparison {
	res, err := c.models.GetComparison(ctx, &modelsv1.GetComparisonRequest{Operation: ref.Operation, Deployment: ref.Name, Model: v.GetModel(), Version: v.GetVersion()})
	if err != nil {
		if asFault(err).ReasonName() != "NOT_FOUND" {
			c.log.WarnContext(ctx, "a comparison cannot be shown", "deployment", ref.Name, "error", err)
		}
		return nil
	}
	return compare(res.GetComparison(), rails, v == nil)
}

// compare puts the counts in the order in which people ask. Where the champion is on probation, the one before stands on the other side.
func compare(of *modelsv1.Comparison, rails *modelsv1.Guardrails, probation bool) *comparison {
	other := "challenger"
	if probation {
		other = "the one before"
	}
	out := &comparison{
		Comparison: of, Need: rails.GetMinDecisions(), Same: share(of.GetSameLabels(), of.GetCompared()), Flipped: share(of.GetFlips(), of.GetAutomatedBoth()),
		Sides: [2]armView{viewArm("champion", of.GetChampion()), viewArm(other, of.GetChallenger())},
		Seen:  max(of.GetCompared(), min(of.GetChampion().GetDecisions(), of.GetChallenger().GetDecisions())),
	}
	out.Ready = out.Seen >= out.Need
	if len(of.GetChampion().GetAudits())+len(of.GetChallenger().GetAudits()) > 0 {
		out.Audits = &auditView{
			Change: of.GetErrorChange(), Lower: of.GetErrorChangeLower(), Upper: of.GetErrorChangeUpper(), Confidence: of.GetConfidence(),
			Worse: of.GetErrorChangeLower() > 0, Better: of.GetErrorChangeUpper() < 0,
		}
		for i, a := range []*modelsv1.Arm{of.GetChampion(), of.GetChallenger()} {
			out.Sides[i].Audited = auditedText(a)
		}
	}
	labels := map[string]struct{}{}
	for l := range of.GetChampion().GetLabels() {
		labels[l] = struct{}{}
	}
	for l := range of.GetChallenger().GetLabels() {
		labels[l] = struct{}{}
	}
	for _, l := range slices.Sorted(maps.Keys(labels)) {
		out.Labels = append(out.Labels, labelShare{
			l, share(of.GetChampion().GetLabels()[l], of.GetChampion().GetDecisions()), share(of.GetChallenger().GetLabels()[l], of.GetChallenger().GetDecisions()),
		})
	}
	slices.SortStableFunc(out.Labels, func(a, b labelShare) int { return cmp.Compare(max(b.Before, b.Beside), max(a.Before, a.Beside)) })
	out.Labels = out.Labels[:min(shownLabels, len(out.Labels))]
	for _, f := range slices.Backward(of.GetExamples()) {
		if len(out.Flips) < shownFlips {
			out.Flips = append(out.Flips, f)
		}
	}
	return out
}

func viewArm(name string, a *modelsv1.Arm) armView {
	return armView{
		Name: name, Decisions: a.GetDecisions(), Errors: a.GetErrors(), Automated: share(a.GetAutomated(), a.GetDecisions()),
		ErrorRate: share(a.GetErrors(), a.GetDecisions()+a.GetErrors()), Median: medianTime(a.GetTimes()),
	}
}

// auditedText says what people found in audits of a version.
func auditedText(a *modelsv1.Arm) string {
	var n int64
	for _, c := range a.GetAudits() {
		n += c.GetAudits()
	}
	if n == 0 {
		return "not audited yet"
	}
	return fmt.Sprintf("%s (%s to %s) in %d", chart.Percent(a.GetAuditedError()), chart.Percent(a.GetAuditedErrorLower()), chart.Percent(a.GetAuditedErrorUpper()), n)
}

// points writes a difference of two shares in percentage points.
func points(v float64) string { return fmt.Sprintf("%+.2f points", 100*v) }

func share(part, of int64) float64 {
	if of <= 0 {
		return 0
	}
	return float64(part) / float64(of)
}

// medianTime returns the upper bound of the bucket that the middle one is in; the bounds are 1 µs × 2^i.
func medianTime(times []int64) time.Duration {
	var n, below int64
	for _, c := range times {
		n += c
	}
	for i, c := range times {
		if below += c; n > 0 && 2*below >= n {
			return time.Microsecond << i
		}
	}
	return 0
}
