package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/dataset"
	"github.com/switchyard-ai/switchyard/internal/engine/eval"
	"github.com/switchyard-ai/switchyard/internal/engine/fit"
	"github.com/switchyard-ai/switchyard/internal/engine/report"
	"github.com/switchyard-ai/switchyard/internal/registry"
)

// trainFlags are the words of "switchyard train".
type trainFlags struct {
	client     clientFlags
	operation  string
	deployment string
	model      string
	input      string
	test       string
	report     string
	out        string
	noDeploy   bool
	json       bool
	quiet      bool
	multiLabel bool
	columns    dataset.Options
	fit        fit.Options
	notice     string
	rejected   []dataset.RowError
}

func newTrain() *cobra.Command {
	var f trainFlags
	c := &cobra.Command{
		Use:   "train",
		Short: "Train a model on labelled rows, certify it, register it and let it answer",
		Long: `Train a model on labelled rows, hold some of them back to certify what it may decide by itself,
register it as a new version of its model, and let it answer under the deployment's name.

The input is JSONL, CSV or Parquet, plain or compressed with gzip or zstd. By default a line is
  {"text": "…", "label": "…"}   or   {"record": {"age": 39, "job": "clerk"}, "label": "…"}
A running server answers with the new version at once, without dropping a call.`,
		Example: `  switchyard train --operation routing --deployment support --input tickets.jsonl.gz --test held-out.jsonl.gz
  switchyard train --operation routing --deployment support --input tickets.csv --label-field queue --text-field body
  switchyard train --operation moderation --deployment comments --input comments.parquet --harmless-label ok`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.register(c)
	return c
}

func (f *trainFlags) register(c *cobra.Command) {
	f.client.register(c)
	s := c.Flags()
	s.StringVar(&f.operation, "operation", "", "moderation, routing or classification")
	s.StringVarP(&f.deployment, "deployment", "d", "", "name under which the model shall answer")
	s.StringVarP(&f.input, "input", "i", "", "labelled rows to learn from")
	s.StringVar(&f.test, "test", "", "labelled rows to measure on; without it the rows held back for certification serve")
	s.StringVar(&f.model, "model", "", "name of the model (default the deployment's name)")
	s.StringVar(&f.columns.LabelField, "label-field", "", "column of the label (default label)")
	s.StringVar(&f.columns.TextField, "text-field", "", "column of the text (default text)")
	s.StringVar(&f.columns.SubjectField, "subject-field", "", "column of a subject or title that stands before the text")
	s.StringVar(&f.columns.RecordField, "record-field", "", "column of the record (default record)")
	s.StringVar(&f.columns.LabelSeparator, "label-separator", "", "splits one label column into several labels, such as \"|\"")
	s.StringVar(&f.columns.Format, "format", "", "jsonl, csv or parquet (default: found out)")
	s.StringVar(&f.fit.OutOfScopeLabel, "out-of-scope-label", "oos", "label of the rows that belong to none of the others")
	s.StringSliceVar(&f.fit.HarmlessLabels, "harmless-label", nil, "moderation: a label that means that nothing is wrong; repeat for several")
	s.BoolVar(&f.multiLabel, "multi-label", false, "any number of labels may fit a row (default: found out from the rows)")
	s.Float64Var(&f.fit.Alpha, "max-error", 0.05, "the promise: at most this share of the automated decisions is wrong")
	confidence := s.Float64("confidence", 0.95, "how sure the promise is")
	s.Float64Var(&f.fit.HoldOut, "hold-out", 0, "share of the rows that is held back to certify on (default 0.1)")
	s.Uint64Var(&f.fit.Seed, "seed", 1, "seed of every random choice: same data, seed and settings give the same model")
	s.StringVar(&f.fit.Method, "method", "auto", "records: auto, linear or trees")
	s.IntVar(&f.fit.Buckets, "buckets", 0, "texts: number of hash buckets, a power of two (default 65536)")
	s.StringVar(&f.report, "report", "", "write the HTML report to this file (default report-OPERATION-DEPLOYMENT.html, - for none)")
	s.StringVar(&f.out, "out", "", "also write the model file here")
	s.StringVar(&f.notice, "notice", "", "licence and source of the data, shown with the model")
	s.BoolVar(&f.noDeploy, "no-deploy", false, "register the version but let the present one go on answering")
	s.BoolVar(&f.json, "json", false, "print the evaluation as one JSON object")
	s.BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
	for _, name := range []string{"operation", "deployment", "input"} {
		_ = c.MarkFlagRequired(name)
	}
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		f.fit.Delta = 1 - *confidence
		if c.Flags().Changed("multi-label") {
			f.fit.MultiLabel = &f.multiLabel
		}
		return f.check(*confidence)
	}
}

