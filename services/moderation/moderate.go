package moderation

import (
	"context"
	"slices"

	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

const operation = commonv1.Operation_OPERATION_MODERATION

// ModerateText decides about one text.
func (s *Service) ModerateText(ctx context.Context, req *moderationv1.ModerateTextRequest) (*moderationv1.ModerateTextResponse, error) {
	call, err := s.maker.Begin(ctx, operation)
	if err != nil {
		return nil, err
	}
	target, err := s.source.Acquire(call.Project, operation, req.GetDeployment())
	if err != nil {
		return nil, err
	}
	defer target.Release()
	t := fromRequest(req)
	a, err := s.moderate(&call, &target, &t)
	if err != nil {
		return nil, err
	}
	if err := s.maker.Record(ctx, &target, a.record); err != nil {
		return nil, err
	}
	return &moderationv1.ModerateTextResponse{Decision: a.record.GetDecision(), Action: a.action, RuleMatches: a.matches, Evidence: a.evidence}, nil
}

// BatchModerateText decides about the texts of a batch on the available cores and records them with one wait.
func (s *Service) BatchModerateText(ctx context.Context, req *moderationv1.BatchModerateTextRequest) (*moderationv1.BatchModerateTextResponse, error) {
	call, err := s.maker.Begin(ctx, operation)
	if err != nil {
		return nil, err
	}
	items := req.GetItems()
	if err := decision.CheckBatch(items, itemSize); err != nil {
		return nil, err
	}
	target, err := s.source.Acquire(call.Project, operation, req.GetDeployment())
	if err != nil {
		return nil, err
	}
	defer target.Release()
	results := make([]*moderationv1.ModerationResult, len(items))
	if err := s.maker.Many(ctx, &target, len(items), func(i int) (record *commonv1.DecisionRecord) {
		results[i], record = s.result(&call, &target, items[i])
		return record
	}); err != nil {
		return nil, err
	}
	return &moderationv1.BatchModerateTextResponse{Results: results}, nil
}

// StreamModerateText decides about texts as they come.
func (s *Service) StreamModerateText(stream grpc.BidiStreamingServer[moderationv1.StreamModerateTextRequest, moderationv1.StreamModerateTextResponse]) error {
	return decision.Stream[moderationv1.StreamModerateTextRequest, moderationv1.StreamModerateTextResponse]{
		Maker: s.maker, Source: s.source, Operation: operation,
		Deployment: (*moderationv1.StreamModerateTextRequest).GetDeployment,
		Size:       func(r *moderationv1.StreamModerateTextRequest) int { return itemSize(r.GetItem()) },
		Answer: func(c *decision.Call, t *decision.Target, index int64, r *moderationv1.StreamModerateTextRequest) (*moderationv1.StreamModerateTextResponse, *commonv1.DecisionRecord) {
			result, record := s.result(c, t, r.GetItem())
			return &moderationv1.StreamModerateTextResponse{Index: index, Result: result}, record
		},
	}.Serve(stream)
}

func itemSize(i *moderationv1.TextItem) int { return len(i.GetText()) + len(i.GetTitle()) }

// result is the answer to one item: with a record, or with an error in-band and without.
func (s *Service) result(c *decision.Call, target *decision.Target, item *moderationv1.TextItem) (*moderationv1.ModerationResult, *commonv1.DecisionRecord) {
	t := fromItem(item)
	a, err := s.moderate(c, target, &t)
	if err != nil {
		return &moderationv1.ModerationResult{Error: s.maker.ItemError(c, err)}, nil
	}
	return &moderationv1.ModerationResult{Decision: a.record.GetDecision(), Action: a.action, RuleMatches: a.matches}, a.record
}

// answer is what is known of a text.
type answer struct {
	record   *commonv1.DecisionRecord
	action   moderationv1.Action
	matches  []*moderationv1.RuleMatch
	evidence []*moderationv1.Evidence
}

// moderate decides about one text: rules first, then the model. It does no I/O.
func (s *Service) moderate(call *decision.Call, target *decision.Target, t *text) (answer, error) {
	if err := t.check(); err != nil {
		return answer{}, err
	}
	rules, err := s.rules(call.Project)
	if err != nil {
		return answer{}, err
	}
	begin := s.maker.Now()
	profanity := profanityKind(target.Deployment.GetPolicy().GetProfanity())
	found := rules.find(t.title, t.text, target.Deployment.GetName(), profanity != moderationv1.RuleKind_RULE_KIND_UNSPECIFIED)
	a := answer{matches: matches(found, profanity)}
	d := decision.Answer{Input: t.input(), RuleIDs: ruleIDs(found), SubjectID: t.authorID, ContentID: t.contentID}
	c, decided := byRules(found, profanity)
	switch {
	case decided:
	case target.Predictor == nil:
		c = withoutModel()
	default:
		target = target.For(t.authorID, t.contentID, t.input)
		in := engine.Input{Text: t.scored()}
		scores, err := target.Score(in)
		if err != nil {
			return answer{}, err
		}
		defer scores.Free()
		info := target.Predictor.Info()
		c = ofModel(target, scores.P)
		if a.evidence, err = explain(target, in, t, c.label); err != nil {
			return answer{}, err
		}
		d.Labels, d.Probabilities = info.Labels, scores.P
		d.Scored = decision.Scored{Input: in, Took: scores.Took, Judge: judge}
	}
	a.action = c.action
	d.Verdict, d.Chosen, d.Action = c.Verdict, c.chosen, int32(c.action)
	d.Compute = s.maker.Now().Sub(begin)
	a.record = s.maker.Make(call, target, &d)
	return a, nil
}

func explain(target *decision.Target, in engine.Input, t *text, label int) ([]*moderationv1.Evidence, error) {
	if t.evidence == 0 || label < 0 {
		return nil, nil
	}
	all, err := target.Predictor.Explain(in, label, t.evidence)
	if err != nil {
		return nil, decision.Mismatch(err, target.Predictor.Info(), in)
	}
	return t.explained(all, target.Predictor.Info().Labels[label]), nil
}

// ofModel is byModel with what the version that answers says of its labels.
func ofModel(target *decision.Target, p []float32) choice {
	info := target.Predictor.Info()
	var room [16]int
	return byModel(info, p, harmless(info, target.Version().GetHarmlessLabels(), room[:0]), target)
}

// judge is ofModel as versions in shadow are judged.
func judge(target *decision.Target, p []float32) (decision.Verdict, []string) {
	c := ofModel(target, p)
	return c.Verdict, c.chosen
}

// harmless returns the indices of the labels with these names.
func harmless(info *engine.Info, names []string, into []int) []int {
	for i, l := range info.Labels {
		if slices.Contains(names, l) {
			into = append(into, i)
		}
	}
	return into
}

func matches(found []match, profanity moderationv1.RuleKind) []*moderationv1.RuleMatch {
	if len(found) == 0 {
		return nil
	}
	out := make([]*moderationv1.RuleMatch, 0, min(len(found), maxMatches))
	for i := range found[:min(len(found), maxMatches)] {
		m := &found[i]
		r := &moderationv1.RuleMatch{
			RuleId: ProfanityRule, Kind: m.kind(profanity), Category: ProfanityRule,
			Span: &moderationv1.Span{Start: m.start, End: m.end, InTitle: m.title},
		}
		if m.rule != nil {
			r.RuleId, r.Category = m.rule.GetRuleId(), m.rule.GetCategory()
		}
		out = append(out, r)
	}
	return out
}

// ruleIDs names each rule once.
func ruleIDs(found []match) []string {
	var ids []string
	for i := range found {
		id := ProfanityRule
		if found[i].rule != nil {
			id = found[i].rule.GetRuleId()
		}
		if !slices.Contains(ids, id) && len(ids) < maxMatches {
			ids = append(ids, id)
		}
	}
	return ids
}
