package monitoring

import (
	"context"
	"slices"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// maxPoints bounds an answer: more than a plot can show.
const maxPoints = 1000

// point is what was known of a live error when audits were counted.
type point struct {
	side               string
	maxError           float64
	audits             int64
	live, lower, upper float64
}

// step thins points out: bounds change with the root of the audits, so that each hundredth more is enough. A million audits make about a thousand points.
func step(audits int64) int64 {
	return audits - audits%max(1, audits/100)
}

// save keeps the point in the place of an earlier one of the same step.
func (p point) save(tx *db.Tx, k stateKey, since, now int64) error {
	_, err := tx.Exec(`INSERT INTO monitoring_points (project, operation, deployment, side, root, since, step, time, max_error, audits, live, lower, upper)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, operation, deployment, side, root, since, step) DO UPDATE SET
		time = excluded.time, max_error = excluded.max_error, audits = excluded.audits, live = excluded.live, lower = excluded.lower, upper = excluded.upper`,
		k.project, k.operation, k.deployment, p.side, k.root, since, step(p.audits), now, p.maxError, p.audits, p.live, p.lower, p.upper)
	return err
}

// GetPromiseHistory says what audits showed over time.
func (s *Service) GetPromiseHistory(ctx context.Context, req *monitoringv1.GetPromiseHistoryRequest) (*monitoringv1.GetPromiseHistoryResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	from := int64(0)
	if t := req.GetFrom(); t != nil {
		if err := t.CheckValid(); err != nil {
			return nil, fault.InvalidField("from", "is not a time").Cause(err)
		}
		from = db.Micros(t.AsTime())
	}
	k := key{project, int32(req.GetOperation()), req.GetDeployment()}
	res := &monitoringv1.GetPromiseHistoryResponse{}
	var d *modelsv1.Deployment
	err = s.db.View(ctx, func(tx *db.Tx) error {
		res.Points = nil
		if d, err = loadDeployment(tx, k); err != nil || d == nil {
			return err
		}
		return tx.Each(`SELECT time, side, root, since, max_error, audits, live, lower, upper FROM monitoring_points
			WHERE project = ? AND operation = ? AND deployment = ? AND time >= ? ORDER BY time DESC, audits DESC LIMIT ?`,
			[]any{k.project, k.operation, k.deployment, from, maxPoints}, func(scan func(...any) error) error {
				p := &monitoringv1.PromisePoint{}
				var at, since int64
				var root string
				if err := scan(&at, &p.Side, &root, &since, &p.MaxError, &p.Audits, &p.LiveError, &p.Lower, &p.Upper); err != nil {
					return err
				}
				p.Time, p.Series = timestamppb.New(db.Time(at)), root
				if since > 0 {
					p.Series += "@" + strconv.FormatInt(since, 10)
				}
				res.Points = append(res.Points, p)
				return nil
			})
	})
	if err == nil && d == nil {
		return nil, fault.DeploymentNotFound(req.GetOperation(), req.GetDeployment())
	}
	slices.Reverse(res.Points)
	return res, err
}
