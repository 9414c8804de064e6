package classification

import (
	"strings"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Limits of the contract. For the items of batches and streams they are checked here, because one bad item must not fail the others.
const (
	maxText      = 100000
	maxID        = 128
	maxFields    = 500
	maxFieldName = 128
)

// subject is what is to be labelled, however it was sent: a text, or a record when isRecord is set.
type subject struct {
	isRecord  bool
	text      string
	record    map[string]*commonv1.FieldValue
	subjectID string
	contentID string
	evidence  int // how many pieces to give
}

func fromTextRequest(r *classificationv1.ClassifyTextRequest) subject {
	return subject{text: r.GetText(), subjectID: r.GetSubjectId(), contentID: r.GetContentId(), evidence: int(r.GetMaxEvidence())}
}

func fromTextItem(r *classificationv1.TextItem) subject {
	return subject{text: r.GetText(), subjectID: r.GetSubjectId(), contentID: r.GetContentId()}
}

func fromRecordRequest(r *classificationv1.ClassifyRecordRequest) subject {
	return subject{
		isRecord: true, record: r.GetRecord(), subjectID: r.GetSubjectId(), contentID: r.GetContentId(), evidence: int(r.GetMaxEvidence()),
	}
}

func fromRecordItem(r *classificationv1.RecordItem) subject {
	return subject{isRecord: true, record: r.GetRecord(), subjectID: r.GetSubjectId(), contentID: r.GetContentId()}
}

// check refuses what the contract does not allow.
func (s *subject) check() error {
	if err := decision.CheckTexts(
		decision.Text{Field: "text", Value: s.text, Max: maxText},
		decision.Text{Field: "subject_id", Value: s.subjectID, Max: maxID}, decision.Text{Field: "content_id", Value: s.contentID, Max: maxID},
	); err != nil {
		return err
	}
	switch {
	case !s.isRecord && strings.TrimSpace(s.text) == "":
		return fault.InvalidField("text", "must hold more than white space")
	case s.isRecord && len(s.record) == 0:
		return fault.InvalidField("record", "must hold at least one field")
	case s.isRecord:
		return decision.CheckFields("record", s.record, maxFields, maxFieldName)
	}
	return nil
}

// engineInput is what the model reads.
func (s *subject) engineInput() engine.Input {
	if !s.isRecord {
		return engine.Input{Text: s.text}
	}
	record := make(engine.Record, len(s.record))
	for name, v := range s.record {
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

func (s *subject) input() decision.Input { return decision.Input{Text: s.text, Fields: s.record} }
