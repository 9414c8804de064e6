package review

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// maxScan bounds how many rows one page of a list looks at.
	maxScan = 20_000
	// pageBytes bounds a page: with inputs of 100,000 characters a full one would not fit into a message.
	pageBytes = 2 << 20
	// maxHistory is how many entries of an item's history GetItem returns.
	maxHistory = 500
	// maxFeedback is how much of the feedback on a decision GetItem returns; ListFeedback has all of it.
	maxFeedback = 50
)

// ListItems lists items, newest decision first. Ids are UUIDv7 and sort by time, so that the id is the position.
func (s *Service) ListItems(ctx context.Context, req *reviewv1.ListItemsRequest) (*reviewv1.ListItemsResponse, error) {
	p, err := who(ctx, "")
	if err != nil {
		return nil, err
	}
	if n := utf8.RuneCountInString(req.GetText()); n == 1 {
		return nil, fault.InvalidField("text", "must have 2 to 200 characters")
	}
	filter := filterOf(req)
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), "review items", filter, 1)
	if err != nil {
		return nil, err
	}
	before := "g" // after every id, in whatever order the database sorts texts
	if ok {
		before = after[0]
	}
	res := &reviewv1.ListItemsResponse{Page: &commonv1.PageResponse{}}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		items, next, err := search(tx, p.project, req, before, db.PageSize(req.GetPage().GetSize()), s.scan)
		if err != nil {
			return err
		}
		bytes := 0
		for i, it := range items {
			m, err := s.message(tx, it, p)
			if err != nil {
				return err
			}
			if bytes += proto.Size(m); bytes > pageBytes && i > 0 {
				next = items[i-1].id
				break
			}
			res.Items = append(res.Items, m)
		}
		if next != "" {
			res.Page.NextToken = db.Token("review items", filter, next)
		}
		return nil
	})
	return res, err
}

