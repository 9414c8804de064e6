package events

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/outbox"
)

const (
	pending   = eventsv1.DeliveryState_DELIVERY_STATE_PENDING
	delivered = eventsv1.DeliveryState_DELIVERY_STATE_DELIVERED
	dead      = eventsv1.DeliveryState_DELIVERY_STATE_DEAD
	enabled   = eventsv1.WebhookState_WEBHOOK_STATE_ENABLED
	suspended = eventsv1.WebhookState_WEBHOOK_STATE_SUSPENDED
)

// Run sends events to webhooks until the context ends, and then returns nil.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { s.send(ctx) })
	wg.Go(func() { s.prune(ctx) })
	failed = s.dispatch(ctx)
	wg.Wait()
	return failed
}

// send keeps one sender for every webhook that is enabled. Each ends by itself when its webhook is not any more.
func (s *Service) send(ctx context.Context) {
	heard, stop := s.db.Listen(topicWebhooks)
	defer stop()
	var mu sync.Mutex
	var wg sync.WaitGroup
	running := map[string]bool{}
	for ctx.Err() == nil {
		var hooks []*webhook
		err := s.db.View(ctx, func(tx *db.Tx) (err error) {
			hooks, err = enabledWebhooks(tx)
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "webhooks cannot be read", "error", err)
		}
		for _, w := range hooks {
			mu.Lock()
			began := running[w.id]
			running[w.id] = true
			mu.Unlock()
			if began {
				continue
			}
			wg.Go(func() {
				(&sender{s: s, id: w.id, results: make(chan result), inFlight: map[string]bool{}}).run(ctx)
				mu.Lock()
				defer mu.Unlock()
				delete(running, w.id)
			})
		}
		select {
		case <-ctx.Done():
		case <-heard:
		case <-time.After(lookInterval):
		}
	}
	wg.Wait()
}

// sender sends the events of one webhook. What it takes from the table it leases: another process leaves it alone, and after a crash it is due again when the lease ends.
type sender struct {
	s        *Service
	id       string
	inFlight map[string]bool // ids of what is on its way
	results  chan result
}

type result struct {
	d     *delivery
	a     attempt
	ended bool // the process ended meanwhile: it does not count
}

// leaseMargin is how much longer than an attempt a lease lasts.
const leaseMargin = 15 * time.Second

func (u *sender) run(ctx context.Context) {
	heard, stop := u.s.db.Listen(topicOf(u.id))
	defer stop()
	var done []result
	for {
		w, batch, next, err := u.step(ctx, done)
		if err == nil {
			done = nil
		} else if ctx.Err() == nil {
			u.s.log.WarnContext(ctx, "a webhook cannot go on", "webhook", u.id, "error", err)
			next = u.s.now().Add(time.Second)
		}
		if ctx.Err() != nil || err == nil && w == nil && len(u.inFlight) == 0 {
			u.finish(ctx, done)
			return
		}
		for _, d := range batch {
			u.inFlight[d.id] = true
			go u.attempt(ctx, w, d)
		}
		wake, stopWake := u.s.clock.Wake(next)
		select {
		case r := <-u.results:
			delete(u.inFlight, r.d.id)
			done = append(done, r)
			for more := true; more; { // what came at the same time is written with it
				select {
				case r := <-u.results:
					delete(u.inFlight, r.d.id)
					done = append(done, r)
				default:
					more = false
				}
			}
		case <-heard:
		case <-wake:
		case <-ctx.Done():
		}
		stopWake()
	}
}

// attempt sends one event.
func (u *sender) attempt(ctx context.Context, w *webhook, d *delivery) {
	select {
	case u.s.slots <- struct{}{}:
	case <-ctx.Done():
		u.results <- result{d: d, ended: true}
		return
	}
	r := result{d: d, ended: true}
	// A delivery that waited long for its turn is not sent: its lease may end meanwhile, and another process take it.
	if u.s.now().Before(d.leased.Add(-u.s.config.Webhooks.Timeout)) {
		r.a = u.s.try(ctx, w, d.messageID, d.body)
		r.ended = ctx.Err() != nil && r.a.status == 0
	}
	<-u.s.slots
	u.results <- r
}

// finish waits for what is on its way and writes how it went.
func (u *sender) finish(ctx context.Context, done []result) {
	for range u.inFlight {
		done = append(done, <-u.results)
	}
	if len(done) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := u.s.db.Tx(ctx, func(tx *db.Tx) error { return u.record(tx, done) })
	if err != nil {
		u.s.log.WarnContext(ctx, "deliveries are made again", "webhook", u.id, "error", err)
	}
}

