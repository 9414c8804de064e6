package events

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// steps are the migrations of the service's tables. next is when a delivery is tried, leased until when somebody is at it, state one of DeliveryState; body is dropped when
// it was delivered.
var steps = []string{
	`CREATE TABLE webhooks (
		id           TEXT   NOT NULL PRIMARY KEY,
		project      TEXT   NOT NULL,
		spec         BLOB   NOT NULL,
		state        BIGINT NOT NULL,
		state_reason TEXT   NOT NULL,
		secret       BLOB   NOT NULL,
		old_secret   BLOB   NOT NULL,
		old_until    BIGINT NOT NULL,
		rotation     TEXT   NOT NULL,
		since        BIGINT NOT NULL,
		created      BIGINT NOT NULL,
		updated      BIGINT NOT NULL,
		failing      BIGINT NOT NULL,
		succeeded    BIGINT NOT NULL,
		pending      BIGINT NOT NULL,
		dead         BIGINT NOT NULL
	);
	CREATE INDEX webhooks_by_project ON webhooks (project, created, id);
	CREATE TABLE webhook_deliveries (
		id         TEXT   NOT NULL PRIMARY KEY,
		webhook    TEXT   NOT NULL,
		message_id TEXT   NOT NULL,
		event_id   TEXT   NOT NULL,
		event_type TEXT   NOT NULL,
		body       BLOB   NOT NULL,
		state      BIGINT NOT NULL,
		attempts   BIGINT NOT NULL,
		next       BIGINT NOT NULL,
		leased     BIGINT NOT NULL,
		created    BIGINT NOT NULL,
		tried      BIGINT NOT NULL,
		status     BIGINT NOT NULL,
		error      TEXT   NOT NULL,
		latency    BIGINT NOT NULL
	);
	CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, state, next, id);
	CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (webhook, id);
	CREATE INDEX webhook_deliveries_old ON webhook_deliveries (state, created)`,
}

// webhook is a row of webhooks.
type webhook struct {
	id, project, reason string
	spec                *eventsv1.WebhookSpec
	state               eventsv1.WebhookState
	secret, old         []byte // as they are stored, see vault
	oldUntil            time.Time
	rotation            string    // seed of the call that made the secret; "" for none
	since               time.Time // events that were stored before are not sent
	created, updated    time.Time
	failing, succeeded  time.Time
	pending, dead       int64
}

const webhookColumns = `id, project, spec, state, state_reason, secret, old_secret, old_until, rotation, since, created, updated, failing, succeeded, pending, dead`

func scanWebhook(scan func(...any) error) (*webhook, error) {
	w := &webhook{spec: &eventsv1.WebhookSpec{}}
	var spec []byte
	var oldUntil, since, created, updated, failing, succeeded int64
	err := scan(&w.id, &w.project, &spec, &w.state, &w.reason, &w.secret, &w.old, &oldUntil, &w.rotation, &since, &created, &updated, &failing, &succeeded, &w.pending, &w.dead)
	if err != nil {
		return nil, err
	}
	w.oldUntil, w.since, w.created, w.updated = db.Time(oldUntil), db.Time(since), db.Time(created), db.Time(updated)
	w.failing, w.succeeded = db.Time(failing), db.Time(succeeded)
	if err := proto.Unmarshal(spec, w.spec); err != nil {
		return nil, fmt.Errorf("webhook %s: %w", w.id, err)
	}
	return w, nil
}

// getWebhook reads one webhook of a project, or of any project when that is empty; nil when there is none.
func getWebhook(tx *db.Tx, project, id string) (w *webhook, err error) {
	err = tx.Each(`SELECT `+webhookColumns+` FROM webhooks WHERE id = ? AND (project = ? OR ? = '')`, []any{id, project, project}, func(scan func(...any) error) error {
		w, err = scanWebhook(scan)
		return err
	})
	return w, err
}

// enabledWebhooks reads the webhooks that events are sent to.
func enabledWebhooks(tx *db.Tx) (all []*webhook, err error) {
	err = tx.Each(`SELECT `+webhookColumns+` FROM webhooks WHERE state = ? ORDER BY created, id`, []any{eventsv1.WebhookState_WEBHOOK_STATE_ENABLED}, func(scan func(...any) error) error {
		w, err := scanWebhook(scan)
		all = append(all, w)
		return err
	})
	return all, err
}

