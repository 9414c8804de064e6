package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Delivery is one message as the stream gave it out.
type Delivery struct {
	Subject string              // "switchyard.<project>.<what>"
	ID      string              // "source|id", unique in the stream; what an inbox remembers
	EventID string              // under which it was published; unique among the events of its subject
	Seq     uint64              // its place in the stream, from 1, with gaps for a filter; the same at every delivery
	Time    time.Time           // when the stream took it
	Header  map[string][]string // as published, without the bus's own
	Data    []byte
	Attempt uint64 // 1 at the first delivery; counts deliveries to consumers, not calls of a handler

	reply string // where it is acknowledged
	order uint64 // its place in the consumer, from 1 without gaps
}

const (
	// How long a pull waits at the server; an idle consumer asks again this often.
	pullExpires = 10 * time.Second
	// The server gives a sign of life this often; without two of them the pull is lost, such as after a change of leader.
	pullHeartbeat = time.Second
)

// puller asks one consumer for messages. It belongs to one goroutine.
type puller struct {
	b        *Bus
	sub      *nats.Subscription
	inbox    string
	stream   string
	consumer string
	pulls    uint64
}

// pull makes a puller of the events; close it.
func (b *Bus) pull(consumer string) (*puller, error) { return b.pullFrom(Stream, consumer) }

func (b *Bus) pullFrom(stream, consumer string) (*puller, error) {
	inbox := b.nc.NewInbox()
	sub, err := b.nc.SubscribeSync(inbox + ".*")
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil { // what is under way is limited by what was asked for
		return nil, errors.Join(err, sub.Unsubscribe())
	}
	return &puller{b: b, sub: sub, inbox: inbox, stream: stream, consumer: consumer}, nil
}

func (p *puller) close() { _ = p.sub.Unsubscribe() }

// pullRequest is a "one shot": with no_wait and expires together the server waits until there is a message, then sends what there is and ends.
type pullRequest struct {
	Batch     int           `json:"batch"`
	MaxBytes  int           `json:"max_bytes"`
	NoWait    bool          `json:"no_wait,omitempty"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat,omitempty"`
}

// next returns up to n messages as soon as there is one, none when there was none for a while. An error means that the puller is of no use any more.
// wait is how long to wait for the first one, at most; 0 for the default.
func (p *puller) next(ctx context.Context, n int, wait time.Duration) ([]Delivery, error) {
	r := pullRequest{Batch: n, MaxBytes: max(batchBytes, 2*int(p.b.cfg.MessageBytes)), NoWait: true, Expires: pullExpires, Heartbeat: pullHeartbeat}
	if wait > 0 && wait < pullExpires {
		if r.Expires = wait; wait < 2*pullHeartbeat {
			r.Heartbeat = 0
		}
	}
	return p.ask(ctx, r)
}

// ask sends one request and collects what answers it.
func (p *puller) ask(ctx context.Context, r pullRequest) ([]Delivery, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	p.pulls++
	reply := p.inbox + "." + strconv.FormatUint(p.pulls, 36)
	if err := p.b.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+p.stream+"."+p.consumer, reply, body); err != nil {
		return nil, fmt.Errorf("ask for messages: %w", err)
	}
	silence := r.Expires + pullHeartbeat
	if r.Heartbeat > 0 {
		silence = 2*r.Heartbeat + pullHeartbeat/2
	}
	var batch []Delivery
	for len(batch) < r.Batch {
		m, err := p.receive(ctx, silence)
		if err != nil {
			return batch, err
		}
		status := m.Header.Get("Status")
		if status == "" && p.stream != Stream { // of a queue, whose subjects are too many to remember
			batch = append(batch, Delivery{Subject: m.Subject, Data: m.Data, reply: m.Reply})
			continue
		}
		if status == "" {
			d, err := delivery(m)
			if err != nil {
				return batch, err
			}
			batch = append(batch, d)
			continue
		}
		switch {
		case m.Subject != reply: // of an earlier request
		case status == "100": // a sign of life
		case status == "404" || status == "408" || status == "409":
			// A replicated consumer sends the end before messages that wait for its quorum, and says how many it did not send.
			left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
			if err != nil {
				left = r.Batch - len(batch)
			}
			if r.Batch -= left; status == "409" && r.Batch == 0 {
				return batch, fmt.Errorf("ask for messages: %s", m.Header.Get("Description"))
			}
		default:
			return batch, fmt.Errorf("ask for messages: %s %s", status, m.Header.Get("Description"))
		}
	}
	return batch, nil
}

var errSilent = errors.New("the server does not answer")

// receive waits for one message, but not longer than silence.
func (p *puller) receive(ctx context.Context, silence time.Duration) (*nats.Msg, error) {
	once, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	m, err := p.sub.NextMsgWithContext(once)
	if err == nil {
		return m, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, errSilent
	}
	return nil, err
}

// delivery reads what the server says about a message.
func delivery(m *nats.Msg) (Delivery, error) {
	meta, err := m.Metadata()
	if err != nil {
		return Delivery{}, fmt.Errorf("read a delivery: %w", err)
	}
	h := map[string][]string(m.Header)
	// Messages of earlier releases have the id of their event only; they are known by the same names as new ones.
	source := Source(m.Subject) + "|"
	id := strings.TrimPrefix(m.Header.Get(jetstream.MsgIDHeader), source)
	for k := range h {
		if len(k) > 5 && k[:5] == "Nats-" {
			delete(h, k)
		}
	}
	return Delivery{
		Subject: m.Subject, ID: source + id, EventID: id, Seq: meta.Sequence.Stream, Time: meta.Timestamp, Header: h, Data: m.Data,
		Attempt: meta.NumDelivered, reply: m.Reply, order: meta.Sequence.Consumer,
	}, nil
}

// answer sends one word about every message of a batch: acknowledged, in progress, or to be delivered again.
func (p *puller) answer(batch []Delivery, word string) error {
	for i := range batch {
		if err := p.b.nc.Publish(batch[i].reply, []byte(word)); err != nil {
			return fmt.Errorf("acknowledge: %w", err)
		}
	}
	return nil
}

const (
	wordAck      = "+ACK"
	wordNak      = "-NAK"
	wordProgress = "+WPI"
)

// whileReady runs a session again and again, each while the bus is up, until the context ends (nil) or the bus is closed (ErrClosed), or the session
// fails with an error that is permanent. Between failures it pauses, with growing pauses, unless the session got somewhere.
func (b *Bus) whileReady(ctx context.Context, what string, session func(ctx context.Context) (worked bool, err error)) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if err := b.WaitReady(ctx); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // the end of the context is how this is meant to end
			}
			return err
		}
		up, cancel, err := b.whileUp(ctx)
		if err != nil {
			continue // it went down between the two
		}
		worked, err := session(up)
		cancel()
		var stop permanent
		switch {
		case errors.As(err, &stop):
			return stop.error
		case ctx.Err() != nil:
			return nil //nolint:nilerr // as above
		case b.closed():
			return ErrClosed
		}
		if worked {
			pause = firstPause
		}
		level := slog.LevelDebug
		if api := (*jetstream.APIError)(nil); errors.As(err, &api) {
			level = slog.LevelWarn // the server refuses: an operator should know
		}
		b.log.Log(ctx, level, "reading the bus is taken up again", "by", what, "error", err, "next_attempt_in", pause)
		sleep(ctx, pause)
	}
}

// briefly bounds a question to the server. One that comes before a leader is elected is never answered: asking again soon is better than waiting long.
func (b *Bus) briefly(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, min(b.cfg.AckTimeout, 2*time.Second))
}

// permanent is an error that trying again does not help.
type permanent struct{ error }

const (
	firstPause = 10 * time.Millisecond
	lastPause  = 5 * time.Second
)
