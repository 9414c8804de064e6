package review

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine/active"
)

const (
	// mostCandidates bounds how many items take part in one choice, and mostly how long its transaction is.
	mostCandidates = 20_000
	// defaultAuditShare is the share of a choice that is made by chance alone, firstPriority the priority of what is chosen.
	defaultAuditShare = 0.1
	firstPriority     = 8
)

// How an item fared in the choices so far; 0 when all have passed it over.
const (
	atOnce = 1 // the first choice in which it took part has chosen it
	later  = 2 // another has
)

// contender is a waiting item that takes part in a choice.
type contender struct {
	id    string
	again bool // an earlier choice has passed it over
}

// SelectItems chooses which waiting items people label first. The items are looked at before the transaction, which would otherwise keep reviewers waiting: what somebody
// has answered meanwhile has not taken part.
func (s *Service) SelectItems(ctx context.Context, req *reviewv1.SelectItemsRequest) (*reviewv1.SelectItemsResponse, error) {
	p, err := who(ctx, "")
	if err != nil {
		return nil, err
	}
	key := queueKey{p.project, req.GetOperation(), req.GetDeployment()}
	contenders, items, err := s.contenders(ctx, key)
	if err != nil {
		return nil, err
	}
	res := &reviewv1.SelectItemsResponse{SelectionId: decision.NewID(), Candidates: int32(len(contenders)), Seed: req.GetSeed()}
	if res.GetSeed() == 0 {
		sum := sha256.Sum256([]byte(res.GetSelectionId()))
		res.Seed = binary.BigEndian.Uint64(sum[:])
	}
	settings := active.Settings{Count: int(req.GetCount()), Audit: defaultAuditShare, Seed: res.GetSeed()}
	if req.AuditShare != nil {
		settings.Audit = req.GetAuditShare()
	}
	chosen := active.Select(items, settings)
	for _, c := range chosen {
		res.Chosen = append(res.Chosen, &reviewv1.SelectedItem{ItemId: contenders[c.Item].id, Probability: min(1, c.Probability), Again: contenders[c.Item].again})
	}
	taken := chances(contenders, items, settings, chosen)
	for _, t := range taken {
		if res.GetLeast() == 0 || t.probability < res.GetLeast() {
			res.Least = t.probability
		}
	}
	priority := int(req.GetPriority())
	if priority == 0 {
		priority = firstPriority
	}
	err = s.change(ctx, keeping(ctx, res, func(w *work) error {
		if err := w.keepSelection(key, res, taken); err != nil {
			return err
		}
		return w.bringForward(key, res.GetChosen(), priority, p)
	}))
	return res, err
}

// contenders reads the waiting items of a queue that no earlier choice has chosen, oldest first. Audits are drawn already, and none of them may be passed over; copies of test items and doubted verdicts are no
// examples to learn from.
func (s *Service) contenders(ctx context.Context, key queueKey) (out []contender, items []active.Item, err error) {
	numbers := map[string]int{}
	number := func(label string) int {
		n, ok := numbers[label]
		if !ok {
			n = len(numbers)
			numbers[label] = n
		}
		return n
	}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		if _, err := findQueue(tx, key); err != nil {
			return err
		}
		return tx.Each(`SELECT i.id, s.chosen, r.record FROM review_items i JOIN review_records r ON r.project = i.project AND r.id = i.id
			LEFT JOIN review_selections s ON s.project = i.project AND s.item = i.id
			WHERE i.project = ? AND i.operation = ? AND i.deployment = ? AND i.state = 1 AND i.gold = '' AND i.round = 0 AND i.kind = 1 AND COALESCE(s.chosen, 0) = 0
			ORDER BY i.id DESC LIMIT ?`, []any{key.project, key.operation, key.deployment, mostCandidates}, func(scan func(...any) error) error {
			var c contender
			var before *int64
			var record []byte
			if err := scan(&c.id, &before, &record); err != nil {
				return err
			}
			c.again = before != nil
			r := &commonv1.DecisionRecord{}
			if err := proto.Unmarshal(record, r); err != nil {
				return fmt.Errorf("decode stored record %s: %w", c.id, err)
			}
			out, items = append(out, c), append(items, asked(r.GetDecision().GetLabels(), number))
			return nil
		})
	})
	slices.Reverse(out)
	slices.Reverse(items)
	return out, items, err
}

// asked is what a model said of an item; without an answer all is open.
func asked(labels []*commonv1.LabelProbability, number func(string) int) active.Item {
	it := active.Item{Likely: -1, Second: -1}
	if len(labels) > 0 {
		it.Likely, it.Top = number(labels[0].GetLabel()), labels[0].GetProbability()
	}
	if len(labels) > 1 {
		it.Second, it.Next = number(labels[1].GetLabel()), labels[1].GetProbability()
	}
	return it
}

