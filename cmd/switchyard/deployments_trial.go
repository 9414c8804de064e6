package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// versionOf reads a version as people write it: its number or an alias, or model/number or model@alias for another model than the champion's. 0 stands for the newest.
func versionOf(s string, d *modelsv1.Deployment) (model string, number int32, err error) {
	model, text, other := strings.Cut(s, "/")
	if !other {
		model, text = d.GetChampion().GetModel(), s
	}
	if !other && strings.Contains(s, "@") {
		return s, 0, nil
	}
	if n, err := strconv.ParseInt(text, 10, 32); err == nil && n >= 0 && model != "" {
		return model, int32(n), nil
	}
	if other || model == "" || text == "" || text[0] == '-' {
		return "", 0, usagef("version %q: write its number or alias, such as 7 or candidate; of another model support/7 or support@candidate", s)
	}
	return model + "@" + text, 0, nil
}

// changed makes the RunE of a command that changes a deployment: it reads the deployment, names its revision to the change, and prints what it is then.
func changed(client *clientFlags, asJSON *bool, change func(ctx context.Context, models modelsv1.ModelServiceClient, d *modelsv1.Deployment, version string) (*modelsv1.Deployment, error)) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		op, name, err := parseDeployment(args[0])
		if err != nil {
			return err
		}
		conn, done, err := client.connect(c)
		if err != nil {
			return err
		}
		defer done()
		models := modelsv1.NewModelServiceClient(conn)
		now, err := models.GetDeployment(c.Context(), &modelsv1.GetDeploymentRequest{Operation: op, Deployment: name})
		if err != nil {
			return err
		}
		d, err := change(c.Context(), models, now.GetDeployment(), args[1])
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(c.OutOrStdout(), d)
		}
		return showDeployment(c, d)
	}
}

