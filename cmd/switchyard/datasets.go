package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/registry"
)

func newDatasets() *cobra.Command {
	c := &cobra.Command{Use: "datasets", Short: "Build, import, look at and export data sets of labelled rows"}
	c.AddCommand(newDatasetsList(), newDatasetsShow(), newDatasetsBuild(), newDatasetsImport(), newDatasetsExport(), newDatasetsDelete(), newDatasetsSelect())
	return c
}

// asking is a command that calls the server once it is connected.
func asking(c *cobra.Command, do func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error) *cobra.Command {
	var client clientFlags
	client.register(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if client.local {
			return usagef("%s needs a server; --local has none", c.CommandPath())
		}
		conn, done, err := client.connect(c)
		if err != nil {
			return err
		}
		defer done()
		return do(c, conn, args)
	}
	return c
}

// reference reads NAME or NAME@VERSION.
func reference(s string) (*trainingv1.DatasetRef, error) {
	name, number, ok := strings.Cut(s, "@")
	if !ok {
		return &trainingv1.DatasetRef{Name: name}, nil
	}
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil || n < 1 {
		return nil, usagef("%q is not NAME or NAME@VERSION", s)
	}
	return &trainingv1.DatasetRef{Name: name, Version: int32(n)}, nil
}

func newDatasetsList() *cobra.Command {
	var asJSON bool
	c := asking(&cobra.Command{Use: "list [NAME]", Short: "List the versions of data sets", Args: cobra.MaximumNArgs(1)},
		func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
			all, req := &trainingv1.ListDatasetsResponse{}, &trainingv1.ListDatasetsRequest{Page: &commonv1.PageRequest{Size: 500}}
			if len(args) > 0 {
				req.Name = args[0]
			}
			for {
				r, err := trainingv1.NewDatasetServiceClient(conn).ListDatasets(c.Context(), req)
				if err != nil {
					return err
				}
				all.Datasets = append(all.Datasets, r.GetDatasets()...)
				if req.Page.Token = r.GetPage().GetNextToken(); req.GetPage().GetToken() == "" {
					break
				}
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), all)
			}
			rows := make([][]string, 0, len(all.GetDatasets()))
			for _, d := range all.GetDatasets() {
				state := ""
				if d.GetDeleted() {
					state = "deleted"
				}
				rows = append(rows, []string{
					fmt.Sprintf("%s@%d", d.GetName(), d.GetVersion()), operationText(d.GetOperation()), fmt.Sprint(d.GetRows()), fmt.Sprint(d.GetTrainRows()),
					fmt.Sprint(d.GetTestRows()), fmt.Sprint(len(d.GetLabels())), when(d.GetCreateTime()), state,
				})
			}
			return table(c.OutOrStdout(), []string{"DATA SET", "OPERATION", "ROWS", "TRAIN", "TEST", "LABELS", "MADE", ""}, rows)
		})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newDatasetsShow() *cobra.Command {
	var asJSON bool
	c := asking(&cobra.Command{Use: "show NAME[@VERSION]", Short: "Show a data set: counts, balance, what is remarkable", Args: cobra.ExactArgs(1)},
		func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
			ref, err := reference(args[0])
			if err != nil {
				return err
			}
			r, err := trainingv1.NewDatasetServiceClient(conn).GetDataset(c.Context(), &trainingv1.GetDatasetRequest{Name: ref.GetName(), Version: ref.GetVersion()})
			if err != nil {
				return err
			}
			return showDataset(c, r.GetDataset(), asJSON)
		})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// mostShown is how many labels a table shows.
const mostShown = 20

func showDataset(c *cobra.Command, d *trainingv1.Dataset, asJSON bool) error {
	out := c.OutOrStdout()
	if asJSON {
		return writeJSON(out, d)
	}
	r := d.GetReport()
	rows := [][]string{
		{"data set", fmt.Sprintf("%s@%d", d.GetName(), d.GetVersion())},
		{"digest", d.GetDigest()},
		{"rows", fmt.Sprintf("%d (%d to train on, %d to test on, %d on neither side)", d.GetRows(), d.GetTrainRows(), d.GetTestRows(), d.GetPurgedRows())},
		{"repeated", fmt.Sprintf("%d rows, %d nearly; %d contradict each other", r.GetDuplicates(), r.GetNearDuplicates(), r.GetContradictions())},
		{"leaking", fmt.Sprint(r.GetLeakingRows())},
	}
	if q := d.GetQuery(); q != nil {
		rows = append(rows, []string{"from", fmt.Sprintf("%s/%s, events up to %d", operationText(q.GetOperation()), q.GetDeployment(), q.GetThroughSequence())})
	} else {
		rows = append(rows, []string{"from", d.GetFile()})
	}
	if r.GetSubjects() > 0 {
		rows = append(rows, []string{"persons", fmt.Sprint(r.GetSubjects())})
	}
	if d.GetFirstTime() != nil {
		rows = append(rows, []string{"time", d.GetFirstTime().AsTime().Format(time.RFC3339) + " to " + d.GetLastTime().AsTime().Format(time.RFC3339)})
	}
	if err := table(out, nil, rows); err != nil {
		return err
	}
	fmt.Fprintln(out)
	var labels [][]string
	for i, l := range d.GetLabels() {
		if i == mostShown {
			labels = append(labels, []string{fmt.Sprintf("and %d more", len(d.GetLabels())-i)})
			break
		}
		labels = append(labels, []string{l.GetLabel(), fmt.Sprint(l.GetRows()), fmt.Sprint(l.GetTrainRows()), fmt.Sprint(l.GetTestRows())})
	}
	if err := table(out, []string{"LABEL", "ROWS", "TRAIN", "TEST"}, labels); err != nil {
		return err
	}
	for _, f := range r.GetFindings() {
		fmt.Fprintf(out, "\n%s: %s\n", strings.ToLower(short(f.GetSeverity().String(), "SEVERITY_")), f.GetMessage())
	}
	return nil
}

