package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/registry"
)

func newRuns() *cobra.Command {
	c := &cobra.Command{Use: "runs", Short: "Start training runs on the server, follow them, and read what their gates said"}
	c.AddCommand(newRunsList(), newRunsShow(), newRunsStart(), newRunsWatch(), newRunsCancel(), newRunsReport())
	return c
}

func newRunsList() *cobra.Command {
	var asJSON bool
	var deployment string
	var limit int32
	c := asking(&cobra.Command{Use: "list", Short: "List runs, newest first", Args: cobra.NoArgs},
		func(c *cobra.Command, conn grpc.ClientConnInterface, _ []string) error {
			r, err := trainingv1.NewRunServiceClient(conn).ListRuns(c.Context(), &trainingv1.ListRunsRequest{Deployment: deployment, Page: &commonv1.PageRequest{Size: limit}})
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), r)
			}
			rows := make([][]string, 0, len(r.GetRuns()))
			for _, run := range r.GetRuns() {
				rows = append(rows, []string{
					run.GetRunId(), operationText(run.GetSpec().GetOperation()) + "/" + run.GetSpec().GetDeployment(), runState(run), when(run.GetCreateTime()), clip(run.GetStatement(), 80),
				})
			}
			return table(c.OutOrStdout(), []string{"RUN", "DEPLOYMENT", "STATE", "STARTED", "RESULT"}, rows)
		})
	c.Flags().StringVarP(&deployment, "deployment", "d", "", "only those of this deployment")
	c.Flags().Int32Var(&limit, "limit", 20, "how many at most, up to 500")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// runState is the state, with the step where a run has not ended.
func runState(r *trainingv1.Run) string {
	state := strings.ToLower(short(r.GetState().String(), "RUN_STATE_"))
	if r.GetState() == trainingv1.RunState_RUN_STATE_RUNNING {
		state += fmt.Sprintf(" (%s %.0f %%)", stepText(r.GetStep()), 100*r.GetProgress())
	}
	return state
}

func stepText(step trainingv1.RunStep) string {
	return strings.ToLower(short(step.String(), "RUN_STEP_"))
}

