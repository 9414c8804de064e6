package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// watchTime is how long the page of a run waits for its log, which comes at once.
	watchTime = 2 * time.Second
	shownLog  = 200
)

type runsPage struct {
	Runs []*trainingv1.Run
	Of   string // only those of this deployment; empty for all
	Next string
	May  bool
}

func (c *Console) runs(w http.ResponseWriter, r *http.Request, s *session) error {
	q := r.URL.Query()
	req := &trainingv1.ListRunsRequest{Page: &commonv1.PageRequest{Size: 50, Token: q.Get("page")}}
	if op, name, ok := strings.Cut(q.Get("deployment"), "/"); ok {
		req.Operation, req.Deployment = operationOf(op), name
	}
	res, err := c.training.ListRuns(r.Context(), req)
	if err != nil {
		return err
	}
	page := runsPage{Runs: res.GetRuns(), Of: req.GetDeployment(), May: s.Can("training:write")}
	if token := res.GetPage().GetNextToken(); token != "" {
		q.Set("page", token)
		page.Next = root + "/runs?" + q.Encode()
	}
	c.render(w, http.StatusOK, "runs.html", frame{Title: "Runs", Session: s, Page: page})
	return nil
}

// runOpen says whether a run has not ended.
func runOpen(r *trainingv1.Run) bool {
	return r.GetState() == trainingv1.RunState_RUN_STATE_QUEUED || r.GetState() == trainingv1.RunState_RUN_STATE_RUNNING
}

type runPage struct {
	Run     *trainingv1.Run
	Ref     deploymentRef
	Steps   []stepView
	Log     []*trainingv1.LogLine
	Open    bool
	Report  bool // there is one
	May     bool
	Problem *problem
}

// stepView is one step of the pipeline, begun or not.
type stepView struct {
	*trainingv1.StepStatus
	Step    trainingv1.RunStep
	State   string // "done", "now", "ended here" or "waits"
	Percent string // of the present step
	Share   float64
	Took    string
}

func stepsOf(r *trainingv1.Run, now time.Time) []stepView {
	known := map[trainingv1.RunStep]*trainingv1.StepStatus{}
	for _, s := range r.GetSteps() {
		known[s.GetStep()] = s
	}
	var out []stepView
	for step := trainingv1.RunStep_RUN_STEP_BUILD; step <= trainingv1.RunStep_RUN_STEP_PROMOTE; step++ {
		v := stepView{Step: step, StepStatus: known[step], State: "waits"}
		switch {
		case v.GetDone():
			v.State, v.Took = "done", seconds(v.GetEndTime().AsTime().Sub(v.GetStartTime().AsTime()).Seconds())
		case step == r.GetStep() && runOpen(r):
			v.State, v.Percent, v.Share = "now", percentDone(r.GetProgress()), 100*r.GetProgress()
			if t := v.GetStartTime(); t != nil {
				v.Took = seconds(now.Sub(t.AsTime()).Seconds())
			}
		case step == r.GetStep():
			v.State = "ended here"
		case !runOpen(r):
			v.State = "not reached"
		}
		out = append(out, v)
	}
	return out
}

// run shows how far a run is. The page looks again by itself while it is open.
func (c *Console) run(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showRun(w, r, s, nil, http.StatusOK)
}

func (c *Console) showRun(w http.ResponseWriter, r *http.Request, s *session, p *problem, code int) error {
	id := r.PathValue("id")
	run, log, err := c.watched(r.Context(), id)
	if err != nil {
		return err
	}
	page := runPage{
		Run: run, Ref: deploymentRef{run.GetSpec().GetOperation(), run.GetSpec().GetDeployment()}, Steps: stepsOf(run, c.now()), Log: log, Open: runOpen(run), May: s.Can("training:write"),
		Report: len(run.GetGates()) > 0, Problem: p,
	}
	notice := ""
	if done := r.URL.Query().Get("done"); done == "cancelled" || page.Open {
		notice = runNotices[done]
	}
	c.render(w, code, "run.html", frame{Title: "Run of " + page.Ref.Name, Session: s, Notice: notice, Page: page})
	return nil
}

var runNotices = map[string]string{"started": "The run has begun. This page looks again by itself.", "cancelled": "The run is cancelled. What answers now goes on answering."}

// watched returns a run with the end of its log, which is what a watch sends first.
func (c *Console) watched(ctx context.Context, id string) (*trainingv1.Run, []*trainingv1.LogLine, error) {
	ctx, cancel := context.WithTimeout(ctx, watchTime)
	defer cancel()
	stream, err := c.training.WatchRun(ctx, &trainingv1.WatchRunRequest{RunId: id})
	if err != nil {
		return nil, nil, err
	}
	m, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		err = fault.NotFound("run", id)
	}
	lines := m.GetLines()
	return m.GetRun(), lines[max(0, len(lines)-shownLog):], err
}

// runReport shows the report of a run as it is: a page of its own with its own style, which may do nothing but be looked at.
func (c *Console) runReport(w http.ResponseWriter, r *http.Request, _ *session) error {
	res, err := c.training.GetRunReport(r.Context(), &trainingv1.GetRunReportRequest{RunId: r.PathValue("id")})
	if err != nil {
		return err
	}
	h := w.Header()
	if r.URL.Query().Get("as") == "json" {
		h.Set("Content-Type", "application/json")
		_, err = io.WriteString(w, res.GetJson())
		return err
	}
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, err = io.WriteString(w, res.GetHtml())
	return err
}

