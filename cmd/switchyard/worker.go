package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/registry"
	"github.com/switchyard-ai/switchyard/services/training"
)

func newWorker() *cobra.Command {
	var client clientFlags
	var name string
	var slots int
	var operations, steps []string
	c := &cobra.Command{
		Use:   "worker",
		Short: "Carry out training steps of a server in this process, on this machine",
		Long: `Carry out training steps of a server whose training.execution is "external" or "both", until told to stop
(SIGTERM, Ctrl-C): then the steps in work are given back, and other workers go on with them. Restarts of the
server are waited for. Nothing is kept on this machine. The key needs one scope: training:work for the runs of its own
project, platform:train for those of all projects of the installation.`,
		Example: `  switchyard keys create trainer-1 --scope training:work > trainer-1.key
  switchyard worker --server switchyard.example:9090 --ca-file ca.pem --key-file trainer-1.key --slots 2`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if slots < 1 || slots > 64 {
				return usagef("--slots is %d, from 1 to 64", slots)
			}
			d := training.WorkerDeps{Name: name, Slots: slots, Log: slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))}
			for _, o := range operations {
				op, err := registry.Operation(o)
				if err != nil {
					return usageError{err}
				}
				d.Operations = append(d.Operations, op)
			}
			for _, s := range steps {
				step := trainingv1.RunStep(trainingv1.RunStep_value["RUN_STEP_"+strings.ToUpper(s)])
				if step < trainingv1.RunStep_RUN_STEP_INSPECT || step > trainingv1.RunStep_RUN_STEP_EVALUATE {
					return usagef("--step is %q, one of inspect, search, train, evaluate", s)
				}
				d.Steps = append(d.Steps, step)
			}
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			d.Client = trainingv1.NewWorkerServiceClient(conn)
			d.Log.Info("worker started", "name", name, "server", client.address(), "slots", slots)
			err = training.NewWorker(d).Run(c.Context())
			d.Log.Info("worker ended", "name", name)
			if err != nil && fault.From(err).Reason() == commonv1.ErrorReason_ERROR_REASON_UNIMPLEMENTED {
				return fmt.Errorf("%w; set training.execution of the server to external or both", err)
			}
			return err
		},
	}
	client.register(c)
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	s := c.Flags()
	s.StringVar(&name, "name", fmt.Sprintf("%s-%d", host, os.Getpid()), "name that the logs of runs show")
	_ = c.Flags().MarkHidden("local")
	s.IntVar(&slots, "slots", 1, "how many steps at once; each holds a data set in memory")
	s.StringSliceVar(&operations, "operation", nil, "only runs of this operation; repeat for several (default all)")
	s.StringSliceVar(&steps, "step", nil, "only this step: inspect, search, train or evaluate; repeat for several (default all)")
	return c
}
