package training

import (
	"encoding/json"
	"fmt"
	"slices"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/engine/gate"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/registry"
)

const moderationOperation = commonv1.Operation_OPERATION_MODERATION

// gates lets the run go on or ends it.
func (j *job) gates() (any, string, error) {
	judged, _, err := j.judgement()
	if err != nil {
		return nil, "", err
	}
	var refused []*trainingv1.GateResult
	results := make([]*trainingv1.GateResult, len(judged.Gates.Gates))
	for i, g := range judged.Gates.Gates {
		results[i] = gateResult(g)
		if !g.Passed {
			refused = append(refused, results[i])
		}
		j.say(0.5, true, "%s %s: %s", map[bool]string{true: "passed", false: "REFUSED"}[g.Passed], g.Gate, g.Statement)
	}
	j.mu.Lock()
	j.run.Gates = results
	j.mu.Unlock()
	if len(refused) == 0 {
		return struct{}{}, fmt.Sprintf("all %d gates passed", len(results)), nil
	}
	first := refused[0]
	j.end(trainingv1.RunState_RUN_STATE_REFUSED, "refused by gate %s: %s", first.GetGate(), first.GetStatement())
	return struct{}{}, fmt.Sprintf("refused by %d of %d gates, first by %s", len(refused), len(results), first.GetGate()), nil
}

// judgement reads the report.
func (j *job) judgement() (*Judgement, *evaluated, error) {
	e, err := output[evaluated](j, trainingv1.RunStep_RUN_STEP_EVALUATE)
	if err != nil {
		return nil, nil, err
	}
	data, err := j.at.get(j, e.Report)
	if err != nil {
		return nil, nil, err
	}
	out := &Judgement{}
	return out, e, json.Unmarshal(data, out)
}

func gateResult(g gate.Result) *trainingv1.GateResult {
	return &trainingv1.GateResult{
		Gate: g.Gate, Subject: g.Subject, Passed: g.Passed, Skipped: g.Skipped, Statement: g.Statement, Observed: g.Observed, Limit: g.Limit,
		Low: g.Low, High: g.High, Rows: int64(g.Rows),
	}
}

// registered is what the eighth step settles.
type registered struct {
	Model   string
	Version int32
}

// register stores the version in the registry. The same artifact with the same specification is the same version there, so doing it again does nothing.
func (j *job) register() (any, string, error) {
	artifact, f, err := j.model()
	if err != nil {
		return nil, "", err
	}
	spec, err := j.versionSpec(f)
	if err != nil {
		return nil, "", err
	}
	ctx := acting(j.ctx, j.run.project, j.run.caller, j.run.GetRunId())
	v, err := registry.Push(ctx, j.s.models, spec, artifact)
	if j.run.GetSpec().GetModel() == "" && because(err, commonv1.ErrorReason_ERROR_REASON_OPERATION_MISMATCH) {
		// A deployment of another operation has the same name, and so has its model; the operation tells them apart.
		spec.Model += "-" + fault.OperationName(spec.GetOperation())
		v, err = registry.Push(ctx, j.s.models, spec, artifact)
	}
	if err != nil {
		return nil, "", err
	}
	j.mu.Lock()
	j.run.Model, j.run.Version = v.GetModel(), v.GetVersion()
	j.mu.Unlock()
	if j.run.GetSpec().GetRegisterOnly() {
		j.end(trainingv1.RunState_RUN_STATE_SUCCEEDED, "registered as version %d of %s, which answers when it is deployed", v.GetVersion(), v.GetModel())
	}
	return &registered{v.GetModel(), v.GetVersion()}, fmt.Sprintf("registered as version %d of %s", v.GetVersion(), v.GetModel()), nil
}

