package monitoring

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	actionAllow  = int32(moderationv1.Action_ACTION_ALLOW)
	actionRemove = int32(moderationv1.Action_ACTION_REMOVE)

	defaultDecisions = 20_000
	defaultSpan      = 30 * 24 * time.Hour
	// replayPage is how many decisions are read at once.
	replayPage = 500
	// flipsName is what page tokens of flips are bound to.
	flipsName = "flips"
)

// EvaluatePolicy says what something else would have done with the decisions that were made.
func (s *Service) EvaluatePolicy(ctx context.Context, req *monitoringv1.EvaluatePolicyRequest) (*monitoringv1.EvaluatePolicyResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	var d *modelsv1.Deployment
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		d, err = loadDeployment(tx, key{project, int32(req.GetOperation()), req.GetDeployment()})
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case d == nil:
		return nil, fault.DeploymentNotFound(req.GetOperation(), req.GetDeployment())
	case d.GetChampion() == nil:
		return nil, fault.ModelNotDeployed(req.GetOperation(), req.GetDeployment())
	case s.replay == nil:
		return nil, fault.Unavailable("record of decisions")
	}
	w := Window{Project: project, Operation: req.GetOperation(), Deployment: req.GetDeployment(), From: s.now().Add(-defaultSpan), To: s.now()}
	if req.GetFrom() != nil {
		w.From = req.GetFrom().AsTime()
	}
	if req.GetTo() != nil {
		w.To = req.GetTo().AsTime()
	}
	if !w.From.Before(w.To) {
		return nil, fault.InvalidField("to", "must be after from")
	}
	e, err := s.alternative(ctx, d, req.GetAlternative())
	if err != nil {
		return nil, err
	}
	defer e.close()
	limit := int(req.GetMaxDecisions())
	if limit == 0 {
		limit = defaultDecisions
	}
	if err := e.read(ctx, s.replay, w, limit); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fault.Unavailable("record of decisions").Cause(err)
	}
	return e.result(req)
}

// evaluation compares what was done with what something else would have done.
type evaluation struct {
	deployment *modelsv1.Deployment
	made       *answerer // of the version that answers
	other      *answerer // of the alternative
	promise    thresholds
	predictor  engine.Predictor // of another version; nil when the recorded probabilities count
	errorPrice int64

	cases     []*replayed
	truncated bool
	skipped   int64
}

// replayed is one decision, done twice.
type replayed struct {
	id             string
	time           time.Time
	actual         answer
	automated      bool // what happened
	alternative    answer
	wouldAutomate  bool
	propensity     float64 // with which its truth was asked for, when it was automated
	audited        bool
	known          bool // its truth is known, from people who were asked or from feedback
	asked          bool // from people who were asked
	right, wouldBe bool // whether the answers are right, when known
}

func (r *replayed) flipped() bool {
	return r.automated != r.wouldAutomate || r.actual.action != r.alternative.action || !slices.Equal(r.actual.chosen, r.alternative.chosen)
}

