package models

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// deploymentKey names a deployment over all projects.
type deploymentKey struct {
	project   string
	operation commonv1.Operation
	name      string
}

func keyOf(d *modelsv1.Deployment) deploymentKey {
	return deploymentKey{d.GetProject(), d.GetOperation(), d.GetName()}
}

// hub hands changes to watchers. A watcher that does not keep up never holds anybody back: of each deployment only the newest
// state waits for it.
type hub struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
	closed   chan struct{}
}

func newHub() *hub {
	return &hub{watchers: map[*watcher]struct{}{}, closed: make(chan struct{})}
}

// watcher is one open stream: the changes that it has not sent yet.
type watcher struct {
	project string // empty for all
	mu      sync.Mutex
	pending map[deploymentKey]*modelsv1.Deployment
	wake    chan struct{} // holds one signal when something is pending
}

func (h *hub) watch(project string) *watcher {
	w := &watcher{project: project, pending: map[deploymentKey]*modelsv1.Deployment{}, wake: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers[w] = struct{}{}
	return w
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	select {
	case <-h.closed:
	default:
		close(h.closed)
	}
}

func (h *hub) publish(d *modelsv1.Deployment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		if w.project == "" || w.project == d.GetProject() {
			w.put(d)
		}
	}
}

func (w *watcher) put(d *modelsv1.Deployment) {
	w.mu.Lock()
	// Two commits may be published in the wrong order: the higher revision is the newer one.
	if key := keyOf(d); w.pending[key].GetRevision() < d.GetRevision() {
		w.pending[key] = d
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns what is pending and forgets it.
func (w *watcher) take() map[deploymentKey]*modelsv1.Deployment {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.pending
	w.pending = map[deploymentKey]*modelsv1.Deployment{}
	return out
}

// topic is how the deployments of a project are called among the changes that other processes hear of.
const topic = "models.deployments"

// reload tells the watchers of this process what another one has deployed. They skip what they have sent already.
func (s *Service) reload(ctx context.Context, projects []string) error {
	var all []*modelsv1.Deployment
	err := s.store.db.View(ctx, func(tx *db.Tx) error {
		for _, project := range projects {
			if err := s.store.eachDeployment(tx, project, func(d *modelsv1.Deployment) error { all = append(all, d); return nil }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read deployments: %w", err)
	}
	for _, d := range all {
		s.watch.publish(d)
	}
	return nil
}

// WatchDeployments sends every deployment, then synced, then the changes, until the caller goes away or the service closes.
func (s *Service) WatchDeployments(
	req *modelsv1.WatchDeploymentsRequest, stream grpc.ServerStreamingServer[modelsv1.WatchDeploymentsResponse],
) error {
	ctx := stream.Context()
	of := ""
	if req.GetAllProjects() {
		if c := auth.FromContext(ctx); !c.Has("platform:serve") {
			return fault.ScopeMissing("platform:serve")
		}
	} else {
		var err error
		if of, err = project(ctx); err != nil {
			return err
		}
	}
	w := s.watch.watch(of) // before the snapshot: a change in between is then in both, and sent once
	defer s.watch.leave(w)
	sent := map[deploymentKey]int64{}
	send := func(d *modelsv1.Deployment) error {
		key := keyOf(d)
		if sent[key] >= d.GetRevision() {
			return nil
		}
		sent[key] = d.GetRevision()
		return stream.Send(&modelsv1.WatchDeploymentsResponse{Deployment: d})
	}
	var snapshot []*modelsv1.Deployment // read at once: a slow caller must not keep a transaction open
	err := s.store.db.View(ctx, func(tx *db.Tx) error {
		return s.store.eachDeployment(tx, of, func(d *modelsv1.Deployment) error {
			snapshot = append(snapshot, d)
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, d := range snapshot {
		if err := send(d); err != nil {
			return err
		}
	}
	snapshot = nil // the stream lives for days
	if err := stream.Send(&modelsv1.WatchDeploymentsResponse{Synced: true}); err != nil {
		return err
	}
	for {
		select {
		case <-w.wake:
			for _, d := range w.take() {
				if err := send(d); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-s.watch.closed:
			return fault.ShuttingDown()
		}
	}
}
