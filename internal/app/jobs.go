package app

import (
	"context"
	"fmt"
	"path/filepath"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/services/jobs"
)

// startJobs starts the queues of work that need not be done at once, and the jobs of many decisions. Jobs ask the operations that run in this process: they decide
// as whoever submitted them, which a connection to another process could not say.
func (a *App) startJobs(ctx context.Context) error {
	if !a.config.runs("jobs") {
		return nil
	}
	a.tasks = jobs.NewTasks(jobs.TaskDeps{DB: a.db, Config: a.config.Jobs.Tasks, Log: a.log})
	a.closers = append(a.closers, a.tasks.Close)
	if err := a.tasks.Start(ctx); err != nil {
		return err
	}
	a.tasks.Register(a.server)
	var inputs jobs.Inputs
	if url := a.config.Jobs.Batches.InputURL; url != "" {
		store, err := OpenLakeStore(a.config.DataDir, lake.Config{URL: url, S3: a.config.Lake.S3})
		if err != nil {
			return fmt.Errorf("jobs.batches.input_url: %w", err)
		}
		if folder, ok := store.(interface{ Close() error }); ok {
			a.closers = append(a.closers, folder.Close)
		}
		inputs = store
	}
	a.jobs = jobs.NewJobs(jobs.JobDeps{
		Inputs: inputs,
		DB:     a.db, Dir: filepath.Join(a.config.DataDir, "jobs"), Deciders: a.deciders(), Config: a.config.Jobs.Batches, Log: a.log,
		Waited: a.pace.Waited, GiveWay: a.pace.GiveWay,
	})
	a.closers = append(a.closers, a.jobs.Close)
	if err := a.jobs.Start(ctx); err != nil {
		return err
	}
	a.jobs.Register(a.server)
	return nil
}

func (a *App) deciders() (d jobs.Deciders) {
	if a.config.runs("moderation") {
		d.Moderation = moderationv1.NewModerationServiceClient(a.server.Conn())
	}
	if a.config.runs("routing") {
		d.Routing = routingv1.NewRoutingServiceClient(a.server.Conn())
	}
	if a.config.runs("classification") {
		d.Classification = classificationv1.NewClassificationServiceClient(a.server.Conn())
	}
	return d
}

// drainJobs ends pulls that wait, which are answered with no tasks, and stops jobs, which go on at the next start.
func (a *App) drainJobs() {
	if a.tasks != nil {
		a.tasks.Drain()
		a.jobs.Drain()
	}
}
