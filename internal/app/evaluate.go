package app

import (
	"context"
	"errors"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/internal/serving"
	"github.com/switchyard-ai/switchyard/services/monitoring"
)

// pastDecisions is where decisions are read again: the lake, where this process keeps it; nil elsewhere.
func (a *App) pastDecisions(models grpc.ClientConnInterface) monitoring.Replay {
	if !a.config.runs("decisions") {
		return nil
	}
	table := a.serving
	if table == nil { // a process that decides nothing itself opens models only for this
		table = serving.New(modelsv1.NewModelServiceClient(models), filepath.Join(a.config.DataDir, "artifacts"), a.log)
	}
	return &lakeReplay{lake: a.lake.Load, table: table}
}

// lakeReplay reads decisions and truths from the lake.
type lakeReplay struct {
	lake  func() *lake.Lake
	table *serving.Table
}

var _ monitoring.Replay = (*lakeReplay)(nil)

// Decisions returns a page of decisions, newest first.
func (l *lakeReplay) Decisions(ctx context.Context, w monitoring.Window, before string, limit int) ([]*commonv1.DecisionRecord, string, error) {
	return ledger.Lake{Open: l.lake}.List(ctx, w.Project, &decisionsv1.ListDecisionsRequest{
		Operation: w.Operation, Deployment: w.Deployment, From: timestamppb.New(w.From), To: timestamppb.New(w.To),
	}, before, limit)
}

// Truths tells final verdicts first, and feedback after them.
func (l *lakeReplay) Truths(ctx context.Context, w monitoring.Window, fn func(monitoring.Truth)) error {
	open := l.lake()
	if open == nil {
		return errors.New("the lake was not reached yet")
	}
	filter, operation := lake.Filter{Project: w.Project, From: w.From}, fault.OperationName(w.Operation) // a truth may come long after the decision
	err := open.Each(ctx, "verdicts", filter, func(row any) error {
		v, ok := row.(*lake.Verdict)
		if ok && v.Final && !v.Gold && !v.NotSure && v.Round == 0 && v.Deployment == w.Deployment && v.Operation == operation {
			fn(monitoring.Truth{DecisionID: v.DecisionID, Labels: v.Labels, Action: v.Action, OutOfScope: v.OutOfScope})
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	return open.Each(ctx, "feedback", filter, func(row any) error {
		f, ok := row.(*lake.Feedback)
		if ok && f.Deployment == w.Deployment && f.Operation == operation {
			fn(monitoring.Truth{DecisionID: f.DecisionID, Labels: f.Labels, Action: f.Action, OutOfScope: f.OutOfScope, Feedback: true})
		}
		return ctx.Err()
	})
}

// Open opens a version.
func (l *lakeReplay) Open(ctx context.Context, project string, v *modelsv1.ModelVersion) (engine.Predictor, error) {
	live, err := l.table.Open(ctx, &modelsv1.Deployment{Project: project, Champion: v})
	if err != nil {
		return nil, err
	}
	return borrowed{live.Predictor, live}, nil
}

// borrowed is a predictor that others may use too: closing it ends this use only.
type borrowed struct {
	engine.Predictor
	live *serving.Live
}

// Close releases it.
func (b borrowed) Close() error { b.live.Release(); return nil }
