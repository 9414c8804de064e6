package review

import (
	"cmp"
	"slices"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// lane is a row of review_lanes: items that the same reviewers may get.
type lane struct {
	id int64
	queueKey
	skills, seen []string
}

// candidate is a waiting item and where it stands in the order.
type candidate struct {
	id   string
	due  int64
	rank float64 // at the present time, so that queues can be compared
}

// eligible returns the lanes with waiting items that a person may get; of one operation or deployment only, unless they are zero.
func eligible(tx *db.Tx, p person, skills []string, op commonv1.Operation, deployment string) (out []lane, err error) {
	err = tx.Each(`SELECT lane, operation, deployment, skills, seen FROM review_lanes
		WHERE project = ? AND (? = 0 OR operation = ?) AND (? = '' OR deployment = ?) AND n_open > 0`,
		[]any{p.project, op, op, deployment, deployment}, func(scan func(...any) error) error {
			l := lane{queueKey: queueKey{project: p.project}}
			var need, seen string
			if err := scan(&l.id, &l.operation, &l.deployment, &need, &seen); err != nil {
				return err
			}
			if l.skills, l.seen = split(need), split(seen); fits(l.skills, l.seen, skills, p.name) {
				out = append(out, l)
			}
			return nil
		})
	return out, err
}

// next returns the most urgent waiting items of the lanes: overdue ones by due time, then by rank. settings are those of the lanes' queues.
func next(tx *db.Tx, lanes []lane, settings map[queueKey]*reviewv1.QueueSettings, now time.Time, size int) ([]candidate, error) {
	late, err := firstOf(tx, lanes, size, `SELECT id, due, rank FROM review_items WHERE lane = ? AND state = 1 AND due <= ? ORDER BY due, id LIMIT ?`,
		func(l lane) []any { return []any{l.id, db.Micros(now), size} }, nil)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(late, func(a, b candidate) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id)) })
	if len(late) >= size {
		return late[:size], nil
	}
	best, err := firstOf(tx, lanes, size, `SELECT id, due, rank FROM review_items WHERE lane = ? AND state = 1 ORDER BY rank DESC, id LIMIT ?`,
		// Those that are overdue may be the first ones here too.
		func(l lane) []any { return []any{l.id, size + len(late)} },
		func(l lane) float64 { return doublings(settings[l.queueKey], now) })
	if err != nil {
		return nil, err
	}
	slices.SortFunc(best, func(a, b candidate) int { return cmp.Or(-cmp.Compare(a.rank, b.rank), cmp.Compare(a.id, b.id)) })
	for _, c := range best {
		if len(late) == size {
			break
		}
		if c.due > db.Micros(now) {
			late = append(late, c)
		}
	}
	return late, nil
}

// firstOf returns the first rows of every lane. offset, unless nil, is added to the ranks of a lane.
func firstOf(tx *db.Tx, lanes []lane, size int, query string, args func(lane) []any, offset func(lane) float64) ([]candidate, error) {
	out := make([]candidate, 0, size)
	for _, l := range lanes {
		plus := 0.0
		if offset != nil {
			plus = offset(l)
		}
		err := tx.Each(query, args(l), func(scan func(...any) error) error {
			var c candidate
			err := scan(&c.id, &c.due, &c.rank)
			c.rank += plus
			out = append(out, c)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
