package events

import (
	"context"
	"encoding/json"
	"fmt"

	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// eraseRows is how many deliveries one transaction of an erasure looks at.
const eraseRows = 500

// Erase takes the data of events about one person out of the deliveries of a project's webhooks that wait or are dead. They are delivered all the same, as thin events
// are: a receiver that looks the decision up finds what is left of it. It returns how many there were.
func (s *Service) Erase(ctx context.Context, project, subject string) (deliveries int64, err error) {
	if subject == "" {
		return 0, nil
	}
	var hooks []string
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT id FROM webhooks WHERE project = ?`, []any{project}, func(scan func(...any) error) error {
			var id string
			err := scan(&id)
			hooks = append(hooks, id)
			return err
		})
	})
	for i := 0; i < len(hooks) && err == nil; i++ {
		for after, more := "", true; more && err == nil; {
			var n int64
			after, n, more, err = s.eraseSome(ctx, hooks[i], after, subject)
			deliveries += n
		}
	}
	if err != nil {
		return deliveries, fmt.Errorf("erase from deliveries: %w", err)
	}
	return deliveries, nil
}

func (s *Service) eraseSome(ctx context.Context, hook, after, subject string) (last string, n int64, more bool, err error) {
	err = s.db.Tx(ctx, func(tx *db.Tx) error {
		last, n, more = after, 0, false
		thin := map[string][]byte{}
		err := tx.Each(`SELECT id, body FROM webhook_deliveries WHERE webhook = ? AND id > ? ORDER BY id LIMIT ?`, []any{hook, after, eraseRows},
			func(scan func(...any) error) error {
				var body []byte
				if err := scan(&last, &body); err != nil {
					return err
				}
				more = true
				if left, ok := withoutData(body, subject); ok {
					thin[last] = left
				}
				return nil
			})
		if err != nil {
			return err
		}
		for id, body := range thin {
			// One that is delivered meanwhile has lost its body already.
			if _, err := tx.Exec(`UPDATE webhook_deliveries SET body = ? WHERE id = ? AND state <> ?`, body, id, eventsv1.DeliveryState_DELIVERY_STATE_DELIVERED); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return last, n, more, err
}

// withoutData returns a body without its data when they are about a person.
func withoutData(body []byte, subject string) ([]byte, bool) {
	if len(body) == 0 {
		return nil, false
	}
	var e envelope
	var data struct {
		SubjectID string `json:"subjectId"`
	}
	if json.Unmarshal(body, &e) != nil || json.Unmarshal(e.Data, &data) != nil || data.SubjectID != subject {
		return nil, false
	}
	e.Data, e.DataContentType, e.DataSchema = nil, "", ""
	left, err := json.Marshal(e)
	return left, err == nil
}
