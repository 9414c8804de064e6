package jobs

import (
	"context"
	"sync"
	"sync/atomic"
)

// lines holds for each queue the pulls of this process that stand in line. Only the first of a line looks into the table; the others wait
// behind it. That is fair, and a thousand waiting workers cost as much as one.
type lines struct {
	mu    sync.Mutex
	lines map[queueKey]*line
}

type line struct {
	waiting int
	turn    chan struct{} // holds one token: whoever has it is first. Go's channels serve waiters in their order.
	wake    chan struct{} // holds one signal when something may have become due
	taking  atomic.Int64  // how many tasks are asked for at most by pulls that were first and wait for the disk
}

// join puts a pull into the line of a queue. leave must be called once.
func (l *lines) join(key queueKey) (*line, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines == nil {
		l.lines = map[queueKey]*line{}
	}
	q := l.lines[key]
	if q == nil {
		q = &line{turn: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
		q.turn <- struct{}{}
		l.lines[key] = q
	}
	q.waiting++
	return q, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if q.waiting--; q.waiting == 0 {
			delete(l.lines, key)
		}
	}
}

// first waits until the pull is the first of its line. It returns false when the context ends before.
func (q *line) first(ctx context.Context) bool {
	select {
	case <-q.turn:
		return true
	case <-ctx.Done():
		return false
	}
}

// next lets the next pull of the line be first.
func (q *line) next() { q.turn <- struct{}{} }

// wake tells whoever waits for a queue that something may have become due.
func (l *lines) wake(key queueKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q := l.lines[key]; q != nil {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}
