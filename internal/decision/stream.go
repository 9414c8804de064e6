package decision

import (
	"context"
	"errors"
	"io"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// How far a stream is read ahead of its answers. More items would not make the shared wait for the disk cheaper by much.
const (
	aheadItems = 256
	aheadBytes = 1 << 20
)

// Messages is a bidirectional stream: the generated server types implement it.
type Messages[Req, Res any] interface {
	Context() context.Context
	Recv() (*Req, error)
	Send(*Res) error
}

// Stream is how one operation answers a stream.
type Stream[Req, Res any] struct {
	Maker     *Maker
	Source    Source
	Operation commonv1.Operation
	// Deployment reads the deployment from a message; empty for "the one before".
	Deployment func(*Req) string
	// Size estimates the bytes that a message holds.
	Size func(*Req) int
	// Answer scores one message. It returns the answer, which is an error in-band when the item is bad, and its record, which is nil then.
	Answer func(c *Call, t *Target, index int64, req *Req) (*Res, *commonv1.DecisionRecord)
}

// Serve answers messages in their order until the caller has sent the last one. Whatever waits at one moment is scored on the available
// cores and recorded with one wait: that shared wait is what makes a stream faster than single calls.
//
// It fails when a deployment is unknown and when decisions cannot be recorded: nothing is answered that is not recorded.
func (s Stream[Req, Res]) Serve(stream Messages[Req, Res]) error {
	ctx := stream.Context()
	call, err := s.Maker.Begin(ctx, s.Operation)
	if err != nil {
		return err
	}
	q := newQueue[*Req](aheadItems, aheadBytes)
	defer q.stop()
	// Only the end of this handler can interrupt Recv, so it cannot wait for the reader. The reader touches nothing but the stream, whose
	// Recv fails at once when the handler has returned, and the queue.
	go func() {
		for {
			req, err := stream.Recv()
			if err != nil {
				q.end(err)
				return
			}
			if !q.put(req, s.Size(req)) {
				return
			}
		}
	}()
	w := window[Req, Res]{Stream: s, call: call, send: stream.Send}
	var waiting []*Req
	for {
		taken, err := q.take(waiting)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.answer(ctx, taken); err != nil {
			return err
		}
		waiting = taken
	}
}

// window answers what waits in a stream at one moment.
type window[Req, Res any] struct {
	Stream[Req, Res]
	call       Call
	deployment string
	index      int64
	send       func(*Res) error
	responses  []*Res
}

// answer cuts the messages into runs for the same deployment and answers these in order.
func (w *window[Req, Res]) answer(ctx context.Context, reqs []*Req) error {
	w.call.Start = w.Maker.Now()
	for len(reqs) > 0 {
		if name := w.Deployment(reqs[0]); name != "" {
			w.deployment = name
		}
		if w.deployment == "" {
			return fault.InvalidField("deployment", "must be set in the first message")
		}
		n := 1
		for n < len(reqs) && (w.Deployment(reqs[n]) == "" || w.Deployment(reqs[n]) == w.deployment) {
			n++
		}
		if err := w.run(ctx, reqs[:n]); err != nil {
			return err
		}
		reqs = reqs[n:]
	}
	return nil
}

func (w *window[Req, Res]) run(ctx context.Context, reqs []*Req) error {
	target, err := w.Source.Acquire(w.call.Project, w.Operation, w.deployment)
	if err != nil {
		return err
	}
	defer target.Release()
	w.responses = append(w.responses[:0], make([]*Res, len(reqs))...)
	if err := w.Maker.Many(ctx, &target, len(reqs), func(i int) *commonv1.DecisionRecord {
		res, record := w.Answer(&w.call, &target, w.index+int64(i), reqs[i])
		w.responses[i] = res
		return record
	}); err != nil {
		return err
	}
	w.index += int64(len(reqs))
	for _, res := range w.responses {
		if err := w.send(res); err != nil {
			return err
		}
	}
	return nil
}
