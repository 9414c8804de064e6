package review

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// maxMeasured bounds how many queues the metrics tell about: they are named by callers, and a metrics page must not grow with them.
const maxMeasured = 1000

// measure registers what an operator watches: how many items wait, are with people, and were escalated, and how long the oldest has waited. It is read from the tables
// when somebody asks, so it is right after a restart too.
func (s *Service) measure(meter metric.Meter) error {
	if meter == nil {
		return nil
	}
	items, err := meter.Int64ObservableGauge("switchyard.review.items", metric.WithDescription("Items of a queue that are not decided, by state: open, leased; and escalated, which counts those of both that are."))
	if err != nil {
		return fmt.Errorf("make instrument: %w", err)
	}
	age, err := meter.Float64ObservableGauge("switchyard.review.oldest", metric.WithUnit("s"), metric.WithDescription("How long the oldest open item of a queue has waited; 0 when none waits."))
	if err != nil {
		return fmt.Errorf("make instrument: %w", err)
	}
	s.metrics, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		all, err := s.readings(ctx)
		for _, r := range all {
			queue := metric.WithAttributes(
				attribute.String("switchyard.project", r.key.project), attribute.String("switchyard.operation", fault.OperationName(r.key.operation)),
				attribute.String("switchyard.deployment", r.key.deployment),
			)
			for state, n := range map[string]int64{"open": r.open, "leased": r.leased, "escalated": r.escalated} {
				o.ObserveInt64(items, n, queue, metric.WithAttributes(attribute.String("state", state)))
			}
			o.ObserveFloat64(age, r.oldest.Seconds(), queue)
		}
		return err
	}, items, age)
	if err != nil {
		return fmt.Errorf("register instruments: %w", err)
	}
	return nil
}

// reading is what the metrics say of one queue.
type reading struct {
	key                     queueKey
	open, leased, escalated int64
	oldest                  time.Duration
}

func (s *Service) readings(ctx context.Context) (all []reading, err error) {
	now := s.now()
	err = s.db.View(ctx, func(tx *db.Tx) error {
		err := tx.Each(`SELECT project, operation, deployment, n_open, n_leased, n_escalated FROM review_queues ORDER BY project, operation, deployment LIMIT ?`, []any{maxMeasured},
			func(scan func(...any) error) error {
				var r reading
				err := scan(&r.key.project, &r.key.operation, &r.key.deployment, &r.open, &r.leased, &r.escalated)
				all = append(all, r)
				return err
			})
		if err != nil {
			return err
		}
		for i := range all {
			if all[i].open == 0 {
				continue
			}
			// Ids sort by the time of their decision, so the index of lists has the oldest first.
			var since int64
			ok, err := tx.Get(`SELECT since FROM review_items WHERE project = ? AND operation = ? AND deployment = ? AND state = 1 ORDER BY id LIMIT 1`,
				[]any{all[i].key.project, all[i].key.operation, all[i].key.deployment}, &since)
			if err != nil {
				return err
			}
			if ok {
				all[i].oldest = max(0, now.Sub(db.Time(since)))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("measure queues: %w", err)
	}
	return all, nil
}
