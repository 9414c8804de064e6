package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// actForm is what a person asks for. It is filled from the address at first, then from the form.
type actForm struct {
	Revision       int64 // of the deployment as the person saw it
	Model          string
	Version        int32
	Canary         bool
	Percent        string // of the calls, as it was typed
	Reason         string
	SkipShadow     string
	SkipComparison bool
	Target         int64 // revision to go back to; 0 for what answered before
}

// act changes a deployment. Each has a page of its own, which says what will happen and asks for a reason, so that no single click changes what answers.
type act struct {
	Title, Button, Done string
	// Needs says that the form names a version that is on trial.
	Needs bool
	do    func(ctx context.Context, c *Console, d deploymentRef, f actForm, reason string) error
}

var acts = map[string]act{
	"try":          {Title: "Start a trial", Button: "Start the trial", Done: "started", do: startTrial},
	"promote":      {Title: "Promote", Button: "Promote", Done: "promoted", Needs: true, do: promote},
	"stop":         {Title: "Stop a trial", Button: "Stop the trial", Done: "stopped", Needs: true, do: stopTrial},
	"resume-trial": {Title: "Resume a trial", Button: "Resume the trial of", Done: "trial-resumed", do: resumeTrial},
	"rollback":     {Title: "Roll back", Button: "Roll back", Done: "rolled-back", do: rollback},
	"halt":         {Title: "Stop automation", Button: "Stop automation", Done: "halted", do: halt},
	"resume":       {Title: "Resume automation", Button: "Resume automation", Done: "resumed", do: resume},
}

var doneNotices = map[string]string{
	"started":       "The trial has begun.",
	"promoted":      "The challenger is the champion now. While its guardrails watch it, breaking them takes it back.",
	"stopped":       "The trial has ended. The champion answers everything.",
	"trial-resumed": "The trial goes on with what was counted. Guardrails judge what comes from now on.",
	"rolled-back":   "The earlier revision answers again.",
	"halted":        "Automation is stopped. What would be automated goes to people.",
	"resumed":       "Automation goes on. Audits begin anew.",
}

func startTrial(ctx context.Context, c *Console, d deploymentRef, f actForm, reason string) error {
	req := &modelsv1.StartChallengerRequest{
		Operation: d.Operation, Deployment: d.Name, Model: f.Model, Version: f.Version, Mode: modelsv1.ChallengerMode_CHALLENGER_MODE_SHADOW, ExpectedRevision: f.Revision,
		Reason: reason,
	}
	if f.Canary {
		percent, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.ReplaceAll(f.Percent, ",", "."), "%")), 64)
		if err != nil || !(percent > 0 && percent <= 100) {
			return fault.InvalidField("share", "must be above 0 and at most 100 %%")
		}
		req.Mode, req.Share, req.SkipShadow = modelsv1.ChallengerMode_CHALLENGER_MODE_CANARY, percent/100, f.SkipShadow
	}
	_, err := c.models.StartChallenger(ctx, req)
	return err
}

func promote(ctx context.Context, c *Console, d deploymentRef, f actForm, reason string) error {
	_, err := c.models.Promote(ctx, &modelsv1.PromoteRequest{
		Operation: d.Operation, Deployment: d.Name, Model: f.Model, Version: f.Version, Reason: reason, SkipComparison: f.SkipComparison, ExpectedRevision: f.Revision,
	})
	return err
}

func stopTrial(ctx context.Context, c *Console, d deploymentRef, f actForm, reason string) error {
	_, err := c.models.StopChallenger(ctx, &modelsv1.StopChallengerRequest{
		Operation: d.Operation, Deployment: d.Name, Model: f.Model, Version: f.Version, Reason: reason, ExpectedRevision: f.Revision,
	})
	return err
}

func resumeTrial(ctx context.Context, c *Console, d deploymentRef, f actForm, reason string) error {
	_, err := c.models.ResumeChallenger(ctx, &modelsv1.ResumeChallengerRequest{
		Operation: d.Operation, Deployment: d.Name, Model: f.Model, Version: f.Version, Reason: reason, ExpectedRevision: f.Revision,
	})
	return err
}

func rollback(ctx context.Context, c *Console, d deploymentRef, f actForm, reason string) error {
	_, err := c.models.Rollback(ctx, &modelsv1.RollbackRequest{Operation: d.Operation, Deployment: d.Name, Revision: f.Target, Reason: reason, ExpectedRevision: f.Revision})
	return err
}

