package training

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine/report"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// GetRunReport returns the report of a run.
func (s *Service) GetRunReport(ctx context.Context, req *trainingv1.GetRunReportRequest) (*trainingv1.GetRunReportResponse, error) {
	r, err := s.findRun(ctx, req.GetRunId())
	if err != nil {
		return nil, err
	}
	e, found := &evaluated{}, false
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		found, err = readStep(tx, r, trainingv1.RunStep_RUN_STEP_EVALUATE, e)
		return err
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fault.NotFound("report of run", req.GetRunId())
	}
	data, err := s.get(e.Report)
	if err != nil {
		return nil, err
	}
	judged := &Judgement{}
	if err := json.Unmarshal(data, judged); err != nil {
		return nil, fmt.Errorf("read report of run %s: %w", req.GetRunId(), err)
	}
	var page bytes.Buffer
	err = report.Write(&page, report.Input{
		Title: judged.Deployment, Created: r.GetCreateTime().AsTime().UTC().Format("2006-01-02 15:04 UTC"), Evaluation: judged.Evaluation, Findings: judged.Findings,
		Gates: judged.Gates, Champion: judged.ChampionVersion,
	})
	if err != nil {
		return nil, err
	}
	return &trainingv1.GetRunReportResponse{Json: string(data), Html: page.String()}, nil
}
