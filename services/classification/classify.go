package classification

import (
	"context"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const operation = commonv1.Operation_OPERATION_CLASSIFICATION

// answer is what is known of a subject.
type answer struct {
	record   *commonv1.DecisionRecord
	evidence []*classificationv1.Evidence
}

// classify decides about one subject. It does no I/O.
func (s *Service) classify(call *decision.Call, t *decision.Target, sub *subject) (answer, error) {
	if err := sub.check(); err != nil {
		return answer{}, err
	}
	if t.Predictor == nil {
		return answer{}, fault.ModelNotDeployed(operation, t.Deployment.GetName())
	}
	t = t.For(sub.subjectID, sub.contentID, sub.input)
	begin := s.maker.Now()
	in := sub.engineInput()
	scores, err := t.Score(in)
	if err != nil {
		return answer{}, err
	}
	defer scores.Free()
	info := t.Predictor.Info()
	c := decision.Choose(info, scores.P, t)
	var a answer
	if a.evidence, err = explain(t, in, c.Top, sub.evidence); err != nil {
		return answer{}, err
	}
	a.record = s.maker.Make(call, t, &decision.Answer{
		Verdict: c.Verdict, Input: sub.input(), Labels: info.Labels, Probabilities: scores.P, Chosen: c.Chosen,
		SubjectID: sub.subjectID, ContentID: sub.contentID, Compute: s.maker.Now().Sub(begin),
		Scored: decision.Scored{Input: in, Took: scores.Took, Judge: decision.JudgeByChoice},
	})
	return a, nil
}

func explain(t *decision.Target, in engine.Input, label, top int) ([]*classificationv1.Evidence, error) {
	if top == 0 || label < 0 {
		return nil, nil
	}
	all, err := t.Predictor.Explain(in, label, top)
	if err != nil {
		return nil, decision.Mismatch(err, t.Predictor.Info(), in)
	}
	out := make([]*classificationv1.Evidence, 0, len(all))
	for _, e := range all {
		out = append(out, &classificationv1.Evidence{
			Feature: e.Feature, Label: t.Predictor.Info().Labels[label], Weight: e.Weight,
			Start: int32(e.Start), End: int32(e.End),
		})
	}
	return out, nil
}

// one answers a unary call.
func (s *Service) one(ctx context.Context, deployment string, sub subject) (answer, error) {
	call, err := s.maker.Begin(ctx, operation)
	if err != nil {
		return answer{}, err
	}
	target, err := s.source.Acquire(call.Project, operation, deployment)
	if err != nil {
		return answer{}, err
	}
	defer target.Release()
	a, err := s.classify(&call, &target, &sub)
	if err != nil {
		return answer{}, err
	}
	return a, s.maker.Record(ctx, &target, a.record)
}

// batch answers the items of a batch on the available cores and records them with one wait.
func (s *Service) batch(ctx context.Context, deployment string, n int, item func(i int) subject) ([]*classificationv1.ClassificationResult, error) {
	call, err := s.maker.Begin(ctx, operation)
	if err != nil {
		return nil, err
	}
	target, err := s.source.Acquire(call.Project, operation, deployment)
	if err != nil {
		return nil, err
	}
	defer target.Release()
	results := make([]*classificationv1.ClassificationResult, n)
	err = s.maker.Many(ctx, &target, n, func(i int) (record *commonv1.DecisionRecord) {
		results[i], record = s.result(&call, &target, item(i))
		return record
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// result is the answer to one item: with a record, or with an error in-band and without.
func (s *Service) result(c *decision.Call, t *decision.Target, sub subject) (*classificationv1.ClassificationResult, *commonv1.DecisionRecord) {
	a, err := s.classify(c, t, &sub)
	if err != nil {
		return &classificationv1.ClassificationResult{Error: s.maker.ItemError(c, err)}, nil
	}
	return &classificationv1.ClassificationResult{Decision: a.record.GetDecision()}, a.record
}
