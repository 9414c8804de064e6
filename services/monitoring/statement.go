package monitoring

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// statement says a promise in one sentence, such as
//
//	certified error ≤ 2 % (95 %), automated 81 %, audited 149, live error at most 3.1 %, 87 more audits show 1 %
func statement(p *monitoringv1.Promise, d *modelsv1.Deployment) string {
	if p.GetModel() == "" {
		return "no model: rules decide, people decide the rest"
	}
	var certified, stopped, open []*monitoringv1.SidePromise
	for _, s := range p.GetSides() {
		switch s.GetState() {
		case monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING:
			certified = append(certified, s)
		case monitoringv1.AutomationState_AUTOMATION_STATE_STOPPED:
			stopped = append(stopped, s)
		default:
			open = append(open, s)
		}
	}
	var parts []string
	if len(certified) > 0 {
		parts = append(parts, "certified error "+limits(certified)+" ("+percent(d.GetPolicy().GetConfidence())+")", automated(p, d))
		parts = append(parts, audits(certified)...)
	}
	if len(stopped) > 0 {
		first := stopped[0]
		parts = append(parts, fmt.Sprintf("automation%s stopped since %s: %s", sideOf(stopped, p), first.GetStopTime().AsTime().Format("2006-01-02 15:04 MST"), first.GetStopReason()))
	}
	if len(open) > 0 {
		parts = append(parts, uncertified(p, open, d)...)
	}
	return strings.Join(parts, ", ")
}

// limits lists the promised errors; a policy may limit a thousand labels, a sentence may not.
func limits(sides []*monitoringv1.SidePromise) string {
	const most = 4
	var all []string
	for _, s := range sides {
		all = append(all, strings.TrimSpace(sideName(s.GetSide())+" ≤ "+percent(s.GetMaxError())))
	}
	if len(all) > most {
		return strings.Join(all[:most], ", ") + fmt.Sprintf(" and %d more", len(all)-most)
	}
	return strings.Join(all, ", ")
}

func sideName(side string) string {
	switch side {
	case "":
		return ""
	case risk.SideRemove:
		return "of removals"
	case risk.SideAllow:
		return "of allowed texts"
	}
	return "of " + strconv.Quote(side)
}

func sideOf(stopped []*monitoringv1.SidePromise, p *monitoringv1.Promise) string {
	if len(stopped) == len(p.GetSides()) || stopped[0].GetSide() == "" {
		return ""
	}
	return " " + sideName(stopped[0].GetSide())
}

// automated is the share of the traffic, or, before there is any, what the certificates expect.
func automated(p *monitoringv1.Promise, d *modelsv1.Deployment) string {
	if t := p.GetTraffic(); t.GetDecisions() >= 100 {
		return fmt.Sprintf("automated %.0f %%", 100*t.GetAutomatedShare())
	}
	expected := 0.0
	for _, c := range d.GetCertificates() {
		if c.GetCertified() && haltOf(d, c) == nil {
			expected += c.GetCoverage()
		}
	}
	return fmt.Sprintf("expected to automate %.0f %%", 100*expected)
}

// audits says what the audits show of the side whose error is closest to its limit.
func audits(sides []*monitoringv1.SidePromise) []string {
	n, worst := int64(0), sides[0]
	for _, s := range sides {
		n += s.GetAudits()
		if s.GetLiveErrorUpper()/s.GetMaxError() > worst.GetLiveErrorUpper()/worst.GetMaxError() {
			worst = s
		}
	}
	parts := []string{fmt.Sprintf("audited %d", n)}
	of := ""
	if len(sides) > 1 {
		of = " " + sideName(worst.GetSide())
	}
	if worst.GetAudits() > 0 {
		parts = append(parts, fmt.Sprintf("live error%s %s (%s to %s)", of, percent(worst.GetLiveError()), percent(worst.GetLiveErrorLower()), percent(worst.GetLiveErrorUpper())))
	}
	if worst.GetMoreAudits() > 0 {
		parts = append(parts, fmt.Sprintf("%d more audits%s show %s", worst.GetMoreAudits(), of, percent(worst.GetNextMaxError())))
	}
	return parts
}

// uncertified says what is missing.
func uncertified(p *monitoringv1.Promise, open []*monitoringv1.SidePromise, d *modelsv1.Deployment) []string {
	needed, accepted, rows := int64(0), false, int64(0)
	for _, c := range d.GetCertificates() {
		rows = max(rows, c.GetRows())
	}
	for _, s := range open {
		if s.GetLabelsNeeded() < 0 || needed < 0 {
			needed = -1
		} else {
			needed = max(needed, s.GetLabelsNeeded())
		}
		accepted = accepted || s.GetState() == monitoringv1.AutomationState_AUTOMATION_STATE_UNCERTIFIED
	}
	parts := []string{"not certified: error " + limits(open) + " (" + percent(d.GetPolicy().GetConfidence()) + ")"}
	switch {
	case needed < 0:
		parts = append(parts, "more labelled rows alone would not help")
	case rows == 0:
		parts = append(parts, fmt.Sprintf("at least %d labelled rows of this project are missing", needed))
	default:
		parts = append(parts, fmt.Sprintf("about %d more labelled rows are missing", needed))
	}
	parts = append(parts, fmt.Sprintf("people answered %d since", p.GetLabelsReviewed()))
	if accepted {
		parts = append(parts, "automated without a promise")
		if n := open[0].GetAudits(); n > 0 {
			parts = append(parts, fmt.Sprintf("audited %d, live error %s", n, percent(open[0].GetLiveError())))
		}
	}
	return parts
}

// percent writes 0.05 as "5 %", 0.0025 as "0.25 %" and 0.27812 as "27.8 %".
func percent(v float64) string {
	digits := 100.0
	if v >= 0.1 {
		digits = 10
	}
	return strconv.FormatFloat(math.Round(100*v*digits)/digits, 'f', -1, 64) + " %"
}
