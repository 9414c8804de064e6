package console

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/chart"
)

// funcs are what templates may call.
func (c *Console) funcs() template.FuncMap {
	return template.FuncMap{
		"asset": func(name string) string { return root + "/static/" + name + "?" + c.assets[name].digest },
		"op":    operationName, "percent": percent, "why": why, "kind": kindName, "state": stateName, "happened": happened, "role": roleName,
		"ago":     func(t *timestamppb.Timestamp) string { return ago(c.now(), t) },
		"until":   func(t *timestamppb.Timestamp) string { return until(c.now(), t) },
		"clock":   stamp,
		"overdue": func(t *timestamppb.Timestamp) bool { return t != nil && t.AsTime().Before(c.now()) },
		"labelsOf": func(i *reviewv1.ReviewItem, d *commonv1.Decision) []*commonv1.LabelProbability {
			if i != nil {
				return nil // they stand with the item
			}
			return d.GetLabels()
		},
		"undoOnly": func(u *undoRef) workPage { return workPage{Undo: u} },
		"answered": answered, "join": strings.Join, "action": actionName,
		"share": chart.Percent, "points": points, "signed": signed, "decimal": decimal, "width": width, "digest": digest, "change": changeName, "trial": trialName, "side": sideName, "mode": modeName, "took": took,
		"step": stepName, "runState": runState,
		"automation": func(s monitoringv1.AutomationState) string { return automationStates[s] },
	}
}

func operationName(o commonv1.Operation) string {
	return strings.ToLower(strings.TrimPrefix(o.String(), "OPERATION_"))
}

// operationOf reads an operation from a path.
func operationOf(name string) commonv1.Operation {
	return commonv1.Operation(commonv1.Operation_value["OPERATION_"+strings.ToUpper(name)])
}

// percent writes a probability the way people say it.
func percent(p float64) string {
	switch {
	case p < 0.01:
		return "under 1 %"
	case p > 0.99: // nothing is ever certain
		return "over 99 %"
	}
	return strconv.FormatFloat(100*p, 'f', 0, 64) + " %"
}

var reasons = map[commonv1.DecisionReason]string{
	commonv1.DecisionReason_DECISION_REASON_CERTIFIED:       "it was decided by itself, at the certified error rate",
	commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD: "the model is not sure enough to act alone",
	commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED:   "the model has no certificate on your data yet",
	commonv1.DecisionReason_DECISION_REASON_OUT_OF_SCOPE:    "it seems to be none of the labels",
	commonv1.DecisionReason_DECISION_REASON_AUDIT:           "it was drawn for a check",
	commonv1.DecisionReason_DECISION_REASON_RULE:            "a rule of the project asks for a person",
	commonv1.DecisionReason_DECISION_REASON_FALLBACK:        "the model could not answer",
	commonv1.DecisionReason_DECISION_REASON_SHADOW:          "it was answered in shadow",
	commonv1.DecisionReason_DECISION_REASON_HALTED:          "automation was stopped",
}

// why says in words why a person looks at the item.
func why(i *reviewv1.ReviewItem) string {
	switch i.GetKind() { //nolint:exhaustive // the rest is told by the decision's reason
	case reviewv1.ItemKind_ITEM_KIND_AUDIT:
		return "it was decided by itself, and drawn for a check"
	case reviewv1.ItemKind_ITEM_KIND_APPEAL:
		return "it was opened again, since somebody doubts the verdict"
	}
	return reasons[i.GetReason()]
}

func kindName(k reviewv1.ItemKind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "ITEM_KIND_"))
}

func stateName(s reviewv1.ItemState) string {
	return strings.ToLower(strings.TrimPrefix(s.String(), "ITEM_STATE_"))
}

func roleName(r reviewv1.VerdictRole) string {
	return strings.ToLower(strings.TrimPrefix(r.String(), "VERDICT_ROLE_"))
}

