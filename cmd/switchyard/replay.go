package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
)

// errDiffers makes the command fail when a decision comes out differently, so that scripts notice.
var errDiffers = errors.New("the decision comes out differently")

func newReplay() *cobra.Command {
	var client clientFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "replay DECISION-ID",
		Short: "Repeat a decision from its record, bit for bit",
		Long: `Decide again about a recorded input, with the version, the policy and the rules that decided then, and say whether the same comes out. Nothing is recorded or counted.
The command fails when something differs.`,
		Example: "  switchyard replay 019abdb0-5c2e-7a3b-9f1d-6f2f7a2f9a10",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			r, err := decisionsv1.NewDecisionServiceClient(conn).ReplayDecision(c.Context(), &decisionsv1.ReplayDecisionRequest{DecisionId: args[0]})
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(c.OutOrStdout(), r)
			} else {
				err = showReplay(c, r)
			}
			if err == nil && !r.GetIdentical() {
				err = errDiffers
			}
			return err
		},
	}
	client.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the whole record")
	return c
}

func showReplay(c *cobra.Command, r *decisionsv1.ReplayDecisionResponse) error {
	w := c.OutOrStdout()
	d := r.GetRecorded().GetDecision()
	with := "rules only"
	if m := d.GetModel(); m != nil {
		with = fmt.Sprintf("%s version %d, %s", m.GetName(), m.GetVersion(), m.GetDigest())
	}
	rows := [][]string{
		{"decision", d.GetDecisionId()},
		{"deployment", fmt.Sprintf("%s, revision %d", d.GetDeployment(), r.GetRevision())},
		{"with", with},
		{"probabilities", fmt.Sprint(r.GetLabelsCompared(), " compared")},
	}
	if r.GetIdentical() {
		return table(w, nil, append(rows, []string{"result", "identical, bit for bit"}))
	}
	if err := table(w, nil, rows); err != nil {
		return err
	}
	rows = nil
	for _, diff := range r.GetDifferences() {
		rows = append(rows, []string{diff.GetField(), quote(diff.GetRecorded()), quote(diff.GetReplayed())})
	}
	return table(w, []string{"FIELD", "RECORDED", "NOW"}, rows)
}
