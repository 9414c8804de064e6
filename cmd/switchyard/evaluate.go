package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/registry"
)

func newPromises() *cobra.Command {
	var client clientFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "promises",
		Short: "Say what every deployment promises, and what audits show of it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			var rows [][]string
			all, page := &monitoringv1.ListPromisesResponse{}, &commonv1.PageRequest{Size: 100}
			for {
				r, err := monitoringv1.NewMonitoringServiceClient(conn).ListPromises(c.Context(), &monitoringv1.ListPromisesRequest{Page: page})
				if err != nil {
					return err
				}
				all.Promises = append(all.Promises, r.GetPromises()...)
				for _, p := range r.GetPromises() {
					rows = append(rows, []string{strings.ToLower(short(p.GetOperation().String(), "OPERATION_")) + "/" + p.GetDeployment(), p.GetStatement()})
				}
				if page.Token = r.GetPage().GetNextToken(); page.Token == "" {
					break
				}
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), all)
			}
			return table(c.OutOrStdout(), nil, rows)
		},
	}
	client.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print them as JSON")
	return c
}

// evaluateFlags are the words of "evaluate".
type evaluateFlags struct {
	client                clientFlags
	operation, deployment string
	maxError, confidence  float64
	thresholds            map[string]string
	version               string
	since                 time.Duration
	decisions             int32
	errorPrice            float64
	flips                 int
	json                  bool
}

func newEvaluate() *cobra.Command {
	var f evaluateFlags
	c := &cobra.Command{
		Use:   "evaluate",
		Short: "Say what another promise, threshold or version would have done with past decisions",
		Long: `Replay recorded decisions under another promise, with other thresholds or with another version of the model: which answers would have been
different, and how the share automated and its error would have changed. Errors are estimated from audits, weighted by the probability
with which each was drawn, and from reviews. Nothing is changed.`,
		Example: `  switchyard evaluate --operation routing --deployment support --max-error 0.02
  switchyard evaluate --operation moderation --deployment comments --threshold remove=0.97 --threshold allow=0.9
  switchyard evaluate --operation routing --deployment support --version 3 --since 168h --flips 20`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.client.register(c)
	flags := c.Flags()
	flags.StringVar(&f.operation, "operation", "", "moderation, routing or classification")
	flags.StringVar(&f.deployment, "deployment", "", "name of the deployment")
	flags.Float64Var(&f.maxError, "max-error", 0, "another promised error, such as 0.02")
	flags.Float64Var(&f.confidence, "confidence", 0, "another confidence, such as 0.99")
	flags.StringToStringVar(&f.thresholds, "threshold", nil, "a threshold by side or label, =0.9 for all; takes the place of certificates")
	flags.StringVar(&f.version, "version", "", "another version of the model: its number or an alias")
	flags.DurationVar(&f.since, "since", 30*24*time.Hour, "how far back")
	flags.Int32Var(&f.decisions, "decisions", 0, "how many decisions at most (default 20000)")
	flags.Float64Var(&f.errorPrice, "error-price", 0, "price of a wrong automated decision, in the policy's currency")
	flags.IntVar(&f.flips, "flips", 10, "how many different answers are listed, up to 500")
	flags.BoolVar(&f.json, "json", false, "print everything as JSON")
	_ = c.MarkFlagRequired("operation")
	_ = c.MarkFlagRequired("deployment")
	return c
}

func (f *evaluateFlags) run(c *cobra.Command) error {
	op, err := registry.Operation(f.operation)
	if err != nil {
		return usageError{err}
	}
	if f.flips < 0 || f.flips > 500 {
		return usageError{fmt.Errorf("--flips is %d, must be 0 to 500", f.flips)}
	}
	req := &monitoringv1.EvaluatePolicyRequest{
		Operation: op, Deployment: f.deployment, MaxDecisions: f.decisions, From: timestamppb.New(time.Now().Add(-f.since)), Page: &commonv1.PageRequest{Size: int32(max(1, f.flips))},
		Alternative: &monitoringv1.Alternative{
			MaxError: f.maxError, Confidence: f.confidence, ErrorMicros: int64(f.errorPrice * 1e6), Thresholds: map[string]float64{},
		},
	}
	if n, err := strconv.ParseInt(f.version, 10, 32); err == nil {
		req.Alternative.Version = int32(n)
	} else {
		req.Alternative.Alias = f.version
	}
	for side, text := range f.thresholds {
		at, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return usageError{fmt.Errorf("--threshold %s=%s: %w", side, text, err)}
		}
		req.Alternative.Thresholds[side] = at
	}
	conn, done, err := f.client.connect(c)
	if err != nil {
		return err
	}
	defer done()
	r, err := monitoringv1.NewMonitoringServiceClient(conn).EvaluatePolicy(c.Context(), req)
	if err != nil {
		return err
	}
	if f.json {
		return writeJSON(c.OutOrStdout(), r)
	}
	return printEvaluation(c.OutOrStdout(), r, f.flips)
}

func printEvaluation(w io.Writer, r *monitoringv1.EvaluatePolicyResponse, flips int) error {
	row := func(name string, p *monitoringv1.Performance) []string {
		return []string{
			name, fmt.Sprintf("%.1f %%", 100*p.GetAutomatedShare()),
			fmt.Sprintf("%.2f %% (%.2f to %.2f %%)", 100*p.GetError(), 100*p.GetErrorLower(), 100*p.GetErrorUpper()),
			fmt.Sprint(p.GetKnown()), fmt.Sprintf("%.2f", float64(p.GetCostMicros())/1e6),
		}
	}
	fmt.Fprintf(w, "%d decisions, %d would have been different\n\n", r.GetActual().GetDecisions(), r.GetFlipCount())
	err := table(w, []string{"", "AUTOMATED", "ERROR (95 %)", "TRUTHS", "COST"}, [][]string{
		row("as it was", r.GetActual()), row("instead", r.GetAlternative()),
		{"change", fmt.Sprintf("%+.1f points", 100*r.GetAutomatedChange()), fmt.Sprintf("%+.2f points (%+.2f to %+.2f)", 100*r.GetErrorChange(), 100*r.GetErrorChangeLower(), 100*r.GetErrorChangeUpper())},
	})
	if err != nil {
		return err
	}
	if r.GetSkipped() > 0 {
		fmt.Fprintf(w, "\n%d more decisions could not be judged\n", r.GetSkipped())
	}
	for _, c := range r.GetCaveats() {
		fmt.Fprintf(w, "\nNote: %s\n", c)
	}
	if flips == 0 || len(r.GetFlips()) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, f := range r.GetFlips() {
		rows = append(rows, []string{
			f.GetDecisionId(), short(f.GetActualOutcome().String(), "OUTCOME_") + " " + strings.Join(f.GetActualLabels(), ", "),
			short(f.GetAlternativeOutcome().String(), "OUTCOME_") + " " + strings.Join(f.GetAlternativeLabels(), ", "), flipTruth(f),
		})
	}
	return table(w, []string{"DECISION", "AS IT WAS", "INSTEAD", "TRUTH"}, rows)
}

func flipTruth(f *monitoringv1.Flip) string {
	switch {
	case !f.GetKnown():
		return "unknown"
	case f.GetActualRight() && f.GetAlternativeRight():
		return "both right"
	case f.GetActualRight():
		return "was right"
	case f.GetAlternativeRight():
		return "would be right"
	}
	return "both wrong"
}