func clip(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func newRunsShow() *cobra.Command {
	var asJSON bool
	c := asking(&cobra.Command{Use: "show RUN", Short: "Show a run: its steps and what its gates said", Args: cobra.ExactArgs(1)},
		func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
			r, err := trainingv1.NewRunServiceClient(conn).GetRun(c.Context(), &trainingv1.GetRunRequest{RunId: args[0]})
			if err != nil {
				return err
			}
			return showRun(c, r.GetRun(), asJSON)
		})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func showRun(c *cobra.Command, r *trainingv1.Run, asJSON bool) error {
	out := c.OutOrStdout()
	if asJSON {
		return writeJSON(out, r)
	}
	rows := [][]string{
		{"run", r.GetRunId()},
		{"deployment", operationText(r.GetSpec().GetOperation()) + "/" + r.GetSpec().GetDeployment()},
		{"state", runState(r)},
		{"cause", r.GetCause()},
	}
	if r.GetDataset() != nil {
		rows = append(rows, []string{"data set", fmt.Sprintf("%s@%d", r.GetDataset().GetName(), r.GetDataset().GetVersion())})
	}
	if r.GetVersion() > 0 {
		rows = append(rows, []string{"model", fmt.Sprintf("%s version %d", r.GetModel(), r.GetVersion())})
	}
	if r.GetStatement() != "" {
		rows = append(rows, []string{"result", r.GetStatement()})
	}
	if err := table(out, nil, rows); err != nil {
		return err
	}
	fmt.Fprintln(out)
	var steps [][]string
	for _, s := range r.GetSteps() {
		took := ""
		if s.GetDone() {
			took = s.GetEndTime().AsTime().Sub(s.GetStartTime().AsTime()).Round(10 * time.Millisecond).String()
		}
		steps = append(steps, []string{stepText(s.GetStep()), took, s.GetSummary()})
	}
	if err := table(out, []string{"STEP", "TOOK", "RESULT"}, steps); err != nil || len(r.GetGates()) == 0 {
		return err
	}
	fmt.Fprintln(out)
	var gates [][]string
	for _, g := range r.GetGates() {
		says := map[bool]string{true: "passed", false: "REFUSED"}[g.GetPassed()]
		if g.GetSkipped() {
			says = "-"
		}
		gates = append(gates, []string{g.GetGate(), says, g.GetStatement()})
	}
	return table(out, []string{"GATE", "SAYS", "WHY"}, gates)
}

// startFlags are the words of "switchyard runs start".
type startFlags struct {
	target                               targetFlags
	dataset, evaluation, tuning, golden  string
	build, quiet, asJSON, detach, search bool
	split                                splitFlags
	trials                               int32
	budget                               time.Duration
	attributes                           []string
	spec                                 trainingv1.RunSpec
	training                             trainingv1.TrainingSpec
	gates                                trainingv1.GatePolicy
}

func newRunsStart() *cobra.Command {
	var f startFlags
	c := asking(&cobra.Command{
		Use: "start", Short: "Train on a data set, or on what people said, and let the version answer if all gates pass", Args: cobra.NoArgs,
		Example: `  switchyard runs start --operation routing --deployment support --build --split time
  switchyard runs start --operation routing --deployment support --dataset tickets@3 --evaluation fresh --search`,
	}, func(c *cobra.Command, conn grpc.ClientConnInterface, _ []string) error { return f.run(c, conn) })
	f.target.register(c)
	_ = c.MarkFlagRequired("deployment")
	f.split.register(c)
	s := c.Flags()
	s.StringVar(&f.dataset, "dataset", "", "data set to learn from, NAME or NAME@VERSION")
	s.BoolVar(&f.build, "build", false, "build a data set of the deployment's verdicts and feedback first")
	s.StringSliceVar(&f.attributes, "attribute", nil, "with --build: what makes groups; repeat for several")
	s.StringVar(&f.evaluation, "evaluation", "", "data set to measure on (default the test side of the one to learn from)")
	s.StringVar(&f.tuning, "tuning", "", "data set that the search is judged by (default a part of the rows to learn from)")
	s.StringVar(&f.golden, "golden", "", "data set whose rows must all be answered rightly")
	s.StringVar(&f.spec.Model, "model", "", "name of the model (default that of the champion, else the deployment's)")
	s.StringVar(&f.training.Method, "method", "", "records: linear or trees (default the better one)")
	s.Int32Var(&f.training.Buckets, "buckets", 0, "texts: number of hash buckets, a power of two (default 65536)")
	s.Uint64Var(&f.training.Seed, "training-seed", 1, "seed of every random choice of the training")
	s.StringSliceVar(&f.training.HarmlessLabels, "harmless-label", nil, "moderation: a label that means that nothing is wrong; repeat for several")
	s.BoolVar(&f.search, "search", false, "search for better parameters first")
	s.Int32Var(&f.trials, "trials", 8, "with --search: most candidates")
	s.DurationVar(&f.budget, "time-budget", 10*time.Minute, "with --search: most time")
	s.Float64Var(&f.gates.Margin, "margin", 0, "how much less accurate than the present version it may be (default 0.02)")
	s.Float64Var(&f.gates.GroupMargin, "group-margin", 0, "the same for single labels and groups (default 0.05)")
	s.BoolVar(&f.gates.AllowRemovedLabels, "allow-removed-labels", false, "accept that it no longer knows labels of the present version")
	s.BoolVar(&f.spec.RegisterOnly, "register-only", false, "register the version, but let the present one go on answering")
	s.BoolVar(&f.detach, "detach", false, "print the run's id and do not wait for it")
	s.BoolVarP(&f.quiet, "quiet", "q", false, "show no progress")
	s.BoolVar(&f.asJSON, "json", false, "print the run as JSON")
	return c
}

func (f *startFlags) run(c *cobra.Command, conn grpc.ClientConnInterface) error {
	op, err := registry.Operation(f.target.operation)
	if err != nil {
		return usageError{err}
	}
	if (f.dataset == "") == !f.build {
		return usagef("name either --dataset or --build")
	}
	f.spec.Operation, f.spec.Deployment, f.spec.Training, f.spec.Gates = op, f.target.deployment, &f.training, &f.gates
	for _, r := range []struct {
		name string
		to   **trainingv1.DatasetRef
	}{{f.evaluation, &f.spec.Evaluation}, {f.tuning, &f.spec.Tuning}, {f.golden, &f.spec.Golden}} {
		if r.name == "" {
			continue
		}
		if *r.to, err = reference(r.name); err != nil {
			return err
		}
	}
	if f.build {
		split, err := f.split.spec()
		if err != nil {
			return err
		}
		f.spec.Data = &trainingv1.RunSpec_Build{Build: &trainingv1.BuildDatasetRequest{
			Name: f.target.deployment, Query: &trainingv1.DatasetQuery{Operation: op, Deployment: f.target.deployment, Attributes: f.attributes}, Split: split,
		}}
	} else {
		ref, err := reference(f.dataset)
		if err != nil {
			return err
		}
		f.spec.Data = &trainingv1.RunSpec_Dataset{Dataset: ref}
	}
	if f.search {
		f.spec.Search = &trainingv1.SearchSpec{MaxTrials: f.trials, TimeBudget: durationpb.New(f.budget)}
	}
	runs := trainingv1.NewRunServiceClient(conn)
	r, err := runs.StartRun(c.Context(), &trainingv1.StartRunRequest{Spec: &f.spec})
	if err != nil {
		return err
	}
	if f.detach {
		if f.asJSON {
			return writeJSON(c.OutOrStdout(), r.GetRun())
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), r.GetRun().GetRunId())
		return err
	}
	return followRun(c, runs, r.GetRun().GetRunId(), f.quiet, f.asJSON)
}

