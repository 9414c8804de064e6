package classification_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/decision/decisiontest"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/record"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/services/classification"
)

func texts() *decisiontest.Deployment {
	return &decisiontest.Deployment{
		Name: "expenses", Thresholds: map[string]float64{"": 0.8, "travel": 0.95},
		Model: &decisiontest.Model{
			ModelInfo: engine.Info{Kind: engine.KindTextLinear, Task: engine.Multiclass, OutOfScope: -1, Labels: []string{"travel", "food"}, Digest: "sha256:t"},
			Words:     map[string][]float32{"train": {0.9375, 0.0625}, "lunch": {0.0625, 0.9375}},
			Default:   []float32{0.5, 0.5},
			Evidence:  []engine.Evidence{{Feature: "tra", Start: 0, End: 3, Weight: 2}},
		},
	}
}

func tags() *decisiontest.Deployment {
	return &decisiontest.Deployment{
		Name: "tags", Policy: &modelsv1.Policy{Uncertified: modelsv1.Uncertified_UNCERTIFIED_AUTOMATE},
		Model: &decisiontest.Model{
			ModelInfo: engine.Info{Kind: engine.KindTextLinear, Task: engine.Multilabel, OutOfScope: -1, Labels: []string{"red", "green", "blue"}},
			Default:   []float32{0.75, 0.25, 0.5},
		},
	}
}

// columns is a model that reads a number named age.
type columns struct{ decisiontest.Model }

func (c *columns) Predict(in engine.Input, p []float32) error {
	if in.Record == nil {
		return engine.ErrInput
	}
	for name := range in.Record {
		if name != "age" {
			return &record.InputError{Field: name, Problem: "is not a field of the model"}
		}
	}
	v, ok := in.Record["age"]
	if !ok || v.Kind != engine.Number {
		return &record.InputError{Field: "age", Problem: "want number"}
	}
	p[0] = float32(v.Number / 100)
	p[1] = 1 - p[0]
	return nil
}

func records() *decisiontest.Deployment {
	return &decisiontest.Deployment{
		Name: "people", Thresholds: map[string]float64{"": 0.5},
		Model: &columns{decisiontest.Model{
			ModelInfo: engine.Info{
				Kind: engine.KindRecordTrees, Task: engine.Multiclass, OutOfScope: -1, Labels: []string{"old", "young"},
				Columns: []engine.Column{{Name: "age", Kind: engine.Number}},
			},
			Evidence: []engine.Evidence{{Feature: "age=90", Weight: 1}},
		}},
	}
}

func start(tb testing.TB, recorder decision.Recorder) classificationv1.ClassificationServiceClient {
	tb.Helper()
	source := decisiontest.Source{"expenses": texts(), "people": records(), "tags": tags(), "empty": {Name: "empty"}}
	s := classification.New(classification.Deps{Maker: decision.New(decision.Deps{Recorder: recorder}), Source: source})
	return classificationv1.NewClassificationServiceClient(decisiontest.Dial(tb, s.Register))
}

func number(x float64) *commonv1.FieldValue {
	return &commonv1.FieldValue{Value: &commonv1.FieldValue_Number{Number: x}}
}

func words(s string) *commonv1.FieldValue {
	return &commonv1.FieldValue{Value: &commonv1.FieldValue_Text{Text: s}}
}

func TestLabelsMayHaveCertificatesOfTheirOwn(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{})
	top := int32(3)
	for text, want := range map[string]commonv1.DecisionReason{
		"train to Graz": commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD, "a lunch": commonv1.DecisionReason_DECISION_REASON_CERTIFIED,
	} {
		res, err := client.ClassifyText(t.Context(), &classificationv1.ClassifyTextRequest{Deployment: "expenses", Text: text, MaxEvidence: &top})
		if err != nil {
			t.Fatal(err)
		}
		if res.GetDecision().GetReason() != want || len(res.GetDecision().GetChosenLabels()) != 1 || len(res.GetEvidence()) != 1 || res.GetEvidence()[0].GetEnd() != 3 {
			t.Errorf("%q: %v", text, res)
		}
	}
}

func TestMultiLabelAnswersAllLabelsFromOneHalf(t *testing.T) {
	t.Parallel()
	res, err := start(t, &decisiontest.Recorder{}).ClassifyText(t.Context(), &classificationv1.ClassifyTextRequest{Deployment: "tags", Text: "x"})
	if err != nil {
		t.Fatal(err)
	}
	d := res.GetDecision()
	if strings.Join(d.GetChosenLabels(), " ") != "red blue" || d.GetOutcome() != commonv1.Outcome_OUTCOME_AUTOMATED || !d.GetUncertified() ||
		d.GetReason() != commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED || len(res.GetEvidence()) != 0 {
		t.Errorf("answer: %v", res)
	}
}

