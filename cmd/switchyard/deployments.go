package main

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/registry"
)

func newDeployments() *cobra.Command {
	c := &cobra.Command{Use: "deployments", Short: "See what answers and what answered when, try another version, promote it, go back"}
	c.AddCommand(newDeploymentsList(), newDeploymentsShow(), newHistory("deployments"), newDeploymentsRollback(),
		newDeploymentsTry(), newDeploymentsCompare(), newDeploymentsPromote(), newDeploymentsStop(), newDeploymentsResume())
	return c
}

func newModels() *cobra.Command {
	c := &cobra.Command{Use: "models", Short: "Name and note versions of models, and see which answered when"}
	c.AddCommand(newHistory("models"), newModelsAlias(), newModelsTag())
	return c
}

// parseDeployment reads a name as people write it, such as "routing/support".
func parseDeployment(s string) (commonv1.Operation, string, error) {
	operation, name, ok := strings.Cut(s, "/")
	if !ok || name == "" {
		return 0, "", usagef("deployment %q: write it as operation/name, such as routing/support", s)
	}
	op, err := registry.Operation(operation)
	if err != nil {
		return 0, "", usageError{err}
	}
	return op, name, nil
}

func newDeploymentsList() *cobra.Command {
	var client clientFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the deployments of the project",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			all, page := &modelsv1.ListDeploymentsResponse{}, &commonv1.PageRequest{Size: 500}
			for {
				r, err := modelsv1.NewModelServiceClient(conn).ListDeployments(c.Context(), &modelsv1.ListDeploymentsRequest{Page: page})
				if err != nil {
					return err
				}
				all.Deployments = append(all.Deployments, r.GetDeployments()...)
				if page.Token = r.GetPage().GetNextToken(); page.Token == "" {
					break
				}
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), all)
			}
			rows := make([][]string, 0, len(all.GetDeployments()))
			for _, d := range all.GetDeployments() {
				rows = append(rows, []string{
					fault.OperationName(d.GetOperation()) + "/" + d.GetName(), strconv.FormatInt(d.GetRevision(), 10), answering(d.GetChampion().GetModel(), d.GetChampion().GetVersion()),
					when(d.GetUpdateTime()), d.GetStatement(),
				})
			}
			return table(c.OutOrStdout(), []string{"DEPLOYMENT", "REVISION", "ANSWERS", "SINCE", "PROMISE"}, rows)
		},
	}
	client.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func answering(model string, version int32) string {
	if model == "" {
		return "rules only"
	}
	return fmt.Sprintf("%s version %d", model, version)
}

func newDeploymentsShow() *cobra.Command {
	var client clientFlags
	var asJSON bool
	var at string
	var revision int64
	c := &cobra.Command{
		Use:   "show OPERATION/NAME",
		Short: "Show a deployment as it is, or as it was",
		Example: `  switchyard deployments show routing/support
  switchyard deployments show routing/support --at 2026-05-04T12:00:00Z`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			op, name, err := parseDeployment(args[0])
			if err != nil {
				return err
			}
			req := &modelsv1.GetDeploymentRequest{Operation: op, Deployment: name, Revision: revision}
			if at != "" {
				t, err := time.Parse(time.RFC3339, at)
				if err != nil {
					return usagef("--at %q: write it as 2026-05-04T12:00:00Z", at)
				}
				req.At = timestamppb.New(t)
			}
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			r, err := modelsv1.NewModelServiceClient(conn).GetDeployment(c.Context(), req)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), r)
			}
			return showDeployment(c, r.GetDeployment())
		},
	}
	client.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&at, "at", "", "as it was at this time")
	c.Flags().Int64Var(&revision, "revision", 0, "as it was in this revision")
	return c
}

