package events

import (
	"cmp"
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
)

// Topics that wake those who send: webhooks changed, and a webhook has something to send.
const topicWebhooks = "events.webhooks"

func topicOf(webhook string) string { return "events.webhook." + webhook }

const defaultGrace = 24 * time.Hour

// newID returns a UUIDv7.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// now is the time to the microsecond, as tables keep it.
func (s *Service) now() time.Time { return s.clock.Now().UTC().Truncate(time.Microsecond) }

// checkSpec refuses a webhook whose URL may not be called.
func (s *Service) checkSpec(spec *eventsv1.WebhookSpec) error {
	if _, err := s.policy.URL(spec.GetUrl()); err != nil {
		return fault.InvalidField("spec.url", "%s", err.Error())
	}
	return nil
}

// CreateWebhook makes a webhook. A call that is repeated under its idempotency key finds what it made.
func (s *Service) CreateWebhook(ctx context.Context, req *eventsv1.CreateWebhookRequest) (*eventsv1.CreateWebhookResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.checkSpec(req.GetSpec()); err != nil {
		return nil, err
	}
	now := s.now()
	w := &webhook{
		id: cmp.Or(telemetry.Seed(ctx), newID()), project: project, spec: req.GetSpec(), state: eventsv1.WebhookState_WEBHOOK_STATE_ENABLED,
		since: now, created: now, updated: now,
	}
	w.secret = s.vault.seal(w.id, newSecret())
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if made, err := getWebhook(tx, project, w.id); err != nil || made != nil {
			w = cmp.Or(made, w)
			return err
		}
		n := 0
		if _, err := tx.Get(`SELECT COUNT(*) FROM webhooks WHERE project = ?`, []any{project}, &n); err != nil {
			return err
		}
		if n >= s.config.Webhooks.MaxPerProject {
			return fault.QuotaExceeded("webhooks", int64(s.config.Webhooks.MaxPerProject))
		}
		tx.Notify(topicWebhooks)
		return putWebhook(tx, w)
	})
	if err != nil {
		return nil, err
	}
	secret, err := s.vault.open(w.id, w.secret)
	if err != nil {
		return nil, err
	}
	return &eventsv1.CreateWebhookResponse{Webhook: w.message(), Secret: secretText(secret)}, nil
}

