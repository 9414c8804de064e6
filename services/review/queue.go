package review

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// ranked is where the cursor of a queue stands whose items are all ranked by its settings: after every id.
const ranked = "~"

const queueColumns = `operation, deployment, settings, revision, updated, n_open, n_leased, n_decided, n_closed, n_withdrawn, n_escalated`

func scanQueue(scan func(...any) error) (*reviewv1.Queue, error) {
	q, c := &reviewv1.Queue{}, &reviewv1.QueueCounts{}
	var settings []byte
	var updated int64
	err := scan(&q.Operation, &q.Deployment, &settings, &q.Revision, &updated, &c.Open, &c.Leased, &c.Decided, &c.Closed, &c.Withdrawn, &c.Escalated)
	if err != nil {
		return nil, err
	}
	q.Counts, q.UpdateTime = c, timestamp(updated)
	q.Settings, err = decodeSettings(settings)
	return q, err
}

// queuesOf reads the queues of a project after a position, by operation and deployment.
func queuesOf(tx *db.Tx, project string, afterOp int64, afterName string, size int) (out []*reviewv1.Queue, err error) {
	err = tx.Each(`SELECT `+queueColumns+` FROM review_queues WHERE project = ? AND (operation > ? OR (operation = ? AND deployment > ?))
		ORDER BY operation, deployment LIMIT ?`, []any{project, afterOp, afterOp, afterName, size}, func(scan func(...any) error) error {
		q, err := scanQueue(scan)
		out = append(out, q)
		return err
	})
	return out, err
}

func findQueue(tx *db.Tx, key queueKey) (q *reviewv1.Queue, err error) {
	err = tx.Each(`SELECT `+queueColumns+` FROM review_queues WHERE project = ? AND operation = ? AND deployment = ?`,
		[]any{key.project, key.operation, key.deployment}, func(scan func(...any) error) (err error) {
			q, err = scanQueue(scan)
			return err
		})
	if err == nil && q == nil {
		return nil, fault.NotFound("review queue", key.String())
	}
	return q, err
}

// String returns a queue's name, such as "routing/support".
func (k queueKey) String() string { return fault.OperationName(k.operation) + "/" + k.deployment }

// complete adds to a queue what is not in its row.
func (s *Service) complete(tx *db.Tx, project string, q *reviewv1.Queue) error {
	// Ids sort by time: the least one is the oldest decision's.
	var decided int64
	_, err := tx.Get(`SELECT decided FROM review_items WHERE project = ? AND operation = ? AND deployment = ? AND state = ? ORDER BY id LIMIT 1`,
		[]any{project, q.GetOperation(), q.GetDeployment(), open}, &decided)
	q.OldestOpenTime = timestamp(decided)
	if known := s.labels.LabelsOf(project, q.GetOperation(), q.GetDeployment()); known != nil {
		q.KnownLabels = known.Labels
	}
	return err
}

// ListQueues lists the queues of the project.
func (s *Service) ListQueues(ctx context.Context, req *reviewv1.ListQueuesRequest) (*reviewv1.ListQueuesResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), "review queues", "", 2)
	if err != nil {
		return nil, err
	}
	afterOp, afterName := int64(0), ""
	if ok {
		if afterOp, err = strconv.ParseInt(after[0], 10, 64); err != nil {
			return nil, badToken(err)
		}
		afterName = after[1]
	}
	size := db.PageSize(req.GetPage().GetSize())
	res := &reviewv1.ListQueuesResponse{Page: &commonv1.PageResponse{}}
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		if res.Queues, err = queuesOf(tx, project, afterOp, afterName, size+1); err != nil {
			return err
		}
		if len(res.GetQueues()) > size {
			last := res.GetQueues()[size-1]
			res.Queues = res.GetQueues()[:size]
			res.Page.NextToken = db.Token("review queues", "", strconv.Itoa(int(last.GetOperation())), last.GetDeployment())
		}
		for _, q := range res.GetQueues() {
			if err := s.complete(tx, project, q); err != nil {
				return err
			}
		}
		return nil
	})
	return res, err
}

func badToken(err error) error {
	return fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
}

// GetQueue returns one queue.
func (s *Service) GetQueue(ctx context.Context, req *reviewv1.GetQueueRequest) (*reviewv1.GetQueueResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	res := &reviewv1.GetQueueResponse{}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		if res.Queue, err = findQueue(tx, queueKey{project, req.GetOperation(), req.GetDeployment()}); err != nil {
			return err
		}
		return s.complete(tx, project, res.GetQueue())
	})
	return res, err
}