// step writes results, and takes what is due. It returns the webhook, nil when it is not to send any more; what to send; and when to look again.
func (u *sender) step(ctx context.Context, done []result) (w *webhook, batch []*delivery, next time.Time, err error) {
	free := u.s.config.Webhooks.Concurrency - len(u.inFlight)
	look := func(tx *db.Tx) (err error) {
		batch, next = nil, u.s.now().Add(lookInterval)
		if w, err = getWebhook(tx, "", u.id); err != nil {
			return err
		}
		if w == nil || w.state != enabled {
			w = nil
			return nil
		}
		if free <= 0 {
			return nil
		}
		now := u.s.now()
		return tx.Each(`SELECT `+deliveryColumns+` FROM webhook_deliveries WHERE webhook = ? AND state = ? ORDER BY next, id LIMIT ?`, []any{u.id, pending, free + len(u.inFlight)}, func(scan func(...any) error) error {
			d, err := scanDelivery(scan)
			if err != nil {
				return err
			}
			if u.inFlight[d.id] || len(batch) == free {
				return nil
			}
			if d.next.After(now) {
				if d.next.Before(next) {
					next = d.next
				}
				return nil
			}
			batch = append(batch, d)
			return nil
		})
	}
	if len(done) == 0 {
		// Looking is cheap and keeps nobody from writing.
		if err := u.s.db.View(ctx, look); err != nil || len(batch) == 0 {
			return w, nil, next, err
		}
	}
	err = u.s.db.Tx(ctx, func(tx *db.Tx) error {
		if err := u.record(tx, done); err != nil {
			return err
		}
		if err := look(tx); err != nil {
			return err
		}
		until := u.s.now().Add(u.s.config.Webhooks.Timeout + leaseMargin)
		for _, d := range batch {
			if _, err := tx.Exec(`UPDATE webhook_deliveries SET next = ?, leased = ? WHERE id = ?`, db.Micros(until), db.Micros(until), d.id); err != nil {
				return err
			}
			d.leased = until
		}
		return nil
	})
	if err != nil {
		return nil, nil, next, err
	}
	return w, batch, next, nil
}

// record writes how attempts went.
func (u *sender) record(tx *db.Tx, done []result) error {
	if len(done) == 0 {
		return nil
	}
	w, err := getWebhook(tx, "", u.id)
	if err != nil || w == nil {
		return err
	}
	var waiting, lost int64
	for _, r := range done {
		d := r.d
		ours, err := stillOurs(tx, &r)
		if err != nil {
			return err
		}
		if !ours {
			continue
		}
		if r.ended {
			d.next = u.s.now()
		} else {
			u.judge(w, d, r.a)
		}
		if err := setDelivery(tx, d); err != nil {
			return err
		}
		switch d.state {
		case delivered:
			waiting--
		case dead:
			waiting--
			lost++
		case pending, eventsv1.DeliveryState_DELIVERY_STATE_UNSPECIFIED:
		}
	}
	if err := countDeliveries(tx, w.id, waiting, lost); err != nil {
		return err
	}
	if w.state == suspended && w.reason != "" {
		if err := u.s.tellSuspended(tx, w); err != nil {
			return err
		}
	}
	return putWebhook(tx, w)
}

// stillOurs says whether a result counts: not when another process has taken the delivery meanwhile, unless the receiver took the event, which ends it for everybody.
func stillOurs(tx *db.Tx, r *result) (bool, error) {
	var state eventsv1.DeliveryState
	var leased int64
	ok, err := tx.Get(`SELECT state, leased FROM webhook_deliveries WHERE id = ?`, []any{r.d.id}, &state, &leased)
	took := !r.ended && r.a.problem == ""
	return ok && state == pending && (took || leased == db.Micros(r.d.leased)), err
}

// judge says what an attempt means for the delivery and for the webhook.
func (u *sender) judge(w *webhook, d *delivery, a attempt) {
	now := u.s.now()
	d.attempts++
	d.tried, d.status, d.problem, d.latency = a.began, a.status, a.problem, a.latency
	if a.problem == "" {
		d.state, d.next = delivered, time.Time{}
		w.succeeded, w.failing = now, time.Time{}
		return
	}
	if w.failing.IsZero() {
		w.failing = a.began
	}
	pause, again := nextPause(d.attempts, u.s.jitter(), a.asked)
	if d.next = now.Add(pause); !again || a.status == http.StatusGone {
		d.state, d.next = dead, time.Time{}
	}
	if w.state != enabled {
		return
	}
	switch {
	case a.status == http.StatusGone:
		w.state, w.reason = suspended, "the receiver answered 410 Gone"
	case now.Sub(w.failing) >= u.s.config.Webhooks.SuspendAfter:
		w.state, w.reason = suspended, "nothing arrived since "+w.failing.Format(time.RFC3339)
	}
}

// tellSuspended makes an event of it, once.
func (s *Service) tellSuspended(tx *db.Tx, w *webhook) error {
	var before eventsv1.WebhookState
	if ok, err := tx.Get(`SELECT state FROM webhooks WHERE id = ?`, []any{w.id}, &before); err != nil || !ok || before == suspended {
		return err
	}
	s.log.Warn("webhook suspended", "webhook", w.id, "project", w.project, "reason", w.reason)
	tx.Notify(topicWebhooks)
	return outbox.Put(tx, outbox.Event{
		Project: w.project, Kind: "webhooks", ID: fmt.Sprintf("%s-%d", w.id, db.Micros(s.now())), Message: w.message(),
		Attributes: cloudevent.Attributes{Type: "switchyard.webhook.suspended", Subject: w.id},
	})
}
