package db

import "sync"

// topics wakes those in this process who wait for other transactions to commit.
type topics struct {
	mu sync.Mutex
	by map[string]map[chan struct{}]struct{}
}

// Notify wakes those who listen to a topic, once this transaction is on disk; nobody when it fails. Only this process hears it: a
// listener that other processes may write for must look by itself from time to time too.
func (t *Tx) Notify(topic string) { t.topics = append(t.topics, topic) }

// Listen returns a channel that holds a value after transactions committed that notified the topic; several notifications that nobody
// took become one. Call stop when it is not needed any more.
func (d *DB) Listen(topic string) (heard <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	d.topics.mu.Lock()
	defer d.topics.mu.Unlock()
	if d.topics.by == nil {
		d.topics.by = map[string]map[chan struct{}]struct{}{}
	}
	if d.topics.by[topic] == nil {
		d.topics.by[topic] = map[chan struct{}]struct{}{}
	}
	d.topics.by[topic][c] = struct{}{}
	return c, func() {
		d.topics.mu.Lock()
		defer d.topics.mu.Unlock()
		delete(d.topics.by[topic], c)
	}
}

func (t *topics) tell(names []string) {
	if len(names) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		for c := range t.by[name] {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
}