// halt stops automation. It names no revision: whoever stops it wants it stopped, whatever has changed meanwhile.
func halt(ctx context.Context, c *Console, d deploymentRef, _ actForm, reason string) error {
	_, err := c.models.HaltAutomation(ctx, &modelsv1.HaltAutomationRequest{Operation: d.Operation, Deployment: d.Name, Reason: reason})
	return err
}

func resume(ctx context.Context, c *Console, d deploymentRef, f actForm, reason string) error {
	_, err := c.models.ResumeAutomation(ctx, &modelsv1.ResumeAutomationRequest{Operation: d.Operation, Deployment: d.Name, Reason: reason, ExpectedRevision: f.Revision})
	return err
}

// problem is why something was not done, as it is: the reason of the contract, and the gate that refused.
type problem struct {
	Say, Reason, Gate string
	Who               string // who changed it meanwhile, with a conflict
}

func problemOf(err error) *problem {
	f := asFault(err)
	p := &problem{Say: f.Message(), Reason: f.ReasonName(), Gate: f.Metadata("gate")}
	for _, v := range f.Violations() {
		p.Say += "; " + v.Field + " " + v.Description
	}
	if by := f.Metadata("actor"); by != "" {
		p.Who = f.Metadata("change") + " by " + by + " at " + f.Metadata("changedAt")
	}
	return p
}

// actPage is what is shown before something is changed, and again when it was refused.
type actPage struct {
	Ref        deploymentRef
	Name       string
	Act        act
	Form       actForm
	Deployment *modelsv1.Deployment
	Trial      *modelsv1.Challenger
	Ended      *modelsv1.EndedTrial // that could be resumed
	Compared   *comparison
	Versions   []*modelsv1.ModelVersion // that could be put on trial
	Revisions  []*modelsv1.DeploymentChange
	Changed    bool // the deployment is not what the person saw
	Problem    *problem
}

func actOf(r *http.Request) (string, act, error) {
	name := r.PathValue("act")
	a, ok := acts[name]
	if !ok {
		return "", a, fault.NotFound("page", name)
	}
	return name, a, nil
}

func readForm(get func(string) string) actForm {
	f := actForm{
		Canary: get("mode") == "canary", Percent: get("share"), Reason: strings.TrimSpace(get("reason")), SkipShadow: strings.TrimSpace(get("skip_shadow")),
		SkipComparison: get("skip_comparison") == "yes",
	}
	f.Revision, _ = strconv.ParseInt(get("revision"), 10, 64)
	f.Target, _ = strconv.ParseInt(get("target"), 10, 64)
	model, number, _ := strings.Cut(get("version"), "/")
	if n, err := strconv.ParseInt(number, 10, 32); err == nil {
		f.Model, f.Version = model, int32(n)
	}
	return f
}

// actPage says what an act would do.
func (c *Console) actPage(w http.ResponseWriter, r *http.Request, s *session) error {
	name, a, err := actOf(r)
	if err != nil {
		return err
	}
	return c.showAct(w, r, s, actPage{Name: name, Act: a, Form: readForm(r.URL.Query().Get)}, http.StatusOK)
}

// showAct fills in what the page of an act needs to know.
func (c *Console) showAct(w http.ResponseWriter, r *http.Request, s *session, page actPage, code int) (err error) {
	if !s.Can("models:write") {
		return fault.ScopeMissing("models:write")
	}
	if page.Ref, err = deploymentOf(r); err != nil {
		return err
	}
	ctx := r.Context()
	if page.Deployment, err = c.getDeployment(ctx, page.Ref); err != nil {
		return err
	}
	if page.Form.Revision == 0 {
		page.Form.Revision = page.Deployment.GetRevision()
	}
	page.Changed = page.Form.Revision != page.Deployment.GetRevision()
	page.Trial = challengerOf(page.Deployment, page.Form.Model, page.Form.Version)
	if page.Trial != nil {
		page.Compared = c.comparison(ctx, page.Ref, page.Trial.GetVersion(), page.Trial.GetGuardrails())
	} else if page.Act.Needs && page.Problem == nil {
		return fault.NotFound("challenger", page.Form.Model)
	}
	switch page.Name {
	case "resume-trial":
		for _, e := range page.Deployment.GetEndedTrials() {
			if v := e.GetChallenger().GetVersion(); v.GetModel() == page.Form.Model && v.GetVersion() == page.Form.Version {
				page.Ended = e // the last one, which is what is resumed
				break
			}
		}
		if page.Ended == nil && page.Problem == nil {
			return fault.NotFound("ended trial", page.Form.Model)
		}
	case "try":
		page.Versions, err = c.candidates(ctx, page.Deployment)
	case "rollback":
		page.Revisions, err = c.earlier(ctx, page.Ref, page.Deployment)
	}
	if err != nil {
		return err
	}
	c.render(w, code, "act.html", frame{Title: page.Act.Title, Session: s, Page: page})
	return nil
}