func operationText(op commonv1.Operation) string {
	return strings.ToLower(short(op.String(), "OPERATION_"))
}

// splitFlags say how rows are divided.
type splitFlags struct {
	method    string
	testShare float64
	seed      uint64
	near      float64
}

var splitMethods = map[string]trainingv1.SplitMethod{
	"random": trainingv1.SplitMethod_SPLIT_METHOD_RANDOM, "time": trainingv1.SplitMethod_SPLIT_METHOD_TIME,
	"none": trainingv1.SplitMethod_SPLIT_METHOD_NONE, "test-only": trainingv1.SplitMethod_SPLIT_METHOD_TEST_ONLY,
}

func (f *splitFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.method, "split", "random", "how rows are divided: random, time (the newest test), none (all train), test-only")
	s.Float64Var(&f.testShare, "test-share", 0.2, "share of the rows that test")
	s.Uint64Var(&f.seed, "seed", 1, "seed of the random split")
	s.Float64Var(&f.near, "near-duplicate", 0.9, "likeness from which two texts count as one, 0.5 to 1")
}

func (f *splitFlags) spec() (*trainingv1.SplitSpec, error) {
	method, ok := splitMethods[f.method]
	if !ok {
		return nil, usagef("--split is %q; there are random, time, none and test-only", f.method)
	}
	return &trainingv1.SplitSpec{Method: method, TestShare: f.testShare, Seed: f.seed, NearDuplicate: f.near}, nil
}

// targetFlags name a deployment.
type targetFlags struct{ operation, deployment string }

func (f *targetFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.operation, "operation", "", "moderation, routing or classification")
	c.Flags().StringVarP(&f.deployment, "deployment", "d", "", "name of the deployment")
	_ = c.MarkFlagRequired("operation")
}

func newDatasetsBuild() *cobra.Command {
	var target targetFlags
	var split splitFlags
	var asJSON bool
	var since time.Duration
	q := &trainingv1.DatasetQuery{}
	c := asking(&cobra.Command{
		Use: "build NAME", Short: "Make a version of a data set from verdicts and feedback", Args: cobra.ExactArgs(1),
		Example: "  switchyard datasets build support --operation routing --deployment support --split time --attribute locale",
	}, func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
		op, err := registry.Operation(target.operation)
		if err != nil {
			return usageError{err}
		}
		q.Operation, q.Deployment = op, target.deployment
		if since > 0 {
			q.From = timestamppb.New(time.Now().Add(-since))
		}
		req := &trainingv1.BuildDatasetRequest{Name: args[0], Query: q}
		if req.Split, err = split.spec(); err != nil {
			return err
		}
		r, err := trainingv1.NewDatasetServiceClient(conn).BuildDataset(c.Context(), req)
		if err != nil {
			return err
		}
		return showDataset(c, r.GetDataset(), asJSON)
	})
	target.register(c)
	_ = c.MarkFlagRequired("deployment")
	split.register(c)
	s := c.Flags()
	s.Int64Var(&q.ThroughSequence, "through", 0, "only events up to this place in the stream (default all that the lake holds)")
	s.DurationVar(&since, "since", 0, "only decisions that are not older than this")
	s.BoolVar(&q.WithoutFeedback, "without-feedback", false, "leave out what the application reported")
	s.BoolVar(&q.WithoutVerdicts, "without-verdicts", false, "leave out what reviewers said")
	s.BoolVar(&q.FeedbackComplete, "feedback-complete", false, "the application reports on every decision, not only where somebody complains")
	s.StringSliceVar(&q.Attributes, "attribute", nil, "what makes groups: locale, channel or a field; repeat for several")
	s.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newDatasetsImport() *cobra.Command {
	var target targetFlags
	var split splitFlags
	var asJSON bool
	spec := &trainingv1.ImportSpec{}
	c := asking(&cobra.Command{
		Use: "import NAME FILE", Short: "Make a version of a data set from JSONL, CSV or Parquet", Args: cobra.ExactArgs(2),
		Example: "  switchyard datasets import tickets tickets.csv --operation routing --label-field queue --text-field body --person-field customer",
	}, func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
		op, err := registry.Operation(target.operation)
		if err != nil {
			return usageError{err}
		}
		spec.Name, spec.Operation, spec.Deployment, spec.File = args[0], op, target.deployment, filepath.Base(args[1])
		if spec.Split, err = split.spec(); err != nil {
			return err
		}
		file, err := os.Open(args[1])
		if err != nil {
			return err
		}
		defer file.Close()
		d, err := sendDataset(c.Context(), trainingv1.NewDatasetServiceClient(conn), spec, file)
		if err != nil {
			return each("import", err)
		}
		return showDataset(c, d, asJSON)
	})
	target.register(c)
	split.register(c)
	s := c.Flags()
	s.StringVar(&spec.Format, "format", "", "jsonl, csv or parquet (default: found out)")
	s.StringVar(&spec.LabelField, "label-field", "", "column of the label (default label)")
	s.StringVar(&spec.TextField, "text-field", "", "column of the text (default text)")
	s.StringVar(&spec.TitleField, "subject-field", "", "column of a subject or title that stands before the text")
	s.StringVar(&spec.RecordField, "record-field", "", "column of the record (default record)")
	s.StringVar(&spec.LabelSeparator, "label-separator", "", "splits one label column into several labels, such as \"|\"")
	s.StringVar(&spec.ProbabilityField, "probability-field", "", "column of the probability with which a row was chosen to be labelled (default \"probability\" beside a text or record; - for none)")
	s.StringVar(&spec.PersonField, "person-field", "", "column of the id of the person whose row it is; a person is on one side of the split")
	s.StringVar(&spec.TimeField, "time-field", "", "column of the row's time")
	s.StringSliceVar(&spec.Attributes, "attribute", nil, "column that makes groups; repeat for several")
	s.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// sendDataset sends a file in pieces.
