package fit

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// Run trains on the rows of train, calibrates, certifies and evaluates, on test where it is not nil, else on the certification
// rows. progress may be nil; it is called from one goroutine at a time. Run fails with ErrData or ErrOptions when there is something
// that the caller can put right, and with ctx's error when that ends.
func Run(ctx context.Context, train, test *dataset.Set, o Options, progress func(Event)) (*Result, error) {
	if progress == nil {
		progress = func(Event) {}
	}
	o = o.withDefaults()
	r := &run{ctx: ctx, o: o, set: train, test: test, progress: progress}
	result, err := r.run()
	if err != nil {
		return nil, fmt.Errorf("train a %s model: %w", o.Operation, err)
	}
	return result, nil
}

// run is one pass of the pipeline.
type run struct {
	ctx       context.Context //nolint:containedctx // lives as long as one call of Run
	o         Options
	set, test *dataset.Set
	progress  func(Event)

	findings []dataset.Finding
	index    *index
	parts    parts
}

func (r *run) run() (*Result, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	n, texts := len(r.set.Rows), r.set.Kind == dataset.Text
	r.parts = split(r.set.Rows, r.o.holdOut(n), calibration(n, texts && !r.index.multilabel), r.o.Seed, texts)
	r.say(StageSplit, 1, "%d rows to train on, %d to calibrate, %d to certify", len(r.parts.train), len(r.parts.calibrate), len(r.parts.certify))
	m, err := r.train()
	if err != nil {
		return nil, err
	}
	r.calibrate(m)
	all := slices.Concat(r.parts.train, r.parts.calibrate)
	slices.Sort(all)
	if m, err = m.again(r, all); err != nil {
		return nil, err
	}
	artifact, err := m.Encode(r.meta())
	if err != nil {
		return nil, err
	}
	// From here on only the finished file is asked, in the form in which it will serve.
	predictor, err := load.Parse(artifact)
	if err != nil {
		return nil, fmt.Errorf("read back the model: %w", err)
	}
	defer predictor.Close()
	return r.judge(artifact, predictor)
}

func (r *run) check() error {
	if err := r.o.validate(); err != nil {
		return err
	}
	r.say(StageCheck, 0, "%d rows of %s", len(r.set.Rows), r.set.Name)
	r.findings = dataset.Check(r.set, r.o.OutOfScopeLabel)
	if err := dataset.Err(r.findings); err != nil {
		return fmt.Errorf("%w: %w", ErrData, err)
	}
	if r.test != nil {
		if len(r.test.Rows) == 0 {
			return fmt.Errorf("%w: the test set has no usable row", ErrData)
		}
		if r.test.Kind != r.set.Kind {
			return fmt.Errorf("%w: the test set holds %ss, the training set %ss", ErrData, r.test.Kind, r.set.Kind)
		}
		r.compare()
	}
	if r.set.Kind == dataset.Record && r.o.Operation == eval.Moderation {
		return fmt.Errorf("%w: moderation is about texts, not records", ErrOptions)
	}
	if r.set.Kind == dataset.Text && r.o.Method == MethodTrees {
		return fmt.Errorf("%w: trees are for records; texts take the linear method", ErrOptions)
	}
	var err error
	r.index, err = newIndex(r.set, r.o)
	return err
}

// compare looks for what makes a test set say less than it seems to.
func (r *run) compare() {
	if n := r.test.RejectedRows(); n > 0 {
		r.findings = append(r.findings, dataset.Finding{
			Severity: dataset.Warning, Code: dataset.RejectedRows, Count: n,
			Message: fmt.Sprintf("%d of %d rows of the test set cannot be used", n, n+len(r.test.Rows)),
		})
	}
	keys := make(map[dataset.Key]bool, len(r.set.Rows))
	for _, row := range r.set.Rows {
		keys[row.Key()] = true
	}
	known := 0
	for _, row := range r.test.Rows {
		if keys[row.Key()] {
			known++
		}
	}
	if known*100 > len(r.test.Rows) {
		r.findings = append(r.findings, dataset.Finding{
			Severity: dataset.Warning, Code: "test-in-training", Count: known,
			Message: fmt.Sprintf("%d of %d rows of the test set also stand in the training set: its figures flatter", known, len(r.test.Rows)),
		})
	}
}

// calibrate fits temperature or sigmoids on the calibration rows.
func (r *run) calibrate(m model) {
	labels, rows := len(r.index.names), r.parts.calibrate
	r.say(StageCalibrate, 0, "%d rows", len(rows))
	logits := make([]float32, 0, labels*len(rows))
	var truths [][]int32
	out := make([]float32, labels)
	for _, i := range rows {
		if m.logits(r.set.Rows[i], out) != nil {
			continue // a row that does not fit is refused when serving too
		}
		logits, truths = append(logits, out...), append(truths, r.index.truth(r.set.Rows[i]))
	}
	if !r.index.multilabel {
		first := make([]int32, len(truths))
		for i, t := range truths {
			first[i] = t[0]
		}
		m.setTemperature(risk.Temperature(logits, labels, first))
		return
	}
	platt := make([]sigmoid, labels)
	column, yes := make([]float32, len(truths)), make([]bool, len(truths))
	for l := range labels {
		for i, t := range truths {
			column[i], yes[i] = logits[i*labels+l], slices.Contains(t, int32(l))
		}
		platt[l].A, platt[l].B = risk.Platt(column, yes)
	}
	m.setSigmoids(platt)
}

