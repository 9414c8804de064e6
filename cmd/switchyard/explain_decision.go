package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

func newExplain() *cobra.Command {
	var client clientFlags
	var asJSON bool
	c := &cobra.Command{
		Use:     "explain DECISION-ID",
		Short:   "Say what was decided and why",
		Long:    "Say what was asked, what was decided and why, by which model, under which promise, and what it cost.",
		Example: "  switchyard explain 019abdb0-5c2e-7a3b-9f1d-6f2f7a2f9a10",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			r, err := decisionsv1.NewDecisionServiceClient(conn).GetDecision(c.Context(), &decisionsv1.GetDecisionRequest{DecisionId: args[0]})
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), r)
			}
			if err := explainRecord(c.OutOrStdout(), r.GetRecord()); err != nil {
				return err
			}
			return explainReview(c.OutOrStdout(), r.GetReview())
		},
	}
	client.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print the whole record as JSON")
	return c
}

// explainRecord prints a record for a person: what was asked, what was decided, why, and the numbers.
func explainRecord(w io.Writer, r *commonv1.DecisionRecord) error {
	d := r.GetDecision()
	fmt.Fprintf(w, "%s\n\n", sentence(r))
	fmt.Fprintln(w, "Asked")
	if err := table(w, nil, indent(askedRows(r))); err != nil {
		return err
	}
	if labels := labelRows(d, 5); len(labels) > 0 {
		fmt.Fprintln(w, "\nProbabilities")
		if err := table(w, nil, indent(labels)); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, "\nDecided by")
	if err := table(w, nil, indent(decidedRows(r))); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nCost")
	return table(w, nil, indent(costRows(d)))
}