func showDeployment(c *cobra.Command, d *modelsv1.Deployment) error {
	p := d.GetPolicy()
	rows := [][]string{
		{"deployment", fault.OperationName(d.GetOperation()) + "/" + d.GetName()},
		{"revision", fmt.Sprintf("%d, since %s", d.GetRevision(), when(d.GetUpdateTime()))},
		{"answers", answering(d.GetChampion().GetModel(), d.GetChampion().GetVersion())},
	}
	rows = appendRow(rows, "digest", d.GetChampion().GetDigest())
	rows = append(rows, []string{"promise", d.GetStatement()})
	rows = append(rows, []string{"policy", fmt.Sprintf("error at most %g %%, confidence %g %%, audits %g %%", 100*p.GetMaxError(), 100*p.GetConfidence(), 100*p.GetAuditRate())})
	rows = append(rows, []string{"", d.GetPolicyDigest()})
	for _, t := range d.GetChallengers() {
		does := "in shadow"
		if t.GetShare() > 0 {
			does = fmt.Sprintf("answers %g %%", 100*t.GetShare())
		}
		if t.GetResumeTime() != nil {
			does += ", resumed " + when(t.GetResumeTime()) + " after: " + t.GetEndedFor()
		}
		rows = append(rows, []string{"on trial", answering(t.GetVersion().GetModel(), t.GetVersion().GetVersion()) + ", " + does + ", since " + when(t.GetStartTime())})
	}
	for _, e := range d.GetEndedTrials() {
		v := e.GetChallenger().GetVersion()
		rows = append(rows, []string{"trial ended", answering(v.GetModel(), v.GetVersion()) + ", " + when(e.GetEndTime()) + ", by " + cmp.Or(e.GetCaller(), "system") + ": " + cmp.Or(e.GetReason(), "no reason given")})
	}
	if p := d.GetPrevious(); p != nil {
		rows = append(rows, []string{"before", answering(p.GetModel(), p.GetVersion())})
	}
	if d.GetProbation() != nil {
		rows = append(rows, []string{"probation", "guardrails may take the champion back"})
	}
	for _, cert := range d.GetCertificates() {
		text := "not certified"
		if cert.GetCertified() {
			text = fmt.Sprintf("from %.4f on, %d errors in %d rows", cert.GetThreshold(), cert.GetErrors(), cert.GetAccepted())
		}
		if e := cert.GetReviewerError(); e > 0 {
			text += fmt.Sprintf(", though reviewers err in %.3g %%", 100*e)
		}
		rows = append(rows, []string{strings.TrimSpace("certificate " + cert.GetSide()), text + ", " + cert.GetCertificateId()})
	}
	return table(c.OutOrStdout(), nil, rows)
}

// newHistory lists changes; parent is the command that it belongs to.
func newHistory(parent string) *cobra.Command {
	var client clientFlags
	var asJSON bool
	var limit int
	c := &cobra.Command{
		Use:     "history [OPERATION/NAME]",
		Short:   "List what was changed about a deployment, an alias or the tags of a version, or about all: what, by whom, when and why",
		Long:    "List the entries of the ledger of deployments, newest first. Entries are chained by their hashes; \"switchyard ledger verify\" finds one that was changed.",
		Example: "  switchyard " + parent + " history routing/support\n  switchyard " + parent + " history routing/support@candidate   # of an alias\n  switchyard " + parent + " history routing/support@7           # of what is noted about a version",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			req := &modelsv1.ListDeploymentChangesRequest{}
			if len(args) == 1 {
				var err error
				if req.Operation, req.Deployment, err = parseDeployment(args[0]); err != nil {
					return err
				}
			}
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			all, err := history(c, modelsv1.NewModelServiceClient(conn), req, limit)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), all)
			}
			rows := make([][]string, 0, len(all.GetChanges()))
			for _, ch := range all.GetChanges() {
				rows = append(rows, historyRow(ch))
			}
			return table(c.OutOrStdout(), []string{"ENTRY", "TIME", "DEPLOYMENT", "REVISION", "CHANGE", "VERSION", "BY", "REASON"}, rows)
		},
	}
	client.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with digests and hashes")
	c.Flags().IntVar(&limit, "limit", 50, "at most so many changes; 0 for all")
	return c
}