// alternative prepares what is compared with what was in force.
func (s *Service) alternative(ctx context.Context, d *modelsv1.Deployment, a *monitoringv1.Alternative) (*evaluation, error) {
	model, version := d.GetChampion().GetModel(), d.GetChampion().GetVersion()
	switch {
	case a.GetAlias() != "":
		model, version = model+"@"+a.GetAlias(), a.GetVersion()
	case a.GetVersion() != 0:
		version = a.GetVersion()
	}
	p := proto.CloneOf(d.GetPolicy())
	for _, f := range []struct {
		into *float64
		v    float64
	}{{&p.MaxError, a.GetMaxError()}, {&p.Confidence, a.GetConfidence()}, {&p.RemoveMaxError, a.GetRemoveMaxError()}, {&p.AllowMaxError, a.GetAllowMaxError()}} {
		if f.v != 0 {
			*f.into = f.v
		}
	}
	r, err := s.system.PreviewCertificates(ctx, &modelsv1.PreviewCertificatesRequest{
		Project: d.GetProject(), Model: model, Version: version, Policy: p,
	})
	if err != nil {
		return nil, err
	}
	v := r.GetVersion()
	e := &evaluation{
		deployment: d, made: newAnswerer(d.GetOperation(), d.GetChampion()), other: newAnswerer(d.GetOperation(), v), errorPrice: a.GetErrorMicros(),
		promise: thresholdsOf(r.GetCertificates()),
	}
	if len(a.GetThresholds()) > 0 {
		e.promise = thresholds{}
		for side, at := range a.GetThresholds() {
			e.promise[side] = threshold{at, true}
		}
	}
	if v.GetDigest() != d.GetChampion().GetDigest() {
		p, err := s.replay.Open(ctx, d.GetProject(), v)
		if err != nil {
			return nil, fmt.Errorf("open version %d of %s: %w", v.GetVersion(), v.GetModel(), err)
		}
		e.predictor = p
	}
	return e, nil
}

func (e *evaluation) close() {
	if e.predictor != nil {
		_ = e.predictor.Close()
	}
}

// read goes through the decisions, newest first, and then joins what became known of them.
func (e *evaluation) read(ctx context.Context, from Replay, w Window, limit int) error {
	byID := map[string]*replayed{}
	seen, before := 0, ""
	for {
		records, next, err := from.Decisions(ctx, w, before, min(replayPage, limit-seen))
		if err != nil {
			return err
		}
		for _, r := range records {
			seen++
			c, ok := e.replay(r)
			if !ok {
				e.skipped++
				continue
			}
			e.cases = append(e.cases, c)
			byID[c.id] = c
		}
		if before = next; next == "" {
			break
		}
		if seen >= limit {
			e.truncated = true
			break
		}
	}
	return from.Truths(ctx, w, func(t Truth) {
		c := byID[t.DecisionID]
		if c == nil || (t.Feedback && c.asked) {
			return
		}
		c.known, c.asked = true, !t.Feedback
		c.right, c.wouldBe = t.right(e.made, c.actual), t.right(e.other, c.alternative)
	})
}

// right says whether an answer agrees with the truth.
func (t Truth) right(a *answerer, got answer) bool {
	if a.operation == commonv1.Operation_OPERATION_MODERATION {
		action := t.Action
		if action == 0 { // labels were told, and no action
			action = actionAllow
			for _, l := range t.Labels {
				if i, ok := a.number[l]; !ok || !slices.Contains(a.harmless, i) {
					action = actionRemove
				}
			}
		}
		return action == got.action
	}
	if t.OutOfScope || got.abstain {
		return t.OutOfScope && got.abstain
	}
	want, have := slices.Sorted(slices.Values(t.Labels)), slices.Sorted(slices.Values(got.chosen))
	return slices.Equal(want, have)
}

// replay does one decision again. ok is false when it cannot be judged.
func (e *evaluation) replay(r *commonv1.DecisionRecord) (c *replayed, ok bool) {
	d := r.GetDecision()
	if d.GetStage() != commonv1.Stage_STAGE_MODEL || d.GetVariant() == commonv1.Variant_VARIANT_CHALLENGER || d.GetModel().GetDigest() != e.deployment.GetChampion().GetDigest() {
		return nil, false
	}
	p := make([]float32, len(e.made.labels))
	if !e.made.recorded(r, p) {
		return nil, false
	}
	c = &replayed{
		id: d.GetDecisionId(), time: d.GetTime().AsTime(), actual: e.made.answer(p), automated: d.GetOutcome() == commonv1.Outcome_OUTCOME_AUTOMATED,
		audited: d.GetAudit().GetSelected(), propensity: d.GetAudit().GetProbability(),
	}
	c.alternative = c.actual
	if e.predictor != nil {
		if r.GetInputRetention() != commonv1.InputRetention_INPUT_RETENTION_FULL || r.GetInput() == nil {
			return nil, false // what is redacted or absent would be scored as something else
		}
		p = make([]float32, len(e.other.labels))
		if err := e.predictor.Predict(inputOf(r.GetInput()), p); err != nil {
			return nil, false // an input that does not fit this version is not one that it can be compared on
		}
		c.alternative = e.other.answer(p)
	}
	c.wouldAutomate = e.promise.automates(c.alternative)
	return c, true
}