// UpdateQueue replaces the settings of a queue, which is made when only its deployment exists.
func (s *Service) UpdateQueue(ctx context.Context, req *reviewv1.UpdateQueueRequest) (*reviewv1.UpdateQueueResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	key := queueKey{project, req.GetOperation(), req.GetDeployment()}
	settings, err := proto.Marshal(req.GetSettings())
	if err != nil {
		return nil, fmt.Errorf("encode settings: %w", err)
	}
	res := &reviewv1.UpdateQueueResponse{}
	err = s.change(ctx, keeping(ctx, res, func(w *work) error {
		q, err := findQueue(w.Tx, key)
		if err != nil {
			if s.labels.LabelsOf(project, key.operation, key.deployment) == nil {
				return err
			}
			if err := insertQueue(w.Tx, key, w.micros); err != nil {
				return err
			}
			q = &reviewv1.Queue{Revision: 1}
		}
		if sent := req.GetExpectedRevision(); sent != 0 && sent != q.GetRevision() {
			return fault.VersionConflict("review queue", key.String(), q.GetRevision(), sent)
		}
		_, err = w.Exec(`UPDATE review_queues SET settings = ?, revision = revision + 1, updated = ?, rank_after = ''
			WHERE project = ? AND operation = ? AND deployment = ?`, settings, w.micros, key.project, key.operation, key.deployment)
		if err != nil {
			return err
		}
		w.changed[key] = true
		if res.Queue, err = findQueue(w.Tx, key); err != nil {
			return err
		}
		return s.complete(w.Tx, project, res.GetQueue())
	}))
	return res, err
}

// rankAnew ranks some of the waiting items of queues whose settings have changed.
func (s *Service) rankAnew(ctx context.Context) error {
	type cursor struct {
		queueKey
		after string
	}
	var stale []cursor
	err := s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT project, operation, deployment, rank_after FROM review_queues WHERE rank_after <> ? LIMIT 10`, []any{ranked},
			func(scan func(...any) error) error {
				var c cursor
				err := scan(&c.project, &c.operation, &c.deployment, &c.after)
				stale = append(stale, c)
				return err
			})
	})
	if err != nil {
		return err
	}
	begin := time.Now()
	for _, c := range stale {
		for c.after != ranked {
			if c.after, err = s.rankSome(ctx, c.queueKey, c.after); err != nil {
				return fmt.Errorf("rank %s anew: %w", c.queueKey, err)
			}
			if time.Since(begin) > tick/2 { // the other half of the time is the reviewers'
				return nil
			}
		}
	}
	return nil
}

// rankSome ranks the next waiting items of a queue after an id, and returns the last of them; ranked when there are no more.
func (s *Service) rankSome(ctx context.Context, key queueKey, after string) (next string, err error) {
	err = s.change(ctx, func(w *work) error {
		items, err := selectItems(w.Tx, `project = ? AND operation = ? AND deployment = ? AND state = 1 AND id > ? ORDER BY id LIMIT ?`,
			key.project, key.operation, key.deployment, after, chunk)
		if err != nil {
			return err
		}
		for _, it := range items {
			before := *it
			if err := w.place(it); err != nil {
				return err
			}
			if err := w.save(before, it); err != nil {
				return err
			}
		}
		if next = ranked; len(items) == chunk {
			next = items[len(items)-1].id
		}
		// Settings that changed once more meanwhile have set the cursor back, and keep it there.
		_, err = w.Exec(`UPDATE review_queues SET rank_after = ? WHERE project = ? AND operation = ? AND deployment = ? AND rank_after = ?`,
			next, key.project, key.operation, key.deployment, after)
		return err
	})
	return next, err
}

// place computes anew what the present settings of the queue say of an item that will wait: they may have changed while somebody had it.
func (w *work) place(it *item) error {
	settings, err := w.queue(it.queueKey)
	if err != nil {
		return err
	}
	r, err := findRecord(w.Tx, it.project, it.id)
	if err != nil {
		return err
	}
	it.place(settings, r.GetDecision().GetLabels())
	return nil
}

// countSome counts the items that a condition names, at most a chunk of them.
func (s *Service) countSome(ctx context.Context, where string) (n int, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		_, err := tx.Get(`SELECT count(*) FROM (SELECT id FROM review_items WHERE `+where+`) due`, []any{db.Micros(s.now()), 1}, &n)
		return err
	})
	return n, err
}
