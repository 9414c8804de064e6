// Package serving keeps the deployed models open and swaps them while calls run. It follows the registry's deployments, loads and
// warms a new version before any call sees it, and unmaps the old one after its last call.
package serving

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Key names a deployment over all projects.
type Key struct {
	Project   string
	Operation commonv1.Operation
	Name      string
}

// Table is the set of live deployments. Reading is one atomic load; one goroutine, Run, writes.
type Table struct {
	models modelsv1.ModelServiceClient
	cache  string
	open   func(path string) (engine.Predictor, error)
	log    *slog.Logger

	live atomic.Pointer[map[Key]*Live] // replaced as a whole, never changed

	synced   chan struct{}
	syncOnce sync.Once
}

// Option changes how a Table works.
type Option func(*Table)

// WithOpen replaces load.Open as the way to open a model file.
func WithOpen(open func(path string) (engine.Predictor, error)) Option {
	return func(t *Table) { t.open = open }
}

// New returns an empty table. cacheDir is a folder of artifacts as internal/blob keeps it: where the registry runs in the same process, its own
// folder, so that nothing is copied; elsewhere a folder of this process's own, filled by DownloadArtifact.
func New(models modelsv1.ModelServiceClient, cacheDir string, log *slog.Logger, options ...Option) *Table {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &Table{models: models, cache: cacheDir, open: load.Open, log: log, synced: make(chan struct{})}
	for _, o := range options {
		o(t)
	}
	return t
}

// Synced is closed when every deployment that existed at the start has been loaded, or has failed to.
func (t *Table) Synced() <-chan struct{} { return t.synced }

// Acquire returns what answers under the key; the caller releases it once. It fails with DEPLOYMENT_NOT_FOUND, with MODEL_NOT_DEPLOYED when
// the version could not be loaded, and with DEPENDENCY_UNAVAILABLE before the registry was reached for the first time.
func (t *Table) Acquire(k Key) (*Live, error) {
	for {
		table := t.live.Load()
		if table == nil {
			return nil, fault.Unavailable("model registry")
		}
		l, ok := (*table)[k]
		switch {
		case !ok:
			return nil, fault.DeploymentNotFound(k.Operation, k.Name)
		case l.broken:
			return nil, fault.ModelNotDeployed(k.Operation, k.Name)
		case l.acquire():
			return l, nil
		}
		// It was replaced between the load and the count: the table holds its successor by now.
	}
}

// WaitFor returns when the deployment answers in this revision or a later one, or when ctx ends.
func (t *Table) WaitFor(ctx context.Context, k Key, revision int64) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if table := t.live.Load(); table != nil {
			if l, ok := (*table)[k]; ok && l.Deployment.GetRevision() >= revision {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Len returns the number of deployments in the table.
func (t *Table) Len() int {
	if m := t.live.Load(); m != nil {
		return len(*m)
	}
	return 0
}
