package review

import (
	"slices"
	"strings"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// The states as they stand in tables and in the conditions of partial indexes.
const (
	open      = reviewv1.ItemState_ITEM_STATE_OPEN
	leased    = reviewv1.ItemState_ITEM_STATE_LEASED
	decided   = reviewv1.ItemState_ITEM_STATE_DECIDED
	closed    = reviewv1.ItemState_ITEM_STATE_CLOSED
	withdrawn = reviewv1.ItemState_ITEM_STATE_WITHDRAWN
)

// queueKey names a queue.
type queueKey struct {
	project    string
	operation  commonv1.Operation
	deployment string
}

// item is a row of review_items. Times are in microseconds, 0 for none.
type item struct {
	queueKey
	id    string
	state reviewv1.ItemState
	kind  reviewv1.ItemKind

	rank    float64
	due     int64
	since   int64 // from when age counts: the time of the decision, or of the reopening
	decided int64 // when the decision was made
	created int64

	priority          int
	harm, uncertainty float64
	label, locale     string
	content           string
	skills, seen      []string // sorted; seen are those who must not get it again
	sha               []byte

	second    bool // two people judge it
	role      reviewv1.VerdictRole
	round     int
	notSure   int
	escalated bool

	lease, leaseKey, person string // person holds it, or answered last
	leaseFrom, leaseUntil   int64
	undoUntil               int64
	verdict, verdictLabel   string
	gold                    string // the test item that it is a copy of
	closed                  int64
}

const itemColumns = `project, id, operation, deployment, state, kind, rank, due, since, decided, created, priority, harm, uncertainty,
	label, locale, content, skills, seen, sha, second, role, round, not_sure, escalated, lease, lease_key, person, lease_from, lease_until,
	undo_until, verdict, verdict_label, gold, closed`

// fields are what the columns are scanned into; the lists and flags follow by unpack.
func (it *item) scan(scan func(...any) error) error {
	var skills, seen string
	var second, escalated int
	err := scan(&it.project, &it.id, &it.operation, &it.deployment, &it.state, &it.kind, &it.rank, &it.due, &it.since, &it.decided, &it.created,
		&it.priority, &it.harm, &it.uncertainty, &it.label, &it.locale, &it.content, &skills, &seen, &it.sha, &second, &it.role, &it.round,
		&it.notSure, &escalated, &it.lease, &it.leaseKey, &it.person, &it.leaseFrom, &it.leaseUntil, &it.undoUntil, &it.verdict,
		&it.verdictLabel, &it.gold, &it.closed)
	it.skills, it.seen, it.second, it.escalated = split(skills), split(seen), second != 0, escalated != 0
	return err
}

func (it *item) values() []any {
	return []any{
		it.project, it.id, it.operation, it.deployment, it.state, it.kind, it.rank, it.due, it.since, it.decided, it.created, it.priority, it.harm,
		it.uncertainty, it.label, it.locale, it.content, join(it.skills), join(it.seen), it.sha, flag(it.second), it.role, it.round, it.notSure,
		flag(it.escalated), it.lease, it.leaseKey, it.person, it.leaseFrom, it.leaseUntil, it.undoUntil, it.verdict, it.verdictLabel, it.gold, it.closed,
	}
}

// findItem reads an item of a project; nil when it has none of that id.
func findItem(tx *db.Tx, project, id string) (it *item, err error) {
	items, err := selectItems(tx, `project = ? AND id = ?`, project, id)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	return items[0], nil
}

// selectItems reads the items that a condition names.
func selectItems(tx *db.Tx, where string, args ...any) (out []*item, err error) {
	err = tx.Each(`SELECT `+itemColumns+` FROM review_items WHERE `+where, args, func(scan func(...any) error) error {
		it := &item{}
		out = append(out, it)
		return it.scan(scan)
	})
	return out, err
}

// live says whether the item still needs a person.
func (it *item) live() bool { return it.state <= decided }

// markSeen notes that a person must not get the item again.
func (it *item) markSeen(name string) {
	if i, found := slices.BinarySearch(it.seen, name); !found {
		it.seen = slices.Insert(slices.Clone(it.seen), i, name)
	}
}

// fits says whether a person with these sorted skills may get the item, or any of its lane.
func fits(need, seen, skills []string, name string) bool {
	for _, skill := range need {
		if _, found := slices.BinarySearch(skills, skill); !found {
			return false
		}
	}
	return !slices.Contains(seen, name)
}

// clearLease ends the lease; person stays, as the one who was last at work.
func (it *item) clearLease() {
	it.lease, it.leaseKey, it.leaseFrom, it.leaseUntil = "", "", 0, 0
}

// Lists of names stand in one column, separated by a character that no name holds.
const separator = "\n"

func join(list []string) string { return strings.Join(list, separator) }

func split(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, separator)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