// putWebhook writes all columns of a webhook but its counters, which only countDeliveries changes.
func putWebhook(tx *db.Tx, w *webhook) error {
	spec, err := proto.Marshal(w.spec)
	if err != nil {
		return fmt.Errorf("encode webhook: %w", err)
	}
	old := w.old
	if old == nil {
		old = []byte{}
	}
	_, err = tx.Exec(`INSERT INTO webhooks (`+webhookColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)
		ON CONFLICT (id) DO UPDATE SET spec = excluded.spec, state = excluded.state, state_reason = excluded.state_reason, secret = excluded.secret,
			old_secret = excluded.old_secret, old_until = excluded.old_until, rotation = excluded.rotation, since = excluded.since, updated = excluded.updated,
			failing = excluded.failing, succeeded = excluded.succeeded`,
		w.id, w.project, spec, w.state, w.reason, w.secret, old, db.Micros(w.oldUntil), w.rotation, db.Micros(w.since), db.Micros(w.created), db.Micros(w.updated),
		db.Micros(w.failing), db.Micros(w.succeeded))
	return err
}

// countDeliveries changes the counters of a webhook.
func countDeliveries(tx *db.Tx, id string, pending, dead int64) error {
	if pending == 0 && dead == 0 {
		return nil
	}
	_, err := tx.Exec(`UPDATE webhooks SET pending = pending + ?, dead = dead + ? WHERE id = ?`, pending, dead, id)
	return err
}

// secrets returns those that sign at that time, the newest first.
func (w *webhook) secrets(v vault, now time.Time) ([][]byte, error) {
	stored := [][]byte{w.secret}
	if len(w.old) > 0 && now.Before(w.oldUntil) {
		stored = append(stored, w.old)
	}
	for i := range stored {
		var err error
		if stored[i], err = v.open(w.id, stored[i]); err != nil {
			return nil, err
		}
	}
	return stored, nil
}

func (w *webhook) message() *eventsv1.Webhook {
	return &eventsv1.Webhook{
		WebhookId: w.id, Spec: w.spec, State: w.state, StateReason: w.reason, CreateTime: stamp(w.created), UpdateTime: stamp(w.updated),
		FailingSince: stamp(w.failing), LastSuccessTime: stamp(w.succeeded), Pending: w.pending, Dead: w.dead,
	}
}

func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// delivery is a row of webhook_deliveries.
type delivery struct {
	id, webhook, messageID, eventID, eventType string
	body                                       []byte
	state                                      eventsv1.DeliveryState
	attempts                                   int
	next, leased, created, tried               time.Time
	status                                     int
	problem                                    string
	latency                                    time.Duration
}

const deliveryColumns = `id, webhook, message_id, event_id, event_type, body, state, attempts, next, leased, created, tried, status, error, latency`

func scanDelivery(scan func(...any) error) (*delivery, error) {
	d := &delivery{}
	var next, leased, created, tried, latency int64
	err := scan(&d.id, &d.webhook, &d.messageID, &d.eventID, &d.eventType, &d.body, &d.state, &d.attempts, &next, &leased, &created, &tried, &d.status, &d.problem, &latency)
	d.next, d.leased, d.created, d.tried, d.latency = db.Time(next), db.Time(leased), db.Time(created), db.Time(tried), time.Duration(latency)*time.Microsecond
	return d, err
}

func addDelivery(tx *db.Tx, d *delivery) error {
	_, err := tx.Exec(`INSERT INTO webhook_deliveries (`+deliveryColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)`,
		d.id, d.webhook, d.messageID, d.eventID, d.eventType, d.body, d.state, d.attempts, db.Micros(d.next), db.Micros(d.created), db.Micros(d.tried), d.status, d.problem, d.latency.Microseconds())
	return err
}

// setDelivery writes what an attempt changed; nobody is at it any more.
func setDelivery(tx *db.Tx, d *delivery) error {
	body := d.body
	if d.state == eventsv1.DeliveryState_DELIVERY_STATE_DELIVERED {
		body = []byte{} // it is not sent again
	}
	_, err := tx.Exec(`UPDATE webhook_deliveries SET body = ?, state = ?, attempts = ?, next = ?, leased = 0, tried = ?, status = ?, error = ?, latency = ? WHERE id = ?`,
		body, d.state, d.attempts, db.Micros(d.next), db.Micros(d.tried), d.status, d.problem, d.latency.Microseconds(), d.id)
	return err
}

func (d *delivery) message() *eventsv1.Delivery {
	m := &eventsv1.Delivery{
		DeliveryId: d.id, MessageId: d.messageID, EventId: d.eventID, EventType: d.eventType, State: d.state, Attempts: int32(d.attempts), CreateTime: stamp(d.created),
	}
	if d.state == eventsv1.DeliveryState_DELIVERY_STATE_PENDING {
		m.NextAttemptTime = stamp(d.next)
	}
	if !d.tried.IsZero() {
		m.LastAttempt = &eventsv1.Attempt{Time: stamp(d.tried), Status: int32(d.status), Error: d.problem, Latency: durationpb.New(d.latency)}
	}
	return m
}
