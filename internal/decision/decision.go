// Package decision turns what a service found out about an input into a decision: it gives it an id, draws audits, computes
// costs, builds the record that is kept of it and makes that record durable. It is what the three operations have in common,
// including how they answer batches and streams. It does not know what moderation, routing or classification mean.
package decision

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/pace"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// Metrics counts decisions; *telemetry.Decisions does.
type Metrics interface {
	Record(l telemetry.DecisionLabels, latency time.Duration)
}

var _ Metrics = (*telemetry.Decisions)(nil)

// Deps is what a Maker needs. Only Recorder is required.
type Deps struct {
	Recorder Recorder
	Metrics  Metrics          // nil counts nothing
	Now      func() time.Time // nil means time.Now
	Random   func() float64   // uniform in [0, 1), safe for concurrent use; nil means the runtime's generator
	NewID    func() string    // nil means UUIDv7
	Log      *slog.Logger     // hears of the defects behind items that failed; nil discards
	Pace     *pace.Pace       // hears how many decisions somebody waits for; nil for nobody
	Traffic  *Traffic         // compares versions on trial; nil compares nothing
}

// Maker makes decisions. Its methods may be called from many goroutines.
type Maker struct {
	recorder Recorder
	metrics  Metrics
	now      func() time.Time
	random   func() float64
	newID    func() string
	log      *slog.Logger
	pace     *pace.Pace
	traffic  *Traffic
}

// New returns a Maker.
func New(d Deps) *Maker {
	m := &Maker{
		recorder: d.Recorder, metrics: d.Metrics, now: d.Now, random: d.Random, newID: d.NewID, log: d.Log, pace: d.Pace, traffic: d.Traffic,
	}
	if m.now == nil {
		m.now = time.Now
	}
	if m.random == nil {
		m.random = rand.Float64
	}
	if m.newID == nil {
		m.newID = NewID
	}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	return m
}

// Call is what all decisions of one request have in common.
type Call struct {
	Project        string
	Caller         string // id of the API key
	Operation      commonv1.Operation
	Traceparent    string
	RequestID      string
	IdempotencyKey string
	Seed           string    // the id of a single decision under an idempotency key, and what those of a batch come from; "" without a key
	Start          time.Time // when the request, or the item of a stream, arrived
}

// Begin reads from the context who calls and how the call is traced.
func (m *Maker) Begin(ctx context.Context, op commonv1.Operation) (Call, error) {
	caller := auth.FromContext(ctx)
	if caller == nil {
		return Call{}, fault.KeyMissing()
	}
	return Call{
		Project: caller.Project, Caller: caller.KeyID, Operation: op,
		Traceparent: telemetry.Traceparent(ctx), RequestID: telemetry.RequestID(ctx), IdempotencyKey: telemetry.IdempotencyKey(ctx),
		Seed:  telemetry.Seed(ctx),
		Start: m.now(),
	}, nil
}

// Now returns the time by the Maker's clock.
func (m *Maker) Now() time.Time { return m.now() }

// ItemError returns err as the error of one item of a batch or stream. The call itself succeeds, so that nobody else would log the
// cause of a defect.
func (m *Maker) ItemError(c *Call, err error) *commonv1.ItemError {
	f := fault.From(err)
	if f.Reason() == commonv1.ErrorReason_ERROR_REASON_INTERNAL {
		m.log.Error("item failed", "request_id", c.RequestID, "operation", fault.OperationName(c.Operation), "error", err)
	}
	return fault.Item(f)
}

// Record makes one decision durable as the policy of its deployment says, and counts it. A nil record is ignored.
//
// It fails with STORAGE_FULL and DEPENDENCY_UNAVAILABLE; the answer must not be given then.
func (m *Maker) Record(ctx context.Context, t *Target, r *commonv1.DecisionRecord) error {
	if r == nil {
		return nil
	}
	m.pace.Asked(1)
	m.pace.Enter()
	defer m.pace.Leave()
	var err error
	if t.recordMode() == modelsv1.RecordMode_RECORD_MODE_ASYNC {
		if err = m.recorder.RecordAsync(r); bufferFull(err) {
			err = m.recorder.Record(ctx, r)
		}
	} else {
		err = m.recorder.Record(ctx, r)
	}
	if err != nil {
		return err
	}
	m.count(r)
	if m.pace != nil {
		// From the beginning of the call to the durable record, as its caller waits for it.
		m.pace.Took(m.now().Sub(r.GetDecision().GetTime().AsTime()) + r.GetDecision().GetLatency().AsDuration())
	}
	return nil
}

// bufferFull says whether the buffer for asynchronous records has no room. Then the record takes the durable way, which waits for the disk:
// callers are slowed down to what it takes instead of being refused. When the disk itself is full, that way says so.
func bufferFull(err error) bool {
	return err != nil && fault.From(err).Reason() == commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL
}

// RecordAll makes many decisions of one deployment durable with one wait, and counts them. It fails like Record, for all of them.
func (m *Maker) RecordAll(ctx context.Context, t *Target, rs []*commonv1.DecisionRecord) error {
	if len(rs) == 0 {
		return nil
	}
	if ctx.Value(backgroundKey{}) == nil {
		m.pace.Asked(len(rs))
	}
	if t.recordMode() == modelsv1.RecordMode_RECORD_MODE_ASYNC {
		for i, r := range rs {
			err := m.recorder.RecordAsync(r)
			if err == nil {
				continue
			}
			if !bufferFull(err) {
				return err
			}
			if err := m.recorder.RecordBatch(ctx, rs[i:]); err != nil {
				return err
			}
			break
		}
	} else if err := m.recorder.RecordBatch(ctx, rs); err != nil {
		return err
	}
	for _, r := range rs {
		m.count(r)
	}
	return nil
}

// Names of the labels, by the number of the enum.
var (
	outcomeNames = [...]string{"unspecified", "automated", "review"}
	stageNames   = [...]string{"unspecified", "rules", "model", "fallback"}
)

func (m *Maker) count(r *commonv1.DecisionRecord) {
	if m.metrics == nil {
		return
	}
	d := r.GetDecision()
	m.metrics.Record(telemetry.DecisionLabels{
		Operation: fault.OperationName(d.GetOperation()), Deployment: d.GetDeployment(), Outcome: outcomeNames[d.GetOutcome()],
		Stage: stageNames[d.GetStage()], ModelVersion: d.GetModel().GetVersion(),
	}, time.Duration(d.GetLatency().GetSeconds())*time.Second+time.Duration(d.GetLatency().GetNanos()))
}
