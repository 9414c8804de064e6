package console

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/chart"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// role is what a version does somewhere.
type role struct {
	deploymentRef
	Does string // "answers", "shadow", "canary" or "before"
}

// versionKey names a version.
type versionKey struct {
	Model  string
	Number int32
}

// roles says where versions are in use.
func (c *Console) roles(ctx context.Context) (map[versionKey][]role, error) {
	res, err := c.models.ListDeployments(ctx, &modelsv1.ListDeploymentsRequest{Page: &commonv1.PageRequest{Size: maxDeployments}})
	if err != nil {
		return nil, err
	}
	out := map[versionKey][]role{}
	add := func(v *modelsv1.ModelVersion, d *modelsv1.Deployment, does string) {
		if v != nil {
			k := versionKey{v.GetModel(), v.GetVersion()}
			out[k] = append(out[k], role{deploymentRef{d.GetOperation(), d.GetName()}, does})
		}
	}
	for _, d := range res.GetDeployments() {
		add(d.GetChampion(), d, "answers")
		add(d.GetPrevious(), d, "answered before")
		for _, t := range d.GetChallengers() {
			add(t.GetVersion(), d, "on trial")
		}
	}
	return out, nil
}

type modelRow struct {
	*modelsv1.Model
	Roles []role
}

type modelsPage struct {
	Rows []modelRow
	Next string
}

func (c *Console) modelList(w http.ResponseWriter, r *http.Request, s *session) error {
	res, err := c.models.ListModels(r.Context(), &modelsv1.ListModelsRequest{Page: &commonv1.PageRequest{Size: 100, Token: r.URL.Query().Get("page")}})
	if err != nil {
		return err
	}
	used, err := c.roles(r.Context())
	if err != nil {
		return err
	}
	page := modelsPage{Next: nextPage(root+"/models", res.GetPage().GetNextToken())}
	for _, m := range res.GetModels() {
		row := modelRow{Model: m}
		for _, k := range slices.SortedFunc(maps.Keys(used), func(a, b versionKey) int { return int(b.Number) - int(a.Number) }) {
			if k.Model == m.GetName() {
				row.Roles = append(row.Roles, used[k]...)
			}
		}
		row.Roles = slices.CompactFunc(row.Roles, func(a, b role) bool { return a.deploymentRef == b.deploymentRef })
		page.Rows = append(page.Rows, row)
	}
	c.render(w, http.StatusOK, "models.html", frame{Title: "Models", Session: s, Page: page})
	return nil
}

// nextPage is the address of the next page of a list; empty after the last one.
func nextPage(path, token string) string {
	if token == "" {
		return ""
	}
	return path + "?page=" + url.QueryEscape(token)
}

type versionRow struct {
	*modelsv1.ModelVersion
	Roles []role
}

type modelPage struct {
	Model    string
	Versions []versionRow
	Next     string
	A, B     int32 // what the form compares at first
}

// model lists the versions of a model.
func (c *Console) model(w http.ResponseWriter, r *http.Request, s *session) error {
	name := r.PathValue("model")
	res, err := c.models.ListVersions(r.Context(), &modelsv1.ListVersionsRequest{Model: name, Page: &commonv1.PageRequest{Size: 50, Token: r.URL.Query().Get("page")}})
	if err != nil {
		return err
	}
	used, err := c.roles(r.Context())
	if err != nil {
		return err
	}
	page := modelPage{Model: name, Next: nextPage(root+"/models/"+url.PathEscape(name), res.GetPage().GetNextToken())}
	for _, v := range res.GetVersions() {
		page.Versions = append(page.Versions, versionRow{v, used[versionKey{name, v.GetVersion()}]})
	}
	if n := len(page.Versions); n > 1 {
		page.B, page.A = page.Versions[0].GetVersion(), page.Versions[1].GetVersion()
	}
	c.render(w, http.StatusOK, "model.html", frame{Title: name, Session: s, Page: page})
	return nil
}

// evaluation is the part of a version's evaluation that is shown. Its names are those of the JSON that the registry keeps.
type evaluation struct {
	MeasuredOn   string              `json:"measuredOn"`
	Rows         int64               `json:"rows"`
	Promise      string              `json:"promise"`
	Labels       []labelScore        `json:"labels"`
	Confusions   []confusion         `json:"confusions"`
	Reliability  []chart.Bin         `json:"reliability"`
	RiskCoverage []chart.CurvePoint  `json:"riskCoverage"`
	Automation   []automationAtError `json:"automation"`
	Data         struct {
		TrainingRows, CalibrationRows, CertificationRows, TestRows, RejectedRows int64
		Warnings                                                                 []string
	} `json:"data"`
}

type labelScore struct {
	Label                 string
	Precision, Recall, F1 float64
	Support, Predicted    int64
}

type confusion struct {
	Truth, Predicted string
	Count            int64
}

type automationAtError struct {
	Alpha, Share, RealisedError float64
	Certified                   bool
	AutomatedRows               int64
}

// promised are the certified points of the curve.
func (e *evaluation) promised() []chart.Promised {
	var out []chart.Promised
	for _, a := range e.Automation {
		if a.Certified && a.AutomatedRows > 0 {
			out = append(out, chart.Promised{Alpha: a.Alpha, Share: a.Share, RealisedError: a.RealisedError})
		}
	}
	return out
}

// measured is a version with its evaluation, where there is one.
type measured struct {
	*modelsv1.ModelVersion
	Evaluation *evaluation
}

