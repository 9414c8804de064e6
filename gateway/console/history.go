package console

import (
	"maps"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

type decisionPage struct {
	ID       string
	Item     *reviewv1.ReviewItem
	Verdicts []*reviewv1.Verdict
	History  []*reviewv1.HistoryEntry
	Feedback []*reviewv1.Feedback
	Record   *commonv1.DecisionRecord
	JSON     string // the record, for people who want all of it
	Fields   []field
	Input    *commonv1.RecordedInput
	Queue    queueRef
	Blur     bool
	Closed   bool
	Retired  bool
	Waits    bool
	Notice   string
}

// decision shows everything that is known of one decision. A decision that nobody reviews has no item, one whose record is gone still has its item.
func (c *Console) decision(w http.ResponseWriter, r *http.Request, s *session) error {
	id := r.PathValue("id")
	page := decisionPage{ID: id, Notice: notices[r.URL.Query().Get("done")]}
	item, itemErr := c.review.GetItem(r.Context(), &reviewv1.GetItemRequest{ItemId: id, Reviewer: s.Reviewer})
	var record *decisionsv1.GetDecisionResponse
	// The copy of a test item has no decision behind it: a record that is missing would tell the reviewer, so nobody sees one before the item is closed.
	if c.decisions != nil && (itemErr != nil || closed(item.GetItem())) {
		record, _ = c.decisions.GetDecision(r.Context(), &decisionsv1.GetDecisionRequest{DecisionId: id})
	}
	if itemErr != nil && record == nil {
		return itemErr
	}
	page.Item, page.Verdicts, page.History, page.Feedback = item.GetItem(), item.GetVerdicts(), item.GetHistory(), item.GetFeedback()
	page.Record = record.GetRecord()
	if page.Retired = page.Item.GetState() == reviewv1.ItemState_ITEM_STATE_RETIRED; page.Retired {
		page.Verdicts = record.GetReview().GetVerdicts()
	}
	d := page.Record.GetDecision()
	page.Queue = queueRef{d.GetOperation(), d.GetDeployment()}
	page.Input = page.Record.GetInput()
	if page.Item != nil {
		page.Queue = queueRef{page.Item.GetOperation(), page.Item.GetDeployment()}
		if !page.Retired {
			page.Input = page.Item.GetInput()
		}
		state := page.Item.GetState()
		page.Closed = closed(page.Item)
		page.Waits = state == reviewv1.ItemState_ITEM_STATE_OPEN || state == reviewv1.ItemState_ITEM_STATE_LEASED
	}
	if page.Record != nil {
		page.JSON = protojson.MarshalOptions{Multiline: true, Indent: "  "}.Format(page.Record)
	}
	page.Fields = fieldsOf(page.Input)
	page.Blur = s.Blur == "always" || s.Blur == "moderation" && page.Queue.Operation == commonv1.Operation_OPERATION_MODERATION
	c.render(w, http.StatusOK, "decision.html", frame{Title: "Decision " + id, Session: s, Page: page})
	return nil
}

func closed(i *reviewv1.ReviewItem) bool {
	return i.GetState() >= reviewv1.ItemState_ITEM_STATE_CLOSED
}

var notices = map[string]string{
	"reopened":  "The item waits again. Whoever judged it before does not get it.",
	"withdrawn": "The item was taken out of the queue.",
}

func (c *Console) reopen(w http.ResponseWriter, r *http.Request, s *session) error {
	id := r.PathValue("id")
	_, err := c.review.ReopenItem(r.Context(), &reviewv1.ReopenItemRequest{
		ItemId: id, Reviewer: s.Reviewer, Reason: strings.TrimSpace(r.PostFormValue("reason")), Note: strings.TrimSpace(r.PostFormValue("note")),
	})
	if err != nil {
		return err
	}
	http.Redirect(w, r, root+"/decisions/"+url.PathEscape(id)+"?done=reopened", http.StatusSeeOther)
	return nil
}

func (c *Console) withdraw(w http.ResponseWriter, r *http.Request, s *session) error {
	id := r.PathValue("id")
	_, err := c.review.WithdrawItem(r.Context(), &reviewv1.WithdrawItemRequest{ItemId: id, Reviewer: s.Reviewer, Reason: strings.TrimSpace(r.PostFormValue("reason"))})
	if err != nil {
		return err
	}
	http.Redirect(w, r, root+"/decisions/"+url.PathEscape(id)+"?done=withdrawn", http.StatusSeeOther)
	return nil
}

type itemsPage struct {
	Filter url.Values
	Queues []*reviewv1.Queue
	States []reviewv1.ItemState
	Kinds  []reviewv1.ItemKind
	Items  []*reviewv1.ReviewItem
	Next   string // address of the next page; empty after the last one
	Blur   string
}

// items lists and searches. The filter stands in the address, so that a list can be kept as a bookmark.
func (c *Console) items(w http.ResponseWriter, r *http.Request, s *session) error {
	filter := r.URL.Query()
	req := &reviewv1.ListItemsRequest{
		State: reviewv1.ItemState(reviewv1.ItemState_value["ITEM_STATE_"+strings.ToUpper(filter.Get("state"))]),
		Kind:  reviewv1.ItemKind(reviewv1.ItemKind_value["ITEM_KIND_"+strings.ToUpper(filter.Get("kind"))]),
		Label: filter.Get("label"), Text: strings.TrimSpace(filter.Get("text")), ContentId: strings.TrimSpace(filter.Get("content")), Reviewer: filter.Get("reviewer"),
		Escalated: filter.Get("escalated") != "", Page: &commonv1.PageRequest{Size: 50, Token: filter.Get("page")},
	}
	if op, deployment, ok := strings.Cut(filter.Get("queue"), "/"); ok {
		req.Operation, req.Deployment = operationOf(op), deployment
	}
	if n := len([]rune(req.GetText())); n == 1 {
		return fault.InvalidField("text", "search for at least 2 characters")
	}
	res, err := c.review.ListItems(r.Context(), req)
	if err != nil {
		return err
	}
	queues, err := c.allQueues(r.Context())
	if err != nil {
		return err
	}
	page := itemsPage{
		Filter: filter, Queues: queues, Items: res.GetItems(), Blur: s.Blur,
		States: []reviewv1.ItemState{1, 2, 3, 4, 5}, Kinds: []reviewv1.ItemKind{1, 2, 3},
	}
	if token := res.GetPage().GetNextToken(); token != "" {
		next := url.Values{}
		maps.Copy(next, filter)
		next.Set("page", token)
		page.Next = root + "/items?" + next.Encode()
	}
	c.render(w, http.StatusOK, "items.html", frame{Title: "Items", Session: s, Page: page})
	return nil
}
