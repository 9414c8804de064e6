// Package outbox carries what a service did to the bus. The event is a row that is written in the same transaction as the change itself: there is
// never one without the other, also after a crash. A relay publishes the rows in order, again and again until the bus has acknowledged them, and then
// deletes them.
//
//	err := d.Tx(ctx, func(tx *db.Tx) error {
//		… the change …
//		return outbox.Put(tx, outbox.Event{Project: p, Kind: "verdicts", ID: verdictID, Message: verdict})
//	})
//
// That is all a service does; its transaction wakes the relay. The tables must be there: call Migrate once before the first Put.
package outbox

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/db"
)

var schema = []string{
	`CREATE TABLE outbox (
		seq     BIGINT NOT NULL PRIMARY KEY,
		subject TEXT   NOT NULL,
		id      TEXT   NOT NULL,
		header  TEXT   NOT NULL,
		data    BLOB   NOT NULL,
		written BIGINT NOT NULL
	);
	CREATE TABLE outbox_counter (one BIGINT NOT NULL PRIMARY KEY, last BIGINT NOT NULL);
	INSERT INTO outbox_counter (one, last) VALUES (1, 0)`,
}

// Migrate makes the outbox's tables.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "outbox", schema) }

// topic is how a commit wakes the relay.
const topic = "outbox"

// Limits of one event. The bus's own limit, bus.message_bytes, is not below.
const (
	MaxData   = 1 << 20
	maxHeader = 16 << 10
)

// Event is what happened. On the bus it is a CloudEvent; what is not said here of its attributes has defaults (see internal/cloudevent).
type Event struct {
	Project string // whose; one token of a subject
	Kind    string // "verdicts", "feedback", "jobs", "deployments", …; several tokens with dots between them are fine
	ID      string // of the event, unique for ever among those of its project and kind; a consumer's inbox remembers it

	// Message is what is told; it becomes Data, and readers learn its schema. Subscribers and webhooks get it as a message and as JSON.
	Message proto.Message
	// Data instead of Message, when it is no protobuf message; at most MaxData bytes.
	Data []byte

	cloudevent.Attributes
	Header map[string][]string // further headers; optional
}

// Put writes an event in a transaction. It fails when the event can never be published, so that the change is not made either.
func Put(tx *db.Tx, e Event) error {
	subject := bus.Stream + "." + e.Project + "." + e.Kind
	err := e.encode()
	var header string
	if err == nil {
		h := cloudevent.Header(subject, e.ID, e.Attributes)
		maps.Copy(h, e.Header)
		header, err = encodeHeader(h)
	}
	switch {
	case err != nil:
		return fmt.Errorf("outbox: %w", err)
	case e.ID == "" || len(e.ID) > 256:
		return fmt.Errorf("outbox: an id has 1 to 256 bytes, not %d", len(e.ID))
	case strings.Contains(e.Project, ".") || !bus.ValidSubject(subject):
		return fmt.Errorf("outbox: event %s: %q is not a subject of the bus", e.ID, subject)
	case len(e.Data) > MaxData || len(header) > maxHeader:
		return fmt.Errorf("outbox: event %s has %d bytes and %d in its header, at most %d and %d", e.ID, len(e.Data), len(header), MaxData, maxHeader)
	}
	var seq int64
	// The counter orders events as their transactions commit: its row is locked until then.
	if ok, err := tx.Get(`UPDATE outbox_counter SET last = last + 1 WHERE one = 1 RETURNING last`, nil, &seq); err != nil || !ok {
		return fmt.Errorf("outbox: count event %s: %w", e.ID, errors.Join(err, missing(ok)))
	}
	data := e.Data
	if data == nil {
		data = []byte{}
	}
	_, err = tx.Exec(`INSERT INTO outbox (seq, subject, id, header, data, written) VALUES (?, ?, ?, ?, ?, ?)`,
		seq, subject, e.ID, header, data, db.Micros(time.Now()))
	if err != nil {
		return fmt.Errorf("outbox: write event %s: %w", e.ID, err)
	}
	tx.Notify(topic)
	return nil
}

// encode turns Message into Data.
func (e *Event) encode() (err error) {
	if e.Message != nil {
		e.Schema = string(e.Message.ProtoReflect().Descriptor().FullName())
		e.Data, err = proto.Marshal(e.Message)
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	return err
}

func missing(ok bool) error {
	if ok {
		return nil
	}
	return errors.New("the outbox has no counter: it was not migrated")
}