func (j *job) versionSpec(f *fitted) (*modelsv1.VersionSpec, error) {
	evaluation, err := json.Marshal(f.Evaluation)
	if err != nil {
		return nil, err
	}
	s, e := j.run.GetSpec(), f.Evaluation
	spec := &modelsv1.VersionSpec{
		Model: s.GetModel(), Operation: s.GetOperation(), Digest: j.run.GetArtifactDigest(), HarmlessLabels: f.Harmless,
		Metrics: &modelsv1.Metrics{Rows: int64(e.Rows), Accuracy: e.Accuracy, MacroF1: e.MacroF1, CalibrationError: e.CalibrationError},
		Lineage: &modelsv1.Lineage{
			DatasetSha256: e.Data.SHA256, TrainRows: int64(e.Data.TrainingRows), CertificationRows: int64(e.Data.CertificationRows),
			Seed: max(s.GetTraining().GetSeed(), 1), CodeVersion: j.s.version,
			Notice: fmt.Sprintf("trained by run %s on data set %s version %d", j.run.GetRunId(), j.run.GetDataset().GetName(), j.run.GetDataset().GetVersion()),
		},
		Samples: registry.Samples(s.GetOperation(), f.Sample), EvaluationJson: string(evaluation),
	}
	if slices.ContainsFunc(f.Sample, func(p risk.Point) bool { return p.Reviewed }) {
		p, err := output[pins](j, trainingv1.RunStep_RUN_STEP_BUILD)
		if err != nil {
			return nil, err
		}
		r := p.labelledBy()
		if r == (risk.Reviewers{}) { // as it is configured, what reviewers say is the truth
			for _, sample := range spec.GetSamples() {
				sample.Reviewed = 0
			}
		}
		spec.Reviewers = &modelsv1.ReviewerRecord{Answers: int64(r.Answers), Wrong: int64(r.Wrong), AssumedError: r.Assumed}
	}
	if e.AUC != nil {
		spec.Metrics.Auc = *e.AUC
	}
	if spec.GetModel() != "" {
		return spec, nil
	}
	d, err := j.s.deployed(j.ctx, j.run.project, j.run.caller, s.GetOperation(), s.GetDeployment())
	if err != nil {
		return nil, err
	}
	if spec.Model = s.GetDeployment(); d.GetChampion() != nil && !d.GetChampion().GetLineage().GetStarter() {
		spec.Model = d.GetChampion().GetModel()
	}
	return spec, nil
}

// mostRounds is how often a run is compared anew because another version began to answer meanwhile.
const mostRounds = 3

// promote lets the version answer, if what answers is still what it was compared with.
func (j *job) promote() (any, string, error) {
	v, err := output[registered](j, trainingv1.RunStep_RUN_STEP_REGISTER)
	if err != nil {
		return nil, "", err
	}
	_, e, err := j.judgement()
	if err != nil {
		return nil, "", err
	}
	s := j.run.GetSpec()
	if e.Revision == 0 {
		// Revision 0 means "any" to the registry, so that nothing has begun to answer meanwhile is looked at here. The first promotions of this process take turns.
		j.s.first.Lock()
		defer j.s.first.Unlock()
		d, err := j.s.deployed(j.ctx, j.run.project, j.run.caller, s.GetOperation(), s.GetDeployment())
		if err != nil {
			return nil, "", err
		}
		if d != nil && d.GetChampion().GetDigest() != j.run.GetArtifactDigest() { // else it is what this run did before a crash
			return j.overtaken()
		}
	}
	r, err := j.s.models.Deploy(acting(j.ctx, j.run.project, j.run.caller, j.run.GetRunId()), &modelsv1.DeployRequest{
		Operation: s.GetOperation(), Deployment: s.GetDeployment(), Model: v.Model, Version: v.Version, ExpectedRevision: e.Revision,
		Reason: "run " + j.run.GetRunId() + " passed its gates",
	})
	if because(err, commonv1.ErrorReason_ERROR_REASON_VERSION_CONFLICT) {
		return j.overtaken()
	}
	if err != nil {
		return nil, "", err
	}
	d := r.GetDeployment()
	j.mu.Lock()
	j.run.Revision = d.GetRevision()
	j.mu.Unlock()
	j.end(trainingv1.RunState_RUN_STATE_SUCCEEDED, "version %d of %s answers %s/%s: %s", v.Version, v.Model, fault.OperationName(s.GetOperation()), s.GetDeployment(), d.GetStatement())
	return struct{}{}, fmt.Sprintf("answers since revision %d", d.GetRevision()), nil
}

// errOvertaken means that the comparison has to be made again.
type errOvertaken struct{}

func (errOvertaken) Error() string { return "another version began to answer meanwhile" }

// overtaken compares anew with what answers now, or gives up.
func (j *job) overtaken() (any, string, error) {
	j.mu.Lock()
	rounds := j.status(trainingv1.RunStep_RUN_STEP_EVALUATE).GetAttempts()
	j.mu.Unlock()
	if rounds >= mostRounds {
		const text = "another change of the deployment came first each time; start the run again when the deployment rests"
		j.mu.Lock()
		j.run.Gates = append([]*trainingv1.GateResult{{Gate: "overtaken", Statement: text, Observed: float64(rounds), Limit: mostRounds}}, j.run.Gates...)
		j.mu.Unlock()
		j.end(trainingv1.RunState_RUN_STATE_REFUSED, "refused by gate overtaken: %s", text)
		return struct{}{}, text, nil
	}
	j.say(0, true, "the deployment has changed meanwhile: comparing with what answers now")
	return nil, "", errOvertaken{}
}
