package training

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/engine/gate"
	"github.com/switchyard-ai/switchyard/internal/engine/noise"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// options are those that the run trains with.
func (j *job) options(p *pins) (fit.Options, error) {
	spec, policy := j.run.GetSpec(), &modelsv1.Policy{}
	if err := protojson.Unmarshal([]byte(p.Policy), policy); err != nil {
		return fit.Options{}, fmt.Errorf("read the policy of run %s: %w", j.run.GetRunId(), err)
	}
	t := spec.GetTraining()
	o := fit.Options{
		Operation: fault.OperationName(spec.GetOperation()), OutOfScopeLabel: j.outOfScope(), HarmlessLabels: t.GetHarmlessLabels(),
		Alpha: policy.GetMaxError(), Delta: 1 - policy.GetConfidence(), RemoveAlpha: policy.GetRemoveMaxError(), AllowAlpha: policy.GetAllowMaxError(),
		Reviewers: p.labelledBy(), HoldOut: t.GetHoldOut(), Seed: max(t.GetSeed(), 1), Method: t.GetMethod(), Buckets: int(t.GetBuckets()),
	}
	if p.Multi {
		o.MultiLabel = &p.Multi
	}
	labels := map[string]bool{}
	for _, row := range j.data.train.Rows {
		for _, l := range row.Labels {
			labels[l] = true
		}
	}
	for l, alpha := range policy.GetLabelMaxError() {
		if labels[l] { // a budget for a label that is gone has nothing to certify
			if o.LabelAlpha == nil {
				o.LabelAlpha = map[string]float64{}
			}
			o.LabelAlpha[l] = alpha
		}
	}
	if len(o.HarmlessLabels) == 0 && o.Operation == eval.Moderation {
		o.HarmlessLabels = j.championHarmless(labels)
	}
	return o, nil
}

// championHarmless are the harmless labels of the champion that rows have: what meant "nothing wrong" goes on to.
func (j *job) championHarmless(labels map[string]bool) []string {
	d, err := j.at.deployment(j)
	if err != nil {
		return nil // found by well-known names instead
	}
	var out []string
	for _, l := range d.GetChampion().GetHarmlessLabels() {
		if labels[l] {
			out = append(out, l)
		}
	}
	return out
}

const (
	// folds is how many parts the rows are divided into to look for mislabelled ones; more cost more and find hardly more.
	folds = 3
	// mostInspected bounds how many rows are looked at: a sample tells the share, and training on more takes long.
	mostInspected = 30_000
)

// inspected is what the third step settles.
type inspected struct {
	Noise *gate.Noise
	// Suspects are the surest, at most mostSuspects.
	Suspects []suspect
}

const mostSuspects = 500

// suspect is a row that looks mislabelled.
type suspect struct {
	Line          int
	DecisionID    string
	Given, Likely string
	Margin        float64
}

// inspect looks for mislabelled rows.
func (j *job) inspect() (any, string, error) {
	sets, err := j.rows()
	if err != nil {
		return nil, "", err
	}
	o, err := j.options(sets.pins)
	if err != nil {
		return nil, "", err
	}
	set := *sets.train
	if len(set.Rows) > mostInspected {
		every := (len(set.Rows) + mostInspected - 1) / mostInspected
		set.Rows = nil
		for i := 0; i < len(sets.train.Rows); i += every {
			set.Rows = append(set.Rows, sets.train.Rows[i])
		}
	}
	o.LabelAlpha = nil
	sample, err := fit.OutOfFold(j.ctx, &set, o, folds, func(e fit.Event) { j.say(e.Done, false, "%s", e.Message) })
	if err != nil {
		return nil, "", err
	}
	found := noise.Find(sample)
	out := &inspected{Noise: gate.NoiseOf(len(found), len(set.Rows), noise.Share(sample))}
	label := func(l int32) string {
		if l < 0 {
			return ""
		}
		return sample.Labels[l]
	}
	for _, s := range found[:min(mostSuspects, len(found))] {
		row := set.Rows[s.Row]
		out.Suspects = append(out.Suspects, suspect{Line: row.Line, DecisionID: sets.decisions[row.Line], Given: label(s.Given), Likely: label(s.Likely), Margin: s.Margin})
	}
	return out, fmt.Sprintf("%d of %d rows look mislabelled, about %.1f %% are", len(found), len(set.Rows), 100*out.Noise.Share), nil
}

// searched is what the fourth step settles.
type searched struct {
	Trials []trial
	Best   fit.Tuning
}

// trial is a candidate of the search, measured on rows that it did not learn from.
type trial struct {
	Tuning   fit.Tuning
	Accuracy float64
	LogLoss  float64
	Seconds  float64
}

// Bounds of a search.
const (
	defaultTrials = 8
	defaultBudget = 10 * time.Minute
)

