package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Position is a place in the stream. The zero value is its beginning.
type Position struct {
	Seq  uint64    // the first message has at least this sequence number
	Time time.Time // else: it was taken by the stream at or after this time
	End  bool      // else: it comes after those that are in the stream now
}

func (p Position) apply(c *jetstream.ConsumerConfig) {
	switch {
	case p.Seq > 0:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, p.Seq
	case !p.Time.IsZero():
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &p.Time
	default:
		c.DeliverPolicy = jetstream.DeliverAllPolicy
	}
}

// fixed makes the end of the stream into a number: otherwise it would be where the end is when the server gets to it.
func (b *Bus) fixed(ctx context.Context, p Position) (Position, error) {
	if p != (Position{End: true}) {
		return p, nil
	}
	bounds, err := b.Bounds(ctx)
	return Position{Seq: bounds.Last + 1}, err
}

// Bounds are the sequence numbers of the oldest and the newest message; an empty stream has First = Last+1. What is below First is gone for good.
type Bounds struct{ First, Last uint64 }

// Bounds asks the stream's leader what it holds.
func (b *Bus) Bounds(ctx context.Context) (Bounds, error) {
	if !b.Ready() {
		return Bounds{}, fmt.Errorf("bounds: %w", ErrNotReady)
	}
	ctx, cancel := b.briefly(ctx)
	defer cancel()
	s, err := b.js.Stream(ctx, Stream)
	if err != nil {
		return Bounds{}, fmt.Errorf("bounds: %w: %w", ErrNotReady, err)
	}
	st := s.CachedInfo().State
	return Bounds{First: max(st.FirstSeq, 1), Last: st.LastSeq}, nil
}

// Read calls fn for every message from a position to the present end of the stream that one of the filters matches (none: all), in order, each once, and
// returns. What was acknowledged to a publisher before the call is read. It leaves nothing behind on the server.
//
// It returns the first error of fn, or ErrNotReady when the bus is or goes away; calling it again from the Seq after the last is then right.
func (b *Bus) Read(ctx context.Context, from Position, filters []string, fn func(Delivery) error) error {
	if err := validFilters(filters); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if b.closed() {
		return ErrClosed
	}
	up, cancel, err := b.whileUp(ctx)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	defer cancel()
	end, err := b.newest(up, filters)
	if err != nil || end == 0 || from.Seq > end || from == (Position{End: true}) {
		return reading(err)
	}
	t, err := b.tail(up, from, filters)
	if err != nil {
		return reading(err)
	}
	defer t.close()
	for last := uint64(0); last < end; {
		batch, err := t.next(up, readBatch, readPatience)
		for _, d := range batch {
			if d.Seq > end {
				return nil
			}
			if err := fn(d); err != nil {
				return err
			}
			last = d.Seq
		}
		if err != nil {
			return reading(err)
		}
		if len(batch) == 0 {
			// Nothing matches between the position and the end, or the end was removed meanwhile, or the server lags behind the leader.
			if pending, err := t.pending(up); err != nil || pending == 0 && t.seen >= end {
				return reading(err)
			}
		}
	}
	return nil
}

const (
	readBatch    = 500
	readPatience = 100 * time.Millisecond
)

// Follow calls fn for batches of messages from a position on, in order, each once, as they come, until the context ends (nil), the bus is closed
// (ErrClosed) or fn fails (its error). When nothing came for about idle, fn is called with an empty batch. It keeps its place over restarts of the server and
// leaves nothing behind on it: callers that need their place after a crash keep the Seq of the last message themselves. A batch is only valid until fn returns; what
// its messages hold may be kept. From an embedded server messages that this process published are followed without asking it; their Time is when it acknowledged.
func (b *Bus) Follow(ctx context.Context, from Position, filters []string, idle time.Duration, fn func(ctx context.Context, batch []Delivery) error) error {
	if err := validFilters(filters); err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	if idle < 50*time.Millisecond {
		return fmt.Errorf("follow: idle is %v, at least 50ms", idle)
	}
	want := newChosen(filters)
	b.recent.followers.Add(1)
	defer b.recent.followers.Add(-1)
	return b.whileReady(ctx, "follow", func(up context.Context) (worked bool, err error) {
		if from, err = b.fixed(up, from); err != nil {
			return false, err
		}
		for {
			before := from
			if err := b.followStream(ctx, up, &from, filters, idle, fn); err != nil {
				return worked || from != before, err
			}
			if err := b.followRecent(ctx, up, &from, want, idle, fn); err != nil {
				return true, err
			}
			worked = true
		}
	})
}

