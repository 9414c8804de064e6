package telemetry

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// MaxDecisionSets bounds how many different label sets the decision metrics hold: deployments are named by callers, and a metrics
// page must not grow with them. What comes later is counted under the deployment "other".
const MaxDecisionSets = 2000

var decisionBounds = milliseconds(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500)

// DecisionLabels say what kind of decision was made. The names are those of the contract's enums without prefix, in lower case.
type DecisionLabels struct {
	Operation    string // "moderation", "routing" or "classification"
	Deployment   string // the deployment's name
	Outcome      string // "automated" or "review"
	Stage        string // "rules", "model" or "fallback"
	ModelVersion int32  // version of the model that answered, 0 when none did
}

// Decisions measures decisions: switchyard.decision.count and switchyard.decision.duration, by the labels.
type Decisions struct {
	start time.Time
	sets  atomic.Pointer[map[DecisionLabels]*decisionSet] // replaced as a whole; read on every decision
	mu    sync.Mutex                                      // held to replace sets
}

type decisionSet struct{ h *histogram }

func newDecisions() *Decisions {
	d := &Decisions{start: time.Now()}
	d.sets.Store(&map[DecisionLabels]*decisionSet{})
	return d
}

// Record counts one decision that took the given time. A nil Decisions records nothing.
func (d *Decisions) Record(l DecisionLabels, latency time.Duration) {
	if d == nil {
		return
	}
	s, ok := (*d.sets.Load())[l]
	if !ok {
		s = d.add(l)
	}
	s.h.record(latency)
}

func (d *Decisions) add(l DecisionLabels) *decisionSet {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := *d.sets.Load()
	if s, ok := old[l]; ok {
		return s
	}
	if len(old) >= MaxDecisionSets {
		l.Deployment, l.ModelVersion = "other", 0 // 3 operations × 2 outcomes × 3 stages at most
		if s, ok := old[l]; ok {
			return s
		}
	}
	next := make(map[DecisionLabels]*decisionSet, len(old)+1)
	maps.Copy(next, old)
	s := &decisionSet{h: newHistogram(decisionBounds,
		attribute.String("switchyard.operation", l.Operation),
		attribute.String("switchyard.deployment", l.Deployment),
		attribute.String("switchyard.outcome", l.Outcome),
		attribute.String("switchyard.stage", l.Stage),
		attribute.Int("switchyard.model.version", int(l.ModelVersion)),
	)}
	next[l] = s
	d.sets.Store(&next)
	return s
}

// Produce implements sdk/metric.Producer.
func (d *Decisions) Produce(context.Context) ([]metricdata.ScopeMetrics, error) {
	sets := *d.sets.Load()
	if len(sets) == 0 {
		return nil, nil
	}
	now := time.Now()
	all := make([]*histogram, 0, len(sets))
	count := metricdata.Sum[int64]{Temporality: metricdata.CumulativeTemporality, IsMonotonic: true}
	for _, s := range sets {
		all = append(all, s.h)
		count.DataPoints = append(count.DataPoints, metricdata.DataPoint[int64]{
			Attributes: s.h.attrs, StartTime: d.start, Time: now, Value: int64(s.h.count()),
		})
	}
	return []metricdata.ScopeMetrics{{
		Scope: instrumentation.Scope{Name: Scope},
		Metrics: []metricdata.Metrics{
			{Name: "switchyard.decision.count", Description: "Decisions made.", Unit: "{decision}", Data: count},
			histogramMetric("switchyard.decision.duration", "Time from the arrival of a request to its decision.",
				decisionBounds, d.start, all),
		},
	}}, nil
}