// filterOf names the filters of a list, so that a token is refused with others.
func filterOf(req *reviewv1.ListItemsRequest) string {
	filters := proto.CloneOf(req)
	filters.Page = nil
	b, _ := proto.MarshalOptions{Deterministic: true}.Marshal(filters)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// search returns the items before an id that pass the filters, and the id before which the next page begins; empty after the last one. The inner query walks
// along an index over a bounded number of rows, the outer one looks at what each row says.
func search(tx *db.Tx, project string, req *reviewv1.ListItemsRequest, before string, size, scan int) ([]*item, string, error) {
	inner := conditions{}
	inner.add(`project = ?`, project)
	inner.add(`id < ?`, before)
	inner.addIf(req.GetOperation() != 0, `operation = ?`, req.GetOperation())
	inner.addIf(req.GetDeployment() != "", `deployment = ?`, req.GetDeployment())
	inner.addIf(req.GetState() != 0, `state = ?`, req.GetState())
	outer := conditions{}
	outer.addIf(req.GetKind() != 0, `kind = ?`, req.GetKind())
	outer.addIf(req.GetLabel() != "", `label = ?`, req.GetLabel())
	outer.addIf(req.GetVerdictLabel() != "", `verdict_label = ?`, req.GetVerdictLabel())
	outer.addIf(req.GetReviewer() != "", `person = ? AND state > 1`, req.GetReviewer())
	outer.addIf(req.GetEscalated(), `escalated = 1`)
	outer.addIf(req.GetContentId() != "", `content = ?`, req.GetContentId())
	outer.addIf(req.GetDecidedAfter() != nil, `decided >= ?`, db.Micros(req.GetDecidedAfter().AsTime()))
	outer.addIf(req.GetDecidedBefore() != nil, `decided < ?`, db.Micros(req.GetDecidedBefore().AsTime()))
	outer.addIf(req.GetText() != "", `EXISTS (SELECT 1 FROM review_records r WHERE r.project = looked.project AND r.id = looked.id AND r.search LIKE ? ESCAPE '!')`,
		"%"+likeEscape.Replace(strings.ToLower(req.GetText()))+"%")
	from := `(SELECT * FROM review_items WHERE ` + inner.String() + ` ORDER BY id DESC LIMIT ?) looked`
	bounded := append(slices.Clone(inner.args), scan)
	query, args := `SELECT `+itemColumns+` FROM `+from, slices.Concat(bounded, outer.args, []any{size + 1})
	if len(outer.list) > 0 {
		query += ` WHERE ` + outer.String()
	}
	var items []*item
	err := tx.Each(query+` ORDER BY id DESC LIMIT ?`, args, func(row func(...any) error) error {
		it := &item{}
		items = append(items, it)
		return it.scan(row)
	})
	switch {
	case err != nil:
		return nil, "", err
	case len(items) > size:
		return items[:size], items[size-1].id, nil
	case len(outer.list) == 0:
		return items, "", nil
	}
	// The rows that were looked at may have ended before those that there are.
	var n int
	var last string
	_, err = tx.Get(`SELECT count(*), coalesce(min(id), '') FROM `+from, bounded, &n, &last)
	if n < scan {
		last = ""
	}
	return items, last, err
}

var likeEscape = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// conditions are what a WHERE holds.
type conditions struct {
	list []string
	args []any
}

func (c *conditions) add(condition string, args ...any) {
	c.list, c.args = append(c.list, condition), append(c.args, args...)
}

func (c *conditions) addIf(set bool, condition string, args ...any) {
	if set {
		c.add(condition, args...)
	}
}

// String joins the conditions.
func (c *conditions) String() string { return strings.Join(c.list, " AND ") }

// GetItem returns one item with its history; of one that was retired only what stayed.
func (s *Service) GetItem(ctx context.Context, req *reviewv1.GetItemRequest) (*reviewv1.GetItemResponse, error) {
	p, err := who(ctx, req.GetReviewer())
	if err != nil {
		return nil, err
	}
	res := &reviewv1.GetItemResponse{}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		it, err := findItem(tx, p.project, req.GetItemId())
		if err != nil {
			return err
		}
		if it == nil {
			t, err := findStone(tx, p.project, req.GetItemId())
			if err != nil || t == nil {
				return orNotFound(err, "review item", req.GetItemId())
			}
			res.Item = t.message()
			res.Feedback, _, err = feedbackOf(tx, p.project, t.id, position{}, maxFeedback)
			return err
		}
		if res.Item, err = s.message(tx, it, p); err != nil {
			return err
		}
		verdicts, err := verdictsOf(tx, it)
		if err != nil {
			return err
		}
		for _, v := range verdicts {
			if p.leads || it.state == closed || v.GetReviewer() == p.name {
				hideGold(v, p)
				res.Verdicts = append(res.Verdicts, v)
			}
		}
		if res.History, err = historyOf(tx, it, p); err != nil {
			return err
		}
		res.Feedback, _, err = feedbackOf(tx, p.project, it.id, position{}, maxFeedback)
		return err
	})
	return res, err
}

// historyOf returns what happened to an item, oldest first. While it is not closed, who judged it and how is hidden from those who may judge it yet.
func historyOf(tx *db.Tx, it *item, p person) ([]*reviewv1.HistoryEntry, error) {
	var out []*reviewv1.HistoryEntry
	err := tx.Each(`SELECT time, kind, person, note FROM (SELECT entry, time, kind, person, note FROM review_history WHERE project = ? AND item = ?
		ORDER BY entry DESC LIMIT ?) newest ORDER BY entry`, []any{it.project, it.id, maxHistory}, func(scan func(...any) error) error {
		h, time := &reviewv1.HistoryEntry{}, int64(0)
		if err := scan(&time, &h.Kind, &h.Reviewer, &h.Note); err != nil {
			return err
		}
		h.Time = timestamp(time)
		if !p.leads && it.state != closed && h.GetReviewer() != p.name {
			if k := h.GetKind(); k == reviewv1.HistoryKind_HISTORY_KIND_VERDICT || k == reviewv1.HistoryKind_HISTORY_KIND_UNDONE {
				h.Reviewer, h.Note = "", ""
			}
		}
		out = append(out, h)
		return nil
	})
	return out, err
}