// followStream follows by asking the server. It returns nil when the follower can go on with what was published here.
func (b *Bus) followStream(ctx, up context.Context, from *Position, filters []string, idle time.Duration, fn func(ctx context.Context, batch []Delivery) error) error {
	t, err := b.tail(up, *from, filters)
	if err != nil {
		return err
	}
	defer t.close()
	for {
		batch, err := t.next(up, readBatch, idle)
		if len(batch) > 0 || err == nil {
			if err := fn(ctx, batch); err != nil {
				return permanent{err}
			}
		}
		if len(batch) > 0 {
			*from = Position{Seq: batch[len(batch)-1].Seq + 1}
		}
		if err != nil {
			return err
		}
		if from.Seq > 0 && b.recent.covers(from.Seq) {
			return nil
		}
	}
}

// tail reads through a consumer that the server forgets by itself, should this process not live to remove it.
type tail struct {
	*puller
	b    *Bus
	last uint64 // place in the consumer of the newest message
	seen uint64 // how far in the stream the consumer is
}

func (b *Bus) tail(ctx context.Context, from Position, filters []string, options ...func(*jetstream.ConsumerConfig)) (*tail, error) {
	ctx, cancel := b.briefly(ctx)
	defer cancel()
	if len(filters) == 0 {
		filters = []string{Subjects}
	}
	cfg := jetstream.ConsumerConfig{
		FilterSubjects: filters, AckPolicy: jetstream.AckNonePolicy, MaxDeliver: 1, Replicas: 1, MemoryStorage: true,
		InactiveThreshold: 3 * pullExpires,
	}
	from.apply(&cfg)
	for _, o := range options {
		o(&cfg)
	}
	c, err := b.js.CreateConsumer(ctx, Stream, cfg)
	if err != nil {
		return nil, err
	}
	p, err := b.pull(c.CachedInfo().Name)
	if err != nil {
		return nil, err
	}
	return &tail{puller: p, b: b}, nil
}

var errGap = errors.New("a message was lost on the way here")

// next is puller.next; a message that is missing among those the server sent makes the tail of no use.
func (t *tail) next(ctx context.Context, n int, wait time.Duration) ([]Delivery, error) {
	batch, err := t.puller.next(ctx, n, wait)
	// In a cluster the node that we are connected to may hear of a new consumer a moment after its leader answered.
	for tries := 0; len(batch) == 0 && errors.Is(err, nats.ErrNoResponders) && tries < 100 && ctx.Err() == nil; tries++ {
		sleep(ctx, 10*time.Millisecond)
		batch, err = t.puller.next(ctx, n, wait)
	}
	for i := range batch {
		if t.last++; batch[i].order != t.last {
			return batch[:i], errGap
		}
	}
	return batch, err
}

// pending returns how many messages are still to come, and notes how far the consumer is.
func (t *tail) pending(ctx context.Context) (uint64, error) {
	ctx, cancel := t.b.briefly(ctx)
	defer cancel()
	c, err := t.b.js.Consumer(ctx, Stream, t.consumer)
	if err != nil {
		return 0, err
	}
	s, err := t.b.js.Stream(ctx, Stream)
	if err != nil {
		return 0, err
	}
	info := c.CachedInfo()
	t.seen = info.Delivered.Stream
	if info.NumPending == 0 && !lagging(s.CachedInfo()) {
		t.seen = s.CachedInfo().State.LastSeq
	}
	return info.NumPending, nil
}

// lagging says whether a replica of the stream still lacks messages that the leader has.
func lagging(s *jetstream.StreamInfo) bool {
	if s.Cluster == nil {
		return false
	}
	for _, r := range s.Cluster.Replicas {
		if !r.Offline && r.Lag > 0 {
			return true
		}
	}
	return false
}

// close ends the tail and removes its consumer, without waiting for the answer.
func (t *tail) close() {
	t.puller.close()
	_ = t.b.nc.Publish("$JS.API.CONSUMER.DELETE."+Stream+"."+t.consumer, nil)
}

const codeNoMessage = 10037

// newest returns the sequence number of the last message that one of the filters matches, 0 when there is none. The leader answers.
func (b *Bus) newest(ctx context.Context, filters []string) (seq uint64, err error) {
	ctx, cancel := b.briefly(ctx)
	defer cancel()
	if len(filters) == 0 {
		filters = []string{Subjects}
	}
	for _, f := range filters {
		body, err := json.Marshal(map[string]string{"last_by_subj": f})
		if err != nil {
			return 0, err
		}
		m, err := b.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+Stream, body)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", ErrNotReady, err)
		}
		var answer struct {
			Error   *jetstream.APIError `json:"error"`
			Message struct {
				Seq uint64 `json:"seq"`
			} `json:"message"`
		}
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			return 0, err
		}
		if answer.Error != nil {
			if answer.Error.ErrorCode == codeNoMessage {
				continue
			}
			return 0, answer.Error
		}
		seq = max(seq, answer.Message.Seq)
	}
	return seq, nil
}

// reading says what failed; nil stays nil.
func reading(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read: %w", err)
}