// cancelRun ends a run, with a reason.
func (c *Console) cancelRun(w http.ResponseWriter, r *http.Request, s *session) error {
	id, reason := r.PathValue("id"), strings.TrimSpace(r.PostFormValue("reason"))
	if reason == "" {
		return c.showRun(w, r, s, problemOf(fault.InvalidField("reason", "must say why; it stays with the run")), http.StatusBadRequest)
	}
	if _, err := c.training.CancelRun(r.Context(), &trainingv1.CancelRunRequest{RunId: id, Reason: s.Reviewer + ": " + reason}); err != nil {
		return err
	}
	http.Redirect(w, r, root+"/runs/"+url.PathEscape(id)+"?done=cancelled", http.StatusSeeOther)
	return nil
}

type startRunPage struct {
	Deployments []*modelsv1.Deployment
	Datasets    []*trainingv1.Dataset
	Form        startRunForm
	Problem     *problem
}

type startRunForm struct {
	Deployment, Dataset, Reason string
	RegisterOnly, Search        bool
}

func (c *Console) startRunPage(w http.ResponseWriter, r *http.Request, s *session) error {
	return c.showStartRun(w, r, s, startRunPage{Form: startRunForm{Deployment: r.URL.Query().Get("deployment")}}, http.StatusOK)
}

func (c *Console) showStartRun(w http.ResponseWriter, r *http.Request, s *session, page startRunPage, code int) error {
	if !s.Can("training:write") {
		return fault.ScopeMissing("training:write")
	}
	deployments, err := c.models.ListDeployments(r.Context(), &modelsv1.ListDeploymentsRequest{Page: &commonv1.PageRequest{Size: maxDeployments}})
	if err != nil {
		return err
	}
	sets, err := c.datasets.ListDatasets(r.Context(), &trainingv1.ListDatasetsRequest{Page: &commonv1.PageRequest{Size: 100}})
	if err != nil {
		return err
	}
	page.Deployments = deployments.GetDeployments()
	for _, d := range sets.GetDatasets() {
		if !d.GetDeleted() {
			page.Datasets = append(page.Datasets, d)
		}
	}
	c.render(w, code, "run-start.html", frame{Title: "Start a run", Session: s, Page: page})
	return nil
}

// startRun starts a run on the labels that people gave, or on a data set that exists.
func (c *Console) startRun(w http.ResponseWriter, r *http.Request, s *session) error {
	f := startRunForm{
		Deployment: r.PostFormValue("deployment"), Dataset: r.PostFormValue("dataset"), Reason: strings.TrimSpace(r.PostFormValue("reason")),
		RegisterOnly: r.PostFormValue("register_only") == "yes", Search: r.PostFormValue("search") == "yes",
	}
	id, err := c.beginRun(r.Context(), s, f)
	if err == nil {
		http.Redirect(w, r, root+"/runs/"+url.PathEscape(id)+"?done=started", http.StatusSeeOther)
		return nil
	}
	code := http.StatusConflict
	switch asFault(err).ReasonName() {
	case "INVALID_ARGUMENT":
		code = http.StatusBadRequest
	case "NOT_FOUND", "QUOTA_EXCEEDED", "OPERATION_MISMATCH":
	default:
		return err
	}
	return c.showStartRun(w, r, s, startRunPage{Form: f, Problem: problemOf(err)}, code)
}

func (c *Console) beginRun(ctx context.Context, s *session, f startRunForm) (string, error) {
	op, name, _ := strings.Cut(f.Deployment, "/")
	spec := &trainingv1.RunSpec{Operation: operationOf(op), Deployment: name, RegisterOnly: f.RegisterOnly}
	switch {
	case spec.GetOperation() == commonv1.Operation_OPERATION_UNSPECIFIED || name == "":
		return "", fault.InvalidField("deployment", "choose one")
	case f.Reason == "":
		return "", fault.InvalidField("reason", "must say why; it stays with the run")
	}
	if f.Search {
		spec.Search = &trainingv1.SearchSpec{}
	}
	if f.Dataset == "" {
		spec.Data = &trainingv1.RunSpec_Build{Build: &trainingv1.BuildDatasetRequest{
			Name: name, Query: &trainingv1.DatasetQuery{Operation: spec.GetOperation(), Deployment: name},
		}}
	} else {
		set, number, _ := strings.Cut(f.Dataset, "@")
		version, err := strconv.ParseInt(number, 10, 32)
		if err != nil || version < 0 {
			return "", fault.InvalidField("dataset", "choose one of the list")
		}
		spec.Data = &trainingv1.RunSpec_Dataset{Dataset: &trainingv1.DatasetRef{Name: set, Version: int32(version)}}
	}
	res, err := c.training.StartRun(ctx, &trainingv1.StartRunRequest{Spec: spec, Reason: s.Reviewer + ": " + f.Reason})
	return res.GetRun().GetRunId(), err
}

// percentDone writes how far a step is.
func percentDone(p float64) string { return strconv.FormatFloat(100*p, 'f', 0, 64) + " %" }

func stepName(s trainingv1.RunStep) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "RUN_STEP_"))
}

func runState(r *trainingv1.Run) string {
	state := strings.ToLower(strings.TrimPrefix(r.GetState().String(), "RUN_STATE_"))
	if r.GetState() == trainingv1.RunState_RUN_STATE_RUNNING && r.GetStep() != trainingv1.RunStep_RUN_STEP_UNSPECIFIED {
		state += ", " + stepName(r.GetStep()) + " " + percentDone(r.GetProgress())
	}
	return state
}