func (f *trainFlags) check(confidence float64) error {
	if _, err := registry.Operation(f.operation); err != nil {
		return usageError{err}
	}
	f.fit.Operation = f.operation
	if f.fit.Method == "auto" {
		f.fit.Method = fit.MethodAuto
	}
	if f.fit.Alpha <= 0 || f.fit.Alpha > 0.5 {
		return usagef("--max-error is %v, allowed are values above 0 up to 0.5", f.fit.Alpha)
	}
	if confidence < 0.5 || confidence > 0.999 {
		return usagef("--confidence is %v, allowed are 0.5 to 0.999", confidence)
	}
	if f.report == "" {
		f.report = fmt.Sprintf("report-%s-%s.html", f.operation, strings.ReplaceAll(f.deployment, "/", "-"))
	}
	return nil
}

func (f *trainFlags) run(c *cobra.Command) error {
	// Connecting first: nobody should wait for a training whose result has nowhere to go.
	conn, done, err := f.client.connect(c)
	if err != nil {
		return err
	}
	defer done()
	models := modelsv1.NewModelServiceClient(conn)
	if _, err := models.ListModels(c.Context(), &modelsv1.ListModelsRequest{}); err != nil {
		return each("ask the registry", err)
	}
	result, err := f.fitModel(c)
	if err != nil {
		return err
	}
	if f.out != "" {
		if err := os.WriteFile(f.out, result.Artifact, 0o644); err != nil { //nolint:gosec // a model is no secret
			return fmt.Errorf("write the model: %w", err)
		}
	}
	if f.report != "-" {
		if err := f.writeReport(result); err != nil {
			return err
		}
	}
	outcome, err := f.publish(c.Context(), models, result)
	if err != nil {
		return err
	}
	return f.show(c, result.Evaluation, outcome)
}

// fitModel reads, trains, calibrates, certifies and measures, with progress on standard error.
func (f *trainFlags) fitModel(c *cobra.Command) (*fit.Result, error) {
	progress := newProgress(c.ErrOrStderr(), f.quiet)
	defer progress.done()
	progress.say("reading %s", f.input)
	train, err := dataset.Read(c.Context(), f.input, f.columns)
	if err != nil {
		return nil, fmt.Errorf("read --input: %w", err)
	}
	progress.rejected(f.input, train)
	f.rejected = train.Rejected
	var test *dataset.Set
	if f.test != "" {
		progress.say("reading %s", f.test)
		columns := f.columns
		columns.Columns = train.Columns // what is a number in one file is one in the other
		if test, err = dataset.Read(c.Context(), f.test, columns); err != nil {
			return nil, fmt.Errorf("read --test: %w", err)
		}
		progress.rejected(f.test, test)
	}
	return fit.Run(c.Context(), train, test, f.fit, progress.event)
}

func (f *trainFlags) writeReport(result *fit.Result) error {
	file, err := os.Create(f.report)
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	err = report.Write(file, report.Input{
		Title: f.operation + "/" + f.deployment, Evaluation: result.Evaluation, Info: result.Info, Findings: result.Findings, Rejected: f.rejected,
	})
	return errors.Join(err, file.Close())
}

// trained is what --json prints: the evaluation and what became of the model.
type trained struct {
	*eval.Evaluation
	Model      string `json:"model"`
	Version    int32  `json:"version"`
	Digest     string `json:"digest"`
	Deployed   bool   `json:"deployed"`
	Deployment string `json:"deployment"`
	Statement  string `json:"statement"`
	Report     string `json:"report,omitempty"`
}

func (f *trainFlags) show(c *cobra.Command, e *eval.Evaluation, o *published) error {
	out := c.OutOrStdout()
	reportPath := f.report
	if reportPath == "-" {
		reportPath = ""
	}
	if f.json {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return enc.Encode(trained{
			Evaluation: e, Model: o.version.GetModel(), Version: o.version.GetVersion(), Digest: o.version.GetDigest(),
			Deployed: o.deployment != nil, Deployment: f.operation + "/" + f.deployment,
			Statement: o.deployment.GetStatement(), Report: reportPath,
		})
	}
	if err := e.WriteText(out); err != nil {
		return err
	}
	return f.showOutcome(out, o, reportPath)
}

func (f *trainFlags) showOutcome(out io.Writer, o *published, reportPath string) error {
	fmt.Fprintln(out)
	rows := [][]string{{"model", fmt.Sprintf("%s version %d", o.version.GetModel(), o.version.GetVersion())}}
	if o.deployment != nil {
		rows = append(rows, []string{"answers", f.operation + "/" + f.deployment}, []string{"promise", o.deployment.GetStatement()})
	} else {
		rows = append(rows, []string{"answers", "not yet (--no-deploy)"})
	}
	if reportPath != "" {
		rows = append(rows, []string{"report", reportPath})
	}
	return table(out, nil, rows)
}