// followRun shows the log of a run until it has ended, then the run. It fails when no version came of it.
func followRun(c *cobra.Command, runs trainingv1.RunServiceClient, id string, quiet, asJSON bool) error {
	stream, err := runs.WatchRun(c.Context(), &trainingv1.WatchRunRequest{RunId: id})
	if err != nil {
		return err
	}
	var last *trainingv1.Run
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		last = m.GetRun()
		for _, l := range m.GetLines() {
			if !quiet {
				fmt.Fprintf(c.ErrOrStderr(), "%-8s  %s\n", stepText(l.GetStep()), l.GetMessage())
			}
		}
	}
	if err := showRun(c, last, asJSON); err != nil {
		return err
	}
	if last.GetState() != trainingv1.RunState_RUN_STATE_SUCCEEDED {
		return fmt.Errorf("run %s: %s", runState(last), last.GetStatement())
	}
	return nil
}

func newRunsWatch() *cobra.Command {
	var asJSON bool
	c := asking(&cobra.Command{Use: "watch RUN", Short: "Follow a run to its end", Args: cobra.ExactArgs(1)},
		func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
			return followRun(c, trainingv1.NewRunServiceClient(conn), args[0], false, asJSON)
		})
	c.Flags().BoolVar(&asJSON, "json", false, "print the run as JSON at its end")
	return c
}

func newRunsCancel() *cobra.Command {
	return asking(&cobra.Command{Use: "cancel RUN", Short: "End a run; what answers now goes on answering", Args: cobra.ExactArgs(1)},
		func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
			r, err := trainingv1.NewRunServiceClient(conn).CancelRun(c.Context(), &trainingv1.CancelRunRequest{RunId: args[0]})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), r.GetRun().GetStatement())
			return err
		})
}

func newRunsReport() *cobra.Command {
	var asJSON bool
	var out string
	c := asking(&cobra.Command{Use: "report RUN", Short: "Write the report of a run: HTML with plots, or JSON", Args: cobra.ExactArgs(1)},
		func(c *cobra.Command, conn grpc.ClientConnInterface, args []string) error {
			r, err := trainingv1.NewRunServiceClient(conn).GetRunReport(c.Context(), &trainingv1.GetRunReportRequest{RunId: args[0]})
			if err != nil {
				return err
			}
			text := r.GetHtml()
			if asJSON {
				text = r.GetJson() + "\n"
			}
			if out == "-" || out == "" && asJSON {
				_, err = io.WriteString(c.OutOrStdout(), text)
				return err
			}
			if out == "" {
				out = "run-" + args[0] + ".html"
			}
			if err := os.WriteFile(out, []byte(text), 0o644); err != nil { //nolint:gosec // a report is no secret
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), out)
			return err
		})
	c.Flags().BoolVar(&asJSON, "json", false, "JSON instead of HTML")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write, - for standard output (default run-RUN.html; JSON goes to standard output)")
	return c
}
