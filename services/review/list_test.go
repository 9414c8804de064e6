package review_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// walk reads a list to its end, in pages of the size, and calls between after each page.
func walk(t *testing.T, k *desk, req *reviewv1.ListItemsRequest, size int32, between func()) []string {
	t.Helper()
	var ids []string
	req.Page = &commonv1.PageRequest{Size: size}
	for pages := 0; ; pages++ {
		r, err := k.ListItems(reviewer(t, "anna"), req)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range r.GetItems() {
			ids = append(ids, it.GetItemId())
		}
		if req.Page.Token = r.GetPage().GetNextToken(); req.GetPage().GetToken() == "" {
			return ids
		}
		if pages > 100 {
			t.Fatal("the list does not end")
		}
		between()
	}
}

func TestPagesHoldEachItemOnceWhileTheQueueMoves(t *testing.T) {
	t.Parallel()
	k := start(t)
	var want []string
	for i := range 25 {
		want = append(want, k.apply(t, k.ticket(at(i)))...)
	}
	slices.Reverse(want)
	moved := 0
	got := walk(t, k, &reviewv1.ListItemsRequest{}, 4, func() {
		moved++
		k.apply(t, k.ticket(fmt.Sprint("new ", moved)))
		k.say(t, "ben", k.next(t, "ben"), "billing")
		k.pass(t, time.Minute)
	})
	if !slices.Equal(got, want) {
		t.Errorf("pages hold\n%v, want\n%v", got, want)
	}
}

func TestFiltersNarrowTheList(t *testing.T) {
	t.Parallel()
	k := start(t)
	ids := k.apply(t, k.ticket("Mein Bildschirm ist SCHWARZ"), k.ticket("invoice 100% wrong", "billing", 0.9, "access", 0.1), k.comment("buy now"))
	k.pass(t, time.Hour)
	late := k.apply(t, k.ticket("later"))[0]
	if _, err := k.LeaseItem(reviewer(t, "anna"), &reviewv1.LeaseItemRequest{ItemId: ids[0]}); err != nil {
		t.Fatal(err)
	}
	it, err := k.LeaseItem(reviewer(t, "ben"), &reviewv1.LeaseItemRequest{ItemId: ids[1]})
	if err != nil {
		t.Fatal(err)
	}
	k.say(t, "ben", it.GetItem(), "hardware")
	k.pass(t, time.Minute)
	hour := timestamppb.New(k.time().Add(-30 * time.Minute))
	for name, c := range map[string]struct {
		req  *reviewv1.ListItemsRequest
		want []string
	}{
		"operation":         {&reviewv1.ListItemsRequest{Operation: moderation}, []string{ids[2]}},
		"deployment":        {&reviewv1.ListItemsRequest{Deployment: "support"}, []string{late, ids[1], ids[0]}},
		"state":             {&reviewv1.ListItemsRequest{State: reviewv1.ItemState_ITEM_STATE_CLOSED}, []string{ids[1]}},
		"label":             {&reviewv1.ListItemsRequest{Label: "billing"}, []string{ids[1]}},
		"label of verdict":  {&reviewv1.ListItemsRequest{VerdictLabel: "hardware"}, []string{ids[1]}},
		"reviewer, leased":  {&reviewv1.ListItemsRequest{Reviewer: "key:anna", State: reviewv1.ItemState_ITEM_STATE_LEASED}, []string{ids[0]}},
		"reviewer, closed":  {&reviewv1.ListItemsRequest{Reviewer: "key:ben"}, []string{ids[1]}},
		"decided after":     {&reviewv1.ListItemsRequest{DecidedAfter: hour}, []string{late}},
		"decided before":    {&reviewv1.ListItemsRequest{DecidedBefore: hour, Deployment: "support"}, []string{ids[1], ids[0]}},
		"text, any case":    {&reviewv1.ListItemsRequest{Text: "bildschirm IST schw"}, []string{ids[0]}},
		"text of the title": {&reviewv1.ListItemsRequest{Text: "help\nbuy"}, []string{ids[2]}},
		"text with percent": {&reviewv1.ListItemsRequest{Text: "100% w"}, []string{ids[1]}},
		"no wildcard":       {&reviewv1.ListItemsRequest{Text: "i_voice"}, nil},
		"content":           {&reviewv1.ListItemsRequest{ContentId: "content of buy now"}, []string{ids[2]}},
		"escalated":         {&reviewv1.ListItemsRequest{Escalated: true}, nil},
		"two at once":       {&reviewv1.ListItemsRequest{Deployment: "support", Text: "later", State: reviewv1.ItemState_ITEM_STATE_OPEN}, []string{late}},
	} {
		for _, size := range []int32{1, 50} {
			if got := walk(t, k, c.req, size, func() {}); !slices.Equal(got, c.want) {
				t.Errorf("%s in pages of %d: %v, want %v", name, size, got, c.want)
			}
		}
	}
}

