package decision

import "sync"

// queue hands messages from the goroutine that reads a stream to the one that answers it. It is bounded by number and by bytes, so that a
// caller who sends faster than we answer waits for us and not in our memory.
type queue[T any] struct {
	maxItems, maxBytes int

	mu      sync.Mutex
	changed sync.Cond
	items   []T
	bytes   int
	err     error // why no more items come
	stopped bool  // nobody takes items any more
}

func newQueue[T any](maxItems, maxBytes int) *queue[T] {
	q := &queue[T]{maxItems: maxItems, maxBytes: maxBytes}
	q.changed.L = &q.mu
	return q
}

// put waits for room and adds an item. One item is always let in, however large. It returns false when nobody takes items any more.
func (q *queue[T]) put(item T, size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.stopped && len(q.items) > 0 && (len(q.items) >= q.maxItems || q.bytes+size > q.maxBytes) {
		q.changed.Wait()
	}
	if q.stopped {
		return false
	}
	q.items = append(q.items, item)
	q.bytes += size
	q.changed.Broadcast()
	return true
}

// end says that no more items come, and why.
func (q *queue[T]) end(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.err = err
	q.changed.Broadcast()
}

// stop lets a waiting put return.
func (q *queue[T]) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.changed.Broadcast()
}

// take waits for items and returns all that are there; into is used for the items that come next. It returns the error of end when
// there are none and none will come.
func (q *queue[T]) take(into []T) ([]T, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) == 0 && q.err == nil {
		q.changed.Wait()
	}
	if len(q.items) == 0 {
		return nil, q.err
	}
	items := q.items
	clear(into[:cap(into)])
	q.items, q.bytes = into[:0], 0
	q.changed.Broadcast()
	return items, nil
}
