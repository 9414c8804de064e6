package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
)

// Stream finds records that are in the stream, by time: it reads the project's decisions from shortly before the id was made. That is two seconds' worth of
// them to find one, and 20,000 more to know that there is none.
type Stream struct {
	Bus interface {
		WaitReady(ctx context.Context) error
		Read(ctx context.Context, from bus.Position, filters []string, fn func(bus.Delivery) error) error
	}
}

var _ Place = Stream{}

// Find reads the stream around the time of the id.
func (s Stream) Find(ctx context.Context, k Key) (*commonv1.DecisionRecord, error) {
	if err := s.wait(ctx); err != nil {
		return nil, err
	}
	look := search{key: k}
	var data []byte
	err := s.Bus.Read(ctx, bus.Position{Time: k.Time.Add(-skew)}, []string{k.subject()}, func(d bus.Delivery) error {
		found, enough := look.visit(d.EventID)
		if found {
			data = d.Data
		}
		if enough {
			return errStop
		}
		return nil
	})
	switch {
	case data != nil:
		return decode(data)
	case err != nil && !errors.Is(err, errStop):
		return nil, fmt.Errorf("look in the stream: %w", err)
	}
	return nil, ErrNotFound
}

// startTime is how long a lookup waits for a stream that is just starting: the bus starts last, and nothing else waits for it.
const startTime = time.Second

func (s Stream) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := s.Bus.WaitReady(ctx); err != nil {
		return fmt.Errorf("look in the stream: %w", err)
	}
	return nil
}