func sendDataset(ctx context.Context, datasets trainingv1.DatasetServiceClient, spec *trainingv1.ImportSpec, file io.Reader) (*trainingv1.Dataset, error) {
	stream, err := datasets.ImportDataset(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&trainingv1.ImportDatasetRequest{Part: &trainingv1.ImportDatasetRequest_Spec{Spec: spec}})
	for buf := make([]byte, 256<<10); err == nil; {
		n, readErr := file.Read(buf)
		if n > 0 {
			err = stream.Send(&trainingv1.ImportDatasetRequest{Part: &trainingv1.ImportDatasetRequest_Chunk{Chunk: buf[:n]}})
		}
		if errors.Is(readErr, io.EOF) {
			break
		}
		if readErr != nil {
			return nil, readErr
		}
	}
	if err != nil && !errors.Is(err, io.EOF) { // after io.EOF CloseAndRecv has the reason
		return nil, err
	}
	r, err := stream.CloseAndRecv()
	return r.GetDataset(), err
}

func newDatasetsExport() *cobra.Command {
	var format, side, out string
	c := asking(&cobra.Command{Use: "export NAME[@VERSION]", Short: "Write the rows of a data set to a file", Args: cobra.ExactArgs(1)},
		func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
			ref, err := reference(args[0])
			if err != nil {
				return err
			}
			f, ok := map[string]trainingv1.DatasetFormat{
				"jsonl": trainingv1.DatasetFormat_DATASET_FORMAT_JSONL, "csv": trainingv1.DatasetFormat_DATASET_FORMAT_CSV, "parquet": trainingv1.DatasetFormat_DATASET_FORMAT_PARQUET,
			}[format]
			if !ok {
				return usagef("--format is %q; there are jsonl, csv and parquet", format)
			}
			part, ok := map[string]trainingv1.DatasetSide{
				"": 0, "train": trainingv1.DatasetSide_DATASET_SIDE_TRAIN, "test": trainingv1.DatasetSide_DATASET_SIDE_TEST,
			}[side]
			if !ok {
				return usagef("--side is %q; there are train and test", side)
			}
			stream, err := trainingv1.NewDatasetServiceClient(conn).ExportDataset(c.Context(), &trainingv1.ExportDatasetRequest{
				Name: ref.GetName(), Version: ref.GetVersion(), Format: f, Side: part,
			})
			if err != nil {
				return err
			}
			w := c.OutOrStdout()
			if out != "" {
				file, err := os.Create(out)
				if err != nil {
					return err
				}
				defer file.Close()
				w = file
			}
			for {
				m, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if _, err := w.Write(m.GetChunk()); err != nil {
					return err
				}
			}
		})
	c.Flags().StringVar(&format, "format", "jsonl", "jsonl, csv or parquet")
	c.Flags().StringVar(&side, "side", "", "only rows to train on or to test on: train, test")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write (default standard output)")
	return c
}

func newDatasetsDelete() *cobra.Command {
	return asking(&cobra.Command{Use: "delete NAME@VERSION", Short: "Delete the rows of a version", Args: cobra.ExactArgs(1)},
		func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
			ref, err := reference(args[0])
			if err != nil {
				return err
			}
			if ref.GetVersion() == 0 {
				return usagef("say which version: %s@1", ref.GetName())
			}
			_, err = trainingv1.NewDatasetServiceClient(conn).DeleteDataset(c.Context(), &trainingv1.DeleteDatasetRequest{Name: ref.GetName(), Version: ref.GetVersion()})
			return err
		})
}