func newDeploymentsTry() *cobra.Command {
	var client clientFlags
	var asJSON bool
	var percent float64
	req := &modelsv1.StartChallengerRequest{Guardrails: &modelsv1.Guardrails{}}
	c := &cobra.Command{
		Use:   "try OPERATION/NAME VERSION",
		Short: "Put a version on trial: in shadow, or as a canary on a share of the calls",
		Long: `Put a version on trial beside the champion. In shadow it scores the same inputs and changes no answer; with --share it answers that share of the calls, always the same people or contents.
Trying what is on trial already changes its mode, share and guardrails. A version that breaks a guardrail is taken off by itself.`,
		Example: `  switchyard deployments try routing/support 7
  switchyard deployments try routing/support 7 --share 5 --reason "agreed with the champion for a week"
  switchyard deployments compare routing/support 7`,
		Args: cobra.ExactArgs(2),
	}
	c.RunE = changed(&client, &asJSON, func(ctx context.Context, models modelsv1.ModelServiceClient, d *modelsv1.Deployment, version string) (_ *modelsv1.Deployment, err error) {
		if req.Model, req.Version, err = versionOf(version, d); err != nil {
			return nil, err
		}
		req.Operation, req.Deployment, req.ExpectedRevision = d.GetOperation(), d.GetName(), d.GetRevision()
		if req.Mode = modelsv1.ChallengerMode_CHALLENGER_MODE_SHADOW; c.Flags().Changed("share") {
			req.Mode, req.Share = modelsv1.ChallengerMode_CHALLENGER_MODE_CANARY, percent/100
		}
		res, err := models.StartChallenger(ctx, req)
		return res.GetDeployment(), err
	})
	client.register(c)
	c.Flags().Float64Var(&percent, "share", 0, "share of the calls that it answers, in percent; without it, it answers nothing")
	c.Flags().StringVar(&req.Reason, "reason", "", "why; it stays in the history")
	c.Flags().StringVar(&req.SkipShadow, "skip-shadow", "", "answer a share without a shadow before, and why")
	c.Flags().Int64Var(&req.Guardrails.MinDecisions, "min-decisions", 0, "decisions before anything is judged or promoted (default 200)")
	c.Flags().Float64Var(&req.Guardrails.MaxErrorRate, "max-error-rate", 0, "largest share of inputs that it cannot score (default 0.01)")
	c.Flags().Float64Var(&req.Guardrails.MaxLatencyRatio, "max-latency-ratio", 0, "largest ratio of the median times (default 5)")
	c.Flags().Float64Var(&req.Guardrails.MaxLabelShift, "max-label-shift", 0, "largest distance between the shares of labels (default 0.25)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newDeploymentsStop() *cobra.Command {
	var client clientFlags
	var asJSON bool
	var reason string
	c := &cobra.Command{
		Use:     "stop OPERATION/NAME VERSION",
		Short:   "End a trial: the champion answers everything again",
		Example: `  switchyard deployments stop routing/support 7 --reason "slower, and no better"`,
		Args:    cobra.ExactArgs(2),
	}
	c.RunE = changed(&client, &asJSON, func(ctx context.Context, models modelsv1.ModelServiceClient, d *modelsv1.Deployment, version string) (*modelsv1.Deployment, error) {
		model, number, err := versionOf(version, d)
		if err != nil {
			return nil, err
		}
		res, err := models.StopChallenger(ctx, &modelsv1.StopChallengerRequest{
			Operation: d.GetOperation(), Deployment: d.GetName(), Model: model, Version: number, Reason: reason, ExpectedRevision: d.GetRevision(),
		})
		return res.GetDeployment(), err
	})
	client.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why; it stays in the history")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newDeploymentsResume() *cobra.Command {
	var client clientFlags
	var asJSON bool
	var reason string
	c := &cobra.Command{
		Use:   "resume OPERATION/NAME VERSION --reason WHY",
		Short: "Put a version on trial again whose trial has ended, with what was counted",
		Long: `Resume a trial that a guardrail or somebody ended: in the same mode, on the same share. What was counted goes on counting; guardrails judge what comes from now on. It is refused for a version that
has broken the certificate which it would answer by. "switchyard deployments show" lists the trials that ended, and why; "try" begins a new one at zero.`,
		Example: `  switchyard deployments resume routing/support 7 --reason "the data base that it looks things up in is back"`,
		Args:    cobra.ExactArgs(2),
	}
	c.RunE = changed(&client, &asJSON, func(ctx context.Context, models modelsv1.ModelServiceClient, d *modelsv1.Deployment, version string) (*modelsv1.Deployment, error) {
		model, number, err := versionOf(version, d)
		if err != nil {
			return nil, err
		}
		res, err := models.ResumeChallenger(ctx, &modelsv1.ResumeChallengerRequest{
			Operation: d.GetOperation(), Deployment: d.GetName(), Model: model, Version: number, Reason: reason, ExpectedRevision: d.GetRevision(),
		})
		return res.GetDeployment(), err
	})
	client.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why; it stays in the history")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = c.MarkFlagRequired("reason")
	return c
}

func newDeploymentsPromote() *cobra.Command {
	var client clientFlags
	var asJSON, skip bool
	var reason string
	c := &cobra.Command{
		Use:   "promote OPERATION/NAME VERSION --reason WHY",
		Short: "Let a version on trial answer everything",
		Long: `Make a version on trial the champion. The champion of before stays open beside it, so that going back takes no loading; while the guardrails watch the new one, breaking them takes it back
by itself. What was compared on too few decisions is refused.`,
		Example: `  switchyard deployments promote routing/support 7 --reason "same answers, 12 % more automated"`,
		Args:    cobra.ExactArgs(2),
	}
	c.RunE = changed(&client, &asJSON, func(ctx context.Context, models modelsv1.ModelServiceClient, d *modelsv1.Deployment, version string) (*modelsv1.Deployment, error) {
		model, number, err := versionOf(version, d)
		if err != nil {
			return nil, err
		}
		res, err := models.Promote(ctx, &modelsv1.PromoteRequest{
			Operation: d.GetOperation(), Deployment: d.GetName(), Model: model, Version: number, Reason: reason, SkipComparison: skip, ExpectedRevision: d.GetRevision(),
		})
		return res.GetDeployment(), err
	})
	client.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why; it stays in the history")
	c.Flags().BoolVar(&skip, "skip-comparison", false, "promote what was compared on fewer decisions than its guardrails ask for")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = c.MarkFlagRequired("reason")
	return c
}

func newDeploymentsCompare() *cobra.Command {
	var client clientFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare OPERATION/NAME [VERSION]",
		Short: "Show how a version on trial has done beside the champion, or the champion beside the one before",
		Example: `  switchyard deployments compare routing/support 7
  switchyard deployments compare routing/support`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			op, name, err := parseDeployment(args[0])
			if err != nil {
				return err
			}
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			models := modelsv1.NewModelServiceClient(conn)
			req, other := &modelsv1.GetComparisonRequest{Operation: op, Deployment: name}, before
			if len(args) == 2 {
				now, err := models.GetDeployment(c.Context(), &modelsv1.GetDeploymentRequest{Operation: op, Deployment: name})
				if err != nil {
					return err
				}
				if req.Model, req.Version, err = versionOf(args[1], now.GetDeployment()); err != nil {
					return err
				}
				if other = fmt.Sprint("version ", req.GetVersion()); req.GetVersion() == 0 {
					other = args[1]
				}
			}
			res, err := models.GetComparison(c.Context(), req)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), res)
			}
			return showComparison(c, res.GetComparison(), other)
		},
	}
	client.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// before names the champion of before in a comparison.
