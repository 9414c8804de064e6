// Package fit is the training pipeline: labelled rows in, a calibrated and certified model file with its evaluation out. It
// knows nothing of registries, deployments or services.
//
// # Who sees which rows
//
// The rows are divided once, by the seed, so that identical inputs land on one side and every part has all labels in proportion:
//
//   - training rows (about 86 %): weights are learned from these and from nothing else;
//   - calibration rows (5 %, at most 2,000; of texts with one label a row 3 %, at most 1,000): fit the calibration, choose the method
//     and decide when training stops (of texts only when there are 1,000 of them: fewer stop it by luck). Never learned from:
//     probabilities that are fitted on rows that the weights know come out too sure;
//   - certification rows (10 %, at most 20,000, more for small sets and strict budgets): only ever scored by the finished file, once,
//     to certify. Nothing that comes before depends on them, so the certificate holds for the very bytes that will serve.
//
// Text models are then trained once more on training and calibration rows together, for as many epochs as the first time, and keep
// the calibration of the first. That is sound for the certificate, which asks only what the finished file answers on rows that it
// has not seen; the calibration is that of a nearly equal model (97 % of the rows), and the evaluation shows what it is worth.
// On banking77 it wins 0.1–0.2 points of accuracy. Certification rows are never trained on: they would certify nothing.
//
// # Rows that were chosen to be labelled
//
// Of traffic that a model decides partly by itself, people label all that was left to them, and a random share of the rest. Such rows say how they were chosen (dataset.Sampling). Calibration and certification rows
// are drawn from them so that each part is again a sample of the traffic in which everything is alike: most of the rare rows that stand for many, and of the others of that era as small a share as
// evens it out. So nothing has to be weighted, the certificate is as exact as that of rows that were all labelled, and what is left over is learned from. Rows of different
// eras are not weighted against each other: each is a sample of the same traffic. On a test set, where nothing is given away, rows are weighted instead.
//
// A given test set is never split, trained or certified on: it tells what the promise was worth on new rows.
package fit

