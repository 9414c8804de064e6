package ledger

import (
	"context"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// List returns decisions of a project, newest first, and where the next page begins: what to give as before, "" when there is none.
func (l Lake) List(ctx context.Context, project string, req *decisionsv1.ListDecisionsRequest, before string, limit int) (records []*commonv1.DecisionRecord, next string, err error) {
	open := l.Open()
	if open == nil {
		return nil, "", errNoLake
	}
	q := lake.Query{
		Project: project, Before: before, Limit: limit, Deployment: req.GetDeployment(), Label: req.GetLabel(), ContentID: req.GetContentId(), SubjectID: req.GetSubjectId(),
		Operation: name(req.GetOperation(), "OPERATION_"), Outcome: name(req.GetOutcome(), "OUTCOME_"), Reason: name(req.GetReason(), "DECISION_REASON_"),
	}
	if req.GetFrom() != nil {
		q.From = req.GetFrom().AsTime()
	}
	if req.GetTo() != nil {
		q.To = req.GetTo().AsTime()
	}
	rows, next, err := open.List(ctx, q)
	if err != nil {
		return nil, "", err
	}
	for _, row := range rows {
		r, err := decisionRecord(row)
		if err != nil {
			return nil, "", err
		}
		records = append(records, r)
	}
	return records, next, nil
}
