package decision

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/record"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Scores is what a model said about one input.
type Scores struct {
	P    []float32     // probability of each label
	Took time.Duration // to compute them; 0 unless another version is on trial
}

var scores = sync.Pool{New: func() any { return new(Scores) }}

// Free says that P is no longer needed.
func (s *Scores) Free() { scores.Put(s) }

// Score asks the model for the probabilities of its labels. The caller frees them.
//
// When a version on trial cannot score, t becomes the champion that answers in its place: ask it for its labels afterwards, not before.
//
// It fails with INPUT_MISMATCH when the model reads something else than in holds.
func (t *Target) Score(in engine.Input) (*Scores, error) {
	info := t.Predictor.Info()
	s := scores.Get().(*Scores)
	s.P = slices.Grow(s.P[:0], len(info.Labels))[:len(info.Labels)]
	var err error
	if s.Took, err = t.score(in, s.P); t.fallBack(err) {
		s.Free()
		return t.Score(in)
	}
	if err = Mismatch(err, info, in); err != nil {
		s.Free()
		return nil, err
	}
	return s, nil
}

// Mismatch turns an engine's error about its input into the fault that the caller sees; other errors stay as they are.
func Mismatch(err error, info *engine.Info, in engine.Input) error {
	if err == nil || !errors.Is(err, engine.ErrInput) {
		return err
	}
	switch readsRecords := info.Columns != nil; {
	case readsRecords && in.Record == nil:
		return fault.InputMismatch("text", "the deployed model reads records, not texts").Cause(err)
	case !readsRecords && in.Record != nil:
		return fault.InputMismatch("record", "the deployed model reads texts, not records").Cause(err)
	}
	var field *record.InputError
	if errors.As(err, &field) && field.Field != "" {
		return fault.InputMismatch("record."+field.Field, field.Problem).Cause(err)
	}
	name := "text"
	if in.Record != nil {
		name = "record"
	}
	return fault.InputMismatch(name, strings.TrimPrefix(err.Error(), engine.ErrInput.Error()+": ")).Cause(err)
}

// Promise says what a deployment promises about answers; *Target is one.
type Promise interface {
	// Judge compares an answer's score with the threshold of its side.
	Judge(side string, score float64) Verdict
}

// Choice is a model's answer and whether it may be acted on.
type Choice struct {
	Verdict
	Top    int      // index of the most probable label; -1 without labels
	Chosen []string // must not be changed
}

// Choose says which labels a model chooses, and judges the choice. A multi-class model chooses its most probable label, whose probability is the
// score and whose own certificate, if any, is asked; an input that is out of scope by that is for people. A multi-label model chooses all
// labels with a probability of at least one half; the score is the certainty of the least certain one of all labels.
//
// What is automated at which score must be exactly what the trainer certified (eval.Sample.Points): leaving out items that a certificate
// counted could raise the error among the rest.
func Choose(info *engine.Info, p []float32, promise Promise) Choice {
	top, score := risk.Top(p)
	c := Choice{Top: top}
	if top < 0 {
		c.Verdict = promise.Judge("", 0)
		return c
	}
	if info.Task != engine.Multilabel {
		c.Chosen = info.Labels[top : top+1 : top+1]
		if top == info.OutOfScope {
			c.Verdict = OutOfScope()
		} else {
			c.Verdict = promise.Judge(info.Labels[top], score)
		}
		return c
	}
	for i, v := range p {
		if v >= risk.SetThreshold {
			c.Chosen = append(c.Chosen, info.Labels[i])
		}
	}
	c.Verdict = promise.Judge("", risk.SetScore(p))
	return c
}

// JudgeByChoice is Choose as versions in shadow are judged.
func JudgeByChoice(t *Target, p []float32) (Verdict, []string) {
	c := Choose(t.Predictor.Info(), p, t)
	return c.Verdict, c.Chosen
}
