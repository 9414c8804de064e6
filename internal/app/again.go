package app

import (
	"context"
	"slices"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/internal/serving"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// resume answers a call again that was begun before under its idempotency key and not answered, because the process died between the record of the decision and the answer that is kept. The
// record may have reached others by then. So the call is answered as its record says, by the version, the policy and the rules of then: another deployment may answer by now.
type resume struct {
	app      *App
	replayer *replayer
	recorder decision.Recorder
}

// method is a method of an operation as a service with the deployment of then would answer it.
type method[Req, Res any] = func(p pastDeps) func(context.Context, Req) (Res, error)

// pastDeps is what such a service needs.
type pastDeps struct {
	maker  *decision.Maker
	source decision.Source
	rules  []*moderationv1.Rule
	of     string // the project
}

// again answers a call that was begun before: as a new one when nothing of it is recorded. A batch has n items; a call about one thing has none. adopt lets the answer say what a record says,
// which it gets by the id of a decision.
func again[Req, Res any](
	ctx context.Context, r *resume, n int, req Req, now func(context.Context, Req) (Res, error), then method[Req, Res], adopt func(Res, func(*commonv1.Decision) *commonv1.DecisionRecord),
) (res Res, err error) {
	ids := []string{telemetry.Seed(ctx)}
	if n > 0 {
		ids = decision.SeededIDs(ids[0], n)
	}
	known, err := r.find(ctx, ids)
	if err != nil {
		return res, err
	}
	if len(known) == 0 {
		return now(ctx, req)
	}
	first := known[ids[slices.IndexFunc(ids, func(id string) bool { return known[id] != nil })]]
	states, rules, err := r.then(ctx, first)
	if err != nil {
		return res, err
	}
	defer release(states)
	var made *collector
	for _, live := range states {
		for _, set := range rules {
			made = &collector{}
			p := pastDeps{decision.New(decision.Deps{Recorder: made, Log: r.app.log}), past{live, challenged(first.GetDecision())}, set, auth.FromContext(ctx).Project}
			if res, err = then(p)(ctx, req); err != nil {
				return res, err
			}
			if made.agrees(known) {
				return adopted(ctx, r, res, made, known, adopt)
			}
		}
	}
	// None says all of it, as when versions on trial answered some items: the records hold.
	return adopted(ctx, r, res, made, known, adopt)
}

// adopted lets an answer say what is recorded, and records what the crash has kept from it.
func adopted[Res any](
	ctx context.Context, r *resume, res Res, made *collector, known map[string]*commonv1.DecisionRecord, adopt func(Res, func(*commonv1.Decision) *commonv1.DecisionRecord),
) (Res, error) {
	rest := slices.DeleteFunc(made.records, func(m *commonv1.DecisionRecord) bool { return known[m.GetDecision().GetDecisionId()] != nil })
	adopt(res, func(d *commonv1.Decision) *commonv1.DecisionRecord { return known[d.GetDecisionId()] })
	if len(rest) == 0 {
		return res, nil
	}
	return res, r.recorder.RecordBatch(ctx, rest)
}

// find returns what is recorded of some decisions of the caller.
func (r *resume) find(ctx context.Context, ids []string) (map[string]*commonv1.DecisionRecord, error) {
	keys := make([]ledger.Key, 0, len(ids))
	for _, id := range ids {
		if k, ok := ledger.NewKey(auth.FromContext(ctx).Project, id); ok {
			keys = append(keys, k)
		}
	}
	var inLake ledger.Place
	if r.app.config.runs("decisions") {
		inLake = ledger.Lake{Open: r.app.lake.Load}
	}
	known, err := ledger.FindTogether(ctx, keys, telemetry.BegunAfter(ctx), &ledger.Journal{Journal: r.app.journal}, ledger.Stream{Bus: r.app.bus}, inLake)
	if err != nil && ctx.Err() == nil {
		err = fault.Unavailable("record of decisions").Cause(err)
	}
	return known, err
}

// then returns the states of the deployment that may have decided, opened, and the rules of that time.
func (r *resume) then(ctx context.Context, rec *commonv1.DecisionRecord) (live []*serving.Live, rules [][]*moderationv1.Rule, err error) {
	rules = [][]*moderationv1.Rule{nil}
	d := rec.GetDecision()
	if d.GetOperation() == commonv1.Operation_OPERATION_MODERATION {
		if rules, err = r.replayer.rules(ctx, d.GetProject(), d.GetTime().AsTime()); err != nil {
			return nil, nil, err
		}
	}
	states, err := r.replayer.states(ctx, rec)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range states {
		l, err := r.replayer.table.Open(ctx, s)
		if err != nil {
			release(live)
			return nil, nil, openFault(err)
		}
		live = append(live, l)
	}
	return live, rules, nil
}

func release(live []*serving.Live) {
	for _, l := range live {
		l.Release()
	}
}

// collector is a recorder that keeps records in memory.
type collector struct{ records []*commonv1.DecisionRecord }

var _ decision.Recorder = (*collector)(nil)

// Record implements decision.Recorder.
func (c *collector) Record(_ context.Context, r *commonv1.DecisionRecord) error {
	c.records = append(c.records, r)
	return nil
}

// RecordBatch implements decision.Recorder.
func (c *collector) RecordBatch(_ context.Context, rs []*commonv1.DecisionRecord) error {
	c.records = append(c.records, rs...)
	return nil
}

// RecordAsync implements decision.Recorder.
func (c *collector) RecordAsync(r *commonv1.DecisionRecord) error {
	return c.Record(context.Background(), r)
}

// agrees says whether all that was made anew and is recorded says the same as its record.
func (c *collector) agrees(known map[string]*commonv1.DecisionRecord) bool {
	return !slices.ContainsFunc(c.records, func(m *commonv1.DecisionRecord) bool {
		k := known[m.GetDecision().GetDecisionId()]
		if k == nil {
			return false
		}
		a, b := m.GetDecision(), k.GetDecision()
		return m.GetAction() != k.GetAction() || a.GetOutcome() != b.GetOutcome() || a.GetReason() != b.GetReason() || !slices.Equal(a.GetChosenLabels(), b.GetChosenLabels()) ||
			!slices.Equal(m.GetRuleIds(), k.GetRuleIds()) || !proto.Equal(a.GetModel(), b.GetModel()) || a.GetCertificateId() != b.GetCertificateId()
	})
}

// newResume returns what answers calls again that were begun before.
func (a *App) newResume(recorder decision.Recorder) (*resume, error) {
	r, err := a.newReplayer()
	return &resume{app: a, replayer: r, recorder: recorder}, err
}
