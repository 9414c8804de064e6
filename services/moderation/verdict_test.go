package moderation

import (
	"slices"
	"testing"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

// promise is a table of certified thresholds.
type promise struct {
	at       map[string]float64
	automate bool
}

func (p promise) Judge(side string, score float64) decision.Verdict {
	t, ok := p.at[side]
	return decision.Judge(score, decision.Threshold{At: t, Certificate: side, Certified: ok}, p.automate)
}

const (
	automated = commonv1.Outcome_OUTCOME_AUTOMATED
	toReview  = commonv1.Outcome_OUTCOME_REVIEW

	certified    = commonv1.DecisionReason_DECISION_REASON_CERTIFIED
	below        = commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD
	notCertified = commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED
	byRule       = commonv1.DecisionReason_DECISION_REASON_RULE

	actAllow  = moderationv1.Action_ACTION_ALLOW
	actRemove = moderationv1.Action_ACTION_REMOVE
	actReview = moderationv1.Action_ACTION_REVIEW
)

func TestByModel(t *testing.T) {
	t.Parallel()
	multiclass := &engine.Info{Task: engine.Multiclass, OutOfScope: -1, Labels: []string{"ham", "spam", "scam"}}
	multilabel := &engine.Info{Task: engine.Multilabel, OutOfScope: -1, Labels: []string{"insult", "threat", "fine"}}
	both := promise{at: map[string]float64{"remove": 0.9, "allow": 0.8}}
	for name, c := range map[string]struct {
		info     *engine.Info
		p        []float32
		harmless []int
		promise  promise
		action   moderationv1.Action
		outcome  commonv1.Outcome
		reason   commonv1.DecisionReason
		chosen   []string
		label    int
	}{
		"surely harmful":                  {multiclass, []float32{0.0625, 0.5, 0.4375}, []int{0}, both, actRemove, automated, certified, []string{"spam"}, 1},
		"surely harmless":                 {multiclass, []float32{0.875, 0.0625, 0.0625}, []int{0}, both, actAllow, automated, certified, []string{"ham"}, 0},
		"harmful below the threshold":     {multiclass, []float32{0.25, 0.5, 0.25}, []int{0}, both, actReview, toReview, below, []string{"spam"}, 1},
		"harmless below the threshold":    {multiclass, []float32{0.75, 0.25, 0}, []int{0}, both, actReview, toReview, below, []string{"ham"}, 0},
		"harmless on top, harmful in sum": {multiclass, []float32{0.375, 0.25, 0.375}, []int{0}, both, actReview, toReview, below, []string{"scam"}, 2},
		"only removing is certified":      {multiclass, []float32{1, 0, 0}, []int{0}, promise{at: map[string]float64{"remove": 0.9}}, actReview, toReview, notCertified, []string{"ham"}, 0},
		"nothing certified":               {multiclass, []float32{0, 1, 0}, []int{0}, promise{}, actReview, toReview, notCertified, []string{"spam"}, 1},
		"nothing certified, risk taken":   {multiclass, []float32{0, 1, 0}, []int{0}, promise{automate: true}, actRemove, automated, notCertified, []string{"spam"}, 1},
		"risk taken, below a threshold":   {multiclass, []float32{0.25, 0.5, 0.25}, []int{0}, promise{at: both.at, automate: true}, actReview, toReview, below, []string{"spam"}, 1},
		"no harmless label":               {multiclass, []float32{0, 1, 0}, nil, promise{at: both.at, automate: true}, actReview, toReview, notCertified, []string{"spam"}, 1},
		"all labels harmless":             {multiclass, []float32{0, 1, 0}, []int{0, 1, 2}, both, actAllow, automated, certified, []string{"spam"}, 1},
		"multi-label, harmful":            {multilabel, []float32{0.9375, 0.5, 0}, []int{2}, both, actRemove, automated, certified, []string{"insult", "threat"}, 0},
		"multi-label, nothing":            {multilabel, []float32{0.0625, 0.125, 0}, []int{2}, both, actAllow, automated, certified, nil, 2},
		"multi-label, no harmless label":  {multilabel, []float32{0.0625, 0.125, 0}, nil, both, actAllow, automated, certified, nil, 1},
	} {
		got := byModel(c.info, c.p, c.harmless, c.promise)
		if got.action != c.action || got.Outcome != c.outcome || got.Reason != c.reason || !slices.Equal(got.chosen, c.chosen) || got.label != c.label {
			t.Errorf("%s: %+v", name, got)
		}
		if wantUncertified := c.outcome == automated && c.reason == notCertified; got.Uncertified != wantUncertified {
			t.Errorf("%s: uncertified %v", name, got.Uncertified)
		}
		if (got.CertificateID != "") != (c.reason == certified) {
			t.Errorf("%s: certificate %q", name, got.CertificateID)
		}
	}
}

func TestByRules(t *testing.T) {
	t.Parallel()
	d, a, r := match{rule: rule(deny, "d")}, match{rule: rule(allow, "a")}, match{rule: rule(review, "r")}
	profane := match{}
	for name, c := range map[string]struct {
		matches   []match
		profanity modelsv1.ProfanityAction
		decided   bool
		action    moderationv1.Action
		outcome   commonv1.Outcome
	}{
		"nothing":              {nil, 0, false, 0, 0},
		"allow alone":          {[]match{a}, 0, false, 0, 0},
		"deny":                 {[]match{a, d}, 0, true, actRemove, automated},
		"review":               {[]match{r}, 0, true, actReview, toReview},
		"review and deny":      {[]match{r, d}, 0, true, actRemove, automated},
		"profanity by default": {[]match{profane}, 0, true, actReview, toReview},
		"profanity, remove":    {[]match{profane}, modelsv1.ProfanityAction_PROFANITY_ACTION_REMOVE, true, actRemove, automated},
		"review and profanity": {[]match{r, profane}, modelsv1.ProfanityAction_PROFANITY_ACTION_REMOVE, true, actRemove, automated},
	} {
		got, decided := byRules(c.matches, profanityKind(c.profanity))
		if decided != c.decided || got.action != c.action || got.Outcome != c.outcome || decided && (got.Reason != byRule || got.Stage != commonv1.Stage_STAGE_RULES) {
			t.Errorf("%s: %v %+v", name, decided, got)
		}
	}
}