// chance is how an item fared that took part for the first time.
type chance struct {
	id          string
	chosen      bool
	probability float64
}

// chances are those of the items that took part for the first time. Only these are noted: with which probability an item is chosen that was passed over before depends on what became of the others.
func chances(contenders []contender, items []active.Item, s active.Settings, chosen []active.Choice) []chance {
	taken := make(map[int]bool, len(chosen))
	for _, c := range chosen {
		taken[c.Item] = true
	}
	var p []float64
	if s.Count < len(items) {
		p = active.Probabilities(items, s)
	}
	var out []chance
	for i, c := range contenders {
		if c.again {
			continue
		}
		probability := 1.0
		if p != nil {
			probability = min(1, p[i])
		}
		out = append(out, chance{c.id, taken[i], probability})
	}
	return out
}

// selectionRows is how many rows one statement inserts.
const selectionRows = 100

// keepSelection stores how each item fared, unless it was answered meanwhile.
func (w *work) keepSelection(key queueKey, res *reviewv1.SelectItemsResponse, taken []chance) error {
	for some := range slices.Chunk(taken, selectionRows) {
		rows := make([]any, 0, 6*len(some))
		for _, c := range some {
			rows = append(rows, key.project, c.id, res.GetSelectionId(), flag(c.chosen)*atOnce, c.probability, res.GetLeast())
		}
		_, err := w.Exec(`INSERT INTO review_selections (project, item, selection, chosen, probability, least) VALUES `+rowMarks(6, len(rows))+
			` ON CONFLICT (project, item) DO NOTHING`, rows...)
		if err != nil {
			return err
		}
	}
	_, err := w.Exec(`DELETE FROM review_selections WHERE project = ? AND selection = ? AND EXISTS
		(SELECT 1 FROM review_items i WHERE i.project = review_selections.project AND i.id = review_selections.item AND i.state > 2)`, key.project, res.GetSelectionId())
	return err
}

// bringForward gives items a priority, as far as they still wait.
func (w *work) bringForward(key queueKey, chosen []*reviewv1.SelectedItem, priority int, p person) error {
	settings, err := w.queue(key)
	if err != nil {
		return err
	}
	for some := range slices.Chunk(chosen, selectionRows) {
		if err := w.chooseAgain(key, some); err != nil {
			return err
		}
		args, chances := []any{key.project}, make(map[string]float64, len(some))
		for _, c := range some {
			args = append(args, c.GetItemId())
			chances[c.GetItemId()] = c.GetProbability()
		}
		items, err := selectItems(w.Tx, `project = ? AND state <= 2 AND id IN (`+strings.TrimPrefix(db.Marks(len(args)), "?, ")+`)`, args...)
		if err != nil {
			return err
		}
		for _, it := range items {
			before := *it
			it.rank += settings.GetPriorityWeight() * float64(priority-it.priority)
			it.priority = priority
			if err := w.save(before, it); err != nil {
				return err
			}
			if err := w.note(it, reviewv1.HistoryKind_HISTORY_KIND_SELECTED, p.name, fmt.Sprintf("with probability %.4g", chances[it.id])); err != nil {
				return err
			}
		}
	}
	return nil
}

// chooseAgain notes of items that were passed over before that they are chosen now. Their verdicts go on to say that they were passed over.
func (w *work) chooseAgain(key queueKey, chosen []*reviewv1.SelectedItem) error {
	args := []any{later, key.project}
	for _, c := range chosen {
		if c.GetAgain() {
			args = append(args, c.GetItemId())
		}
	}
	if len(args) == 2 {
		return nil
	}
	_, err := w.Exec(`UPDATE review_selections SET chosen = ? WHERE project = ? AND chosen = 0 AND item IN (`+db.Marks(len(args)-2)+`)`, args...)
	return err
}

// selectionOf returns how an item fared when it took part in a choice; nil when it did not.
func selectionOf(tx *db.Tx, it *item) (*reviewv1.Selection, error) {
	s, chosen := &reviewv1.Selection{}, 0
	found, err := tx.Get(`SELECT selection, chosen, probability, least FROM review_selections WHERE project = ? AND item = ?`, []any{it.project, it.id},
		&s.SelectionId, &chosen, &s.Probability, &s.Least)
	if err != nil || !found {
		return nil, err
	}
	s.Chosen = chosen == atOnce
	return s, nil
}