// explainReview prints what people and the application said of a decision, where anything is known.
func explainReview(w io.Writer, r *decisionsv1.DecisionReview) error {
	var rows [][]string
	if it := r.GetItem(); it != nil {
		state := strings.ToLower(short(it.GetState().String(), "ITEM_STATE_"))
		if it.GetRetireTime() != nil {
			state += " at " + when(it.GetRetireTime()) + ", closed at " + when(it.GetCloseTime())
		}
		rows = append(rows, []string{"item", state})
	}
	for _, v := range r.GetVerdicts() {
		rows = append(rows, []string{"verdict", said(v.GetAnswer()) + " by " + v.GetReviewer() + " at " + when(v.GetSubmitTime())})
	}
	for _, f := range r.GetFeedback() {
		answer := &reviewv1.Answer{Labels: f.GetLabels(), Action: f.GetAction(), OutOfScope: f.GetOutOfScope(), Note: f.GetNote()}
		rows = append(rows, []string{"feedback", said(answer) + " at " + when(f.GetSubmitTime())})
	}
	if r.GetIncomplete() {
		rows = append(rows, []string{"", "more may be known: the review queue or the lake could not be asked"})
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nPeople")
	return table(w, nil, indent(rows))
}

// said is an answer in plain words.
func said(a *reviewv1.Answer) string {
	parts := a.GetLabels()
	switch {
	case a.GetNotSure():
		parts = []string{"not sure"}
	case a.GetOutOfScope():
		parts = []string{"out of scope"}
	case a.GetAction() != 0:
		parts = append([]string{strings.ToLower(short(a.GetAction().String(), "ACTION_"))}, parts...)
	}
	text := strings.Join(parts, ", ")
	if a.GetNote() != "" {
		text += " (" + a.GetNote() + ")"
	}
	return text
}

// sentence says what was decided and why.
func sentence(r *commonv1.DecisionRecord) string {
	d := r.GetDecision()
	what := strings.Join(d.GetChosenLabels(), ", ")
	if what == "" {
		what = "no label"
	}
	if a := action(r); a != "" {
		what = a + " (" + what + ")"
	}
	head := fmt.Sprintf("%s/%s decided by itself: %s.", fault.OperationName(d.GetOperation()), d.GetDeployment(), what)
	if d.GetOutcome() == commonv1.Outcome_OUTCOME_REVIEW {
		head = fmt.Sprintf("%s/%s left it to a person and suggests: %s.", fault.OperationName(d.GetOperation()), d.GetDeployment(), what)
	}
	return head + "\n" + because(r)
}

// because is the reason in plain words.
func because(r *commonv1.DecisionRecord) string {
	d := r.GetDecision()
	automated := d.GetOutcome() == commonv1.Outcome_OUTCOME_AUTOMATED
	switch d.GetReason() {
	case commonv1.DecisionReason_DECISION_REASON_CERTIFIED:
		return "The score passed a threshold whose error rate is certified."
	case commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD:
		return "The score is below the certified threshold: deciding by itself could break the promised error rate."
	case commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED:
		if automated {
			return "No error rate is certified for this deployment; its policy accepts that risk (uncertified: automate)."
		}
		return "No error rate is certified for this deployment on the project's own data, so it does not decide by itself."
	case commonv1.DecisionReason_DECISION_REASON_OUT_OF_SCOPE:
		return "The input is most probably none of the labels."
	case commonv1.DecisionReason_DECISION_REASON_AUDIT:
		return "It was drawn at random for an audit."
	case commonv1.DecisionReason_DECISION_REASON_RULE:
		return "A rule of the project decided before the model was asked: " + strings.Join(r.GetRuleIds(), ", ") + "."
	case commonv1.DecisionReason_DECISION_REASON_FALLBACK:
		return "The model could not answer; this is the policy's fallback."
	case commonv1.DecisionReason_DECISION_REASON_SHADOW:
		return "It was answered in shadow, to compare models: recorded, never acted on."
	case commonv1.DecisionReason_DECISION_REASON_HALTED:
		return "It would have been decided by itself, but automation was stopped; the deployment says why."
	case commonv1.DecisionReason_DECISION_REASON_UNSPECIFIED:
	}
	return "The record gives no reason."
}

// action is what the operation adds to the labels.
func action(r *commonv1.DecisionRecord) string {
	switch r.GetDecision().GetOperation() {
	case commonv1.Operation_OPERATION_MODERATION:
		return strings.ToLower(short(moderationv1.Action(r.GetAction()).String(), "ACTION_"))
	case commonv1.Operation_OPERATION_ROUTING:
		return strings.ToLower(short(routingv1.Priority(r.GetAction()).String(), "PRIORITY_")) + " priority"
	case commonv1.Operation_OPERATION_CLASSIFICATION, commonv1.Operation_OPERATION_UNSPECIFIED:
	}
	return ""
}

func askedRows(r *commonv1.DecisionRecord) [][]string {
	rows := [][]string{{"at", r.GetDecision().GetTime().AsTime().Local().Format(time.RFC3339Nano)}}
	in := r.GetInput()
	switch r.GetInputRetention() {
	case commonv1.InputRetention_INPUT_RETENTION_ABSENT:
		rows = append(rows, []string{"input", fmt.Sprintf("not kept; its SHA-256 is %x", r.GetInputSha256())})
	case commonv1.InputRetention_INPUT_RETENTION_REDACTED:
		rows = append(rows, []string{"input", "personal data masked"})
	case commonv1.InputRetention_INPUT_RETENTION_FULL, commonv1.InputRetention_INPUT_RETENTION_UNSPECIFIED:
	}
	rows = appendRow(rows, "title", quote(in.GetTitle()))
	rows = appendRow(rows, "text", quote(in.GetText()))
	for _, name := range slices.Sorted(maps.Keys(in.GetFields())) {
		rows = append(rows, []string{name, fieldText(in.GetFields()[name])})
	}
	rows = appendRow(rows, "locale", in.GetLocale())
	rows = appendRow(rows, "channel", in.GetChannel())
	rows = appendRow(rows, "content", r.GetContentId())
	rows = appendRow(rows, "subject", r.GetSubjectId())
	rows = appendRow(rows, "by key", r.GetCaller())
	rows = appendRow(rows, "request", r.GetRequestId())
	rows = appendRow(rows, "idempotency key", r.GetIdempotencyKey())
	return appendRow(rows, "trace", r.GetTraceparent())
}

func decidedRows(r *commonv1.DecisionRecord) [][]string {
	d := r.GetDecision()
	rows := [][]string{{"stage", strings.ToLower(short(d.GetStage().String(), "STAGE_"))}}
	if m := d.GetModel(); m != nil {
		rows = append(rows, []string{"model", fmt.Sprintf("%s version %d, %s (%s)", m.GetName(), m.GetVersion(), m.GetDigest(), strings.ToLower(short(d.GetVariant().String(), "VARIANT_")))})
	}
	rows = appendRow(rows, "policy", d.GetPolicyDigest())
	rows = appendRow(rows, "certificate", d.GetCertificateId())
	rows = appendRow(rows, "rules", strings.Join(r.GetRuleIds(), ", "))
	if a := d.GetAudit(); d.GetOutcome() == commonv1.Outcome_OUTCOME_AUTOMATED {
		drawn := "not drawn"
		if a.GetSelected() {
			drawn = "drawn: a person checks it"
		}
		rows = append(rows, []string{"audit", fmt.Sprintf("%s (probability %s)", drawn, strconv.FormatFloat(a.GetProbability(), 'g', -1, 64))})
	}
	return append(rows, []string{"latency", d.GetLatency().AsDuration().String()})
}

func costRows(d *commonv1.Decision) [][]string {
	c := d.GetCost()
	money := func(micros int64) string {
		return strings.TrimSpace(strconv.FormatFloat(float64(micros)/1e6, 'f', 6, 64) + " " + c.GetCurrency())
	}
	return [][]string{
		{"compute", money(c.GetComputeMicros()), "for " + c.GetCompute().AsDuration().String() + " of processor time"},
		{"people", money(c.GetReviewMicros()), "expected"},
		{"together", money(c.GetTotalMicros())},
	}
}

// fieldText prints one value of a record.
func fieldText(v *commonv1.FieldValue) string {
	switch v := v.GetValue().(type) {
	case *commonv1.FieldValue_Number:
		return strconv.FormatFloat(v.Number, 'g', -1, 64)
	case *commonv1.FieldValue_Boolean:
		return strconv.FormatBool(v.Boolean)
	case *commonv1.FieldValue_Text:
		return quote(v.Text)
	}
	return ""
}

// quoteLimit keeps a long text from filling the screen; --json prints all of it.
const quoteLimit = 400

// quote makes one line of a text, so that what somebody sent cannot move the cursor of whoever reads it.
func quote(s string) string {
	if s == "" {
		return ""
	}
	if runes := []rune(s); len(runes) > quoteLimit {
		return strconv.Quote(string(runes[:quoteLimit])) + fmt.Sprintf(" and %d characters more", len(runes)-quoteLimit)
	}
	return strconv.Quote(s)
}

// appendRow adds a row when there is something to say.
func appendRow(rows [][]string, name, value string) [][]string {
	if value == "" {
		return rows
	}
	return append(rows, []string{name, value})
}

func indent(rows [][]string) [][]string {
	for i := range rows {
		rows[i] = append([]string{"  " + rows[i][0]}, rows[i][1:]...)
	}
	return rows
}
