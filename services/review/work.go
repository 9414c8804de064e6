package review

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/answer"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// work is a transaction that changes items. It keeps the counts of queues and lanes in step: they are written once at its end.
type work struct {
	*db.Tx
	now      time.Time
	micros   int64
	emit     func(tx *db.Tx, e Event) error
	settings map[queueKey]*reviewv1.QueueSettings
	queues   map[queueKey]*tally
	lanes    map[int64]*laneTally
	changed  map[queueKey]bool
	laneIDs  map[laneKey]int64
	old      int64            // retirements: what is not younger goes
	keys     map[string][]key // by project; what finds items that were made
	runs     bool             // there are more runs than before
}

// tally is by how much the counts of a queue change, by state; the last is that of escalated items.
type tally [7]int64

const escalatedCount = 6

// laneKey is what makes a lane one.
type laneKey struct {
	queueKey
	skills, seen string
}

type laneTally struct {
	item *item // any of the lane
	open int64
}

// change runs fn in a transaction that changes items, and tells watchers of the queues that it changed.
func (s *Service) change(ctx context.Context, fn func(w *work) error) error {
	var w *work
	err := s.db.Tx(ctx, func(tx *db.Tx) error {
		now := s.now()
		w = &work{
			Tx: tx, now: now, micros: db.Micros(now), emit: s.emit, settings: map[queueKey]*reviewv1.QueueSettings{},
			queues: map[queueKey]*tally{}, lanes: map[int64]*laneTally{}, changed: map[queueKey]bool{},
		}
		if err := fn(w); err != nil {
			return err
		}
		return w.flush()
	})
	if err == nil && len(w.changed) > 0 {
		s.hub.publish(w.changed)
	}
	if err == nil && w.runs {
		s.runs.Store(true)
	}
	return err
}

// keeping lets a transaction also keep the answer that fn has made, for calls whose repetition would find something else than they did.
func keeping(ctx context.Context, res proto.Message, fn func(w *work) error) func(w *work) error {
	return func(w *work) error {
		if err := fn(w); err != nil {
			return err
		}
		return answer.Keep(ctx, w.Tx, res)
	}
}

// queue returns the settings of a queue, and makes the queue when it does not exist.
func (w *work) queue(key queueKey) (*reviewv1.QueueSettings, error) {
	if s := w.settings[key]; s != nil {
		return s, nil
	}
	s, err := findSettings(w.Tx, key)
	if err != nil {
		return nil, err
	}
	if s == nil {
		s = filled(nil)
		if err := insertQueue(w.Tx, key, w.micros); err != nil {
			return nil, err
		}
	}
	w.settings[key] = s
	return s, nil
}

func insertQueue(tx *db.Tx, key queueKey, now int64) error {
	_, err := tx.Exec(`INSERT INTO review_queues (project, operation, deployment, settings, revision, rank_after, updated,
		n_open, n_leased, n_decided, n_closed, n_withdrawn, n_escalated) VALUES (?, ?, ?, ?, 1, '~', ?, 0, 0, 0, 0, 0, 0)
		ON CONFLICT (project, operation, deployment) DO NOTHING`, key.project, key.operation, key.deployment, []byte{}, now)
	return err
}

func findSettings(tx *db.Tx, key queueKey) (*reviewv1.QueueSettings, error) {
	var b []byte
	found, err := tx.Get(`SELECT settings FROM review_queues WHERE project = ? AND operation = ? AND deployment = ?`,
		[]any{key.project, key.operation, key.deployment}, &b)
	if err != nil || !found {
		return nil, err
	}
	return decodeSettings(b)
}

// insert adds items and returns those that were not there already.
func (w *work) insert(items ...*item) ([]*item, error) {
	type name struct{ project, id string }
	byName := make(map[name]*item, len(items))
	args := make([]any, 0, 36*len(items))
	for _, it := range items {
		if byName[name{it.project, it.id}] != nil {
			continue // a record that came twice
		}
		byName[name{it.project, it.id}] = it
		args = append(append(args, w.lane(it)), it.values()...)
	}
	var added []*item
	err := w.Each(`INSERT INTO review_items (lane, `+itemColumns+`) VALUES `+rowMarks(36, len(args))+` ON CONFLICT (project, id) DO NOTHING RETURNING project, id`,
		args, func(scan func(...any) error) error {
			var n name
			err := scan(&n.project, &n.id)
			added = append(added, byName[n])
			return err
		})
	if err != nil {
		return nil, err
	}
	for _, it := range added {
		w.count(it, 1)
	}
	return added, nil
}

