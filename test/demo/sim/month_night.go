package sim

import (
	"context"
	"fmt"
	"strings"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/test/demo/summary"
)

const (
	// auditsTimeout and runTimeout bound in real time how long an evening waits for audits to be counted, and a night for a run.
	auditsTimeout, runTimeout = 30 * time.Second, 2 * time.Minute
	// settled is how long the product may take to stop automation once the last audit is counted.
	settled = 300 * time.Millisecond
)

// auditCount is how many audits were counted for a certificate.
type auditCount struct {
	certificate string
	audits      int64
}

// evening waits until all audits are counted, and notes what the product promises.
func (m *Month) evening(ctx context.Context, d *summary.MonthDay) error {
	for deadline := time.Now().Add(auditsTimeout); ; {
		p, err := m.ask(ctx)
		if err != nil {
			return err
		}
		side := p.GetSides()[0]
		if side.GetAuditsWaiting() == 0 && p.GetTraffic().GetDecisions() >= int64(m.o.PerDay*d.Day) {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d audits are not counted: %s", side.GetAuditsWaiting(), p.GetStatement())
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	p, err := m.ask(ctx)
	if err != nil {
		return err
	}
	// Audits stop automation, and nothing else does by itself: without new ones there is nothing to wait for.
	if now := (auditCount{p.GetSides()[0].GetCertificateId(), p.GetSides()[0].GetAudits()}); now != m.audited {
		if err := sleep(ctx, settled); err != nil {
			return err
		}
		if p, err = m.ask(ctx); err != nil {
			return err
		}
		m.audited = now
	}
	side := p.GetSides()[0]
	d.Version, d.Statement, d.Audited = p.GetModelVersion(), p.GetStatement(), side.GetAudits()
	d.State = strings.ToLower(strings.TrimPrefix(side.GetState().String(), "AUTOMATION_STATE_"))
	d.Live, d.LiveLow, d.LiveHigh, d.Missing = side.GetLiveError(), side.GetLiveErrorLower(), side.GetLiveErrorUpper(), side.GetLabelsNeeded()
	return m.noteHalt(ctx, d)
}

func (m *Month) ask(ctx context.Context) (*monitoringv1.Promise, error) {
	r, err := m.promise.GetPromise(ctx, &monitoringv1.GetPromiseRequest{Operation: operation, Deployment: deployment})
	if err != nil {
		return nil, fmt.Errorf("read the promise: %w", err)
	}
	if len(r.GetPromise().GetSides()) == 0 {
		return nil, fmt.Errorf("the promise has no side: %v", r.GetPromise())
	}
	return r.GetPromise(), nil
}

func (m *Month) deployed(ctx context.Context) (*modelsv1.Deployment, error) {
	r, err := m.models.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: operation, Deployment: deployment})
	return r.GetDeployment(), err
}

// noteHalt notes that automation was stopped during the day.
func (m *Month) noteHalt(ctx context.Context, d *summary.MonthDay) error {
	now, err := m.deployed(ctx)
	if err != nil || len(now.GetHalts()) == 0 || m.stopped() != nil {
		return err
	}
	h := now.GetHalts()[0]
	m.report.Halts = append(m.report.Halts, summary.Stop{Day: d.Day, ByItself: h.GetCaller() == "", Reason: h.GetReason(), Certificate: h.GetCertificateId()})
	m.o.Say("automation was stopped on day %d: %s", d.Day, h.GetReason())
	return nil
}

// stopped returns the stop that has not ended; nil for none.
func (m *Month) stopped() *summary.Stop {
	if n := len(m.report.Halts); n > 0 && m.report.Halts[n-1].ResumedDay == 0 {
		return &m.report.Halts[n-1]
	}
	return nil
}

