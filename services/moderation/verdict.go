package moderation

import (
	"slices"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/risk"
)

// choice is what to do with a text, and why.
type choice struct {
	decision.Verdict
	action moderationv1.Action
	chosen []string
	label  int // index of the label that evidence is given for; -1 when no model was asked
}

// profanityKind is what a match of the built-in list does under a policy: nothing (UNSPECIFIED), ask a person, or remove.
func profanityKind(a modelsv1.ProfanityAction) moderationv1.RuleKind {
	switch a {
	case modelsv1.ProfanityAction_PROFANITY_ACTION_OFF:
		return moderationv1.RuleKind_RULE_KIND_UNSPECIFIED
	case modelsv1.ProfanityAction_PROFANITY_ACTION_REMOVE:
		return moderationv1.RuleKind_RULE_KIND_DENY
	case modelsv1.ProfanityAction_PROFANITY_ACTION_UNSPECIFIED, modelsv1.ProfanityAction_PROFANITY_ACTION_REVIEW:
	}
	return moderationv1.RuleKind_RULE_KIND_REVIEW
}

// byRules decides from the rules that matched; false when they leave the text to the model. A rule that removes outweighs one that asks a
// person. An ALLOW rule decides nothing: it only covers other matches, which are no longer among these.
func byRules(ms []match, profanity moderationv1.RuleKind) (choice, bool) {
	review := false
	for i := range ms {
		switch ms[i].kind(profanity) {
		case moderationv1.RuleKind_RULE_KIND_DENY:
			return choice{Verdict: decision.ByRule(true), action: moderationv1.Action_ACTION_REMOVE, label: -1}, true
		case moderationv1.RuleKind_RULE_KIND_REVIEW:
			review = true
		case moderationv1.RuleKind_RULE_KIND_ALLOW, moderationv1.RuleKind_RULE_KIND_UNSPECIFIED:
		}
	}
	if review {
		return choice{Verdict: decision.ByRule(false), action: moderationv1.Action_ACTION_REVIEW, label: -1}, true
	}
	return choice{}, false
}

// withoutModel is the answer of a deployment that has rules only, when none matched: nobody vouches for the text.
func withoutModel() choice {
	return choice{
		action: moderationv1.Action_ACTION_REVIEW, label: -1,
		Verdict: decision.Verdict{
			Outcome: commonv1.Outcome_OUTCOME_REVIEW, Reason: commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED, Stage: commonv1.Stage_STAGE_RULES,
		},
	}
}

// byModel decides from the probabilities. The model leans to one side, removing or allowing, and only that side's threshold is asked: wrongly
// removing and wrongly allowing are different errors with a budget each. harmless are the indices of the labels that mean that nothing is wrong.
func byModel(info *engine.Info, p []float32, harmless []int, promise decision.Promise) choice {
	multilabel := info.Task == engine.Multilabel
	side, score := risk.Lean(risk.Harm(p, harmless, multilabel))
	c := choice{action: moderationv1.Action_ACTION_REVIEW, label: mostProbable(p, harmless, side)}
	c.chosen = chosen(info, p, c.label, multilabel)
	if !multilabel && len(harmless) == 0 {
		// Without a harmless label every text would be harmful for certain. That is a model for something else.
		c.Verdict = decision.Judge(0, decision.Threshold{}, false)
	} else {
		c.Verdict = promise.Judge(side, score)
	}
	if c.Outcome == commonv1.Outcome_OUTCOME_AUTOMATED {
		c.action = moderationv1.Action_ACTION_ALLOW
		if side == risk.SideRemove {
			c.action = moderationv1.Action_ACTION_REMOVE
		}
	}
	return c
}

// mostProbable returns the most probable label on the side that the model leans to; of all labels when that side has none.
func mostProbable(p []float32, harmless []int, side string) int {
	best := -1
	for i, v := range p {
		if isHarmless(harmless, i) == (side == risk.SideAllow) && (best < 0 || v > p[best]) {
			best = i
		}
	}
	if best < 0 {
		best, _ = risk.Top(p)
	}
	return best
}

// chosen returns one label of a multi-class model, all labels from one half of a multi-label model.
func chosen(info *engine.Info, p []float32, label int, multilabel bool) []string {
	if !multilabel {
		if label < 0 {
			return nil
		}
		return info.Labels[label : label+1 : label+1]
	}
	var all []string
	for i, v := range p {
		if v >= risk.SetThreshold {
			all = append(all, info.Labels[i])
		}
	}
	return all
}

func isHarmless(harmless []int, i int) bool {
	return slices.Contains(harmless, i)
}
