package app

import (
	"context"
	"path/filepath"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/services/training"
)

// workAge is how long the queue keeps a step that no worker takes; the service posts what still waits again.
const workAge = 24 * time.Hour

// startTraining starts data sets and runs. A run acts for the project that started it, which a connection to another process could not say: runs need the registry in
// the same process.
func (a *App) startTraining(ctx context.Context, version string) error {
	if !a.config.runs("training") {
		return nil
	}
	dir := filepath.Join(a.config.DataDir, "training")
	blobs, err := blob.Open(dir, max(a.config.Models.MaxArtifactBytes, a.config.Training.MaxImportBytes))
	if err != nil {
		return err
	}
	a.closers = append(a.closers, blobs.Close)
	var models modelsv1.ModelServiceClient
	if a.config.runs("models") {
		models = modelsv1.NewModelServiceClient(a.server.Conn())
	}
	var promises monitoringv1.MonitoringServiceClient
	if a.config.runs("monitoring") {
		promises = monitoringv1.NewMonitoringServiceClient(a.server.Conn())
	}
	if !a.config.runs("decisions") { // which opens the lake and keeps it in order
		store, err := OpenLakeStore(a.config.DataDir, a.config.Lake)
		if err != nil {
			return err
		}
		if folder, ok := store.(*lake.Folder); ok {
			a.closers = append(a.closers, folder.Close)
		}
		a.background.Go(func() error { a.reachLake(ctx, store); return nil })
	}
	var review reviewv1.ReviewServiceClient
	if a.config.runs("review") || a.config.Peers["review"] != "" {
		conn, err := a.Conn("review")
		if err != nil {
			return err
		}
		review = reviewv1.NewReviewServiceClient(conn)
	}
	var queue training.Queue
	if a.config.Training.Execution != training.InProcess {
		queue = bus.NewQueue(a.bus, bus.QueueConfig{Name: "training", Kinds: training.Kinds(), AckWait: a.config.Training.Lease, MaxAge: workAge})
	}
	a.training = training.New(training.Deps{
		Queue: queue, DB: a.db, Blobs: blobs, Temp: filepath.Join(dir, "received"), Lake: a.lake.Load, Models: models, Review: review, Promises: promises, Version: version, Config: a.config.Training, Log: a.log,
	})
	a.closers = append(a.closers, a.training.Close)
	if err := a.training.Start(ctx); err != nil {
		return err
	}
	a.training.Register(a.server)
	return nil
}

// runTraining carries out runs; everything that they ask answers now.
func (a *App) runTraining() {
	if a.training != nil {
		a.training.Run()
	}
}

// drainTraining stops runs, which go on at the next start.
func (a *App) drainTraining() {
	if a.training != nil {
		_ = a.training.Close() // it cannot fail
	}
}
