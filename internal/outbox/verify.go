package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// stuckAfter is after how long an event that waits while the bus is up will not leave by itself.
const stuckAfter = 15 * time.Minute

// Verify looks for events that the bus never takes: those that are no messages, and, when the bus is up, those that have waited too long. It returns what is wrong and how many
// events wait. A waiting event is no damage: it leaves when the bus is back.
func Verify(ctx context.Context, d *db.DB, up bool) (problems []error, waiting int64, err error) {
	if ok, err := d.HasTable(ctx, "outbox"); err != nil || !ok {
		return nil, 0, err
	}
	err = d.View(ctx, func(tx *db.Tx) error {
		var last int64
		if _, err := tx.Get(`SELECT last FROM outbox_counter WHERE one = 1`, nil, &last); err != nil {
			return err
		}
		return tx.Each(`SELECT seq, subject, id, header, written FROM outbox ORDER BY seq`, nil, func(scan func(...any) error) error {
			var seq, written int64
			var subject, id, header string
			if err := scan(&seq, &subject, &id, &header, &written); err != nil {
				return err
			}
			waiting++
			if err := json.Unmarshal([]byte(header), &map[string][]string{}); err != nil {
				problems = append(problems, fmt.Errorf("outbox: event %d, %s, cannot be read: %w", seq, id, err))
			}
			if seq > last {
				problems = append(problems, fmt.Errorf("outbox: event %d, %s, is beyond the counter, which is at %d", seq, id, last))
			}
			if age := time.Since(db.Time(written)); up && age > stuckAfter {
				problems = append(problems, fmt.Errorf("outbox: event %d, %s, for %s has waited for %s and does not leave", seq, id, subject, age.Round(time.Second)))
			}
			return nil
		})
	})
	return problems, waiting, err
}
