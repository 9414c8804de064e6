package monitoring

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// maxMeasured bounds how many deployments the metrics tell about: they are named by callers, and a metrics page must not grow with them.
const maxMeasured = 1000

// measure registers the instruments: for every certificate in force the promised error, the live error with its bounds, the audits, and whether automation runs. They are read from the
// tables when somebody asks, so they are right after a restart too.
func (s *Service) measure() error {
	if s.meter == nil {
		return nil
	}
	gauge := func(name, description string) (metric.Float64ObservableGauge, error) {
		return s.meter.Float64ObservableGauge(name, metric.WithDescription(description))
	}
	promised, err := gauge("switchyard.promise.max_error", "Promised maximum error, 0 to 1.")
	if err != nil {
		return fmt.Errorf("make instrument: %w", err)
	}
	live, err := gauge("switchyard.promise.live_error", "Live error by audits, 0 to 1: estimate, and bounds that hold at all times together.")
	if err != nil {
		return fmt.Errorf("make instrument: %w", err)
	}
	audits, err := gauge("switchyard.promise.audits", "Audits that people have answered under the certificate.")
	if err != nil {
		return fmt.Errorf("make instrument: %w", err)
	}
	automating, err := gauge("switchyard.promise.automating", "1 while what the certificate covers is automated, 0 while it is stopped or not certified.")
	if err != nil {
		return fmt.Errorf("make instrument: %w", err)
	}
	s.metrics, err = s.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		all, err := s.readings(ctx)
		for _, r := range all {
			set := metric.WithAttributeSet(attribute.NewSet(r.attributes...))
			o.ObserveFloat64(promised, r.maxError, set)
			o.ObserveFloat64(audits, float64(r.audits), set)
			o.ObserveFloat64(automating, r.automating, set)
			if r.audits == 0 {
				continue
			}
			for bound, v := range map[string]float64{"estimate": r.live, "lower": r.lower, "upper": r.upper} {
				o.ObserveFloat64(live, v, set, metric.WithAttributes(attribute.String("bound", bound)))
			}
		}
		return err
	}, promised, live, audits, automating)
	if err != nil {
		return fmt.Errorf("register instruments: %w", err)
	}
	return nil
}

// reading is what the metrics say of one certificate.
type reading struct {
	attributes                               []attribute.KeyValue
	maxError, live, lower, upper, automating float64
	audits                                   int64
}

func (s *Service) readings(ctx context.Context) (all []reading, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		var keys []key
		err := tx.Each(`SELECT project, operation, deployment FROM monitoring_deployments ORDER BY project, operation, deployment LIMIT ?`, []any{maxMeasured}, func(scan func(...any) error) error {
			var k key
			err := scan(&k.project, &k.operation, &k.deployment)
			keys = append(keys, k)
			return err
		})
		if err != nil {
			return err
		}
		for _, k := range keys {
			some, err := readingsOf(tx, k)
			if err != nil {
				return err
			}
			all = append(all, some...)
		}
		return nil
	})
	return all, err
}

func readingsOf(tx *db.Tx, k key) (all []reading, err error) {
	d, err := loadDeployment(tx, k)
	if err != nil {
		return nil, err
	}
	for _, c := range d.GetCertificates()[:min(mostSides, len(d.GetCertificates()))] {
		r := reading{maxError: c.GetMaxError(), attributes: []attribute.KeyValue{
			attribute.String("switchyard.project", k.project), attribute.String("switchyard.operation", fault.OperationName(commonv1.Operation(k.operation))),
			attribute.String("switchyard.deployment", k.deployment), attribute.String("side", c.GetSide()),
		}}
		if c.GetCertified() && haltOf(d, c) == nil {
			r.automating = 1
		}
		root, err := rootOf(tx, k.project, c.GetCertificateId())
		if err != nil {
			return nil, err
		}
		_, err = tx.Get(`SELECT audits, live, lower, upper FROM monitoring_states WHERE project = ? AND root = ?`, []any{k.project, root}, &r.audits, &r.live, &r.lower, &r.upper)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}