func TestRareItemsAreFoundOverPagesThatAreEmpty(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.service.SetScan(10)
	rare := k.apply(t, k.ticket("the needle"))
	for i := range 35 {
		k.apply(t, k.ticket(at(i)))
	}
	first, err := k.ListItems(reviewer(t, "anna"), &reviewv1.ListItemsRequest{Text: "needle"})
	if err != nil || len(first.GetItems()) != 0 || first.GetPage().GetNextToken() == "" {
		t.Errorf("first page is %v %v, want none and more to come", err, first)
	}
	if got := walk(t, k, &reviewv1.ListItemsRequest{Text: "needle"}, 3, func() {}); !slices.Equal(got, rare) {
		t.Errorf("found %v, want %v", got, rare)
	}
	if got := walk(t, k, &reviewv1.ListItemsRequest{Text: "el"}, 3, func() {}); len(got) < 30 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
		t.Errorf("%d items with many matches", len(got))
	}
}

func TestTokenIsRefusedWithOtherFilters(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.apply(t, k.ticket("one"), k.ticket("two"))
	r, err := k.ListItems(reviewer(t, "anna"), &reviewv1.ListItemsRequest{Page: &commonv1.PageRequest{Size: 1}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.ListItems(reviewer(t, "anna"), &reviewv1.ListItemsRequest{Label: "billing", Page: &commonv1.PageRequest{Token: r.GetPage().GetNextToken()}})
	wantReason(t, err, "INVALID_ARGUMENT")
}

func TestFeedbackIsRecordedOnceAndListedWithTheDecision(t *testing.T) {
	t.Parallel()
	k := start(t)
	id := k.apply(t, k.ticket("one"))[0]
	req := &reviewv1.SubmitFeedbackRequest{FeedbackId: "moved-17", DecisionId: id, Labels: []string{"hardware"}, Source: "agent"}
	first, err := k.SubmitFeedback(lead(t), req)
	if err != nil {
		t.Fatal(err)
	}
	k.pass(t, 90*24*time.Hour)
	again, err := k.SubmitFeedback(lead(t), req)
	if err != nil || again.GetFeedback().GetSubmitTime().AsTime() != first.GetFeedback().GetSubmitTime().AsTime() {
		t.Errorf("repeated months later: %v %v", err, again)
	}
	if !first.GetFeedback().GetAgrees() || first.GetFeedback().GetSubjectId() != "customer 7" {
		t.Errorf("feedback is %v", first)
	}
	for _, label := range []string{"access", "billing"} {
		if _, err := k.SubmitFeedback(lead(t), &reviewv1.SubmitFeedbackRequest{FeedbackId: label, DecisionId: id, Labels: []string{label}}); err != nil {
			t.Fatal(err)
		}
		k.pass(t, time.Second)
	}
	if n := len(k.emitted("feedback")); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
	page, err := k.ListFeedback(lead(t), &reviewv1.ListFeedbackRequest{DecisionId: id, Page: &commonv1.PageRequest{Size: 2}})
	if err != nil || len(page.GetFeedback()) != 2 || page.GetFeedback()[0].GetFeedbackId() != "moved-17" {
		t.Fatalf("first page: %v %v", err, page)
	}
	page, err = k.ListFeedback(lead(t), &reviewv1.ListFeedbackRequest{DecisionId: id, Page: &commonv1.PageRequest{Size: 2, Token: page.GetPage().GetNextToken()}})
	if err != nil || len(page.GetFeedback()) != 1 || page.GetFeedback()[0].GetFeedbackId() != "billing" || page.GetPage().GetNextToken() != "" {
		t.Errorf("second page: %v %v", err, page)
	}
	if n := len(k.get(t, id).GetFeedback()); n != 3 {
		t.Errorf("the item shows %d, want 3", n)
	}
	_, err = k.SubmitFeedback(lead(t), &reviewv1.SubmitFeedbackRequest{FeedbackId: "x", DecisionId: "0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42", Labels: []string{"access"}})
	wantReason(t, err, "NOT_FOUND")
}
