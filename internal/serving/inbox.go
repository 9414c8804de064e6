package serving

import (
	"sync"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
)

// inbox keeps what the watch brought and nobody has looked at: of each deployment the newest state. So the stream is read at once,
// however long a model takes to load.
type inbox struct {
	mu      sync.Mutex
	pending map[Key]*modelsv1.Deployment
	synced  bool
	err     error
	wake    chan struct{} // holds one signal when there is something to take; none before the registry has sent all that it had
}

func newInbox() *inbox {
	return &inbox{pending: map[Key]*modelsv1.Deployment{}, wake: make(chan struct{}, 1)}
}

func (b *inbox) put(m *modelsv1.WatchDeploymentsResponse) {
	b.mu.Lock()
	if d := m.GetDeployment(); d != nil {
		b.pending[Key{Project: d.GetProject(), Operation: d.GetOperation(), Name: d.GetName()}] = d
	}
	b.synced = b.synced || m.GetSynced()
	ready := b.synced
	b.mu.Unlock()
	if ready {
		b.signal()
	}
}

// end tells that nothing more will come, and why.
func (b *inbox) end(err error) {
	b.mu.Lock()
	b.err = err
	b.mu.Unlock()
	b.signal()
}

// take returns what is pending and forgets it. The first time it is everything that the registry had when the watch began.
func (b *inbox) take() (map[Key]*modelsv1.Deployment, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	batch := b.pending
	b.pending = map[Key]*modelsv1.Deployment{}
	return batch, b.err
}

func (b *inbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
