package models

import (
	"context"
	"errors"
	"fmt"
	"slices"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// explaining is how many models may be open at once to explain. They are mapped files: opening one costs about as much as reading its checksum.
	explaining         = 4
	defaultMaxEvidence = 10
)

// ExplainVersion opens the version as it was when it decided, whichever answers now.
func (s *Service) ExplainVersion(ctx context.Context, req *modelsv1.ExplainVersionRequest) (*modelsv1.ExplainVersionResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	v, err := s.lookUp(ctx, project, req.GetModel(), req.GetVersion())
	if err != nil {
		return nil, err
	}
	select {
	case s.explain <- struct{}{}:
		defer func() { <-s.explain }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	path, err := s.blobs.Path(v.version.GetDigest())
	if err != nil {
		return nil, err
	}
	p, err := s.open(path)
	if err != nil {
		return nil, fmt.Errorf("open version %d of model %s: %w", req.GetVersion(), req.GetModel(), err)
	}
	defer func() { _ = p.Close() }()
	return explain(p, req)
}

func explain(p engine.Predictor, req *modelsv1.ExplainVersionRequest) (*modelsv1.ExplainVersionResponse, error) {
	info, in := p.Info(), inputOf(req.GetInput())
	label, err := labelIndex(p, in, req.GetLabel())
	if err != nil {
		return nil, err
	}
	top := int(req.GetMaxEvidence())
	if top == 0 {
		top = defaultMaxEvidence
	}
	evidence, err := p.Explain(in, label, top)
	if err != nil {
		return nil, mismatch(err)
	}
	res := &modelsv1.ExplainVersionResponse{Label: info.Labels[label]}
	for _, e := range evidence {
		res.Evidence = append(res.Evidence, &modelsv1.ModelEvidence{Feature: e.Feature, Weight: e.Weight})
	}
	return res, nil
}

func labelIndex(p engine.Predictor, in engine.Input, name string) (int, error) {
	labels := p.Info().Labels
	if name != "" {
		i := slices.Index(labels, name)
		if i < 0 {
			return 0, fault.LabelUnknown(name, "")
		}
		return i, nil
	}
	scores := make([]float32, len(labels))
	if err := p.Predict(in, scores); err != nil {
		return 0, mismatch(err)
	}
	return slices.Index(scores, slices.Max(scores)), nil
}

// inputOf reads a recorded input as the operations had the model read it: the title in a line before the text.
func inputOf(in *commonv1.RecordedInput) engine.Input {
	if len(in.GetFields()) > 0 && in.GetText() == "" && in.GetTitle() == "" {
		record := engine.Record{}
		for name, v := range in.GetFields() {
			switch v := v.GetValue().(type) {
			case *commonv1.FieldValue_Number:
				record[name] = engine.Value{Kind: engine.Number, Number: v.Number}
			case *commonv1.FieldValue_Text:
				record[name] = engine.Value{Kind: engine.Text, Text: v.Text}
			case *commonv1.FieldValue_Boolean:
				record[name] = engine.Value{Kind: engine.Bool, Bool: v.Boolean}
			}
		}
		return engine.Input{Record: record}
	}
	switch {
	case in.GetTitle() == "":
		return engine.Input{Text: in.GetText()}
	case in.GetText() == "":
		return engine.Input{Text: in.GetTitle()}
	}
	return engine.Input{Text: in.GetTitle() + "\n" + in.GetText()}
}

// mismatch says that the input is not what the version was trained on.
func mismatch(err error) error {
	if errors.Is(err, engine.ErrInput) {
		return fault.InputMismatch("input", "does not fit the model: "+err.Error())
	}
	return err
}