// act does what the form asks for. What is refused is told on the same form, with what was typed.
func (c *Console) act(w http.ResponseWriter, r *http.Request, s *session) error {
	name, a, err := actOf(r)
	if err != nil {
		return err
	}
	ref, err := deploymentOf(r)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return fault.InvalidField("form", "has more than %d bytes, or cannot be read", maxForm)
	}
	f := readForm(r.PostFormValue)
	if f.Revision < 1 {
		return fault.InvalidField("revision", "is missing: open the page again")
	}
	if f.Reason == "" {
		err = fault.InvalidField("reason", "must say why; it stays in the history")
	} else {
		// The key may be that of a team, so the history says who of it asked.
		err = a.do(r.Context(), c, ref, f, s.Reviewer+": "+f.Reason)
	}
	if err == nil {
		http.Redirect(w, r, ref.Path()+"?done="+url.QueryEscape(a.Done), http.StatusSeeOther) //nolint:gosec // begins with /console/deployments/
		return nil
	}
	var code int
	switch asFault(err).ReasonName() {
	case "PROMOTION_REFUSED", "VERSION_CONFLICT", "QUOTA_EXCEEDED", "REVISION_NOT_FOUND", "OPERATION_MISMATCH", "NOT_FOUND":
		code = http.StatusConflict
	case "INVALID_ARGUMENT":
		code = http.StatusBadRequest
	default:
		return err
	}
	return c.showAct(w, r, s, actPage{Name: name, Act: a, Form: f, Problem: problemOf(err)}, code)
}

// maxCandidates bounds the versions that are offered for a trial: the newest of each model.
const maxCandidates = 20

// candidates are the versions that could be put on trial: those of the champion's model first.
func (c *Console) candidates(ctx context.Context, d *modelsv1.Deployment) ([]*modelsv1.ModelVersion, error) {
	models, err := c.models.ListModels(ctx, &modelsv1.ListModelsRequest{Page: &commonv1.PageRequest{Size: 500}})
	if err != nil {
		return nil, err
	}
	names := []string{d.GetChampion().GetModel()}
	for _, m := range models.GetModels() {
		if m.GetOperation() == d.GetOperation() && m.GetName() != names[0] && len(names) < maxCandidates {
			names = append(names, m.GetName())
		}
	}
	var out []*modelsv1.ModelVersion
	for _, name := range names {
		if name == "" {
			continue
		}
		res, err := c.models.ListVersions(ctx, &modelsv1.ListVersionsRequest{Model: name, Page: &commonv1.PageRequest{Size: maxCandidates}})
		if err != nil {
			return nil, err
		}
		for _, v := range res.GetVersions() {
			if v.GetDigest() != d.GetChampion().GetDigest() {
				out = append(out, v)
			}
		}
	}
	return out, nil
}

// earlier are the revisions that can answer again, newest first.
func (c *Console) earlier(ctx context.Context, ref deploymentRef, d *modelsv1.Deployment) ([]*modelsv1.DeploymentChange, error) {
	res, err := c.models.ListDeploymentChanges(ctx, &modelsv1.ListDeploymentChangesRequest{Operation: ref.Operation, Deployment: ref.Name, Page: &commonv1.PageRequest{Size: 100}})
	if err != nil {
		return nil, err
	}
	var out []*modelsv1.DeploymentChange
	for _, ch := range res.GetChanges() {
		if ch.GetRevision() < d.GetRevision() && !ch.GetTrial() { // what a trial was beside answered before it too
			out = append(out, ch)
		}
	}
	return out, nil
}
