package events

import (
	"context"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

const (
	keepDelivered = 7 * 24 * time.Hour
	keepDead      = 30 * 24 * time.Hour
	pruneInterval = 10 * time.Minute
	pruneBatch    = 500
)

// prune removes deliveries that are not listed any more, until the context ends.
func (s *Service) prune(ctx context.Context) {
	for ctx.Err() == nil {
		for more := true; more && ctx.Err() == nil; {
			n, err := s.forget(ctx)
			if err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "old deliveries cannot be removed", "error", err)
			}
			more = err == nil && n == pruneBatch
		}
		select {
		case <-ctx.Done():
		case <-time.After(pruneInterval):
		}
	}
}

// forget removes up to pruneBatch deliveries: delivered ones, dead ones, and those of webhooks that are gone.
func (s *Service) forget(ctx context.Context) (n int, err error) {
	now := s.now()
	type old struct {
		id, webhook string
		state       int64
	}
	var all []old
	err = s.db.View(ctx, func(tx *db.Tx) error { // looking through the whole table must not keep anybody from writing
		return tx.Each(`SELECT id, webhook, state FROM webhook_deliveries
			WHERE state = ? AND created < ? OR state = ? AND created < ? OR NOT EXISTS (SELECT 1 FROM webhooks WHERE webhooks.id = webhook_deliveries.webhook) LIMIT ?`,
			[]any{delivered, db.Micros(now.Add(-keepDelivered)), dead, db.Micros(now.Add(-keepDead)), pruneBatch}, func(scan func(...any) error) error {
				var o old
				err := scan(&o.id, &o.webhook, &o.state)
				all = append(all, o)
				return err
			})
	})
	if err != nil || len(all) == 0 {
		return 0, err
	}
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		lost := map[string]int64{}
		for _, o := range all {
			k, err := tx.Exec(`DELETE FROM webhook_deliveries WHERE id = ? AND state = ?`, o.id, o.state)
			if err != nil {
				return err
			}
			if o.state == int64(dead) {
				lost[o.webhook] += k
			}
		}
		for id, k := range lost {
			if err := countDeliveries(tx, id, 0, -k); err != nil {
				return err
			}
		}
		return nil
	})
	return len(all), err
}
