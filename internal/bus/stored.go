package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// stored knows what the end of the embedded stream held when it was last unclear what had been stored: when the server started, and after a publish without an answer. What a process
// publishes again then is not stored a second time, however long ago it was, so that the server has to remember ids for a moment only.
type stored struct {
	mu      sync.Mutex
	read    bool
	ids     map[string]struct{}
	further int // messages that were published since ids was read
}

// storedTail is how many messages can be unclear: all publishers of a process have one batch each under way, and others may have come in before one of them tries again.
const storedTail = 4 * batchLimit

// unclear makes the next publish look at the end of the stream first.
func (s *stored) unclear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.ids, s.further = false, nil, 0
}

// unstored returns those of the messages that are not among what was unclear and turned out to be stored.
func (b *Bus) unstored(ctx context.Context, msgs []Msg) ([]Msg, error) {
	if !b.Embedded() {
		return msgs, nil // what is on its way through a cluster may arrive after one has looked
	}
	s := &b.stored
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.read {
		ids, err := b.lastIDs(ctx, storedTail)
		if err != nil && (ctx.Err() != nil || errors.Is(err, ErrNotReady)) {
			return nil, fmt.Errorf("look for what was stored: %w", err)
		}
		if err != nil { // such as a damaged block, which must not hold up what comes after it
			b.log.Warn("the end of the stream cannot be read; events that were not acknowledged may be stored twice, which consumers recognise", "error", err)
		}
		s.read, s.ids, s.further = true, ids, 0
	}
	if s.further += len(msgs); len(s.ids) == 0 {
		return msgs, nil
	}
	rest := make([]Msg, 0, len(msgs))
	for i := range msgs {
		if _, ok := s.ids[MsgID(msgs[i].Subject, msgs[i].ID)]; !ok {
			rest = append(rest, msgs[i])
		}
	}
	if s.further > storedTail {
		s.ids = nil // who had something unclear has tried again
	}
	return rest, nil
}

// lastIDs returns the ids of the last n messages of the stream, and with an error those that could be read. They are read without their data, within the time that an acknowledgement may take.
func (b *Bus) lastIDs(ctx context.Context, n uint64) (map[string]struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.AckTimeout)
	defer cancel()
	bounds, err := b.Bounds(ctx)
	if err != nil || bounds.Last < bounds.First {
		return nil, err
	}
	from := bounds.First
	if bounds.Last-from >= n {
		from = bounds.Last - n + 1
	}
	t, err := b.tail(ctx, Position{Seq: from}, nil, headersOnly)
	if err != nil {
		return nil, err
	}
	defer t.close()
	ids := map[string]struct{}{}
	for {
		batch, err := t.next(ctx, readBatch, readPatience)
		for _, d := range batch {
			if ids[d.ID] = struct{}{}; d.Seq >= bounds.Last {
				return ids, nil
			}
		}
		if err != nil {
			return ids, err
		}
		if len(batch) == 0 { // the last ones were removed
			if pending, err := t.pending(ctx); err != nil || pending == 0 {
				return ids, err
			}
		}
	}
}

func headersOnly(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }
