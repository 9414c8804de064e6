package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Msg is one message to publish.
type Msg struct {
	Subject string              // "switchyard.<project>.<what>"
	ID      string              // of the event; stored once per subject within Config.Duplicates
	Data    []byte              // at most Config.MessageBytes with the headers
	Header  map[string][]string // optional; names that begin with "Nats-" are the bus's own
}

const (
	// From so many messages on, one batch with one fsync is faster than a message at a time with its own. A batch costs about 20 ms, whatever its size,
	// a message as much as an fsync: with 0.3 ms for that they meet at 60 messages, with 1.5 ms at 17.
	batchFrom = 32
	// The server takes at most 1,000 messages as one batch.
	batchLimit = 1000
	// and collects it in a store of its own, so its bytes are bounded too.
	batchBytes = 16 << 20
)

// Codes of JetStream's API that decide what happens next.
const (
	codeDuplicateInBatch = 10201 // a batch that holds an id the stream knows is refused as a whole
	codeTooLarge         = 10054 // message size exceeds the stream's limit
	codeHeaderTooLarge   = 10097
	codeStreamMismatch   = 10060
	codeInProcess        = 10158 // another publish of the same id has not been answered yet
)

// PublishBatch publishes messages in order and returns nil when the stream has acknowledged all of them, which means that they are on disk.
// Large batches go as one unit with one fsync. After an error some of them may be stored: publish all again, their ids make that harmless.
//
// It fails with ErrRefused when a message can never be stored, with ErrNotReady, ErrClosed, or what the server answered.
func (b *Bus) PublishBatch(ctx context.Context, msgs []Msg) error {
	for i := range msgs {
		if err := b.check(&msgs[i]); err != nil {
			return err
		}
	}
	if b.closed() {
		return ErrClosed
	}
	ctx, cancel, err := b.whileUp(ctx)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	defer cancel()
	all := unique(msgs)
	if msgs, err = b.unstored(ctx, all); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	b.count(len(all)-len(msgs), len(all)-len(msgs))
	for len(msgs) > 0 {
		n := split(msgs)
		if err := b.publish(ctx, msgs[:n]); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			b.stored.unclear()
			b.diagnose(ctx, err)
			return fmt.Errorf("publish: %w", err)
		}
		msgs = msgs[n:]
	}
	b.streak.Store(0)
	return nil
}

// check refuses what the stream would refuse, before it costs anybody else their batch.
func (b *Bus) check(m *Msg) error {
	size := len(m.Data) + len(m.ID) + len(m.Subject) + 64
	for k, vs := range m.Header {
		for _, v := range vs {
			size += len(k) + len(v) + 4
		}
	}
	switch {
	case m.ID == "":
		return fmt.Errorf("publish: %w: it has no id", ErrRefused)
	case !ValidSubject(m.Subject):
		return fmt.Errorf("publish %s: %w: subject %q is not of the form switchyard.<project>.<what>", m.ID, ErrRefused, m.Subject)
	case size > int(b.cfg.MessageBytes):
		return fmt.Errorf("publish %s: %w: it has about %d bytes, limit %d", m.ID, ErrRefused, size, b.cfg.MessageBytes)
	}
	return nil
}

// unique leaves out messages whose id came before. A cluster refuses an id whose first message is still under way.
func unique(msgs []Msg) []Msg {
	type name struct{ subject, id string }
	seen := make(map[name]struct{}, len(msgs))
	key := func(m *Msg) name { return name{m.Subject, m.ID} }
	for i := range msgs {
		seen[key(&msgs[i])] = struct{}{}
	}
	if len(seen) == len(msgs) {
		return msgs
	}
	clear(seen)
	rest := make([]Msg, 0, len(msgs))
	for i := range msgs {
		if _, ok := seen[key(&msgs[i])]; !ok {
			seen[key(&msgs[i])] = struct{}{}
			rest = append(rest, msgs[i])
		}
	}
	return rest
}

// ValidSubject says whether the stream takes messages with that subject: "switchyard.<project>.<what>", no token empty, without wildcards and spaces.
func ValidSubject(s string) bool {
	tokens := 0
	for token := range strings.SplitSeq(s, ".") {
		if token == "" || tokens == 0 && token != Stream {
			return false
		}
		tokens++
	}
	return tokens >= 3 && !strings.ContainsAny(s, "*> \t\r\n\x00")
}

// Source is where the events of a subject come from, as CloudEvents name it: "switchyard.acme.decisions" is "/switchyard/acme/decisions".
func Source(subject string) string {
	if s, ok := sources.Load(subject); ok {
		return s.(string)
	}
	s := sourceOf(subject)
	if sourcesKnown.Add(1) <= maxSources {
		sources.Store(strings.Clone(subject), s)
	}
	return s
}

// There are few subjects, and every message has its source in its id.
var (
	sources      sync.Map // subject → source
	sourcesKnown atomic.Int64
)

const maxSources = 10_000

func sourceOf(subject string) string {
	var b strings.Builder
	for token := range strings.SplitSeq(subject, ".") {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(token))
	}
	return b.String()
}

// MsgID is the id that the stream knows a message by, "source|id": events of two projects or kinds may have the same id.
func MsgID(subject, id string) string { return Source(subject) + "|" + id }

// split returns how many of the messages go together.
func split(msgs []Msg) int {
	bytes := 0
	for i := range msgs {
		bytes += len(msgs[i].Data)
		if i == batchLimit || i > 0 && bytes > batchBytes {
			return i
		}
	}
	return len(msgs)
}

// publish sends one chunk, as a unit when that pays. A unit that holds a message which the stream already has is refused whole, so its messages then go one by one.
func (b *Bus) publish(ctx context.Context, msgs []Msg) error {
	if len(msgs) >= batchFrom {
		err := b.publishUnit(ctx, msgs)
		var api *jetstream.APIError
		if err == nil || !errors.As(err, &api) {
			return err
		}
		if api.ErrorCode != codeDuplicateInBatch {
			b.log.Debug("batch refused, publishing its messages one by one", "error", err)
		}
	}
	return b.publishEach(ctx, msgs)
}

// publishUnit sends messages as one atomic batch; the answer to the last one stands for all.
func (b *Bus) publishUnit(ctx context.Context, msgs []Msg) error {
	id := strconv.FormatUint(b.batch.Add(1), 36) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	ctx, cancel := context.WithTimeout(ctx, b.cfg.AckTimeout)
	defer cancel()
	last := len(msgs) - 1
	ids := make([]string, len(msgs))
	u := newUnit(id)
	for i := range msgs[:last] {
		ids[i] = MsgID(msgs[i].Subject, msgs[i].ID)
		if err := b.nc.PublishMsg(u.msg(&msgs[i], ids[i])); err != nil {
			return err
		}
	}
	ids[last] = MsgID(msgs[last].Subject, msgs[last].ID)
	m := u.msg(&msgs[last], ids[last])
	m.Header[batchCommitHeader] = []string{"1"}
	answer, err := b.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return err
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Seq   uint64              `json:"seq"` // of the last message
		Count int                 `json:"count"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return fmt.Errorf("read acknowledgement: %w", err)
	}
	if ack.Error != nil {
		return ack.Error
	}
	if ack.Count != len(msgs) {
		return fmt.Errorf("%d of %d messages were acknowledged", ack.Count, len(msgs))
	}
	b.count(len(msgs), 0)
	if b.Embedded() && ack.Seq >= uint64(len(msgs)) {
		b.recent.add(ack.Seq-uint64(last), msgs, ids, time.Now())
	}
	return nil
}

const (
	batchIDHeader     = "Nats-Batch-Id"
	batchSeqHeader    = "Nats-Batch-Sequence"
	batchCommitHeader = "Nats-Batch-Commit"
)

// unit makes the messages of one batch, one after the other in the same memory: the connection has encoded a message when it has taken it.
type unit struct {
	out         nats.Msg
	id, name, n [1]string
	seq         int
}

func newUnit(id string) *unit {
	return &unit{out: nats.Msg{Header: nats.Header{}}, id: [1]string{id}}
}

// msg returns the next message of the batch; it is valid until the next call.
func (u *unit) msg(m *Msg, id string) *nats.Msg {
	u.seq++
	u.name[0], u.n[0] = id, strconv.Itoa(u.seq)
	h := u.out.Header
	clear(h)
	maps.Copy(h, m.Header)
	h[jetstream.MsgIDHeader], h[batchIDHeader], h[batchSeqHeader] = u.name[:], u.id[:], u.n[:]
	u.out.Subject, u.out.Data = m.Subject, m.Data
	return &u.out
}

func natsMsg(m *Msg) *nats.Msg {
	h := make(nats.Header, len(m.Header)+4)
	maps.Copy(h, m.Header)
	h[jetstream.MsgIDHeader] = []string{MsgID(m.Subject, m.ID)}
	return &nats.Msg{Subject: m.Subject, Data: m.Data, Header: h}
}

// publishEach sends messages one by one, a window of them at a time without waiting for the acknowledgement.
func (b *Bus) publishEach(ctx context.Context, msgs []Msg) error {
	futures := make([]jetstream.PubAckFuture, 0, len(msgs))
	repeated, acked := 0, 0
	await := func(i int) error {
		f := futures[i]
		select {
		case ack := <-f.Ok():
			if acked++; ack.Duplicate {
				repeated++
			} else if b.Embedded() {
				b.recent.add(ack.Sequence, msgs[i:i+1], []string{f.Msg().Header[jetstream.MsgIDHeader][0]}, time.Now())
			}
			return nil
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { b.count(acked, repeated) }()
	for i := range msgs {
		if i >= b.cfg.MaxInflight {
			if err := await(i - b.cfg.MaxInflight); err != nil {
				return err
			}
		}
		f, err := b.js.PublishMsgAsync(natsMsg(&msgs[i]))
		if err != nil {
			return err
		}
		futures = append(futures, f)
	}
	for i := max(0, len(futures)-b.cfg.MaxInflight); i < len(futures); i++ {
		if err := await(i); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) count(published, repeated int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Published += uint64(published)
	b.stats.Repeated += uint64(repeated)
}

// diagnose decides whether a failed publish means that the server's store has failed. After a write error the store refuses everything until the
// server is restarted, however much room there is by then.
func (b *Bus) diagnose(ctx context.Context, err error) {
	b.note(err)
	var api *jetstream.APIError
	switch {
	case ctx.Err() != nil || b.closed():
	case errors.As(err, &api):
		switch int(api.ErrorCode) {
		case codeTooLarge, codeHeaderTooLarge, codeStreamMismatch, codeDuplicateInBatch, codeInProcess:
		default:
			b.report(err.Error())
		}
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		b.report(err.Error())
	default:
		// An acknowledgement that does not come may be a slow disk once, but hardly twice.
		if b.streak.Add(1) >= 2 {
			b.report(err.Error())
		}
	}
}
