package journal

import (
	"context"
	"fmt"
	"time"
)

// purgePoll is how often Purge looks whether entries were released.
const purgePoll = 10 * time.Millisecond

// Purge takes everything off the disk that was appended before the call: it begins a new segment, waits until the entries of the old ones are released, and deletes
// these, whatever Config.RetainBytes says. It returns how many bytes went. Entries that come meanwhile are not concerned.
//
// It fails with the context's error when they are not released in time; calling it again goes on.
func (j *Journal) Purge(ctx context.Context) (int64, error) {
	turned := make(chan error, 1)
	select {
	case j.turn <- turned:
	case <-j.stopped:
		return 0, ErrClosed
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if err := <-turned; err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	last := j.Stats().Last
	tick := time.NewTicker(purgePoll)
	defer tick.Stop()
	for j.Stats().Released < last {
		select {
		case <-tick.C:
		case <-j.stopped:
			return 0, ErrClosed
		case <-ctx.Done():
			return 0, fmt.Errorf("purge: entries up to %d are not released: %w", last, ctx.Err())
		}
	}
	j.relMu.Lock()
	defer j.relMu.Unlock()
	before := j.bytes()
	if err := j.trim(0); err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	return max(0, before-j.bytes()), nil
}

// bytes returns what the segments before the newest take.
func (j *Journal) bytes() (n int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, s := range j.segments[:len(j.segments)-1] {
		n += s.size
	}
	return n
}
