package app

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/serving"
	"github.com/switchyard-ai/switchyard/services/classification"
	"github.com/switchyard-ai/switchyard/services/decisions"
	"github.com/switchyard-ai/switchyard/services/moderation"
	"github.com/switchyard-ai/switchyard/services/routing"
)

// replayer repeats decisions with the operations themselves: they are given the deployment of then in place of the live one, and a recorder that keeps nothing. It is another
// instance of the same code, so what it does cannot drift from what decides.
type replayer struct {
	models modelsv1.ModelServiceClient
	table  *serving.Table
	rules  func(ctx context.Context, project string, at time.Time) ([][]*moderationv1.Rule, error)
}

var _ decisions.Replayer = (*replayer)(nil)

// newReplayer returns what repeats decisions. A process that decides nothing itself opens models only for it.
func (a *App) newReplayer() (*replayer, error) {
	conn, err := a.Conn("models")
	if err != nil {
		return nil, err
	}
	r := &replayer{models: modelsv1.NewModelServiceClient(asSystem{conn}), table: a.serving}
	if r.table == nil {
		r.table = serving.New(r.models, filepath.Join(a.config.DataDir, "artifacts"), a.log)
	}
	r.rules = func(ctx context.Context, project string, at time.Time) ([][]*moderationv1.Rule, error) {
		if !a.config.runs("moderation") && a.config.DB.URL == "" {
			return nil, fault.Unavailable("moderation rules") // they are in the database of the process that moderates
		}
		return moderation.History{DB: a.db}.Around(ctx, project, at, slack(a.config.DB.PollInterval))
	}
	return r, nil
}

// slack is how long a change may take to reach every process, and a decision from reading the state to its time.
func slack(poll time.Duration) time.Duration { return 2*poll + time.Second }

// Replay implements decisions.Replayer.
func (r *replayer) Replay(ctx context.Context, rec *commonv1.DecisionRecord, try func(*commonv1.DecisionRecord, int64) bool) error {
	states, err := r.states(ctx, rec)
	if err != nil {
		return err
	}
	rules := [][]*moderationv1.Rule{nil}
	if rec.GetDecision().GetOperation() == commonv1.Operation_OPERATION_MODERATION {
		if rules, err = r.rules(ctx, rec.GetDecision().GetProject(), rec.GetDecision().GetTime().AsTime()); err != nil {
			return err
		}
	}
	for _, d := range states {
		live, err := r.table.Open(ctx, d)
		if err != nil {
			return openFault(err)
		}
		for _, set := range rules {
			again, err := repeat(ctx, rec, live, set)
			if err != nil {
				live.Release()
				return err
			}
			if try(again, d.GetRevision()) {
				live.Release()
				return nil
			}
		}
		live.Release()
	}
	return nil
}

// openFault says what a caller may know of a version that cannot be opened. A damaged file is named in the log.
func openFault(err error) error {
	if errors.Is(err, engine.ErrFormat) {
		return fault.Unavailable("artifact of the version").Cause(err)
	}
	return err
}

const (
	maxStates = 4  // of a deployment are tried
	maxLooks  = 50 // at states, to find those in which a version was on trial
)

// states returns the states of the deployment that may have made the decision: those with its version and policy, beginning with what answered at its time. A call ends with the state that it
// began with, so an older one may have answered.
func (r *replayer) states(ctx context.Context, rec *commonv1.DecisionRecord) ([]*modelsv1.Deployment, error) {
	d := rec.GetDecision()
	var fits []*modelsv1.DeploymentChange
	req := &modelsv1.ListDeploymentChangesRequest{Project: d.GetProject(), Operation: d.GetOperation(), Deployment: d.GetDeployment(), Page: &commonv1.PageRequest{Size: 500}}
	for {
		res, err := r.models.ListDeploymentChanges(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, c := range res.GetChanges() {
			if couldDecide(c, d) {
				fits = append(fits, c)
			}
		}
		if req.Page.Token = res.GetPage().GetNextToken(); req.Page.Token == "" {
			break
		}
	}
	if len(fits) == 0 {
		return nil, fault.VersionNotFound(d.GetModel().GetName(), d.GetModel().GetVersion())
	}
	at := d.GetTime().AsTime()
	before := func(c *modelsv1.DeploymentChange) bool { return !c.GetRecordTime().AsTime().After(at) }
	// Newest of those before the decision first, then older ones, then those after it: clocks of two machines may differ.
	slices.SortStableFunc(fits, func(a, b *modelsv1.DeploymentChange) int {
		switch {
		case before(a) != before(b):
			if before(a) {
				return -1
			}
			return 1
		case before(a):
			return int(b.GetRevision() - a.GetRevision())
		}
		return int(a.GetRevision() - b.GetRevision())
	})
	var states []*modelsv1.Deployment
	for _, c := range fits[:min(len(fits), maxLooks)] {
		if len(states) == maxStates {
			break
		}
		res, err := r.models.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{
			Project: d.GetProject(), Operation: d.GetOperation(), Deployment: d.GetDeployment(), Revision: c.GetRevision(),
		})
		if err != nil {
			return nil, err
		}
		if state := asDecided(res.GetDeployment(), d); state != nil {
			states = append(states, state)
		}
	}
	if len(states) == 0 {
		return nil, fault.VersionNotFound(d.GetModel().GetName(), d.GetModel().GetVersion())
	}
	return states, nil
}

