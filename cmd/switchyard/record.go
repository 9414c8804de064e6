package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// parseRecord reads a JSON object of plain values as typed fields; null means that the field is missing.
func parseRecord(text string) (map[string]*commonv1.FieldValue, error) {
	dec := json.NewDecoder(bytes.NewBufferString(text))
	var object map[string]any
	if err := dec.Decode(&object); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	if dec.More() {
		return nil, fmt.Errorf("more than one JSON value")
	}
	fields := make(map[string]*commonv1.FieldValue, len(object))
	for name, value := range object {
		switch v := value.(type) {
		case nil:
		case float64:
			fields[name] = &commonv1.FieldValue{Value: &commonv1.FieldValue_Number{Number: v}}
		case string:
			fields[name] = &commonv1.FieldValue{Value: &commonv1.FieldValue_Text{Text: v}}
		case bool:
			fields[name] = &commonv1.FieldValue{Value: &commonv1.FieldValue_Boolean{Boolean: v}}
		default:
			return nil, fmt.Errorf("field %s is neither a number nor a string nor a boolean", name)
		}
	}
	return fields, nil
}

// chosenRows are the lines of a classification.
func chosenRows(r interface{ GetDecision() *commonv1.Decision }) [][]string {
	d := r.GetDecision()
	return append([][]string{{"label", strings.Join(d.GetChosenLabels(), ", ")}}, decisionRows(d)...)
}

var (
	_ interface{ GetDecision() *commonv1.Decision } = (*classificationv1.ClassifyTextResponse)(nil)
	_ interface{ GetDecision() *commonv1.Decision } = (*classificationv1.ClassifyRecordResponse)(nil)
)
