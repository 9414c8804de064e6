package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Consumer is a durable place in the stream that has a name. The server keeps what was acknowledged, so that a consumer goes on where it was, also
// after a crash of this process or of the server.
type Consumer struct {
	// Name: letters, digits, "-" and "_". Processes that use the same name share the messages between them.
	Name string
	// Filters are the subjects to deliver, with wildcards; none for all. Changing them keeps the place.
	Filters []string
	// Batch is how many messages the handler gets at most; 0 for 256.
	Batch int
	// MaxWait is how long a batch that is not full may wait for company; 0, the default, for not at all.
	MaxWait time.Duration
	// From says where a consumer begins that the server does not know yet. The zero value is the beginning of the stream.
	From Position
	// AckWait is how long the server waits for a process that went silent until it gives its messages to another, or again; 0 for 5 s. A handler may take
	// longer: the process says meanwhile that it is at it.
	AckWait time.Duration
}

// Consume gives the messages of a durable consumer to handle, batch after batch, until the context ends (nil) or the bus is closed (ErrClosed).
// Nothing else ends it: while the bus is away it waits, and a batch that handle fails on comes again, with growing pauses up to 5 s. A batch is
// acknowledged when handle has returned nil, never before.
//
// An idle consumer has a message about a millisecond after it was acknowledged to its publisher. Batches and the messages in them are in the order of
// the stream as long as one process consumes and nothing is delivered a second time. Every message comes at least once; one that comes again, after
// a crash even much later and after messages that follow it, has the same ID and Seq. Handlers therefore keep an inbox (internal/inbox).
//
// The context of handle is Consume's: it does not end when the bus goes away.
func (b *Bus) Consume(ctx context.Context, c Consumer, handle func(ctx context.Context, batch []Delivery) error) error {
	if c.Batch == 0 {
		c.Batch = 256
	}
	if c.AckWait == 0 {
		c.AckWait = 5 * time.Second
	}
	if err := c.validate(); err != nil {
		return fmt.Errorf("consume as %q: %w", c.Name, err)
	}
	err := b.whileReady(ctx, c.Name, func(up context.Context) (bool, error) { return b.consume(ctx, up, c, handle) })
	if err != nil {
		return fmt.Errorf("consume as %s: %w", c.Name, err)
	}
	return nil
}

// consume is one session: it lasts until the bus goes down or something fails on the way to it.
func (b *Bus) consume(ctx, up context.Context, c Consumer, handle func(context.Context, []Delivery) error) (worked bool, err error) {
	if err := b.ensure(up, c); err != nil {
		return false, err
	}
	p, err := b.pull(c.Name)
	if err != nil {
		return false, err
	}
	defer p.close()
	for {
		batch, err := p.next(up, c.Batch, 0)
		if len(batch) > 0 && len(batch) < c.Batch && c.MaxWait > 0 && err == nil {
			batch, err = p.fill(up, batch, c)
		}
		if err != nil {
			_ = p.answer(batch, wordNak)
			return worked, err
		}
		if len(batch) == 0 {
			continue
		}
		if err := b.deliver(ctx, up, p, c, batch, handle); err != nil {
			return worked, err
		}
		worked = true
	}
}

// fill lets a batch wait for company.
func (p *puller) fill(ctx context.Context, batch []Delivery, c Consumer) ([]Delivery, error) {
	for end := time.Now().Add(c.MaxWait); len(batch) < c.Batch; {
		rest := time.Until(end)
		if rest < time.Millisecond {
			break
		}
		more, err := p.next(ctx, c.Batch-len(batch), rest)
		batch = append(batch, more...)
		if err != nil {
			return batch, err
		}
	}
	return batch, nil
}

// deliver calls handle until it returns nil, and acknowledges. Meanwhile the server is told that the batch is being worked on.
func (b *Bus) deliver(ctx, up context.Context, p *puller, c Consumer, batch []Delivery, handle func(context.Context, []Delivery) error) error {
	done := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		tick := time.NewTicker(c.AckWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = p.answer(batch, wordProgress)
			case <-done:
				return
			}
		}
	}()
	defer func() { close(done); <-told }()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := handle(ctx, batch)
		if err == nil {
			return p.answer(batch, wordAck)
		}
		if up.Err() == nil {
			b.log.Warn("a batch of events could not be handled", "consumer", c.Name, "first", batch[0].Seq, "messages", len(batch), "error", err, "next_attempt_in", pause)
			sleep(up, pause+rand.N(pause/2))
		}
		if up.Err() != nil {
			_ = p.answer(batch, wordNak) // so that the next session, or another process, need not wait
			return err
		}
	}
}

// ensure makes the consumer, or gives the one that is there its present filters.
func (b *Bus) ensure(ctx context.Context, c Consumer) error {
	ctx, cancel := b.briefly(ctx)
	defer cancel()
	have, err := b.js.Consumer(ctx, Stream, c.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		cfg, from := c.config(), c.From
		if from, err = b.fixed(ctx, from); err != nil {
			return err
		}
		from.apply(&cfg)
		_, err = b.js.CreateConsumer(ctx, Stream, cfg)
		if errors.Is(err, jetstream.ErrConsumerExists) {
			err = nil // another process was faster
		}
		return err
	}
	if err != nil {
		return err
	}
	cfg, want := have.CachedInfo().Config, c.config()
	if slices.Equal(cfg.FilterSubjects, want.FilterSubjects) && cfg.AckWait == want.AckWait && cfg.MaxAckPending == want.MaxAckPending {
		return nil
	}
	cfg.FilterSubject, cfg.FilterSubjects, cfg.AckWait, cfg.MaxAckPending = "", want.FilterSubjects, want.AckWait, want.MaxAckPending
	_, err = b.js.UpdateConsumer(ctx, Stream, cfg)
	return err
}

func (c Consumer) config() jetstream.ConsumerConfig {
	filters := c.Filters
	if len(filters) == 0 {
		filters = []string{Subjects}
	}
	return jetstream.ConsumerConfig{
		Durable: c.Name, FilterSubjects: filters, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait,
		MaxDeliver: -1, MaxAckPending: max(1000, 4*c.Batch),
	}
}

func (c Consumer) validate() error {
	switch {
	case c.Name == "" || len(c.Name) > 64 || strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "":
		return errors.New("a name has 1 to 64 letters, digits, - and _")
	case c.Batch < 1 || c.Batch > 10000:
		return fmt.Errorf("batch is %d, from 1 to 10000", c.Batch)
	case c.AckWait < 100*time.Millisecond:
		return fmt.Errorf("ack wait is %v, at least 100ms", c.AckWait)
	case c.MaxWait < 0 || c.MaxWait > time.Minute:
		return fmt.Errorf("max wait is %v, from 0 to 1m", c.MaxWait)
	}
	return validFilters(c.Filters)
}

// validFilters refuses what the server would refuse for ever.
func validFilters(filters []string) error {
	for _, f := range filters {
		if !strings.HasPrefix(f, Stream+".") || strings.ContainsAny(f, " \t\r\n\x00") || strings.Contains(f, "..") || strings.HasSuffix(f, ".") {
			return fmt.Errorf("filter %q is not a subject of the stream", f)
		}
	}
	return nil
}