func actionName(a moderationv1.Action) string {
	return strings.ToLower(strings.TrimPrefix(a.String(), "ACTION_"))
}

var events = map[reviewv1.HistoryKind]string{
	reviewv1.HistoryKind_HISTORY_KIND_LEASED:         "taken",
	reviewv1.HistoryKind_HISTORY_KIND_RELEASED:       "given back",
	reviewv1.HistoryKind_HISTORY_KIND_EXPIRED:        "time ran out",
	reviewv1.HistoryKind_HISTORY_KIND_VERDICT:        "answered",
	reviewv1.HistoryKind_HISTORY_KIND_UNDONE:         "answer taken back",
	reviewv1.HistoryKind_HISTORY_KIND_NOT_SURE:       "not sure, on to another person",
	reviewv1.HistoryKind_HISTORY_KIND_SECOND_OPINION: "second opinion asked for",
	reviewv1.HistoryKind_HISTORY_KIND_DISAGREED:      "two people disagree, a third decides",
	reviewv1.HistoryKind_HISTORY_KIND_CLOSED:         "closed",
	reviewv1.HistoryKind_HISTORY_KIND_REOPENED:       "opened again",
	reviewv1.HistoryKind_HISTORY_KIND_WITHDRAWN:      "withdrawn",
	reviewv1.HistoryKind_HISTORY_KIND_ESCALATED:      "escalated",
	reviewv1.HistoryKind_HISTORY_KIND_PRIORITISED:    "priority changed",
	reviewv1.HistoryKind_HISTORY_KIND_FEEDBACK:       "feedback from the application",
}

func happened(k reviewv1.HistoryKind) string { return events[k] }

// answered says an answer in words.
func answered(a *reviewv1.Answer) string {
	switch {
	case a == nil:
		return ""
	case a.GetNotSure():
		return "not sure"
	case a.GetOutOfScope():
		return "none of the labels"
	}
	parts := slices.Clone(a.GetLabels())
	if a.GetAction() != moderationv1.Action_ACTION_UNSPECIFIED {
		parts = append([]string{actionName(a.GetAction())}, parts...)
	}
	return strings.Join(parts, ", ")
}

func ago(now time.Time, t *timestamppb.Timestamp) string {
	if t == nil {
		return "–"
	}
	return seconds(now.Sub(t.AsTime()).Seconds())
}

func until(now time.Time, t *timestamppb.Timestamp) string {
	if t == nil {
		return "–"
	}
	if d := t.AsTime().Sub(now); d < 0 {
		return seconds((-d).Seconds()) + " late"
	}
	return "in " + seconds(t.AsTime().Sub(now).Seconds())
}

func stamp(t *timestamppb.Timestamp) string {
	if t == nil {
		return "–"
	}
	return t.AsTime().UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// seconds writes a duration with one unit, as people say it.
func seconds(s float64) string {
	switch {
	case s < 60:
		return fmt.Sprintf("%.0f s", max(0, s))
	case s < 3600:
		return fmt.Sprintf("%.0f min", s/60)
	case s < 48*3600:
		return fmt.Sprintf("%.0f h", s/3600)
	}
	return fmt.Sprintf("%.0f days", s/86400)
}

// field is one field of a record or attribute of an inquiry.
type field struct{ Name, Value string }

func fieldsOf(in *commonv1.RecordedInput) []field {
	var out []field
	for _, name := range slices.Sorted(maps.Keys(in.GetFields())) {
		f := field{Name: name}
		switch v := in.GetFields()[name].GetValue().(type) {
		case *commonv1.FieldValue_Number:
			f.Value = strconv.FormatFloat(v.Number, 'g', -1, 64)
		case *commonv1.FieldValue_Text:
			f.Value = v.Text
		case *commonv1.FieldValue_Boolean:
			f.Value = strconv.FormatBool(v.Boolean)
		}
		out = append(out, f)
	}
	return out
}
