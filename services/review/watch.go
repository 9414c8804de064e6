package review

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// watchPause is the least time between two messages about one queue.
	watchPause = 200 * time.Millisecond
	// watchPoll is how often a watch looks by itself: for what other processes change.
	watchPoll = 2 * time.Second
	// watchAlive is how often a message goes out at least, so that nothing between takes the stream for dead.
	watchAlive = 20 * time.Second
)

// hub tells those who wait which queues have changed. Nobody who is slow holds anybody up: changes that nobody took become one.
type hub struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
	closed   chan struct{}
}

// watcher is one who waits for changes in a project.
type watcher struct {
	project string
	wake    chan struct{} // holds one signal when something changed
	mu      sync.Mutex
	changed map[queueKey]bool
}

func newHub() *hub { return &hub{watchers: map[*watcher]struct{}{}, closed: make(chan struct{})} }

func (h *hub) watch(project string) *watcher {
	w := &watcher{project: project, wake: make(chan struct{}, 1), changed: map[queueKey]bool{}}
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

func (h *hub) publish(changed map[queueKey]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		w.put(changed)
	}
}

func (w *watcher) put(changed map[queueKey]bool) {
	mine := false
	w.mu.Lock()
	for key := range changed {
		if key.project == w.project {
			w.changed[key], mine = true, true
		}
	}
	w.mu.Unlock()
	if !mine {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// take returns the queues that changed and forgets them.
func (w *watcher) take() map[queueKey]bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.changed
	w.changed = map[queueKey]bool{}
	return out
}

// WatchQueues sends every queue, then synced, then those that change, until the caller goes away or the service closes.
func (s *Service) WatchQueues(req *reviewv1.WatchQueuesRequest, stream grpc.ServerStreamingServer[reviewv1.WatchQueuesResponse]) error {
	ctx := stream.Context()
	project, err := project(ctx)
	if err != nil {
		return err
	}
	w := s.hub.watch(project)
	defer s.hub.leave(w)
	sent := map[queueKey]*reviewv1.Queue{}
	send := func(only map[queueKey]bool) error {
		queues, err := s.watched(ctx, project, req)
		if err != nil {
			return err
		}
		for _, q := range queues {
			key := queueKey{project, q.GetOperation(), q.GetDeployment()}
			if only != nil && !only[key] || proto.Equal(sent[key], q) {
				continue
			}
			if err := stream.Send(&reviewv1.WatchQueuesResponse{Queue: q}); err != nil {
				return err
			}
			sent[key] = q
		}
		return nil
	}
	if err := send(nil); err != nil {
		return err
	}
	if err := stream.Send(&reviewv1.WatchQueuesResponse{Synced: true}); err != nil {
		return err
	}
	poll, alive := time.NewTicker(watchPoll), time.NewTicker(watchAlive)
	defer poll.Stop()
	defer alive.Stop()
	for {
		select {
		case <-w.wake:
			err = cmp.Or(s.pause(ctx), send(w.take()))
		case <-poll.C:
			err = send(nil)
		case <-alive.C:
			err = stream.Send(&reviewv1.WatchQueuesResponse{})
		case <-s.hub.closed:
			return fault.ShuttingDown()
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// pause lets changes come together.
func (s *Service) pause(ctx context.Context) error {
	select {
	case <-time.After(watchPause):
		return nil
	case <-s.hub.closed:
		return fault.ShuttingDown()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watched returns the queues of a watch.
func (s *Service) watched(ctx context.Context, project string, req *reviewv1.WatchQueuesRequest) (out []*reviewv1.Queue, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		out, err = queuesOf(tx, project, 0, "", maxWatched)
		return err
	})
	return slices.DeleteFunc(out, func(q *reviewv1.Queue) bool {
		return req.GetOperation() != 0 && q.GetOperation() != req.GetOperation() || req.GetDeployment() != "" && q.GetDeployment() != req.GetDeployment()
	}), err
}

// maxWatched bounds the queues of one watch.
const maxWatched = 1000