const before = "before"

// comparedLabels is how many labels are printed; JSON has them all.
const comparedLabels = 20

func showComparison(c *cobra.Command, of *modelsv1.Comparison, other string) error {
	out, a, b := c.OutOrStdout(), of.GetChampion(), of.GetChallenger()
	rows := [][]string{
		{"compared", fmt.Sprintf("%d since %s", of.GetCompared(), when(of.GetStartTime()))},
		{"same labels", portion(of.GetSameLabels(), of.GetCompared())},
		{"automated by", fmt.Sprintf("both %d, champion alone %d, %s alone %d", of.GetAutomatedBoth(), of.GetAutomatedChampion(), other, of.GetAutomatedChallenger())},
		{"flips", portion(of.GetFlips(), of.GetAutomatedBoth())},
	}
	if auditsOf(a) > 0 && auditsOf(b) > 0 {
		rows = append(rows, []string{"error", fmt.Sprintf("%+.2f points (%+.2f to %+.2f, %g %%): %s", 100*of.GetErrorChange(), 100*of.GetErrorChangeLower(), 100*of.GetErrorChangeUpper(), 100*of.GetConfidence(), worse(of))})
	}
	if n := of.GetDropped(); n > 0 {
		rows = append(rows, []string{"not compared", fmt.Sprintf("%d, the process was busy", n)})
	}
	if err := table(out, nil, rows); err != nil {
		return err
	}
	fmt.Fprintln(out)
	rows = [][]string{
		{"decisions", fmt.Sprint(a.GetDecisions()), fmt.Sprint(b.GetDecisions())},
		{"automated", portion(a.GetAutomated(), a.GetDecisions()), portion(b.GetAutomated(), b.GetDecisions())},
		{"could not score", fmt.Sprint(a.GetErrors()), fmt.Sprint(b.GetErrors())},
		{"median time", medianText(a.GetTimes()), medianText(b.GetTimes())},
	}
	if auditsOf(a)+auditsOf(b) > 0 {
		rows = append(rows, []string{"audited error", auditedText(a), auditedText(b)})
	}
	labels := slices.Collect(maps.Keys(a.GetLabels()))
	for l := range b.GetLabels() {
		if _, both := a.GetLabels()[l]; !both {
			labels = append(labels, l)
		}
	}
	often := func(l string) int64 { return max(a.GetLabels()[l], b.GetLabels()[l]) }
	slices.SortFunc(labels, func(x, y string) int { return cmp.Or(cmp.Compare(often(y), often(x)), cmp.Compare(x, y)) })
	for _, l := range labels[:min(comparedLabels, len(labels))] {
		rows = append(rows, []string{"label " + l, portion(a.GetLabels()[l], a.GetDecisions()), portion(b.GetLabels()[l], b.GetDecisions())})
	}
	return table(out, []string{fault.OperationName(of.GetOperation()) + "/" + of.GetDeployment(), "CHAMPION", strings.ToUpper(other)}, rows)
}

// auditsOf is how many audits of a version people have answered.
func auditsOf(a *modelsv1.Arm) (n int64) {
	for _, c := range a.GetAudits() {
		n += c.GetAudits()
	}
	return n
}

// auditedText writes what the audits of a version show.
func auditedText(a *modelsv1.Arm) string {
	n := auditsOf(a)
	if n == 0 {
		return "not audited"
	}
	return fmt.Sprintf("%.1f %% (%.1f to %.1f) in %d", 100*a.GetAuditedError(), 100*a.GetAuditedErrorLower(), 100*a.GetAuditedErrorUpper(), n)
}

// worse says what the audits of two versions show of the second one.
func worse(of *modelsv1.Comparison) string {
	switch {
	case of.GetErrorChangeLower() > 0:
		return "worse"
	case of.GetErrorChangeUpper() < 0:
		return "better"
	}
	return "the versions cannot be told apart yet"
}

// portion writes a count as a share of another one.
func portion(part, of int64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %% (%d)", 100*float64(part)/float64(of), part)
}

// medianText writes the bucket that the middle time is in; the bounds of buckets are 1 µs × 2^i.
func medianText(times []int64) string {
	var n, below int64
	for _, c := range times {
		n += c
	}
	for i, c := range times {
		if below += c; n > 0 && 2*below >= n {
			return "up to " + (time.Microsecond << i).String()
		}
	}
	return "-"
}