// meta is what the model file notes about its making. Nothing in it depends on the time or the machine, so that the same rows,
// options and seed give the same bytes.
func (r *run) meta() map[string]string {
	meta := map[string]string{
		MetaOperation: r.o.Operation,
		MetaSeed:      strconv.FormatUint(r.o.Seed, 10),
		MetaRows:      fmt.Sprintf("%d,%d,%d", len(r.parts.train), len(r.parts.calibrate), len(r.parts.certify)),
		MetaData:      r.set.SHA256,
		MetaRelease:   release,
	}
	if r.o.Tuning != (Tuning{}) {
		note, _ := json.Marshal(r.o.Tuning) // numbers only: cannot fail
		meta[MetaTuning] = string(note)
	}
	if r.o.Operation == eval.Moderation {
		names := []string{}
		for _, i := range r.index.harmless {
			names = append(names, r.index.names[i])
		}
		list, _ := json.Marshal(names) // a list of strings cannot fail
		meta[MetaHarmless] = string(list)
	}
	return meta
}

// judge certifies and evaluates the finished model.
func (r *run) judge(artifact []byte, p engine.Predictor) (*Result, error) {
	held := make([]dataset.Row, len(r.parts.certify))
	for i, n := range r.parts.certify {
		held[i] = r.set.Rows[n]
		held[i].Sampling = dataset.Sampling{} // these are an even sample
	}
	r.say(StageCertify, 0, "%d rows", len(held))
	certification, err := r.score(p, held)
	if err != nil {
		return nil, err
	}
	measured := certification
	if r.test != nil {
		r.say(StageEvaluate, 0, "%d rows of %s", len(r.test.Rows), r.test.Name)
		if measured, err = r.score(p, r.test.Rows); err != nil {
			return nil, err
		}
	}
	result := &Result{Artifact: artifact, Info: p.Info(), Sample: certification.Points(), Harmless: r.index.harmless, Findings: r.findings}
	for i := range held { // points are in the order of the rows
		result.Sample[i].Reviewed = held[i].Reviewed
	}
	if result.Certificates, err = Certify(result.Sample, r.o); err != nil {
		return nil, err
	}
	if result.Evaluation, err = r.evaluate(measured, result); err != nil {
		return nil, err
	}
	r.say(StageEvaluate, 1, "%s", result.Evaluation.Promise)
	return result, nil
}

// standard are the error rates that every evaluation shows beside the policy's.
var standard = []float64{0.01, 0.02, 0.05}

func (r *run) evaluate(measured *eval.Sample, result *Result) (*eval.Evaluation, error) {
	e := eval.Measure(measured)
	e.Operation, e.MeasuredOn = r.o.Operation, "holdOut"
	if r.test != nil {
		e.MeasuredOn = "test"
	}
	points := measured.Points()
	policy := eval.Automate(result.Certificates, r.o.Delta, points)
	policy.Policy = true
	plain := len(r.o.LabelAlpha) == 0 && r.o.RemoveAlpha == r.o.Alpha && r.o.AllowAlpha == r.o.Alpha
	placed := false
	for _, alpha := range standard {
		if plain && alpha == r.o.Alpha {
			e.Automation, placed = append(e.Automation, policy), true
			continue
		}
		certificates, err := Certify(result.Sample, Options{Operation: r.o.Operation, Alpha: alpha, Delta: r.o.Delta, Reviewers: r.o.Reviewers})
		if err != nil {
			return nil, err
		}
		e.Automation = append(e.Automation, eval.Automate(certificates, r.o.Delta, points))
	}
	if !placed {
		e.Automation = append(e.Automation, policy)
	}
	// The next stricter promise that has not been earned yet is the one to strive for.
	var next *eval.Automation
	for i := range e.Automation {
		if a := &e.Automation[i]; a.LabelsNeeded != 0 && a.Alpha < policy.Alpha {
			next = a
		}
	}
	e.Promise = eval.Sentence(policy, next)
	e.Data = r.data()
	return e, nil
}

func (r *run) data() eval.Data {
	d := eval.Data{
		Kind: string(r.set.Kind), Rows: len(r.set.Rows), TrainingRows: len(r.parts.train), CalibrationRows: len(r.parts.calibrate),
		CertificationRows: len(r.parts.certify), RejectedRows: r.set.RejectedRows(), RejectedByReason: map[string]int{},
		SHA256: r.set.SHA256, Warnings: []string{},
	}
	maps.Copy(d.RejectedByReason, r.set.RejectedByReason)
	if r.test != nil {
		d.TestRows = len(r.test.Rows)
	}
	for _, f := range r.findings {
		if f.Severity == dataset.Warning {
			d.Warnings = append(d.Warnings, f.Message)
		}
	}
	return d
}

func (r *run) say(stage string, done float64, format string, args ...any) {
	r.progress(Event{Stage: stage, Done: done, Message: fmt.Sprintf(format, args...)})
}
