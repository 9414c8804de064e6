package moderation

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// Limits of a rule.
const (
	maxPattern  = 200
	maxCategory = 64
	ruleList    = "moderation.rules" // names the list in page tokens
)

// Start brings the tables up to date and loads the rules of every project. Until it has returned no text is decided about: a text
// that a rule forbids must not pass because the rules were not there yet.
func (s *Service) Start(ctx context.Context) error {
	if s.store.db == nil {
		return nil
	}
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.store.migrate(ctx); err != nil {
		return fmt.Errorf("start moderation: %w", err)
	}
	if err := s.store.db.Follow(ctx, topic, s.reload); err != nil { // before the rules are read: none falls in between
		return fmt.Errorf("start moderation: %w", err)
	}
	all, err := s.store.all(ctx)
	if err != nil {
		return fmt.Errorf("start moderation: %w", err)
	}
	for project, rules := range all {
		s.matchers.Store(project, newMatcher(rules))
	}
	s.loaded.Store(true)
	return nil
}

// reload reads the rules of projects that another process has changed.
func (s *Service) reload(ctx context.Context, projects []string) error {
	s.change.Lock()
	defer s.change.Unlock()
	for _, project := range projects {
		rules, err := s.store.of(ctx, project)
		if err != nil {
			return err
		}
		s.matchers.Store(project, newMatcher(rules))
	}
	return nil
}

// rules returns the matcher of a project.
func (s *Service) rules(project string) (*matcher, error) {
	if !s.loaded.Load() && s.store.db != nil {
		return nil, fault.Unavailable("moderation rules")
	}
	if m, ok := s.matchers.Load(project); ok {
		return m.(*matcher), nil
	}
	return noRules, nil
}

// caller returns who manages rules, and makes sure that there is a place for them.
func (s *Service) caller(ctx context.Context) (*auth.Caller, error) {
	c := auth.FromContext(ctx)
	if c == nil {
		return nil, fault.KeyMissing()
	}
	if s.store.db == nil || !s.loaded.Load() {
		return nil, fault.Unavailable("moderation rules")
	}
	return c, nil
}

// CreateRule adds a rule, which applies when the call returns.
func (s *Service) CreateRule(ctx context.Context, req *moderationv1.CreateRuleRequest) (*moderationv1.CreateRuleResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkRule(req); err != nil {
		return nil, err
	}
	rule := &moderationv1.Rule{
		RuleId: cmp.Or(telemetry.Seed(ctx), decision.NewID()), Kind: req.GetKind(), Pattern: req.GetPattern(), Category: req.GetCategory(), Deployment: req.GetDeployment(),
		CreateTime: timestamppb.New(s.maker.Now().UTC().Truncate(time.Microsecond)),
	}
	// One change at a time: matchers must follow each other in the order of the transactions.
	s.change.Lock()
	defer s.change.Unlock()
	added, err := s.store.add(ctx, c.Project, rule)
	if err != nil {
		return nil, err
	}
	if !added { // the call is repeated after a crash; the rule was loaded at the start
		return &moderationv1.CreateRuleResponse{Rule: rule}, nil
	}
	m, err := s.rules(c.Project)
	if err != nil {
		return nil, err
	}
	s.matchers.Store(c.Project, m.with(rule))
	return &moderationv1.CreateRuleResponse{Rule: rule}, nil
}

func checkRule(req *moderationv1.CreateRuleRequest) error {
	if _, ok := moderationv1.RuleKind_name[int32(req.GetKind())]; !ok || req.GetKind() == moderationv1.RuleKind_RULE_KIND_UNSPECIFIED {
		return fault.InvalidField("kind", "must be one of the kinds of rules")
	}
	if err := decision.CheckTexts(
		decision.Text{Field: "pattern", Value: req.GetPattern(), Max: maxPattern}, decision.Text{Field: "category", Value: req.GetCategory(), Max: maxCategory},
		decision.Text{Field: "deployment", Value: req.GetDeployment(), Max: maxDeployment},
	); err != nil {
		return err
	}
	if _, ok := newPattern(req.GetPattern(), 0); !ok {
		return fault.InvalidField("pattern", "must hold at least one letter or digit")
	}
	return nil
}

// ListRules lists the rules of the project, oldest first.
func (s *Service) ListRules(ctx context.Context, req *moderationv1.ListRulesRequest) (*moderationv1.ListRulesResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	after, _, err := db.ParseToken(req.GetPage().GetToken(), ruleList, "", 1)
	if err != nil {
		return nil, err
	}
	from := ""
	if len(after) > 0 {
		from = after[0]
	}
	rules, more, err := s.store.page(ctx, c.Project, from, db.PageSize(req.GetPage().GetSize()))
	if err != nil {
		return nil, err
	}
	res := &moderationv1.ListRulesResponse{Rules: rules, Page: &commonv1.PageResponse{}}
	if more {
		res.Page.NextToken = db.Token(ruleList, "", rules[len(rules)-1].GetRuleId())
	}
	return res, nil
}

// DeleteRule removes a rule, which applies no longer when the call returns.
func (s *Service) DeleteRule(ctx context.Context, req *moderationv1.DeleteRuleRequest) (*moderationv1.DeleteRuleResponse, error) {
	c, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	s.change.Lock()
	defer s.change.Unlock()
	if err := s.store.remove(ctx, c.Project, req.GetRuleId(), s.maker.Now()); err != nil {
		return nil, err
	}
	m, err := s.rules(c.Project)
	if err != nil {
		return nil, err
	}
	s.matchers.Store(c.Project, m.without(req.GetRuleId()))
	return &moderationv1.DeleteRuleResponse{}, nil
}
