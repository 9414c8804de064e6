package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// maxDeployments is how many the list shows; a page of the contract holds no more.
	maxDeployments = 500
	// shownChanges is how many changes a page of the history shows.
	shownChanges = 25
)

// deploymentRef names a deployment.
type deploymentRef struct {
	Operation commonv1.Operation
	Name      string
}

// Path is where the deployment is looked after.
func (d deploymentRef) Path() string {
	return root + "/deployments/" + operationName(d.Operation) + "/" + url.PathEscape(d.Name)
}

func deploymentOf(r *http.Request) (deploymentRef, error) {
	d := deploymentRef{operationOf(r.PathValue("operation")), r.PathValue("deployment")}
	if d.Operation == commonv1.Operation_OPERATION_UNSPECIFIED {
		return d, fault.NotFound("deployment", r.PathValue("operation")+"/"+d.Name)
	}
	return d, nil
}

// deploymentRow is one line of the list.
type deploymentRow struct {
	*modelsv1.Deployment
	Ref     deploymentRef
	Live    live
	Promise *promiseView
}

// live is since when the present champion answers, and who let it.
type live struct {
	Since  *timestamppb.Timestamp
	Change *modelsv1.DeploymentChange
	// Earlier says that it was before Since: the history that was looked at begins there.
	Earlier bool
}

// liveSince looks for the change that let the champion answer. Changes are newest first; complete says that they reach back to the first.
func liveSince(changes []*modelsv1.DeploymentChange, d *modelsv1.Deployment, complete bool) live {
	out := live{Since: d.GetUpdateTime(), Earlier: true}
	for _, ch := range changes {
		if ch.GetOperation() != d.GetOperation() || ch.GetDeployment() != d.GetName() || ch.GetTrial() {
			continue
		}
		if ch.GetVersionDigest() != d.GetChampion().GetDigest() {
			out.Earlier = false
			return out
		}
		out.Since, out.Change = ch.GetRecordTime(), ch
	}
	out.Earlier = !complete
	return out
}

type deploymentsPage struct {
	Rows []deploymentRow
	// Notes say what could not be shown, and why.
	Notes []string
	More  bool
}

func (c *Console) deployments(w http.ResponseWriter, r *http.Request, s *session) error {
	res, err := c.models.ListDeployments(r.Context(), &modelsv1.ListDeploymentsRequest{Page: &commonv1.PageRequest{Size: maxDeployments}})
	if err != nil {
		return err
	}
	changes, err := c.models.ListDeploymentChanges(r.Context(), &modelsv1.ListDeploymentChangesRequest{Page: &commonv1.PageRequest{Size: 500}})
	if err != nil {
		return err
	}
	page := deploymentsPage{More: res.GetPage().GetNextToken() != ""}
	promises, note := c.promises(r.Context())
	if note != "" {
		page.Notes = append(page.Notes, note)
	}
	for _, d := range res.GetDeployments() {
		ref := deploymentRef{d.GetOperation(), d.GetName()}
		page.Rows = append(page.Rows, deploymentRow{
			Deployment: d, Ref: ref, Live: liveSince(changes.GetChanges(), d, changes.GetPage().GetNextToken() == ""), Promise: promises[ref],
		})
	}
	c.render(w, http.StatusOK, "deployments.html", frame{Title: "Deployments", Session: s, Page: page})
	return nil
}

// trial is a challenger with how it has done so far.
type trial struct {
	*modelsv1.Challenger
	Compared *comparison
}

type deploymentPage struct {
	Ref        deploymentRef
	Deployment *modelsv1.Deployment
	Live       live
	Promise    *promiseView
	Trials     []trial
	// Probation is how the champion does against the one before, while that may take it back.
	Probation *comparison
	Changes   []*modelsv1.DeploymentChange
	Next      string // address of older changes
	Older     bool   // older changes are shown
	Notes     []string
	May       bool // the key may change the deployment
}

// deployment shows one deployment: who answers, what is promised, who is on trial and what happened.
func (c *Console) deployment(w http.ResponseWriter, r *http.Request, s *session) error {
	ref, err := deploymentOf(r)
	if err != nil {
		return err
	}
	ctx, token := r.Context(), r.URL.Query().Get("changes")
	d, err := c.getDeployment(ctx, ref)
	if err != nil {
		return err
	}
	changes, err := c.models.ListDeploymentChanges(ctx, &modelsv1.ListDeploymentChangesRequest{
		Operation: ref.Operation, Deployment: ref.Name, Page: &commonv1.PageRequest{Size: shownChanges, Token: token},
	})
	if err != nil {
		return err
	}
	page := deploymentPage{Ref: ref, Deployment: d, Changes: changes.GetChanges(), Older: token != "", May: s.Can("models:write")}
	if next := changes.GetPage().GetNextToken(); next != "" {
		page.Next = ref.Path() + "?changes=" + url.QueryEscape(next) + "#history"
	}
	page.Live = liveSince(changes.GetChanges(), d, page.Next == "" || token != "")
	for _, t := range d.GetChallengers() {
		page.Trials = append(page.Trials, trial{t, c.comparison(ctx, ref, t.GetVersion(), t.GetGuardrails())})
	}
	if d.GetProbation() != nil {
		page.Probation = c.comparison(ctx, ref, nil, d.GetProbation())
	}
	var note string
	if page.Promise, note = c.promise(ctx, ref); note != "" {
		page.Notes = append(page.Notes, note)
	}
	c.render(w, http.StatusOK, "deployment.html", frame{Title: ref.Name, Session: s, Notice: doneNotices[r.URL.Query().Get("done")], Page: page})
	return nil
}

func (c *Console) getDeployment(ctx context.Context, ref deploymentRef) (*modelsv1.Deployment, error) {
	res, err := c.models.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: ref.Operation, Deployment: ref.Name})
	return res.GetDeployment(), err
}

// challengerOf returns the trial of a version; nil when it is not on trial.
func challengerOf(d *modelsv1.Deployment, model string, version int32) *modelsv1.Challenger {
	i := slices.IndexFunc(d.GetChallengers(), func(t *modelsv1.Challenger) bool {
		return t.GetVersion().GetModel() == model && t.GetVersion().GetVersion() == version
	})
	if i < 0 {
		return nil
	}
	return d.GetChallengers()[i]
}
