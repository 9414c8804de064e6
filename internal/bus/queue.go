package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// QueueConfig is a work queue.
type QueueConfig struct {
	// Name: letters, digits and "-". The stream is "switchyard-NAME".
	Name string
	// Kinds are what can be posted and taken, each a subject of its own: letters, digits, "-", and "." between them.
	Kinds []string
	// AckWait is how long the server waits for a sign of whoever took a message until it gives it out again.
	AckWait time.Duration
	// MaxAge is after which time a message that nobody took goes; its poster still knows what waits and posts it again.
	MaxAge time.Duration
}

// Queue distributes work over processes: a JetStream stream with work-queue retention, one subject for each kind and id, and one durable consumer for each kind. A message is in it until
// whoever took it says that it is done; of each kind and id it holds one at most, so that posting again is harmless. It is made on the server at the first use.
//
// It says who may try, not who may write: a message can come twice, after AckWait, or after a restart of the server. Takers keep a lease of their own.
type Queue struct {
	b *Bus
	c QueueConfig

	mu    sync.Mutex // one question at a time; an answer takes a millisecond
	made  bool
	pulls map[string]*puller
}

// NewQueue returns a queue. It does no I/O.
func NewQueue(b *Bus, c QueueConfig) *Queue { return &Queue{b: b, c: c, pulls: map[string]*puller{}} }

func (q *Queue) stream() string { return Stream + "-" + q.c.Name }

// Post puts a message in the queue unless it holds one of that kind and id. It fails with ErrNotReady, or what the server answered.
func (q *Queue) Post(ctx context.Context, kind, id string, data []byte) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.use(ctx, func(ctx context.Context) error {
		_, err := q.b.js.Publish(ctx, q.stream()+"."+kind+"."+id, data)
		if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == codeStoreFailed && strings.Contains(api.Description, "per subject") {
			return nil // it holds one
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("post %s %s: %w", kind, id, err)
	}
	return nil
}

const codeStoreFailed = 10077

// Take takes the oldest message of a kind that nobody has. delivery names it in Extend, Done and Return, also after a restart; it is empty when there was none.
func (q *Queue) Take(ctx context.Context, kind string) (delivery string, data []byte, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	err = q.use(ctx, func(ctx context.Context) error {
		p := q.pulls[kind]
		if p == nil {
			if p, err = q.b.pullFrom(q.stream(), consumerOf(kind)); err != nil {
				return err
			}
			q.pulls[kind] = p
		}
		batch, err := p.ask(ctx, pullRequest{Batch: 1, NoWait: true})
		if len(batch) > 0 {
			delivery, data = batch[0].reply, batch[0].Data
			return nil
		}
		if err != nil {
			p.close()
			delete(q.pulls, kind)
		}
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("take %s: %w", kind, err)
	}
	return delivery, data, nil
}

// Extend says that whoever took a message is at it: AckWait begins anew.
func (q *Queue) Extend(delivery string) error { return q.say(delivery, wordProgress) }

// Done takes a message out of the queue. Saying so again does nothing.
func (q *Queue) Done(delivery string) error { return q.say(delivery, wordAck) }

// Return lets others take a message after a pause.
func (q *Queue) Return(delivery string, pause time.Duration) error {
	if pause <= 0 {
		return q.say(delivery, wordNak)
	}
	return q.say(delivery, wordNak+` {"delay": `+strconv.FormatInt(pause.Nanoseconds(), 10)+`}`)
}

func (q *Queue) say(delivery, word string) error {
	if !strings.HasPrefix(delivery, "$JS.ACK.") { // nothing else is published to
		return fmt.Errorf("%q is no delivery", delivery)
	}
	return q.b.nc.Publish(delivery, []byte(word))
}

// use makes the queue where that was not done, and does something with it. After a failure it is made sure of again.
func (q *Queue) use(ctx context.Context, do func(context.Context) error) error {
	up, cancel, err := q.b.whileUp(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	ctx, stop := q.b.briefly(up)
	defer stop()
	if !q.made {
		if err := q.make(ctx); err != nil {
			return err
		}
		q.made = true
	}
	err = do(ctx)
	q.made = err == nil
	return err
}

func (q *Queue) make(ctx context.Context) error {
	_, err := q.b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: q.stream(), Subjects: []string{q.stream() + ".>"}, Description: "work that waits for a process",
		Storage: jetstream.FileStorage, Retention: jetstream.WorkQueuePolicy, Replicas: q.b.cfg.Replicas, MaxAge: q.c.MaxAge,
		MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true, MaxMsgs: 100_000,
		Duplicates: time.Second, // ids are not used
	})
	for _, kind := range q.c.Kinds {
		if err != nil {
			break
		}
		_, err = q.b.js.CreateOrUpdateConsumer(ctx, q.stream(), jetstream.ConsumerConfig{
			Durable: consumerOf(kind), FilterSubject: q.stream() + "." + kind + ".*", AckPolicy: jetstream.AckExplicitPolicy, AckWait: q.c.AckWait, MaxDeliver: -1,
		})
	}
	return err
}

func consumerOf(kind string) string { return strings.ReplaceAll(kind, ".", "-") }
