package review

import (
	"slices"
	"strings"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Two answers are the same when their keys are equal. For moderation the action counts, not the labels that explain it.
const (
	keyNotSure    = "?"
	keyOutOfScope = "none"
)

func answerKey(op commonv1.Operation, a *reviewv1.Answer) string {
	switch {
	case a.GetNotSure():
		return keyNotSure
	case op == commonv1.Operation_OPERATION_MODERATION:
		return actionKey(a.GetAction())
	case a.GetOutOfScope():
		return keyOutOfScope
	}
	return labelsKey(a.GetLabels())
}

func actionKey(a moderationv1.Action) string {
	return "action " + strings.ToLower(strings.TrimPrefix(a.String(), "ACTION_"))
}

func labelsKey(labels []string) string {
	sorted := slices.Clone(labels)
	slices.Sort(sorted)
	return "label " + strings.Join(sorted, "\x1f")
}

// decisionKey is the answer key of a decision: what it did, or would have done. A moderation decision that was left to a person says by its labels to
// which side it leaned; without knowing which labels are harmless nobody can say, and the key equals no answer's.
func decisionKey(r *commonv1.DecisionRecord, known *LabelSet) string {
	d := r.GetDecision()
	if d.GetOperation() != commonv1.Operation_OPERATION_MODERATION {
		if d.GetReason() == commonv1.DecisionReason_DECISION_REASON_OUT_OF_SCOPE {
			return keyOutOfScope
		}
		return labelsKey(d.GetChosenLabels())
	}
	if action := moderationv1.Action(r.GetAction()); action == moderationv1.Action_ACTION_ALLOW || action == moderationv1.Action_ACTION_REMOVE {
		return actionKey(action)
	}
	if known == nil || d.GetModel() == nil {
		return ""
	}
	for _, l := range d.GetChosenLabels() {
		if !slices.Contains(known.Harmless, l) {
			return actionKey(moderationv1.Action_ACTION_REMOVE)
		}
	}
	return actionKey(moderationv1.Action_ACTION_ALLOW)
}

// checkAnswer says what is wrong with an answer to a decision of the operation. known is what the deployment answers today, seen the labels of the decision
// itself, which may be those of an older version or of rules; known nil means that nobody can tell, and any label is taken.
func checkAnswer(op commonv1.Operation, a *reviewv1.Answer, known *LabelSet, seen []*commonv1.LabelProbability) error {
	moderation := op == commonv1.Operation_OPERATION_MODERATION
	if a.GetNotSure() {
		if len(a.GetLabels()) > 0 || a.GetAction() != 0 || a.GetOutOfScope() {
			return fault.InvalidField("answer.not_sure", "goes without labels, action and out_of_scope")
		}
		return nil
	}
	action := a.GetAction()
	switch {
	case moderation && action != moderationv1.Action_ACTION_ALLOW && action != moderationv1.Action_ACTION_REMOVE:
		return fault.InvalidField("answer.action", "must be ACTION_ALLOW or ACTION_REMOVE for moderation")
	case !moderation && action != 0:
		return fault.InvalidField("answer.action", "is for moderation only")
	case moderation && a.GetOutOfScope():
		return fault.InvalidField("answer.out_of_scope", "is not for moderation")
	case a.GetOutOfScope() && len(a.GetLabels()) > 0:
		return fault.InvalidField("answer.labels", "must be empty with out_of_scope")
	}
	if err := checkLabels(a.GetLabels(), known, seen); err != nil {
		return err
	}
	if moderation || a.GetOutOfScope() {
		return nil
	}
	several := known != nil && known.MultiLabel
	switch n := len(a.GetLabels()); {
	case op == commonv1.Operation_OPERATION_ROUTING && n != 1, known != nil && !several && n != 1:
		return fault.InvalidField("answer.labels", "has %d labels, must have exactly 1", n)
	case known == nil && n == 0:
		return fault.InvalidField("answer.labels", "must not be empty")
	}
	return nil
}

// checkLabels fails with LABEL_UNKNOWN for the first label that the deployment cannot answer.
func checkLabels(labels []string, known *LabelSet, seen []*commonv1.LabelProbability) error {
	if known == nil {
		return nil
	}
	for _, l := range labels {
		if slices.Contains(known.Labels, l) || slices.ContainsFunc(seen, func(p *commonv1.LabelProbability) bool { return p.GetLabel() == l }) {
			continue
		}
		return fault.LabelUnknown(l, nearest(l, known.Labels))
	}
	return nil
}

// step is what a settled answer does to its item.
type step struct {
	close    bool                 // it is final
	role     reviewv1.VerdictRole // what the next answer is, unless close
	note     reviewv1.HistoryKind // what history says, 0 for nothing
	escalate bool
}

// judge says what an answer does. earlier is the key of the first opinion, for a second one; notSure counts the answers "not sure", this one
// included; second says whether the item is one that two people judge.
func judge(role reviewv1.VerdictRole, key, earlier string, second bool, notSure, limit int) step {
	const (
		first        = reviewv1.VerdictRole_VERDICT_ROLE_FIRST
		secondRole   = reviewv1.VerdictRole_VERDICT_ROLE_SECOND
		adjudication = reviewv1.VerdictRole_VERDICT_ROLE_ADJUDICATION
		gold         = reviewv1.VerdictRole_VERDICT_ROLE_GOLD
	)
	switch {
	case role == gold:
		return step{close: true, note: reviewv1.HistoryKind_HISTORY_KIND_CLOSED}
	case key == keyNotSure:
		return step{role: role, note: reviewv1.HistoryKind_HISTORY_KIND_NOT_SURE, escalate: notSure >= limit}
	case role == first && second:
		return step{role: secondRole, note: reviewv1.HistoryKind_HISTORY_KIND_SECOND_OPINION}
	case role == secondRole && key != earlier:
		return step{role: adjudication, note: reviewv1.HistoryKind_HISTORY_KIND_DISAGREED}
	}
	return step{close: true, note: reviewv1.HistoryKind_HISTORY_KIND_CLOSED}
}