// night waits for the run that the day's labels start, if they do. closed is how many items are closed since the first day.
func (m *Month) night(ctx context.Context, d *summary.MonthDay, closed int64) error {
	due := closed-m.closed >= m.o.NewLabels+m.o.NewLabels/10 // not every item is a label: nobody may be sure
	if s := m.stopped(); s != nil && s.Day == d.Day {
		m.closed, due = closed, false // what was said before does not count
	}
	if !m.put {
		if err := m.schedule(ctx); err != nil {
			return fmt.Errorf("put the schedule: %w", err)
		}
		m.put, due = true, true // nothing is certified, which starts a run
	}
	begun, err := m.follow(ctx, d.Day, due)
	if err != nil {
		return err
	}
	if begun {
		m.closed = closed
	}
	now, err := m.deployed(ctx)
	if err != nil {
		return err
	}
	for _, c := range now.GetCertificates() {
		if !c.GetCertified() || len(now.GetHalts()) > 0 {
			continue
		}
		d.Automating = true
		if s := m.stopped(); s != nil {
			s.ResumedDay, s.New = d.Day, c.GetCertificateId()
			m.o.Say("automation goes on after day %d: %s", d.Day, now.GetStatement())
		}
	}
	return nil
}

// schedule asks for a run whenever there are enough new labels, or the certificate is lost.
func (m *Month) schedule(ctx context.Context) error {
	_, err := m.runs.PutSchedule(ctx, &trainingv1.PutScheduleRequest{Schedule: &trainingv1.Schedule{
		Name: deployment, NewLabels: m.o.NewLabels, OnHalt: true,
		Spec: &trainingv1.RunSpec{
			Operation: operation, Deployment: deployment, Training: &trainingv1.TrainingSpec{HoldOut: m.o.HoldOut},
			// With few labels nobody can tell a model that knows little from labels that are wrong, or show that it is not worse by 2 points. What may be automated is the certificate's to say, and for that there is no leniency.
			Gates: &trainingv1.GatePolicy{Margin: m.o.Margin, GroupMargin: 0.15, MaxLabelNoise: 0.3, MaxCalibrationError: 0.1},
			Data: &trainingv1.RunSpec_Build{Build: &trainingv1.BuildDatasetRequest{
				Name: deployment, Query: &trainingv1.DatasetQuery{Operation: operation, Deployment: deployment},
				Split: &trainingv1.SplitSpec{Method: m.o.Split, TestShare: m.o.TestShare},
			}},
		},
	}})
	return err
}

// follow waits for runs to end, and if one is due, for it to begin.
func (m *Month) follow(ctx context.Context, day int, due bool) (begun bool, err error) {
	for deadline := time.Now().Add(runTimeout); ; {
		list, err := m.runs.ListRuns(ctx, &trainingv1.ListRunsRequest{Deployment: deployment})
		if err != nil {
			return begun, fmt.Errorf("list the runs: %w", err)
		}
		open := false
		for _, r := range list.GetRuns() {
			switch {
			case m.seen[r.GetRunId()]:
			case r.GetState() == trainingv1.RunState_RUN_STATE_QUEUED || r.GetState() == trainingv1.RunState_RUN_STATE_RUNNING:
				open = true
			default:
				m.seen[r.GetRunId()], begun = true, true
				if err := m.noteRun(ctx, day, r); err != nil {
					return begun, err
				}
			}
		}
		if !open && (begun || !due) {
			return begun, nil
		}
		if time.Now().After(deadline) {
			return begun, fmt.Errorf("no run has ended in %v although %d labels are new", runTimeout, m.o.NewLabels)
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return begun, err
		}
	}
}

func (m *Month) noteRun(ctx context.Context, day int, r *trainingv1.Run) error {
	out := summary.MonthRun{
		Day: day, ID: r.GetRunId(), Cause: r.GetCause(), Promoted: r.GetRevision() > 0, Version: r.GetVersion(), Statement: r.GetStatement(),
	}
	if out.Promoted {
		d, err := m.deployed(ctx)
		if err != nil {
			return err
		}
		out.Rows = d.GetChampion().GetLineage().GetTrainRows()
		for _, c := range d.GetCertificates() {
			out.Certified, out.Coverage = c.GetCertified(), c.GetCoverage()
		}
	}
	if r.GetState() == trainingv1.RunState_RUN_STATE_FAILED {
		out.Statement = "failed: " + r.GetProblem().GetMessage()
	}
	m.report.Runs = append(m.report.Runs, out)
	m.o.Say("run after day %d, begun by %s: %s", day, out.Cause, out.Statement)
	return nil
}
