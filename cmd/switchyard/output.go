package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

// writeJSON prints a message as indented JSON, with the same keys as over REST.
func writeJSON(w io.Writer, m proto.Message) error {
	data, err := protojson.MarshalOptions{EmitDefaultValues: true}.Marshal(m)
	if err != nil {
		return err
	}
	// protojson varies its white space on purpose; indenting here makes the output stable.
	var value json.RawMessage = data
	out, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", out)
	return err
}

// table prints aligned rows.
func table(w io.Writer, header []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	if header != nil {
		fmt.Fprintln(t, strings.Join(header, "\t"))
	}
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// decisionRows are the lines that every decision has in common.
func decisionRows(d *commonv1.Decision) [][]string {
	rows := [][]string{
		{"outcome", short(d.GetOutcome().String(), "OUTCOME_")},
		{"reason", reasonText(d)},
	}
	if m := d.GetModel(); m != nil {
		rows = append(rows, []string{"model", fmt.Sprintf("%s version %d", m.GetName(), m.GetVersion())})
	}
	return append(rows,
		[]string{"decision", d.GetDecisionId()},
		[]string{"latency", d.GetLatency().AsDuration().String()},
	)
}

func reasonText(d *commonv1.Decision) string {
	text := short(d.GetReason().String(), "DECISION_REASON_")
	switch {
	case d.GetUncertified():
		text += ", nothing is promised about the error"
	case d.GetReason() == commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED:
		text += ", train on your own data to earn a certificate"
	}
	return text
}

// labelRows are the most probable labels with bars.
func labelRows(d *commonv1.Decision, limit int) [][]string {
	var rows [][]string
	for i, l := range d.GetLabels() {
		if i == limit {
			break
		}
		rows = append(rows, []string{l.GetLabel(), fmt.Sprintf("%5.1f %%", 100*l.GetProbability()), bar(l.GetProbability())})
	}
	return rows
}

func bar(p float64) string { return strings.Repeat("█", int(p*20+0.5)) }

func short(name, prefix string) string { return strings.TrimPrefix(name, prefix) }
