package training

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

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
	since, made := time.Time{}, int64(0)
	if last != nil {
		since, made = last.GetCreateTime().AsTime(), last.GetRevision()
	}
	if c.GetOnHalt() {
		d, err := s.deployed(ctx, c.project, c.caller, c.GetSpec().GetOperation(), c.GetSpec().GetDeployment())
		if err != nil {
			return "", err
		}
		stop := brokenAt(d)
		begun := c.beginAt(stop)
		switch {
		case stop.After(since) && begun && c.GetNewLabels() > 0:
			// Nothing is labelled yet of what came since: the run begins when there is enough.
			n, err := s.countLabels(ctx, c, stop)
			if err != nil || n < c.GetNewLabels() {
				return "", err
			}
			return "halt " + c.GetName(), nil
		// A run that began after the loss has tried already, and so has the one that made this revision without earning a certificate; the next loss, or new labels, are for the next run.
		case halted(d) && d.GetUpdateTime().AsTime().After(since) && d.GetRevision() != made:
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
		if inForce(d, c) {
			return false
		}
	}
	return true
}

// inForce says whether a certificate holds and automation was not stopped.
func inForce(d *modelsv1.Deployment, c *modelsv1.Certificate) bool {
	return c.GetCertified() && !slices.ContainsFunc(d.GetHalts(), func(h *modelsv1.Halt) bool { return h.GetSide() == c.GetSide() })
}

// brokenAt returns when the product itself stopped automation last because audits had shown a promise to be broken; zero when it did not, or when automation goes on. What people stop, they stop for reasons of
// their own.
func brokenAt(d *modelsv1.Deployment) (t time.Time) {
	for _, h := range d.GetHalts() {
		if h.GetCaller() == "" {
			t = later(t, h.GetTime().AsTime())
		}
	}
	return t
}

// beginAt lets the schedule learn only from decisions since a broken promise: those before it do not speak for the traffic any more, neither to train nor to certify. It stays so until the schedule is put
// anew. It returns whether the schedule learns from a query that begins there.
func (c *storedSchedule) beginAt(stop time.Time) bool {
	q := c.GetSpec().GetBuild().GetQuery()
	if q == nil || stop.IsZero() {
		return false
	}
	if asTime(q.GetFrom()).Before(stop) {
		q.From = timestamppb.New(stop)
	}
	return asTime(q.GetFrom()).Equal(stop)
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
