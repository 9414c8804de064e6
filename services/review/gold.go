package review

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	maxGold = 10_000
	// goldPause is how long a reviewer does not get the same test item again: who remembers it is not tested.
	goldPause = 30 * 24 * time.Hour
)

// goldRow is a row of review_gold.
type goldRow struct {
	id, source string
	queueKey
	answer           *reviewv1.Answer
	record           *commonv1.DecisionRecord
	answered, errors int64
	created          int64
}

const goldColumns = `id, operation, deployment, source, answer, record, answered, errors, created`

func scanGold(project string, scan func(...any) error) (*goldRow, error) {
	g := &goldRow{queueKey: queueKey{project: project}, answer: &reviewv1.Answer{}, record: &commonv1.DecisionRecord{}}
	var answer, record []byte
	if err := scan(&g.id, &g.operation, &g.deployment, &g.source, &answer, &record, &g.answered, &g.errors, &g.created); err != nil {
		return nil, err
	}
	if err := proto.Unmarshal(answer, g.answer); err != nil {
		return nil, fmt.Errorf("decode stored test item %s: %w", g.id, err)
	}
	if err := proto.Unmarshal(record, g.record); err != nil {
		return nil, fmt.Errorf("decode stored test item %s: %w", g.id, err)
	}
	return g, nil
}

func findGold(tx *db.Tx, project, id string) (g *goldRow, err error) {
	err = tx.Each(`SELECT `+goldColumns+` FROM review_gold WHERE project = ? AND id = ? AND deleted = 0`, []any{project, id},
		func(scan func(...any) error) (err error) {
			g, err = scanGold(project, scan)
			return err
		})
	return g, err
}

// takeGold makes a copy of a test item that the person has not seen of late; nil when there is none. It looks like an item that has just come: new id, new time.
// Ids tell the order of decisions, so that an old one among new ones would give it away.
func (s *Service) takeGold(w *work, p person, key queueKey, settings *reviewv1.QueueSettings) (*item, error) {
	const fresh = ` FROM review_gold WHERE project = ? AND operation = ? AND deployment = ? AND deleted = 0 AND NOT EXISTS (SELECT 1
		FROM review_gold_served v WHERE v.project = review_gold.project AND v.person = ? AND v.gold = review_gold.id AND v.served > ?)`
	args := []any{key.project, key.operation, key.deployment, p.name, db.Micros(w.now.Add(-goldPause))}
	var n int
	if _, err := w.Get(`SELECT count(*)`+fresh, args, &n); err != nil || n == 0 {
		return nil, err
	}
	var g *goldRow
	err := w.Each(`SELECT `+goldColumns+fresh+` ORDER BY id LIMIT 1 OFFSET ?`, append(args, int(s.draw()*float64(n))), func(scan func(...any) error) (err error) {
		g, err = scanGold(key.project, scan)
		return err
	})
	if err != nil || g == nil {
		return nil, err
	}
	return w.copyGold(g, p, settings)
}

func (w *work) copyGold(g *goldRow, p person, settings *reviewv1.QueueSettings) (*item, error) {
	_, err := w.Exec(`INSERT INTO review_gold_served (project, person, gold, served) VALUES (?, ?, ?, ?)
		ON CONFLICT (project, person, gold) DO UPDATE SET served = excluded.served`, g.project, p.name, g.id, w.micros)
	if err != nil {
		return nil, err
	}
	r := proto.CloneOf(g.record)
	r.Decision.DecisionId, r.Decision.Time = decision.NewID(), timestamppb.New(w.now)
	it := newItem(settings, g.queueKey, r, w.micros)
	it.gold, it.second, it.role, it.kind = g.id, false, reviewv1.VerdictRole_VERDICT_ROLE_GOLD, reviewv1.ItemKind_ITEM_KIND_REVIEW
	if _, err := w.insert(it); err != nil {
		return nil, err
	}
	return it, w.addRecords([]*item{it}, map[*item]*commonv1.DecisionRecord{it: r})
}

// markGold notes in a verdict whether a test item was answered rightly.
func (w *work) markGold(it *item, v *reviewv1.Verdict, key string) error {
	var answer []byte
	var source string
	found, err := w.Get(`SELECT answer, source FROM review_gold WHERE project = ? AND id = ?`, []any{it.project, it.gold}, &answer, &source)
	if err != nil || !found {
		return err
	}
	right := &reviewv1.Answer{}
	if err := proto.Unmarshal(answer, right); err != nil {
		return fmt.Errorf("decode stored test item %s: %w", it.gold, err)
	}
	v.Gold, v.GoldRight, v.DecisionId = true, answerKey(it.operation, right) == key, source
	return nil
}

// countGold counts an answer to a test item, when it can no longer be taken back.
func (w *work) countGold(it *item, v *reviewv1.Verdict) error {
	if it.gold == "" || v.GetAnswer().GetNotSure() {
		return nil
	}
	_, err := w.Exec(`UPDATE review_gold SET answered = answered + 1, errors = errors + ? WHERE project = ? AND id = ?`, flag(!v.GetGoldRight()), it.project, it.gold)
	return err
}

// CreateGoldItem makes a test item.
func (s *Service) CreateGoldItem(ctx context.Context, req *reviewv1.CreateGoldItemRequest) (*reviewv1.CreateGoldItemResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	res := &reviewv1.CreateGoldItemResponse{}
	err = s.change(ctx, keeping(ctx, res, func(w *work) error {
		g, err := findGold(w.Tx, project, req.GetGoldId())
		if err != nil {
			return err
		}
		if g == nil {
			g, err = s.newGold(w, project, req)
		} else if g.source != req.GetItemId() {
			err = fault.AlreadyExists("test item", g.id)
		}
		if err != nil {
			return err
		}
		res.Gold = g.message()
		return nil
	}))
	return res, err
}