func TestRecordsAreLabelled(t *testing.T) {
	t.Parallel()
	recorder := &decisiontest.Recorder{}
	top := int32(1)
	res, err := start(t, recorder).ClassifyRecord(t.Context(), &classificationv1.ClassifyRecordRequest{
		Deployment: "people", Record: map[string]*commonv1.FieldValue{"age": number(90)}, SubjectId: "s", ContentId: "c", MaxEvidence: &top,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := recorder.Records()[0]
	if res.GetDecision().GetChosenLabels()[0] != "old" || res.GetEvidence()[0].GetFeature() != "age=90" || r.GetSubjectId() != "s" || r.GetContentId() != "c" ||
		r.GetInput().GetFields()["age"].GetNumber() != 90 {
		t.Errorf("answer %v, record %v", res, r)
	}
}

func TestInputsThatDoNotFitNameTheField(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{})
	res, err := client.BatchClassifyRecord(t.Context(), &classificationv1.BatchClassifyRecordRequest{Deployment: "people", Items: []*classificationv1.RecordItem{
		{Record: map[string]*commonv1.FieldValue{"age": words("old")}},
		{Record: map[string]*commonv1.FieldValue{"age": number(1), "job": words("clerk")}},
		{Record: map[string]*commonv1.FieldValue{}},
		{Record: map[string]*commonv1.FieldValue{"age": {}}},
		{Record: map[string]*commonv1.FieldValue{"age": number(10)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"INPUT_MISMATCH record.age", "INPUT_MISMATCH record.job", "INVALID_ARGUMENT record", "INVALID_ARGUMENT record.age", " "} {
		if e := res.GetResults()[i].GetError(); e.GetReason()+" "+e.GetField() != want {
			t.Errorf("item %d: %v, want %s", i, e, want)
		}
	}
	_, err = client.ClassifyText(t.Context(), &classificationv1.ClassifyTextRequest{Deployment: "people", Text: "x"})
	if decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_INPUT_MISMATCH {
		t.Errorf("a text for a record model: %v", err)
	}
	_, err = client.ClassifyRecord(t.Context(), &classificationv1.ClassifyRecordRequest{Deployment: "expenses", Record: map[string]*commonv1.FieldValue{"age": number(1)}})
	if decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_INPUT_MISMATCH {
		t.Errorf("a record for a text model: %v", err)
	}
	if e := fault.Item(err); e.GetField() != "record" {
		t.Errorf("field %q", e.GetField())
	}
	_, err = client.ClassifyText(t.Context(), &classificationv1.ClassifyTextRequest{Deployment: "empty", Text: "x"})
	if decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_MODEL_NOT_DEPLOYED {
		t.Errorf("no model: %v", err)
	}
	_, err = client.ClassifyText(t.Context(), &classificationv1.ClassifyTextRequest{Deployment: "expenses", Text: "\t"})
	if decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT {
		t.Errorf("white space: %v", err)
	}
}

func TestBatchesOfTextsAreAnsweredInOrder(t *testing.T) {
	t.Parallel()
	recorder := &decisiontest.Recorder{}
	req := &classificationv1.BatchClassifyTextRequest{Deployment: "expenses"}
	for i := range 100 {
		req.Items = append(req.Items, &classificationv1.TextItem{Text: []string{"train", "lunch", ""}[i%3]})
	}
	res, err := start(t, recorder).BatchClassifyText(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range res.GetResults() {
		if i%3 == 2 {
			if r.GetError() == nil {
				t.Errorf("item %d has no error", i)
			}
		} else if r.GetDecision().GetChosenLabels()[0] != []string{"travel", "food"}[i%3] {
			t.Errorf("item %d: %v", i, r)
		}
	}
	if batches, _ := recorder.Batches(); batches != 1 {
		t.Errorf("recorded in %d batches", batches)
	}
}

func TestStreams(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{})
	st, err := client.StreamClassifyText(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sr, err := client.StreamClassifyRecord(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		name := []string{"expenses", ""}[min(i, 1)]
		if err := st.Send(&classificationv1.StreamClassifyTextRequest{Deployment: name, Item: &classificationv1.TextItem{Text: "lunch"}}); err != nil {
			t.Fatal(err)
		}
		name = []string{"people", ""}[min(i, 1)]
		item := &classificationv1.RecordItem{Record: map[string]*commonv1.FieldValue{"age": number(float64(i))}}
		if err := sr.Send(&classificationv1.StreamClassifyRecordRequest{Deployment: name, Item: item}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(st.CloseSend(), sr.CloseSend()); err != nil {
		t.Fatal(err)
	}
	for i := range int64(20) {
		a, err := st.Recv()
		if err != nil || a.GetIndex() != i || a.GetResult().GetDecision().GetChosenLabels()[0] != "food" {
			t.Fatalf("text %d: %v, %v", i, a, err)
		}
		b, err := sr.Recv()
		if err != nil || b.GetIndex() != i || b.GetResult().GetDecision().GetChosenLabels()[0] != "young" {
			t.Fatalf("record %d: %v, %v", i, b, err)
		}
	}
	if _, err := st.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("end of texts: %v", err)
	}
	if _, err := sr.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("end of records: %v", err)
	}
}
