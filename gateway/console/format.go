package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/chart"
)

// signed writes a difference of shares in points: +1.2.
func signed(v float64) string { return fmt.Sprintf("%+.1f", 100*v) }

// decimal writes a figure that is no share.
func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

// width turns a share into units of a bar 100 wide.
func width(v float64) string { return strconv.FormatFloat(100*min(1, max(0, v)), 'f', 1, 64) }

// digest shortens a content address to what tells two things apart by eye.
func digest(s string) string {
	s = strings.TrimPrefix(s, "sha256:")
	return s[:min(12, len(s))]
}

func changeName(k modelsv1.DeploymentChangeKind) string {
	switch k { //nolint:exhaustive // the rest is said by its name
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_DEPLOY:
		return "deployed"
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_POLICY:
		return "promise changed"
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_ROLLBACK:
		return "rolled back"
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_HALT:
		return "automation stopped"
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_RESUME:
		return "automation resumed"
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_CHALLENGER:
		return "trial changed"
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_PROMOTE:
		return "promoted"
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_GUARDRAIL:
		return "guardrail"
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_ALIAS:
		return "alias moved"
	case modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_TAGS:
		return "tags changed"
	}
	return strings.ToLower(strings.TrimPrefix(k.String(), "DEPLOYMENT_CHANGE_KIND_"))
}

// trialName says what was done with a trial.
func trialName(k modelsv1.DeploymentChangeKind) string {
	if k == modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_RESUME {
		return "trial resumed"
	}
	return changeName(k)
}

// sideName says which automation a certificate covers.
func sideName(side string) string {
	switch side {
	case "":
		return "all answers"
	case "remove":
		return "removing"
	case "allow":
		return "allowing"
	}
	return side
}

// modeName says what a challenger does.
func modeName(t *modelsv1.Challenger) string {
	if t.GetMode() == modelsv1.ChallengerMode_CHALLENGER_MODE_CANARY {
		return "canary, answers " + chart.Percent(t.GetShare())
	}
	return "shadow, answers nothing"
}

// took writes how long scoring takes, at the precision that its buckets have.
func took(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < time.Millisecond:
		return fmt.Sprintf("≤ %d µs", d.Microseconds())
	}
	return fmt.Sprintf("≤ %.0f ms", float64(d.Microseconds())/1000)
}