// inputOf reads a recorded input as the operations had the model read it: the title in a line before the text.
func inputOf(in *commonv1.RecordedInput) engine.Input {
	if len(in.GetFields()) > 0 && in.GetText() == "" && in.GetTitle() == "" {
		record := make(engine.Record, len(in.GetFields()))
		for name, v := range in.GetFields() {
			switch value := v.GetValue().(type) {
			case *commonv1.FieldValue_Number:
				record[name] = engine.Value{Kind: engine.Number, Number: value.Number}
			case *commonv1.FieldValue_Text:
				record[name] = engine.Value{Kind: engine.Text, Text: value.Text}
			case *commonv1.FieldValue_Boolean:
				record[name] = engine.Value{Kind: engine.Bool, Bool: value.Boolean}
			}
		}
		return engine.Input{Record: record}
	}
	switch {
	case in.GetTitle() == "":
		return engine.Input{Text: in.GetText()}
	case in.GetText() == "":
		return engine.Input{Text: in.GetTitle()}
	}
	return engine.Input{Text: in.GetTitle() + "\n" + in.GetText()}
}

// result puts the comparison together.
func (e *evaluation) result(req *monitoringv1.EvaluatePolicyRequest) (*monitoringv1.EvaluatePolicyResponse, error) {
	a, b := e.performance(false), e.performance(true)
	res := &monitoringv1.EvaluatePolicyResponse{
		Actual: a, Alternative: b, AutomatedChange: b.GetAutomatedShare() - a.GetAutomatedShare(), ErrorChange: b.GetError() - a.GetError(),
		Truncated: e.truncated, Skipped: e.skipped, Page: &commonv1.PageResponse{}, Caveats: e.caveats(a, b),
	}
	res.ErrorChangeLower, res.ErrorChangeUpper = e.bootstrap()
	filter := fmt.Sprint(req.GetOperation(), "/", req.GetDeployment(), "/", req.GetAlternative())
	after, _, err := db.ParseToken(req.GetPage().GetToken(), flipsName, filter, 1)
	if err != nil {
		return nil, err
	}
	size := db.PageSize(req.GetPage().GetSize())
	for _, c := range e.cases {
		if !c.flipped() {
			continue
		}
		res.FlipCount++
		if len(after) > 0 && c.id >= after[0] || len(res.GetFlips()) > size {
			continue
		}
		res.Flips = append(res.Flips, c.flip())
	}
	if len(res.GetFlips()) > size {
		res.Flips = res.GetFlips()[:size]
		res.Page.NextToken = db.Token(flipsName, filter, res.GetFlips()[size-1].GetDecisionId())
	}
	return res, nil
}

func (r *replayed) flip() *monitoringv1.Flip {
	return &monitoringv1.Flip{
		DecisionId: r.id, Time: timestamppb.New(r.time), ActualOutcome: outcome(r.automated), AlternativeOutcome: outcome(r.wouldAutomate),
		ActualLabels: r.actual.said(), AlternativeLabels: r.alternative.said(), Known: r.known, ActualRight: r.known && r.right, AlternativeRight: r.known && r.wouldBe,
	}
}

// said is an answer for people: the labels, the action in moderation.
func (a answer) said() []string {
	switch a.action {
	case actionAllow:
		return []string{"allow"}
	case actionRemove:
		return []string{"remove"}
	}
	return a.chosen
}

func outcome(automated bool) commonv1.Outcome {
	if automated {
		return commonv1.Outcome_OUTCOME_AUTOMATED
	}
	return commonv1.Outcome_OUTCOME_REVIEW
}