func (s *Service) newGold(w *work, project string, req *reviewv1.CreateGoldItemRequest) (*goldRow, error) {
	it, err := findItem(w.Tx, project, req.GetItemId())
	if err != nil {
		return nil, err
	}
	if it == nil || it.gold != "" {
		return nil, fault.NotFound("review item", req.GetItemId())
	}
	r, err := findRecord(w.Tx, project, it.id)
	if err != nil {
		return nil, err
	}
	if r.GetInput() == nil {
		return nil, fault.InvalidField("item_id", "the input of the item was not kept")
	}
	answer := req.GetAnswer()
	if answer == nil {
		if it.state != closed {
			return nil, fault.InvalidField("answer", "must be given for an item that is not closed")
		}
		v, err := findVerdict(w.Tx, project, it.verdict)
		if err != nil {
			return nil, err
		}
		answer = v.GetAnswer()
	}
	if answer.GetNotSure() {
		return nil, fault.InvalidField("answer.not_sure", "is no right answer")
	}
	if err := checkAnswer(it.operation, answer, s.labels.LabelsOf(project, it.operation, it.deployment), r.GetDecision().GetLabels()); err != nil {
		return nil, err
	}
	var n int64
	if _, err := w.Get(`SELECT count(*) FROM review_gold WHERE project = ? AND operation = ? AND deployment = ? AND deleted = 0`,
		[]any{project, it.operation, it.deployment}, &n); err != nil {
		return nil, err
	}
	if n >= maxGold {
		return nil, fault.QuotaExceeded("test items", maxGold)
	}
	g := &goldRow{id: req.GetGoldId(), source: it.id, queueKey: it.queueKey, answer: answer, record: r, created: w.micros}
	data, err := proto.Marshal(answer)
	if err != nil {
		return nil, err
	}
	record, err := proto.Marshal(r)
	if err != nil {
		return nil, err
	}
	_, err = w.Exec(`INSERT INTO review_gold (project, id, operation, deployment, source, answer, record, answered, errors, deleted, created, subject)
		VALUES (`+db.Marks(12)+`)`, project, g.id, g.operation, g.deployment, g.source, data, record, 0, 0, 0, w.micros, clean(r.GetSubjectId()))
	return g, err
}

func (g *goldRow) message() *reviewv1.GoldItem {
	return &reviewv1.GoldItem{
		GoldId: g.id, Operation: g.operation, Deployment: g.deployment, Answer: g.answer, SourceItemId: g.source,
		Answered: g.answered, Errors: g.errors, CreateTime: timestamp(g.created), Input: g.record.GetInput(),
	}
}

// ListGoldItems lists the test items, newest first.
func (s *Service) ListGoldItems(ctx context.Context, req *reviewv1.ListGoldItemsRequest) (*reviewv1.ListGoldItemsResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	filter := fmt.Sprint(int(req.GetOperation()), req.GetDeployment())
	pos, err := newestFirst(req.GetPage().GetToken(), "test items", filter)
	if err != nil {
		return nil, err
	}
	size := db.PageSize(req.GetPage().GetSize())
	res := &reviewv1.ListGoldItemsResponse{Page: &commonv1.PageResponse{}}
	var rows []*goldRow
	bytes := 0
	err = s.db.View(ctx, func(tx *db.Tx) error {
		return tx.Each(`SELECT `+goldColumns+` FROM review_gold WHERE project = ? AND deleted = 0 AND (? = 0 OR operation = ?) AND (? = '' OR deployment = ?)
			AND (created < ? OR (created = ? AND id < ?)) ORDER BY created DESC, id DESC LIMIT ?`,
			[]any{project, req.GetOperation(), req.GetOperation(), req.GetDeployment(), req.GetDeployment(), pos.time, pos.time, pos.id, size + 1},
			func(scan func(...any) error) error {
				if bytes > pageBytes && len(rows) > 1 {
					return nil
				}
				g, err := scanGold(project, scan)
				if err != nil {
					return err
				}
				rows = append(rows, g)
				bytes += proto.Size(g.record.GetInput())
				return nil
			})
	})
	if err != nil {
		return nil, err
	}
	if len(rows) > size || bytes > pageBytes && len(rows) > 1 {
		size = len(rows) - 1
		rows = rows[:size]
		res.Page.NextToken = position{rows[size-1].created, rows[size-1].id}.token("test items", filter)
	}
	for _, g := range rows {
		res.Gold = append(res.Gold, g.message())
	}
	return res, nil
}

// DeleteGoldItem stops mixing in a test item.
func (s *Service) DeleteGoldItem(ctx context.Context, req *reviewv1.DeleteGoldItemRequest) (*reviewv1.DeleteGoldItemResponse, error) {
	project, err := project(ctx)
	if err != nil {
		return nil, err
	}
	res := &reviewv1.DeleteGoldItemResponse{}
	err = s.change(ctx, keeping(ctx, res, func(w *work) error {
		n, err := w.Exec(`UPDATE review_gold SET deleted = ? WHERE project = ? AND id = ? AND deleted = 0`, w.micros, project, req.GetGoldId())
		if err == nil && n == 0 {
			// Deleted before is deleted: the call may be repeated.
			var one int
			if found, err := w.Get(`SELECT 1 FROM review_gold WHERE project = ? AND id = ?`, []any{project, req.GetGoldId()}, &one); err != nil || !found {
				return orNotFound(err, "test item", req.GetGoldId())
			}
		}
		return err
	}))
	return res, err
}

func orNotFound(err error, kind, name string) error {
	if err != nil {
		return err
	}
	return fault.NotFound(kind, name)
}