// ListWebhooks lists the webhooks of the project, oldest first.
func (s *Service) ListWebhooks(ctx context.Context, req *eventsv1.ListWebhooksRequest) (*eventsv1.ListWebhooksResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	after, _, err := db.ParseToken(req.GetPage().GetToken(), "webhooks", "", 1)
	if err != nil {
		return nil, err
	}
	from := ""
	if len(after) > 0 {
		from = after[0]
	}
	res, size := &eventsv1.ListWebhooksResponse{Page: &commonv1.PageResponse{}}, db.PageSize(req.GetPage().GetSize())
	err = s.db.View(ctx, func(tx *db.Tx) error {
		// Ids are UUIDv7: their order is that of time.
		return tx.Each(`SELECT `+webhookColumns+` FROM webhooks WHERE project = ? AND id > ? ORDER BY id LIMIT ?`, []any{project, from, size + 1}, func(scan func(...any) error) error {
			w, err := scanWebhook(scan)
			if err != nil {
				return err
			}
			res.Webhooks = append(res.Webhooks, w.message())
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(res.Webhooks) > size {
		res.Webhooks = res.Webhooks[:size]
		res.Page.NextToken = db.Token("webhooks", "", res.Webhooks[size-1].GetWebhookId())
	}
	return res, nil
}

// change changes one webhook of the caller's project.
func (s *Service) change(ctx context.Context, id string, fn func(*webhook) error) (w *webhook, err error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		if w, err = getWebhook(tx, project, id); err != nil {
			return err
		}
		if w == nil {
			return fault.NotFound("webhook", id)
		}
		if err := fn(w); err != nil {
			return err
		}
		tx.Notify(topicWebhooks)
		tx.Notify(topicOf(id))
		return putWebhook(tx, w)
	})
	return w, err
}

// UpdateWebhook replaces what a project says of a webhook.
func (s *Service) UpdateWebhook(ctx context.Context, req *eventsv1.UpdateWebhookRequest) (*eventsv1.UpdateWebhookResponse, error) {
	if err := s.checkSpec(req.GetSpec()); err != nil {
		return nil, err
	}
	w, err := s.change(ctx, req.GetWebhookId(), func(w *webhook) error {
		now := s.now()
		w.spec, w.updated = req.GetSpec(), now
		switch {
		case req.GetDisabled():
			w.state, w.reason = eventsv1.WebhookState_WEBHOOK_STATE_DISABLED, ""
		case w.state != eventsv1.WebhookState_WEBHOOK_STATE_ENABLED:
			w.state, w.reason, w.failing, w.since = eventsv1.WebhookState_WEBHOOK_STATE_ENABLED, "", time.Time{}, now
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &eventsv1.UpdateWebhookResponse{Webhook: w.message()}, nil
}

// DeleteWebhook removes a webhook; its deliveries go a little later.
func (s *Service) DeleteWebhook(ctx context.Context, req *eventsv1.DeleteWebhookRequest) (*eventsv1.DeleteWebhookResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		tx.Notify(topicWebhooks)
		tx.Notify(topicOf(req.GetWebhookId()))
		_, err := tx.Exec(`DELETE FROM webhooks WHERE project = ? AND id = ?`, project, req.GetWebhookId())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &eventsv1.DeleteWebhookResponse{}, nil
}

// RotateSecret makes a new secret; the old one signs too until the grace period is over.
func (s *Service) RotateSecret(ctx context.Context, req *eventsv1.RotateSecretRequest) (*eventsv1.RotateSecretResponse, error) {
	grace := defaultGrace
	if req.GetGrace() != nil {
		grace = req.GetGrace().AsDuration()
	}
	seed := telemetry.Seed(ctx)
	w, err := s.change(ctx, req.GetWebhookId(), func(w *webhook) error {
		if seed != "" && w.rotation == seed {
			return nil // this call was made before, and its answer was lost
		}
		now := s.now()
		w.old, w.oldUntil, w.secret, w.rotation, w.updated = w.secret, now.Add(grace), s.vault.seal(w.id, newSecret()), seed, now
		return nil
	})
	if err != nil {
		return nil, err
	}
	secret, err := s.vault.open(w.id, w.secret)
	if err != nil {
		return nil, err
	}
	return &eventsv1.RotateSecretResponse{Secret: secretText(secret), OldExpireTime: stamp(w.oldUntil)}, nil
}

// get reads one webhook of the caller's project.
func (s *Service) get(ctx context.Context, id string) (w *webhook, err error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		w, err = getWebhook(tx, project, id)
		return err
	})
	if err == nil && w == nil {
		err = fault.NotFound("webhook", id)
	}
	return w, err
}

// TestWebhook sends one event at once.
func (s *Service) TestWebhook(ctx context.Context, req *eventsv1.TestWebhookRequest) (*eventsv1.TestWebhookResponse, error) {
	w, err := s.get(ctx, req.GetWebhookId())
	if err != nil {
		return nil, err
	}
	id, now := newID(), s.now()
	e := envelope{
		SpecVersion: "1.0", ID: id, Source: "/switchyard/" + w.project + "/webhooks", Type: "switchyard.webhook.test", Time: now, Timestamp: now, Subject: w.id,
		DataContentType: "application/json", Data: json.RawMessage(`{}`),
	}
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	a := s.try(ctx, w, messageID(e.Source+"|"+id), body)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return &eventsv1.TestWebhookResponse{Attempt: &eventsv1.Attempt{
		Time: stamp(a.began), Status: int32(a.status), Error: a.problem, Latency: durationpb.New(a.latency),
	}}, nil
}

// ListDeliveries lists what was sent, is to be sent or could not be sent, newest first.
func (s *Service) ListDeliveries(ctx context.Context, req *eventsv1.ListDeliveriesRequest) (*eventsv1.ListDeliveriesResponse, error) {
	w, err := s.get(ctx, req.GetWebhookId())
	if err != nil {
		return nil, err
	}
	filter := w.id + "|" + req.GetState().String()
	after, more, err := db.ParseToken(req.GetPage().GetToken(), "deliveries", filter, 1)
	if err != nil {
		return nil, err
	}
	before := "~" // after every id
	if more {
		before = after[0]
	}
	res, size := &eventsv1.ListDeliveriesResponse{Page: &commonv1.PageResponse{}}, db.PageSize(req.GetPage().GetSize())
	query, args := `SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE webhook = ? AND id < ?`, []any{w.id, before}
	if st := req.GetState(); st != eventsv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED {
		query, args = query+` AND state = ?`, append(args, st)
	}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(query+` ORDER BY id DESC LIMIT ?`, append(args, size+1), func(scan func(...any) error) error {
			d, err := scanDelivery(scan)
			if err != nil {
				return err
			}
			res.Deliveries = append(res.Deliveries, d.message())
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(res.Deliveries) > size {
		res.Deliveries = res.Deliveries[:size]
		res.Page.NextToken = db.Token("deliveries", filter, res.Deliveries[size-1].GetDeliveryId())
	}
	return res, nil
}

// ReplayDelivery sends an event again that is dead, or at once that waits.
func (s *Service) ReplayDelivery(ctx context.Context, req *eventsv1.ReplayDeliveryRequest) (*eventsv1.ReplayDeliveryResponse, error) {
	w, err := s.get(ctx, req.GetWebhookId())
	if err != nil {
		return nil, err
	}
	var d *delivery
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		err := tx.Each(`SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE webhook = ? AND id = ?`, []any{w.id, req.GetDeliveryId()}, func(scan func(...any) error) (err error) {
			d, err = scanDelivery(scan)
			return err
		})
		if err != nil {
			return err
		}
		if d == nil {
			return fault.NotFound("delivery", req.GetDeliveryId())
		}
		switch d.state {
		case eventsv1.DeliveryState_DELIVERY_STATE_DELIVERED:
			return fault.InvalidField("delivery_id", "was delivered")
		case eventsv1.DeliveryState_DELIVERY_STATE_DEAD:
			d.state, d.attempts = eventsv1.DeliveryState_DELIVERY_STATE_PENDING, 0
			if err := countDeliveries(tx, w.id, 1, -1); err != nil {
				return err
			}
		case eventsv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED, eventsv1.DeliveryState_DELIVERY_STATE_PENDING:
			if d.leased.After(s.now()) {
				return nil // it is on its way
			}
		}
		d.next = s.now()
		tx.Notify(topicOf(w.id))
		return setDelivery(tx, d)
	})
	if err != nil {
		return nil, err
	}
	return &eventsv1.ReplayDeliveryResponse{Delivery: d.message()}, nil
}
