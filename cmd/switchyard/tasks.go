package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	jobsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/jobs/v1"
)

func newTasks() *cobra.Command {
	c := &cobra.Command{Use: "tasks", Short: "List, retry and delete tasks that were given up"}
	c.AddCommand(newTasksDead(), newTasksRetry(), newTasksDelete())
	return c
}

// deadFlags choose among the dead tasks of a queue.
type deadFlags struct {
	reason, header string
	since          time.Duration
}

func (f *deadFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.reason, "reason", "", "only those whose reason holds this text")
	c.Flags().StringVar(&f.header, "header", "", "only those with this header: NAME or NAME=VALUE")
	c.Flags().DurationVar(&f.since, "since", 0, "only those that were given up within this time")
}

// each calls fn with the dead tasks that the flags choose, the last one first, until it returns an error.
func (f *deadFlags) each(c *cobra.Command, tasks jobsv1.TaskServiceClient, queue string, body bool, fn func(*jobsv1.DeadTask) error) error {
	req := &jobsv1.ListDeadTasksRequest{Queue: queue, Reason: f.reason, Header: f.header, WithBody: body, Page: &commonv1.PageRequest{Size: 100}}
	if f.since > 0 {
		req.From = timestamppb.New(time.Now().Add(-f.since))
	}
	for {
		r, err := tasks.ListDeadTasks(c.Context(), req)
		if err != nil {
			return err
		}
		for _, t := range r.GetTasks() {
			if err := fn(t); err != nil {
				return err
			}
		}
		if req.Page.Token = r.GetPage().GetNextToken(); req.Page.Token == "" {
			return nil
		}
	}
}

func newTasksDead() *cobra.Command {
	var client clientFlags
	var choose deadFlags
	var asJSON bool
	var limit int
	c := &cobra.Command{
		Use:     "dead QUEUE",
		Short:   "List the tasks of a queue that were given up, the last one first",
		Example: "  switchyard tasks dead mail --reason timeout --since 24h",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conn, done, err := client.connect(c)
			if err != nil {
				return err
			}
			defer done()
			var rows [][]string
			n := 0
			err = choose.each(c, jobsv1.NewTaskServiceClient(conn), args[0], asJSON, func(t *jobsv1.DeadTask) error {
				if n++; n > limit && limit > 0 {
					return io.EOF
				}
				if asJSON {
					return writeJSON(c.OutOrStdout(), t)
				}
				reason, _, _ := strings.Cut(t.GetReason(), "\n")
				rows = append(rows, []string{t.GetTaskId(), when(t.GetDeadTime()), strconv.Itoa(int(t.GetAttempt())), t.GetHeaders()["type"], reason})
				return nil
			})
			if err != nil && !errors.Is(err, io.EOF) || asJSON {
				return ignoreEOF(err)
			}
			return table(c.OutOrStdout(), []string{"TASK", "GIVEN UP", "ATTEMPTS", "TYPE", "REASON"}, rows)
		},
	}
	client.register(c)
	choose.register(c)
	c.Flags().IntVar(&limit, "limit", 0, "how many at most; 0 for all")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with bodies in base64")
	return c
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func newTasksRetry() *cobra.Command {
	var delay time.Duration
	return onDeadTasks("retry", "Make tasks due again that were given up", "retried", func(c *cobra.Command) {
		c.Flags().DurationVar(&delay, "delay", 0, "how long they stay hidden")
	}, func(c *cobra.Command, tasks jobsv1.TaskServiceClient, queue, id string) (bool, error) {
		r, err := tasks.RetryDeadTask(c.Context(), &jobsv1.RetryDeadTaskRequest{Queue: queue, TaskId: id, Delay: durationpb.New(delay)})
		return r.GetRetried(), err
	})
}

func newTasksDelete() *cobra.Command {
	return onDeadTasks("delete", "Forget tasks that were given up", "deleted", nil, func(c *cobra.Command, tasks jobsv1.TaskServiceClient, queue, id string) (bool, error) {
		r, err := tasks.DeleteDeadTask(c.Context(), &jobsv1.DeleteDeadTaskRequest{Queue: queue, TaskId: id})
		return r.GetDeleted(), err
	})
}

// onDeadTasks is a command that does something to named dead tasks, or to all that its flags choose.
func onDeadTasks(
	verb, what, done string, flags func(*cobra.Command), do func(c *cobra.Command, tasks jobsv1.TaskServiceClient, queue, id string) (bool, error),
) *cobra.Command {
	var client clientFlags
	var choose deadFlags
	var all bool
	c := &cobra.Command{
		Use:     verb + " QUEUE [TASK...]",
		Short:   what,
		Example: "  switchyard tasks " + verb + " mail 0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42\n  switchyard tasks " + verb + " mail --all --reason timeout",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			queue, ids := args[0], args[1:]
			if all == (len(ids) > 0) {
				return usagef("name tasks, or give --all with filters")
			}
			conn, end, err := client.connect(c)
			if err != nil {
				return err
			}
			defer end()
			tasks := jobsv1.NewTaskServiceClient(conn)
			if all {
				err = choose.each(c, tasks, queue, false, func(t *jobsv1.DeadTask) error { ids = append(ids, t.GetTaskId()); return nil })
			}
			n := 0
			for i := 0; i < len(ids) && err == nil; i++ {
				var changed bool
				if changed, err = do(c, tasks, queue, ids[i]); changed {
					n++
				}
			}
			fmt.Fprintf(c.OutOrStdout(), "%d of %d tasks %s\n", n, len(ids), done)
			return err
		},
	}
	client.register(c)
	choose.register(c)
	c.Flags().BoolVar(&all, "all", false, "all dead tasks of the queue that the filters choose")
	if flags != nil {
		flags(c)
	}
	return c
}