// search tries candidates until their number or their time is used up. Each is stored as soon as it is measured, so that a crash costs one.
func (j *job) search() (any, string, error) {
	spec := j.run.GetSpec().GetSearch()
	out := &searched{}
	if spec == nil {
		return out, "no search was asked for", nil
	}
	if _, err := j.at.output(j, trainingv1.RunStep_RUN_STEP_SEARCH, out); err != nil {
		return nil, "", err
	}
	sets, err := j.rows()
	if err != nil {
		return nil, "", err
	}
	o, err := j.options(sets.pins)
	if err != nil {
		return nil, "", err
	}
	train, tune := sets.train, sets.tune
	if tune == nil {
		train, tune = hold(train, o.Seed)
	}
	most, budget, used := int(spec.GetMaxTrials()), spec.GetTimeBudget().AsDuration(), 0.0
	if most == 0 {
		most = defaultTrials
	}
	if budget == 0 {
		budget = defaultBudget
	}
	for _, t := range out.Trials {
		used += t.Seconds
	}
	for n := len(out.Trials); n < most && used < budget.Seconds(); n++ {
		o.Tuning = fit.Candidate(o.Seed, n, train.Kind == dataset.Text)
		j.say(float64(n)/float64(most), false, "candidate %d of %d", n+1, most)
		began := time.Now()
		result, err := fit.Run(j.ctx, train, tune, o, nil)
		if err != nil {
			return nil, "", err
		}
		t := trial{o.Tuning, result.Evaluation.Accuracy, result.Evaluation.LogLoss, time.Since(began).Seconds()}
		used += t.Seconds
		out.Trials = append(out.Trials, t)
		out.Best = best(out.Trials)
		j.say(float64(n+1)/float64(most), true, "candidate %d: accuracy %.2f %%, log-loss %.4f", n+1, 100*t.Accuracy, t.LogLoss)
		if err := j.at.checkpoint(j, out); err != nil {
			return nil, "", err
		}
	}
	return out, fmt.Sprintf("best of %d candidates: accuracy %.2f %%", len(out.Trials), 100*accuracyOf(out)), nil
}

// best is the candidate with the highest accuracy, of equals that with the lowest loss, of those the first.
func best(trials []trial) fit.Tuning {
	at := slices.MaxFunc(trials, func(a, b trial) int {
		switch {
		case a.Accuracy != b.Accuracy:
			return int(2*boolean(a.Accuracy > b.Accuracy)) - 1
		case a.LogLoss != b.LogLoss:
			return int(2*boolean(a.LogLoss < b.LogLoss)) - 1
		}
		return 0
	})
	return at.Tuning
}

func accuracyOf(s *searched) float64 {
	for _, t := range s.Trials {
		if t.Tuning == s.Best {
			return t.Accuracy
		}
	}
	return 0
}

func boolean(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

// hold keeps a fifth of the rows back to judge candidates by; groups stay together.
func hold(set *dataset.Set, seed uint64) (train, tune *dataset.Set) {
	rows := slices.Clone(set.Rows)
	for i := range rows {
		if rows[i].Group == "" {
			dataset.Group(rows, near)
			break
		}
	}
	a, b := *set, *set
	a.Rows, b.Rows = nil, nil
	sides, _ := dataset.Divide(rows, dataset.Split{Method: dataset.SplitRandom, TestShare: 0.2, Seed: seed ^ 0x73656172}) // by chance it cannot fail
	for i, side := range sides {
		if side == dataset.Test {
			b.Rows = append(b.Rows, rows[i])
		} else {
			a.Rows = append(a.Rows, rows[i])
		}
	}
	return &a, &b
}

// trained is what the fifth step settles.
type trained struct {
	// Artifact and Result are digests of blobs.
	Artifact, Result string
}

// fitted is what is known of a trained artifact.
type fitted struct {
	Labels, Harmless []string
	Evaluation       *eval.Evaluation
	Certificates     []risk.Certificate
	Sample           []risk.Point
	Findings         []dataset.Finding
}

// train trains, calibrates and certifies.
func (j *job) train() (any, string, error) {
	sets, err := j.rows()
	if err != nil {
		return nil, "", err
	}
	o, err := j.options(sets.pins)
	if err != nil {
		return nil, "", err
	}
	found, err := output[searched](j, trainingv1.RunStep_RUN_STEP_SEARCH)
	if err != nil {
		return nil, "", err
	}
	o.Tuning = found.Best
	stage := ""
	measure := sets.measure
	if len(measure.Rows) == 0 {
		measure = nil // all of it was trained or tuned on; the gates will say so
	}
	result, err := fit.Run(j.ctx, sets.train, measure, o, func(e fit.Event) {
		j.say(e.Done, e.Stage != stage, "%s: %s", e.Stage, e.Message)
		stage = e.Stage
	})
	if err != nil {
		return nil, "", err
	}
	out := &trained{}
	if out.Artifact, err = j.at.put(j, result.Artifact); err != nil {
		return nil, "", err
	}
	keep := fitted{
		Labels: result.Info.Labels, Evaluation: result.Evaluation, Certificates: result.Certificates, Sample: result.Sample, Findings: result.Findings,
	}
	for _, i := range result.Harmless {
		keep.Harmless = append(keep.Harmless, result.Info.Labels[i])
	}
	data, err := json.Marshal(keep)
	if err != nil {
		return nil, "", err
	}
	if out.Result, err = j.at.put(j, data); err != nil {
		return nil, "", err
	}
	return out, fmt.Sprintf("trained on %d rows: %s", result.Evaluation.Data.TrainingRows, result.Evaluation.Promise), nil
}

// model reads what was trained.
func (j *job) model() (artifact []byte, f *fitted, err error) {
	t, err := output[trained](j, trainingv1.RunStep_RUN_STEP_TRAIN)
	if err != nil {
		return nil, nil, err
	}
	artifact, err = j.at.get(j, t.Artifact)
	data, dataErr := j.at.get(j, t.Result)
	if err = errors.Join(err, dataErr); err != nil {
		return nil, nil, err
	}
	f = &fitted{}
	return artifact, f, json.Unmarshal(data, f)
}

// get reads a blob.
func (s *Service) get(digest string) ([]byte, error) {
	path, err := s.blobs.Path(digest)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}