func history(c *cobra.Command, client modelsv1.ModelServiceClient, req *modelsv1.ListDeploymentChangesRequest, limit int) (*modelsv1.ListDeploymentChangesResponse, error) {
	all := &modelsv1.ListDeploymentChangesResponse{}
	req.Page = &commonv1.PageRequest{Size: 500}
	for {
		r, err := client.ListDeploymentChanges(c.Context(), req)
		if err != nil {
			return nil, err
		}
		all.Changes = append(all.Changes, r.GetChanges()...)
		if limit > 0 && len(all.GetChanges()) >= limit {
			all.Changes = all.Changes[:limit]
			return all, nil
		}
		if req.Page.Token = r.GetPage().GetNextToken(); req.Page.Token == "" {
			return all, nil
		}
	}
}

func historyRow(ch *modelsv1.DeploymentChange) []string {
	change := strings.ToLower(short(ch.GetKind().String(), "DEPLOYMENT_CHANGE_KIND_"))
	if ch.GetRestoredRevision() > 0 {
		change += fmt.Sprint(" to ", ch.GetRestoredRevision())
	}
	version := answering(ch.GetModel(), ch.GetVersion())
	switch {
	case ch.GetTrial():
		version += " (trial)"
	case ch.GetAlias() != nil || ch.GetNotes() != nil:
		change += notedChange(ch)
	}
	if ch.GetKind() == modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_ALIAS && ch.GetVersion() == 0 {
		version = "none"
	}
	return []string{
		strconv.FormatInt(ch.GetSequence(), 10), ch.GetRecordTime().AsTime().UTC().Format("2006-01-02 15:04:05"), fault.OperationName(ch.GetOperation()) + "/" + ch.GetDeployment(),
		strconv.FormatInt(ch.GetRevision(), 10), change, version, ch.GetActor(), quote(ch.GetReason()),
	}
}

// notedChange says what an entry about an alias or about tags changed.
func notedChange(ch *modelsv1.DeploymentChange) string {
	if a := ch.GetAlias(); a != nil {
		switch {
		case a.GetPreviousVersion() > 0:
			return fmt.Sprintf(", was version %d", a.GetPreviousVersion())
		case a.GetRevision() == 1:
			return ", new"
		}
		return "" // it stood for none, or an earlier release did not note what it stood for
	}
	var parts []string
	for _, t := range ch.GetNotes().GetChanges() {
		switch {
		case t.After == nil:
			parts = append(parts, fmt.Sprintf("%s removed, was %q", t.GetKey(), t.GetBefore()))
		case t.Before == nil:
			parts = append(parts, t.GetKey()+"="+t.GetAfter())
		default:
			parts = append(parts, fmt.Sprintf("%s=%s, was %q", t.GetKey(), t.GetAfter(), t.GetBefore()))
		}
	}
	if ch.GetNotes().NotesBefore != nil {
		parts = append(parts, "notes")
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, "; ")
}

func newDeploymentsRollback() *cobra.Command {
	var client clientFlags
	var asJSON bool
	req := &modelsv1.RollbackRequest{}
	c := &cobra.Command{
		Use:   "rollback OPERATION/NAME --reason WHY",
		Short: "Let an earlier revision answer again, at once",
		Long: `Let an earlier revision answer again, with the version, the policy and the certificates that it had: what answered before the last change, or the revision that is named.
Rolling back again goes back further. The change is refused when somebody else changed the deployment meanwhile.`,
		Example: `  switchyard deployments rollback routing/support --reason "wrong queue for invoices"
  switchyard deployments rollback routing/support --revision 3 --reason "the last good one"`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if req.Operation, req.Deployment, err = parseDeployment(args[0]); err != nil {
				return err
			}
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			models := modelsv1.NewModelServiceClient(conn)
			now, err := models.GetDeployment(c.Context(), &modelsv1.GetDeploymentRequest{Operation: req.GetOperation(), Deployment: req.GetDeployment()})
			if err != nil {
				return err
			}
			req.ExpectedRevision = now.GetDeployment().GetRevision()
			r, err := models.Rollback(c.Context(), req)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), r)
			}
			return showDeployment(c, r.GetDeployment())
		},
	}
	client.register(c)
	c.Flags().Int64Var(&req.Revision, "revision", 0, "the revision to go back to (default what answered before the last change)")
	c.Flags().StringVar(&req.Reason, "reason", "", "why; it stays in the history")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = c.MarkFlagRequired("reason")
	return c
}