import (
	"errors"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

var (
	// ErrData means that the rows cannot be trained on; the message says what is wrong and what would help.
	ErrData = errors.New("the data cannot be trained on")
	// ErrOptions means that an option is out of its range or does not fit the data.
	ErrOptions = errors.New("invalid training options")
)

// Methods that Options.Method may name.
const (
	MethodAuto   = ""       // texts: linear; records: the better of both on the calibration rows
	MethodLinear = "linear" // logistic regression
	MethodTrees  = "trees"  // gradient-boosted trees, records only
)

// Keys of the notes that Run puts into a model file (engine.Info.Meta). All values are text.
const (
	MetaOperation = "fit.operation" // moderation, routing or classification
	MetaHarmless  = "fit.harmless"  // JSON list of the labels that mean "nothing wrong"; see Harmless
	MetaSeed      = "fit.seed"
	MetaRows      = "fit.rows"    // training, calibration and certification rows, comma-separated
	MetaData      = "fit.dataset" // SHA-256 of the input file
	MetaRelease   = "fit.pipeline"
	MetaTuning    = "fit.tuning" // JSON of Options.Tuning, where it is not the zero value
)

// release is bumped when the pipeline changes so that the same rows and options give another model.
const release = "2"

// Options say what to train for. The zero value of every member but Operation has a default.
type Options struct {
	Operation string // eval.Moderation, eval.Routing or eval.Classification
	// OutOfScopeLabel marks rows that lie outside of all other labels, default "oos"; without such rows the model has no such answer.
	OutOfScopeLabel string
	// HarmlessLabels are the labels that mean "nothing wrong" (moderation only); found by well-known names when empty.
	HarmlessLabels []string
	// Alpha is the policy's error budget, default 0.05; Delta the chance that a promise is broken, default 0.05.
	Alpha, Delta float64
	// Reviewers is what is known of those who labelled the rows that are marked as reviewed: certificates allow for their errors.
	Reviewers risk.Reviewers
	// LabelAlpha gives labels budgets of their own (routing and classification).
	LabelAlpha map[string]float64
	// RemoveAlpha and AllowAlpha are the budgets of the sides of moderation, default Alpha.
	RemoveAlpha, AllowAlpha float64
	// HoldOut is the share of rows kept for certification, default 0.1 and up to 0.25 where a small set needs that; at most 0.5.
	HoldOut float64
	// Seed decides the split and everything random in training. The same rows, options and seed give the same bytes.
	Seed uint64
	// Method is one of the Method constants.
	Method string
	// Buckets is the number of hash buckets of a text model, a power of two, default 2^16.
	Buckets int
	// Tuning changes settings of the training from their defaults.
	Tuning Tuning
	// MultiLabel says whether rows may have several labels; nil: they may when one of them has not exactly one.
	MultiLabel *bool
}

// Result is a trained model with what is known about it.
type Result struct {
	Artifact   []byte // the model file
	Info       *engine.Info
	Evaluation *eval.Evaluation
	// Certificates hold at the policy's budgets: Side "" and labels with their own budget, or SideRemove and SideAllow.
	Certificates []risk.Certificate
	// Sample is the certification sample, so that another α can be certified later without training again (see Certify).
	Sample []risk.Point
	// Harmless are the indices of the harmless labels; nil unless for moderation.
	Harmless []int
	// Findings are what dataset.Check said about the training rows, and dropped rows of the test set.
	Findings []dataset.Finding
}

// Stages of Run, in order.
const (
	StageCheck     = "check"
	StageSplit     = "split"
	StageTrain     = "train"
	StageCalibrate = "calibrate"
	StageRefit     = "refit"
	StageCertify   = "certify"
	StageEvaluate  = "evaluate"
)

// Event is a sign of progress.
type Event struct {
	Stage   string
	Message string  // one line for a person
	Done    float64 // share of the stage that is done, 0 to 1
}

// Certify certifies a sample under the options' budgets: what Run does at its end, for a policy that changed later.
func Certify(sample []risk.Point, o Options) ([]risk.Certificate, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if o.Operation == eval.Moderation {
		return o.Reviewers.Sides(sample, o.RemoveAlpha, o.AllowAlpha, o.Delta)
	}
	return o.Reviewers.Labels(sample, o.Alpha, o.LabelAlpha, o.Delta)
}

func (o Options) withDefaults() Options {
	def := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&o.Alpha, 0.05)
	def(&o.Delta, 0.05)
	def(&o.RemoveAlpha, o.Alpha)
	def(&o.AllowAlpha, o.Alpha)
	if o.OutOfScopeLabel == "" {
		o.OutOfScopeLabel = "oos"
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(o.Operation == eval.Moderation || o.Operation == eval.Routing || o.Operation == eval.Classification,
		"operation %q is none of moderation, routing, classification", o.Operation)
	check(o.Method == MethodAuto || o.Method == MethodLinear || o.Method == MethodTrees, "method %q is neither linear nor trees", o.Method)
	for _, budget := range []float64{o.Alpha, o.RemoveAlpha, o.AllowAlpha} {
		if err := risk.ValidBudget(budget, o.Delta); err != nil {
			errs = append(errs, err)
			break
		}
	}
	for label, alpha := range o.LabelAlpha {
		if err := risk.ValidBudget(alpha, o.Delta); err != nil {
			errs = append(errs, fmt.Errorf("label %q: %w", label, err))
		}
	}
	check(o.HoldOut >= 0 && o.HoldOut <= 0.5, "hold-out %v is not between 0 and 0.5", o.HoldOut)
	check(o.Buckets >= 0, "buckets %d", o.Buckets)
	o.Tuning.validate(check)
	check(len(o.LabelAlpha) == 0 || o.Operation != eval.Moderation, "moderation has budgets per side, not per label")
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	return nil
}
