package app

import (
	"context"

	"github.com/switchyard-ai/switchyard/services/jobs"
)

// startJobs starts the queues of work that need not be done at once.
func (a *App) startJobs(ctx context.Context) error {
	if !a.config.runs("jobs") {
		return nil
	}
	a.tasks = jobs.NewTasks(jobs.TaskDeps{DB: a.db, Config: a.config.Jobs, Log: a.log})
	a.closers = append(a.closers, a.tasks.Close)
	if err := a.tasks.Start(ctx); err != nil {
		return err
	}
	a.tasks.Register(a.server)
	return nil
}
