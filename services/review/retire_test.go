package review_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/services/review"
)

const day = 24 * time.Hour

// close1 answers an item.
func (k *desk) close1(tb testing.TB, name, id, label string) {
	tb.Helper()
	it, err := k.LeaseItem(reviewer(tb, name), &reviewv1.LeaseItemRequest{ItemId: id})
	if err != nil {
		tb.Fatal(err)
	}
	_, err = k.SubmitVerdict(reviewer(tb, name), &reviewv1.SubmitVerdictRequest{
		ItemId: id, LeaseId: it.GetItem().GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{label}, Note: "looked at"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	k.pass(tb, time.Minute)
}

// rowsOf counts the rows of the tables that hold what is done.
func (k *desk) rowsOf(tb testing.TB) map[string]int {
	tb.Helper()
	out := map[string]int{}
	err := k.db.View(tb.Context(), func(tx *db.Tx) error {
		for _, table := range []string{"items", "records", "verdicts", "history", "feedback", "gold", "gold_served", "keys", "runs"} {
			var n int
			if _, err := tx.Get(`SELECT count(*) FROM review_`+table, nil, &n); err != nil {
				return err
			}
			out[table] = n
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// retireAll lets time pass until nothing more is retired.
func (k *desk) retireAll(tb testing.TB, d time.Duration) {
	tb.Helper()
	k.pass(tb, d)
	for before := (map[string]int)(nil); ; {
		k.pass(tb, 2*time.Minute)
		if now := k.rowsOf(tb); fmt.Sprint(now) == fmt.Sprint(before) {
			return
		} else {
			before = now
		}
	}
}

// know lets the lake hold the record of a decision.
func (k *desk) know(r *commonv1.DecisionRecord) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.others == nil {
		k.others = map[string]*commonv1.DecisionRecord{}
	}
	k.others[r.GetDecision().GetDecisionId()] = r
}

func cloned(r *commonv1.DecisionRecord) *commonv1.DecisionRecord { return proto.CloneOf(r) }

// keep changes how long closed items stay.
func (k *desk) keep(retention map[string]time.Duration) { k.service.Retain(retention) }

func TestClosedItemsAreRetiredAfterTheirTime(t *testing.T) {
	t.Parallel()
	k := start(t)
	var records []string
	tickets := k.apply(t, k.ticket("one"), k.ticket("two"), k.ticket("three"), k.ticket("four waits"))
	records = append(records, tickets...)
	k.close1(t, "anna", tickets[0], "billing")
	k.close1(t, "anna", tickets[1], "hardware")
	if _, err := k.WithdrawItem(lead(t), &reviewv1.WithdrawItemRequest{ItemId: tickets[2], Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.SubmitFeedback(lead(t), &reviewv1.SubmitFeedbackRequest{FeedbackId: "f", DecisionId: tickets[0], Labels: []string{"billing"}}); err != nil {
		t.Fatal(err)
	}
	closedAt := k.get(t, tickets[0]).GetItem().GetCloseTime()
	k.retireAll(t, review.DefaultRetention-time.Hour)
	if it := k.get(t, tickets[0]).GetItem(); it.GetState() != reviewv1.ItemState_ITEM_STATE_CLOSED {
		t.Fatalf("before its time it is %v", it)
	}
	k.retireAll(t, 2*time.Hour)
	for i, kind := range []string{"closed", "closed", "withdrawn"} {
		r := k.get(t, tickets[i])
		it := r.GetItem()
		if it.GetState() != reviewv1.ItemState_ITEM_STATE_RETIRED || it.GetRetireTime() == nil || it.GetDeployment() != "support" || it.GetInput() != nil || len(r.GetVerdicts())+len(r.GetHistory())+len(r.GetFeedback()) > 0 {
			t.Errorf("what was %s is %v", kind, r)
		}
	}
	if it := k.get(t, tickets[0]).GetItem(); !it.GetCloseTime().AsTime().Equal(closedAt.AsTime()) || it.GetDecideTime() == nil || it.GetCreateTime() == nil {
		t.Errorf("the times of a retired item are %v", it)
	}
	if got := k.rowsOf(t); got["items"] != 1 || got["records"] != 1 || got["verdicts"] != 0 || got["feedback"] != 0 || got["keys"] != 3 || got["runs"] != 1 {
		t.Errorf("left are %v, want what belongs to the item that waits", got)
	}
	if next := k.next(t, "ben"); next.GetItemId() != records[3] {
		t.Errorf("the item that waits does so no more: %v", next)
	}
	q, err := k.GetQueue(lead(t), &reviewv1.GetQueueRequest{Operation: routing, Deployment: "support"})
	if err != nil || q.GetQueue().GetCounts().GetClosed() != 2 || q.GetQueue().GetCounts().GetWithdrawn() != 1 {
		t.Errorf("the queue counts %v (%v): what was closed since it exists", q.GetQueue().GetCounts(), err)
	}
	if problems, _, err := (review.Tables{DB: k.db}).Verify(t.Context()); err != nil || len(problems) > 0 {
		t.Errorf("the verification says %v, %v", problems, err)
	}
}

func TestEveryProjectHasItsOwnRetention(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.keep(map[string]time.Duration{"*": 10 * day, "p1": 0})
	other := k.ticket("another project's")
	other.Decision.Project = "p2"
	mine, theirs := k.apply(t, k.ticket("mine"))[0], k.apply(t, other)[0]
	k.close1(t, "anna", mine, "billing")
	if _, err := k.WithdrawItem(as(t.Context(), "p2", "lead", "*"), &reviewv1.WithdrawItemRequest{ItemId: theirs}); err != nil {
		t.Fatal(err)
	}
	state := func(project, id string) reviewv1.ItemState {
		r, err := k.GetItem(as(t.Context(), project, "lead", "*"), &reviewv1.GetItemRequest{ItemId: id})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetItem().GetState()
	}
	k.retireAll(t, 9*day)
	if s := state("p2", theirs); s != reviewv1.ItemState_ITEM_STATE_WITHDRAWN {
		t.Errorf("after 9 days it is %v", s)
	}
	k.retireAll(t, 2*day)
	if s := state("p2", theirs); s != reviewv1.ItemState_ITEM_STATE_RETIRED {
		t.Errorf("after 11 days it is %v", s)
	}
	k.retireAll(t, 5000*day)
	if s := state("p1", mine); s != reviewv1.ItemState_ITEM_STATE_CLOSED {
		t.Errorf("what is kept for ever is %v", s)
	}
	if err := (review.Config{Retention: map[string]time.Duration{"p1": time.Hour}}).Validate(); err == nil {
		t.Error("an hour is taken for a retention")
	}
}

// TestARetiredItemIsMadeAgainByNobodyButAnAppeal lets the record of its decision come again, and opens it again.
func TestARetiredItemIsMadeAgainByNobodyButAnAppeal(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.keep(map[string]time.Duration{"*": 2 * day})
	record := k.ticket("paid twice")
	id := record.GetDecision().GetDecisionId()
	k.know(record)
	k.apply(t, cloned(record))
	k.close1(t, "anna", id, "billing") // the decision said hardware
	k.retireAll(t, 3*day)
	k.apply(t, cloned(record))
	if next := k.next(t, "ben"); next != nil {
		t.Fatalf("the record came again, and with it the item %v", next)
	}
	lacking, err := review.Tables{DB: k.db}.Lacking(t.Context(), "p1", []string{id, decision.NewID()})
	if err != nil || len(lacking) != 1 || lacking[0] == id {
		t.Errorf("lacking are %v (%v), want the other only", lacking, err)
	}
	_, err = k.LeaseItem(reviewer(t, "ben"), &reviewv1.LeaseItemRequest{ItemId: id})
	wantReason(t, err, "ITEM_CLOSED")
	if _, err = k.SubmitFeedback(lead(t), &reviewv1.SubmitFeedbackRequest{FeedbackId: "late", DecisionId: id, Labels: []string{"billing"}}); err != nil {
		t.Errorf("feedback that comes after years: %v", err)
	}
	r, err := k.ReopenItem(lead(t), &reviewv1.ReopenItemRequest{ItemId: id, Reason: "appeal"})
	if err != nil || r.GetItem().GetRound() != 1 || r.GetItem().GetState() != reviewv1.ItemState_ITEM_STATE_OPEN {
		t.Fatalf("opened again: %v, %v", r, err)
	}
	if next := k.next(t, "anna"); next != nil {
		t.Errorf("who judged it before gets it again: %v", next)
	}
	k.close1(t, "ben", id, "billing") // says the same as the verdict that is gone
	verdicts := k.get(t, id).GetVerdicts()
	if len(verdicts) != 1 || verdicts[0].GetOverturns() {
		t.Errorf("the former verdict was forgotten: %v", verdicts)
	}
	k.retireAll(t, 3*day)
	if it := k.get(t, id).GetItem(); it.GetState() != reviewv1.ItemState_ITEM_STATE_RETIRED || it.GetRound() != 1 {
		t.Errorf("retired again: %v", it)
	}
	q, err := k.GetQueue(lead(t), &reviewv1.GetQueueRequest{Operation: routing, Deployment: "support"})
	if c := q.GetQueue().GetCounts(); err != nil || c.GetClosed() != 1 || c.GetOpen() != 0 {
		t.Errorf("counted are %v (%v), want the one that is closed", c, err)
	}
}

// TestWhatOutlivesARetiredItemCanBeErased keeps a test item and late feedback of a person whose item is gone.
func TestWhatOutlivesARetiredItemCanBeErased(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.keep(map[string]time.Duration{"*": 2 * day})
	record := k.ticket("Xanthippe cannot log in")
	id := record.GetDecision().GetDecisionId()
	k.know(record)
	k.apply(t, cloned(record))
	k.close1(t, "anna", id, "access")
	if _, err := k.CreateGoldItem(lead(t), &reviewv1.CreateGoldItemRequest{GoldId: decision.NewID(), ItemId: id}); err != nil {
		t.Fatal(err)
	}
	k.retireAll(t, 3*day)
	if _, err := k.SubmitFeedback(lead(t), &reviewv1.SubmitFeedbackRequest{FeedbackId: "late", DecisionId: id, Labels: []string{"access"}, Note: "Xanthippe called"}); err != nil {
		t.Fatal(err)
	}
	err := k.db.Tx(t.Context(), func(tx *db.Tx) error { // as an earlier release has left it
		_, err := tx.Exec(`UPDATE review_feedback SET subject = NULL`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.service.Erase(t.Context(), "p1", "customer 7")
	if want := (review.Erased{Feedback: 1, GoldItems: 1}); err != nil || got != want {
		t.Errorf("erased %v %v, want %v", got, err, want)
	}
	if got, err := k.service.Erase(t.Context(), "p1", "customer 7"); err != nil || got != (review.Erased{}) {
		t.Errorf("erased again %v %v", got, err)
	}
}

// TestABacklogIsRetiredInPieces has many items to retire at once: no call of the background takes long, and reviewers are served in between.
func TestABacklogIsRetiredInPieces(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.keep(map[string]time.Duration{"*": 2 * day})
	const items = 3000
	for range items / 100 {
		var tickets []string
		for range 100 {
			tickets = append(tickets, k.apply(t, k.ticket("spam"))...)
		}
		for _, id := range tickets {
			if _, err := k.WithdrawItem(lead(t), &reviewv1.WithdrawItemRequest{ItemId: id}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := k.rowsOf(t)["items"]; got != items {
		t.Fatalf("%d items", got)
	}
	waits := k.apply(t, k.ticket("waits"))[0]
	longest, calls := time.Duration(0), 0
	k.pass(t, 3*day)
	for k.rowsOf(t)["items"] > 1 {
		begin := time.Now()
		k.pass(t, 0)
		longest = max(longest, time.Since(begin))
		if calls++; calls > 10*items {
			t.Fatal("it does not end")
		}
		next := k.next(t, "ben")
		if next.GetItemId() != waits {
			t.Fatalf("meanwhile %v is next", next)
		}
		if _, err := k.ReleaseItem(reviewer(t, "ben"), &reviewv1.ReleaseItemRequest{ItemId: waits, LeaseId: next.GetLease().GetLeaseId()}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d items in %d pieces, the longest took %v", items, calls, longest)
}