// asDecided returns a state with the version that made the decision in the champion's place; nil when that version was not on trial in it.
func asDecided(state *modelsv1.Deployment, d *commonv1.Decision) *modelsv1.Deployment {
	if !challenged(d) {
		return state
	}
	for _, c := range state.GetChallengers() {
		if c.GetVersion().GetDigest() == d.GetModel().GetDigest() && c.GetVersion().GetModel() == d.GetModel().GetName() && c.GetVersion().GetVersion() == d.GetModel().GetVersion() {
			state = proto.CloneOf(state)
			state.Champion, state.Certificates, state.Challengers, state.Previous = c.GetVersion(), c.GetCertificates(), nil, nil
			return state
		}
	}
	return nil
}

func challenged(d *commonv1.Decision) bool {
	return d.GetVariant() == commonv1.Variant_VARIANT_CHALLENGER
}

// couldDecide says whether the state after a change has the version, the policy and the certificate of a decision. A decision of rules names no version; an entry names one version,
// and up to three more may be on trial.
func couldDecide(c *modelsv1.DeploymentChange, d *commonv1.Decision) bool {
	m := d.GetModel()
	if c.GetTrial() && !challenged(d) { // the entry before it says what answered
		return false
	}
	if challenged(d) {
		return c.GetPolicyDigest() == d.GetPolicyDigest()
	}
	return c.GetPolicyDigest() == d.GetPolicyDigest() &&
		(m == nil || c.GetVersionDigest() == m.GetDigest() && c.GetModel() == m.GetName() && c.GetVersion() == m.GetVersion()) &&
		(d.GetCertificateId() == "" || slices.Contains(c.GetCertificateIds(), d.GetCertificateId()))
}

// repeat asks the operation as its caller did.
func repeat(ctx context.Context, rec *commonv1.DecisionRecord, live *serving.Live, rules []*moderationv1.Rule) (*commonv1.DecisionRecord, error) {
	d, in := rec.GetDecision(), rec.GetInput()
	kept := &keeper{}
	maker := decision.New(decision.Deps{Recorder: kept})
	source := past{live, challenged(d)}
	ctx = auth.WithCaller(ctx, &auth.Caller{Project: d.GetProject(), KeyID: rec.GetCaller()})
	var err error
	switch d.GetOperation() {
	case commonv1.Operation_OPERATION_MODERATION:
		none := int32(0)
		_, err = moderation.WithRules(moderation.Deps{Maker: maker, Source: source}, d.GetProject(), rules).ModerateText(ctx, &moderationv1.ModerateTextRequest{
			Deployment: d.GetDeployment(), Title: in.GetTitle(), Text: in.GetText(), Locale: in.GetLocale(), MaxEvidence: &none,
		})
	case commonv1.Operation_OPERATION_ROUTING:
		_, err = routing.New(routing.Deps{Maker: maker, Source: source}).RouteInquiry(ctx, &routingv1.RouteInquiryRequest{
			Deployment: d.GetDeployment(), Subject: in.GetTitle(), Body: in.GetText(), Locale: in.GetLocale(), Channel: in.GetChannel(), Attributes: in.GetFields(),
		})
	case commonv1.Operation_OPERATION_CLASSIFICATION:
		service := classification.New(classification.Deps{Maker: maker, Source: source})
		if len(in.GetFields()) > 0 {
			_, err = service.ClassifyRecord(ctx, &classificationv1.ClassifyRecordRequest{Deployment: d.GetDeployment(), Record: in.GetFields()})
		} else {
			_, err = service.ClassifyText(ctx, &classificationv1.ClassifyTextRequest{Deployment: d.GetDeployment(), Text: in.GetText()})
		}
	case commonv1.Operation_OPERATION_UNSPECIFIED:
		err = errors.New("the record names no operation")
	}
	if err == nil && kept.record == nil {
		err = errors.New("the operation recorded nothing")
	}
	return kept.record, err
}

// past is the only deployment that there is for a decision that is repeated.
type past struct {
	live       *serving.Live
	challenger bool // it was on trial then
}

// Acquire implements decision.Source.
func (t past) Acquire(string, commonv1.Operation, string) (decision.Target, error) {
	target := decision.Target{Live: held{t.live}, Deployment: t.live.Deployment, Predictor: t.live.Predictor, Ref: t.live.Ref}
	if t.challenger {
		target.OnTrial()
	}
	return target, nil
}

// held stays open when an operation releases it.
type held struct{ *serving.Live }

// Release does nothing: the replayer releases.
func (held) Release() {}

// keeper is a recorder that keeps one record in memory.
type keeper struct{ record *commonv1.DecisionRecord }

var _ decision.Recorder = (*keeper)(nil)

// Record implements decision.Recorder.
func (k *keeper) Record(_ context.Context, r *commonv1.DecisionRecord) error {
	k.record = r
	return nil
}

// RecordBatch implements decision.Recorder.
func (k *keeper) RecordBatch(ctx context.Context, rs []*commonv1.DecisionRecord) error {
	return k.Record(ctx, rs[len(rs)-1])
}

// RecordAsync implements decision.Recorder.
func (k *keeper) RecordAsync(r *commonv1.DecisionRecord) error {
	return k.Record(context.Background(), r)
}
