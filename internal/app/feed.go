package app

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/decision"
)

const (
	// reviewConsumer is the review queue's name in the stream and its place in the inbox.
	reviewConsumer = "review"
	// reviewRows is how many items the queue gets at once. It ends its transaction when a reviewer waits; callers who use the processors get their turn between two of reviewBusyRows, and so do
	// other processes that share the database.
	reviewRows     = 1000
	reviewBusyRows = 200
	// reviewWait is how long an item waits at most for callers who use the processors.
	reviewWait = time.Second
	// What waits at most.
	reviewPending      = 4000
	reviewPendingBytes = 8 << 20
	// reviewIdle is after which time without an event it is looked whether what waits can go on.
	reviewIdle = 200 * time.Millisecond
)

var reviewFilters = []string{bus.Stream + ".*.decisions"}

// feedReview brings decisions from the bus into the queue.
func (a *App) feedReview(ctx context.Context) error {
	if a.review == nil {
		return nil
	}
	a.inBackground(ctx, (&reviewFeed{App: a}).run)
	return nil
}

// reviewFeed carries the decisions that need a person into the queue. The others it passes over without decoding them.
type reviewFeed struct {
	*App

	pending []waiting
	bytes   int
	since   time.Time // when the first of pending came
	seen    uint64    // the last event that was looked at
}

// waiting is a decision that needs a person and is not in the queue yet.
type waiting struct {
	id   string
	seq  uint64
	data []byte
}

// run follows the stream of this process, and shares that of a cluster with the other processes that have a queue.
func (f *reviewFeed) run(ctx context.Context) error {
	if !f.bus.Embedded() {
		return f.bus.Consume(ctx, bus.Consumer{Name: reviewConsumer, Filters: reviewFilters, Batch: reviewBusyRows}, f.consume)
	}
	return (&follower{App: f.App, name: reviewConsumer, filters: reviewFilters, idle: reviewIdle, take: f.follow, done: f.done}).run(ctx)
}

// follow looks at events, and lets those that need a person wait while callers use the processors.
func (f *reviewFeed) follow(ctx context.Context, batch []bus.Delivery) error {
	for i := range batch {
		d := &batch[i]
		f.seen = d.Seq
		if !decision.NeedsPerson(d.Data) {
			continue
		}
		if len(f.pending) == 0 {
			f.since = time.Now()
		}
		f.pending = append(f.pending, waiting{d.ID, d.Seq, d.Data})
		f.bytes += len(d.Data)
	}
	full := len(f.pending) >= reviewPending || f.bytes >= reviewPendingBytes
	if len(f.pending) > 0 && (full || time.Since(f.since) >= reviewWait || !f.pace.Busy()) {
		if !f.applyAll(ctx) {
			return nil // it ends
		}
	}
	return nil
}

// applyAll brings what waits into the queue, however long that takes. It returns false when the context ends before.
func (f *reviewFeed) applyAll(ctx context.Context) bool {
	for pause := 10 * time.Millisecond; len(f.pending) > 0; {
		f.pace.GiveWay()
		rows := reviewRows
		if f.pace.Busy() {
			rows = reviewBusyRows
		}
		some := f.pending[:min(rows, len(f.pending))]
		err := f.review.Apply(ctx, f.records(ctx, some))
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			f.log.WarnContext(ctx, "decisions could not be brought into the review queue", "decisions", len(some), "error", err, "next_attempt_in", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return false
			}
			pause = min(2*pause, 5*time.Second)
			continue
		}
		pause = 10 * time.Millisecond
		f.pending = f.pending[len(some):]
	}
	f.pending, f.bytes = nil, 0
	return true
}

// records decodes decisions. One that cannot be read would fail for ever and hold up all that follow; it stays in the stream for whoever looks into it.
func (f *reviewFeed) records(ctx context.Context, some []waiting) []*commonv1.DecisionRecord {
	records := make([]*commonv1.DecisionRecord, 0, len(some))
	for _, w := range some {
		r := &commonv1.DecisionRecord{}
		if err := proto.Unmarshal(w.data, r); err != nil {
			f.log.ErrorContext(ctx, "a decision cannot be read, so it is no review item", "id", w.id, "sequence", w.seq, "error", err)
			continue
		}
		records = append(records, r)
	}
	return records
}

// done returns up to where everything is in the queue.
func (f *reviewFeed) done() uint64 {
	if len(f.pending) > 0 {
		return f.pending[0].seq - 1
	}
	return f.seen
}

// consume handles a batch of a stream that several processes share.
func (f *reviewFeed) consume(ctx context.Context, batch []bus.Delivery) error {
	var some []waiting
	for i := range batch {
		if d := &batch[i]; decision.NeedsPerson(d.Data) {
			some = append(some, waiting{d.ID, d.Seq, d.Data})
		}
	}
	return f.review.Apply(ctx, f.records(ctx, some))
}
