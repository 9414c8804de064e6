package jobs

import (
	"context"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// maxGroup is how many calls share a transaction at most.
const maxGroup = 256

// writer runs changes of many callers in shared transactions: while one transaction waits for the disk, the next fills.
type writer struct {
	db     *db.DB
	queue  chan *write
	closed <-chan struct{}
}

// write is one caller's change.
type write struct {
	ctx  context.Context //nolint:containedctx // of the caller: what nobody waits for any more is not begun
	do   func(*batch) error
	err  error
	done chan struct{}
}

// Do runs fn in a transaction, alone or with others, and returns when its changes are on disk. fn may run twice, and must check everything
// before it changes anything: what it has changed when it fails with a fault stays.
func (w *writer) Do(ctx context.Context, fn func(*batch) error) error {
	op := &write{ctx: ctx, do: fn, done: make(chan struct{})}
	select {
	case w.queue <- op:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.closed:
		return fault.ShuttingDown()
	}
	<-op.done // soon: the transaction waits for the disk only
	return op.err
}

// run is the only goroutine that writes. It ends with ctx, after what it has taken.
func (w *writer) run(ctx context.Context) {
	group := make([]*write, 0, maxGroup)
	for {
		select {
		case op := <-w.queue:
			group = append(group[:0], op)
		case <-ctx.Done():
			return
		}
		for more := true; more && len(group) < maxGroup; {
			select {
			case op := <-w.queue:
				group = append(group, op)
			default:
				more = false
			}
		}
		w.commit(context.WithoutCancel(ctx), group)
		for _, op := range group {
			close(op.done)
		}
	}
}

// commit runs the group in one transaction. When that fails every change is tried alone, so that one that cannot be stored harms nobody else.
func (w *writer) commit(ctx context.Context, group []*write) {
	err := w.try(ctx, group)
	if err == nil {
		return
	}
	if len(group) == 1 {
		group[0].err = err
		return
	}
	for _, op := range group {
		if err := w.try(ctx, []*write{op}); err != nil {
			op.err = err
		}
	}
}

func (w *writer) try(ctx context.Context, group []*write) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("change of a task panicked: %v", p)
		}
	}()
	return w.db.Tx(ctx, func(tx *db.Tx) error {
		b := &batch{tx: tx, queues: map[queueKey]*queue{}}
		for _, op := range group {
			if op.err = context.Cause(op.ctx); op.err != nil {
				continue
			}
			op.err = op.do(b)
			if op.err != nil && !isFault(op.err) {
				return op.err
			}
		}
		return b.flush()
	})
}
