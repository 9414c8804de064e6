package decision_test

import (
	"context"
	"testing"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// tight is a recorder whose buffer takes so many records; the durable way takes all.
type tight struct{ room, buffered, durable int }

func (r *tight) Record(context.Context, *commonv1.DecisionRecord) error { r.durable++; return nil }

func (r *tight) RecordBatch(_ context.Context, rs []*commonv1.DecisionRecord) error {
	r.durable += len(rs)
	return nil
}

func (r *tight) RecordAsync(*commonv1.DecisionRecord) error {
	if r.buffered == r.room {
		return fault.StorageFull(4 << 20)
	}
	r.buffered++
	return nil
}

func TestAFullBufferSlowsDownInsteadOfRefusing(t *testing.T) {
	t.Parallel()
	r := &tight{room: 2}
	m := decision.New(decision.Deps{Recorder: r})
	target := &decision.Target{Deployment: &modelsv1.Deployment{Policy: &modelsv1.Policy{Record: modelsv1.RecordMode_RECORD_MODE_ASYNC}}}
	one := func() *commonv1.DecisionRecord { return &commonv1.DecisionRecord{Decision: &commonv1.Decision{}} }
	if err := m.RecordAll(t.Context(), target, []*commonv1.DecisionRecord{one(), one(), one(), one()}); err != nil {
		t.Fatal(err)
	}
	if err := m.Record(t.Context(), target, one()); err != nil {
		t.Fatal(err)
	}
	if r.buffered != 2 || r.durable != 3 {
		t.Errorf("%d records in the buffer and %d durable, want 2 and 3", r.buffered, r.durable)
	}
}