func (c *Console) getVersion(ctx context.Context, model, number string) (measured, error) {
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n < 1 {
		return measured{}, fault.NotFound("version", model+" "+number)
	}
	res, err := c.models.GetVersion(ctx, &modelsv1.GetVersionRequest{Model: model, Version: int32(n)})
	if err != nil {
		return measured{}, err
	}
	out := measured{ModelVersion: res.GetVersion()}
	if text := res.GetEvaluationJson(); text != "" {
		out.Evaluation = &evaluation{}
		// Whoever registers a version may send any JSON: what is not an evaluation is not shown.
		if json.Unmarshal([]byte(text), out.Evaluation) != nil || out.Evaluation.Rows == 0 {
			out.Evaluation = nil
		}
	}
	return out, nil
}

type versionPage struct {
	measured
	Roles                 []role
	Coverage, Reliability chart.Chart
}

func (c *Console) version(w http.ResponseWriter, r *http.Request, s *session) error {
	v, err := c.getVersion(r.Context(), r.PathValue("model"), r.PathValue("version"))
	if err != nil {
		return err
	}
	used, err := c.roles(r.Context())
	if err != nil {
		return err
	}
	page := versionPage{measured: v, Roles: used[versionKey{v.GetModel(), v.GetVersion()}]}
	if e := v.Evaluation; e != nil {
		page.Coverage, page.Reliability = chart.Coverage(e.RiskCoverage, nil, e.promised()), chart.Reliability(e.Reliability)
	}
	c.render(w, http.StatusOK, "version.html", frame{Title: v.GetModel() + " version " + strconv.Itoa(int(v.GetVersion())), Session: s, Page: page})
	return nil
}

// figure is one number of two versions side by side.
type figure struct {
	Name       string
	A, B, Diff float64
	Better     string // "a", "b" or ""
	Share      bool   // written in percent
}

// labelPair is how well two versions know a label.
type labelPair struct {
	Label    string
	InA, InB bool
	A, B     float64 // F1
}

type versionsPage struct {
	A, B       measured
	Figures    []figure
	Labels     []labelPair
	Coverage   chart.Chart
	SameData   bool // both were trained on the same rows
	SameSample bool // both were measured on as many rows of the same kind
}

// compareVersions puts two versions of a model side by side.
func (c *Console) compareVersions(w http.ResponseWriter, r *http.Request, s *session) error {
	model, q := r.PathValue("model"), r.URL.Query()
	a, err := c.getVersion(r.Context(), model, q.Get("a"))
	if err != nil {
		return err
	}
	b, err := c.getVersion(r.Context(), model, q.Get("b"))
	if err != nil {
		return err
	}
	page := versionsPage{
		A: a, B: b, Figures: figures(a.GetMetrics(), b.GetMetrics()), Labels: pairLabels(a, b),
		SameData: a.GetLineage().GetDatasetSha256() != "" && a.GetLineage().GetDatasetSha256() == b.GetLineage().GetDatasetSha256(),
	}
	if a.Evaluation != nil && b.Evaluation != nil {
		page.Coverage = chart.Coverage(a.Evaluation.RiskCoverage, b.Evaluation.RiskCoverage, nil)
		page.SameSample = a.Evaluation.Rows == b.Evaluation.Rows && a.Evaluation.MeasuredOn == b.Evaluation.MeasuredOn
	} else {
		page.Coverage.Empty = true
	}
	c.render(w, http.StatusOK, "compare.html", frame{Title: "Compare versions of " + model, Session: s, Page: page})
	return nil
}

func figures(a, b *modelsv1.Metrics) []figure {
	if a == nil || b == nil {
		return nil
	}
	out := []figure{
		{Name: "accuracy", A: a.GetAccuracy(), B: b.GetAccuracy(), Share: true},
		{Name: "macro-F1", A: a.GetMacroF1(), B: b.GetMacroF1(), Share: true},
		{Name: "calibration error", A: a.GetCalibrationError(), B: b.GetCalibrationError(), Share: true},
	}
	if a.GetAuc() > 0 && b.GetAuc() > 0 {
		out = append(out, figure{Name: "area under the ROC curve", A: a.GetAuc(), B: b.GetAuc()})
	}
	for i := range out {
		f := &out[i]
		f.Diff = f.B - f.A
		more, less := "b", "a"
		if f.Name == "calibration error" { // the less the better
			more, less = less, more
		}
		switch {
		case f.Diff > 5e-4:
			f.Better = more
		case f.Diff < -5e-4:
			f.Better = less
		}
	}
	return out
}

// pairLabels lists the labels of both, those first that only one knows, then those that differ most.
func pairLabels(a, b measured) []labelPair {
	all := map[string]*labelPair{}
	get := func(label string) *labelPair {
		if all[label] == nil {
			all[label] = &labelPair{Label: label}
		}
		return all[label]
	}
	for _, l := range a.GetLabels() {
		get(l).InA = true
	}
	for _, l := range b.GetLabels() {
		get(l).InB = true
	}
	if a.Evaluation != nil && b.Evaluation != nil {
		for _, l := range a.Evaluation.Labels {
			get(l.Label).A = l.F1
		}
		for _, l := range b.Evaluation.Labels {
			get(l.Label).B = l.F1
		}
	}
	out := make([]labelPair, 0, len(all))
	for _, label := range slices.Sorted(maps.Keys(all)) {
		out = append(out, *all[label])
	}
	weight := func(l labelPair) float64 {
		if l.InA != l.InB {
			return 2
		}
		return max(l.A-l.B, l.B-l.A)
	}
	slices.SortStableFunc(out, func(x, y labelPair) int {
		switch wx, wy := weight(x), weight(y); {
		case wx > wy:
			return -1
		case wx < wy:
			return 1
		}
		return 0
	})
	return out
}