// save writes a changed item; before is what it was. It fails when somebody else has changed it meanwhile, which one writer at a time excludes.
func (w *work) save(before item, it *item) error {
	n, err := w.Exec(`UPDATE review_items SET state = ?, kind = ?, lane = ?, rank = ?, due = ?, since = ?, priority = ?, harm = ?, skills = ?, seen = ?,
		second = ?, role = ?, round = ?, not_sure = ?, escalated = ?, lease = ?, lease_key = ?, person = ?, lease_from = ?, lease_until = ?, undo_until = ?,
		verdict = ?, verdict_label = ?, closed = ? WHERE project = ? AND id = ? AND state = ? AND lease = ?`,
		it.state, it.kind, w.lane(it), it.rank, it.due, it.since, it.priority, it.harm, join(it.skills), join(it.seen), flag(it.second), it.role, it.round,
		it.notSure, flag(it.escalated), it.lease, it.leaseKey, it.person, it.leaseFrom, it.leaseUntil, it.undoUntil, it.verdict, it.verdictLabel, it.closed,
		it.project, it.id, before.state, before.lease)
	if err != nil {
		return err
	}
	if n != 1 {
		return fault.Unavailable("review item").Cause(fmt.Errorf("item %s was changed meanwhile", it.id))
	}
	w.count(&before, -1)
	w.count(it, 1)
	return nil
}

// count notes that an item is there, or is there no more. Copies of test items are nobody's work.
func (w *work) count(it *item, by int64) {
	if it.gold != "" {
		return
	}
	w.changed[it.queueKey] = true
	t := w.queues[it.queueKey]
	if t == nil {
		t = &tally{}
		w.queues[it.queueKey] = t
	}
	t[it.state] += by
	if it.escalated && it.live() {
		t[escalatedCount] += by
	}
	if it.state != open {
		return
	}
	lane := w.lane(it)
	if w.lanes[lane] == nil {
		w.lanes[lane] = &laneTally{item: it}
	}
	w.lanes[lane].open += by
}

// flush writes the counts, and by what items are found.
func (w *work) flush() error {
	if err := w.writeRuns(); err != nil {
		return err
	}
	for key, t := range w.queues {
		if *t == (tally{}) {
			continue
		}
		if _, err := w.queue(key); err != nil {
			return err
		}
		_, err := w.Exec(`UPDATE review_queues SET n_open = n_open + ?, n_leased = n_leased + ?, n_decided = n_decided + ?, n_closed = n_closed + ?,
			n_withdrawn = n_withdrawn + ?, n_escalated = n_escalated + ? WHERE project = ? AND operation = ? AND deployment = ?`,
			t[open], t[leased], t[decided], t[closed], t[withdrawn], t[escalatedCount], key.project, key.operation, key.deployment)
		if err != nil {
			return err
		}
	}
	for lane, t := range w.lanes {
		if t.open == 0 {
			continue
		}
		it := t.item
		_, err := w.Exec(`INSERT INTO review_lanes (lane, project, operation, deployment, skills, seen, n_open) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (lane) DO UPDATE SET n_open = review_lanes.n_open + excluded.n_open`,
			lane, it.project, it.operation, it.deployment, join(it.skills), join(it.seen), t.open)
		if err != nil {
			return err
		}
		if t.open < 0 {
			if _, err := w.Exec(`DELETE FROM review_lanes WHERE lane = ? AND n_open = 0`, lane); err != nil {
				return err
			}
		}
	}
	return nil
}

// note adds to the history of an item.
func (w *work) note(it *item, kind reviewv1.HistoryKind, name, text string) error {
	_, err := w.Exec(`INSERT INTO review_history (project, item, entry, time, kind, person, note) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		it.project, it.id, decision.NewID(), w.micros, kind, name, text)
	return err
}

// send emits a message about a decision of the queue.
func (w *work) send(kind string, key queueKey, decisionID, id string, m proto.Message) error {
	return w.emit(w.Tx, Event{
		Project: key.project, Kind: kind, ID: id, Subject: decisionID, Operation: fault.OperationName(key.operation), Deployment: key.deployment, Time: w.now, Message: m,
	})
}

// lane returns the lane of an item: 63 bits of a hash of what makes it one, so that nobody has to hand out numbers. Those of a transaction are few, and kept.
func (w *work) lane(it *item) int64 {
	key := laneKey{it.queueKey, join(it.skills), join(it.seen)}
	if id, ok := w.laneIDs[key]; ok {
		return id
	}
	h := sha256.New()
	for _, part := range []string{it.project, fmt.Sprint(int(it.operation)), it.deployment, key.skills, key.seen} {
		_, _ = fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	id := int64(binary.BigEndian.Uint64(h.Sum(nil)) & math.MaxInt64)
	if w.laneIDs == nil {
		w.laneIDs = map[laneKey]int64{}
	}
	w.laneIDs[key] = id
	return id
}

// rowMarks returns the parameter marks of rows with so many columns, for n parameters.
func rowMarks(columns, n int) string {
	return strings.TrimSuffix(strings.Repeat("("+db.Marks(columns)+"), ", n/columns), ", ")
}
