package review_test

import (
	"strings"
	"testing"
	"time"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/services/review"
)

// wave is a text long enough that one changed word is a small part of it.
const wave = "Congratulations, you are one of our lucky winners today and have been chosen for a free gift card of one hundred euros, " +
	"click the link below within twenty four hours to claim what is yours before somebody else does, no strings attached whatsoever, greetings from "

func TestOneAnswerGoesToNearlyIdenticalItemsOnly(t *testing.T) {
	t.Parallel()
	k := start(t)
	equal, near, other := k.ticket(wave+"Bob"), k.ticket(wave+"Eva"), k.ticket("Please reset my password for the shared folder, thank you")
	differently := k.ticket(wave+"Bob", "billing", 0.9, "access", 0.1)
	field := k.ticket(wave + "Bob and his friends")
	field.Input.Fields = map[string]*commonv1.FieldValue{"plan": {Value: &commonv1.FieldValue_Text{Text: "gold"}}}
	elsewhere := k.comment(wave + "Bob")
	lead := k.apply(t, k.ticket(wave+"Bob"))[0]
	it := k.next(t, "anna")
	ids := k.apply(t, equal, near, other, differently, field, elsewhere, k.ticket(wave+"Ann"))
	if taken := k.next(t, "ben"); taken == nil {
		t.Fatal("nothing to take")
	} else if _, err := k.ReleaseItem(reviewer(t, "ben"), &reviewv1.ReleaseItemRequest{ItemId: taken.GetItemId(), LeaseId: taken.GetLease().GetLeaseId()}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.LeaseItem(reviewer(t, "ben"), &reviewv1.LeaseItemRequest{ItemId: ids[6]}); err != nil {
		t.Fatal(err)
	}
	similar, err := k.ListSimilarItems(reviewer(t, "anna"), &reviewv1.ListSimilarItemsRequest{ItemId: lead})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*reviewv1.SimilarItem{}
	for _, s := range similar.GetItems() {
		found[s.GetItem().GetItemId()] = s
	}
	if len(found) != 3 || found[ids[0]].GetSimilarity() != 1 || found[ids[1]].GetSimilarity() < 0.9 || found[ids[1]].GetSimilarity() == 1 || found[ids[3]].GetSameSuggestion() {
		t.Errorf("similar are %v", similar.GetItems())
	}
	r, err := k.SubmitVerdicts(reviewer(t, "anna"), &reviewv1.SubmitVerdictsRequest{
		ItemId: lead, LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{"billing"}},
		ItemIds: append(ids, "0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "", "", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "LEASE_LOST", "NOT_FOUND"} {
		got := r.GetResults()[i]
		if got.GetError().GetReason() != want || (want == "") == (got.GetVerdict() == nil) {
			t.Errorf("result %d is %v, want %q", i, got, want)
		}
	}
	k.pass(t, time.Minute)
	if n := len(k.emitted(review.VerdictEvents)); n != 3 {
		t.Errorf("%d verdicts were sent, want 3", n)
	}
	for _, id := range ids[2:6] {
		if state := k.get(t, id).GetItem().GetState(); state != reviewv1.ItemState_ITEM_STATE_OPEN {
			t.Errorf("item that takes no part is %v", state)
		}
	}
	similar, err = k.ListSimilarItems(reviewer(t, "anna"), &reviewv1.ListSimilarItemsRequest{ItemId: lead})
	if err != nil || len(similar.GetItems()) != 1 {
		t.Errorf("afterwards similar are %v %v, want the one with another suggestion", err, similar.GetItems())
	}
}

func TestVerdictsOfAGroupAreTakenBackOneByOne(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.apply(t, k.ticket(wave))
	it := k.next(t, "anna")
	ids := k.apply(t, k.ticket(wave), k.ticket(wave))
	r, err := k.SubmitVerdicts(reviewer(t, "anna"), &reviewv1.SubmitVerdictsRequest{
		ItemId: it.GetItemId(), LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{"billing"}}, ItemIds: ids,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range r.GetResults() {
		if result.GetVerdict().GetGroupId() != r.GetGroupId() || r.GetGroupId() == "" {
			t.Errorf("group of %v is not %q", result.GetVerdict(), r.GetGroupId())
		}
	}
	if _, err := k.UndoVerdict(reviewer(t, "anna"), &reviewv1.UndoVerdictRequest{ItemId: ids[0]}); err != nil {
		t.Fatal(err)
	}
	k.pass(t, time.Minute)
	if n := len(k.emitted(review.VerdictEvents)); n != 2 {
		t.Errorf("%d verdicts were sent, want 2", n)
	}
}

func TestUnknownLabelRefusesTheWholeGroup(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.apply(t, k.ticket(wave))
	it := k.next(t, "anna")
	ids := k.apply(t, k.ticket(wave))
	_, err := k.SubmitVerdicts(reviewer(t, "anna"), &reviewv1.SubmitVerdictsRequest{
		ItemId: it.GetItemId(), LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{"biling"}}, ItemIds: ids,
	})
	wantReason(t, err, "LABEL_UNKNOWN")
	if !strings.Contains(err.Error(), `nearest is "billing"`) {
		t.Errorf("error is %v", err)
	}
	if state := k.get(t, ids[0]).GetItem().GetState(); state != reviewv1.ItemState_ITEM_STATE_OPEN {
		t.Errorf("item is %v", state)
	}
}
