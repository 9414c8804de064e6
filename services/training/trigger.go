package training

import (
	"context"
	"fmt"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// triggered says what beside the time speaks for a run, "" when nothing does.
func (s *Service) triggered(ctx context.Context, c *storedSchedule) (cause string, err error) {
	if c.GetNewLabels() == 0 && !c.GetOnHalt() {
		return "", nil
	}
	var last *storedRun
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		last, err = lastRun(tx, c)
		return err
	})
	if err != nil || last != nil && open(last.GetState()) {
		return "", err
	}
	since := time.Time{}
	if last != nil {
		since = last.GetCreateTime().AsTime()
	}
	if c.GetOnHalt() {
		d, err := s.deployed(ctx, c.project, c.caller, c.GetSpec().GetOperation(), c.GetSpec().GetDeployment())
		if err != nil {
			return "", err
		}
		// A run that began after the loss has tried already; the next loss, or new labels, are for the next run.
		if halted(d) && d.GetUpdateTime().AsTime().After(since) {
			return "halt " + c.GetName(), nil
		}
	}
	if c.GetNewLabels() == 0 {
		return "", nil
	}
	n, err := s.countLabels(ctx, c, since)
	if err != nil || n < c.GetNewLabels() {
		return "", err
	}
	return fmt.Sprintf("labels %s: %d since the last run", c.GetName(), n), nil
}

// halted says whether a deployment automates nothing although it has a model: its certificate was lost, or never earned.
func halted(d *modelsv1.Deployment) bool {
	if d.GetChampion() == nil {
		return false
	}
	for _, c := range d.GetCertificates() {
		if c.GetCertified() {
			return false
		}
	}
	return true
}

// countLabels counts the decisions of a schedule's deployment that were answered since a time.
func (s *Service) countLabels(ctx context.Context, c *storedSchedule, since time.Time) (int64, error) {
	l := s.lake()
	if l == nil {
		return 0, nil // it is looked at again soon
	}
	if err := l.Refresh(ctx); err != nil {
		return 0, fault.Unavailable("lake").Cause(err)
	}
	seen := map[string]bool{}
	operation, deployment := fault.OperationName(c.GetSpec().GetOperation()), c.GetSpec().GetDeployment()
	filter := lake.Filter{Project: c.project, From: since}
	err := l.Each(ctx, lake.Verdicts, filter, func(row any) error {
		if v := row.(*lake.Verdict); v.Final && !v.Gold && !v.NotSure && v.Operation == operation && v.Deployment == deployment && v.Time.After(since) {
			seen[v.DecisionID] = true
		}
		return nil
	})
	if err == nil {
		err = l.Each(ctx, lake.FeedbackOf, filter, func(row any) error {
			if f := row.(*lake.Feedback); f.Operation == operation && f.Deployment == deployment && f.Time.After(since) {
				seen[f.DecisionID] = true
			}
			return nil
		})
	}
	if err != nil {
		return 0, lakeFault(ctx, err)
	}
	return int64(len(seen)), nil
}
