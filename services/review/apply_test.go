package review_test

import (
	"testing"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

func TestAReviewerNeedNotWaitForAllThatStreamsIn(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.apply(t, k.ticket("makes the queue"))
	const items = 3000
	records := make([]*commonv1.DecisionRecord, items)
	for i := range records {
		records[i] = k.ticket(at(i))
	}
	applied := make(chan error, 1)
	go func() { applied <- k.service.Apply(t.Context(), records) }()
	between := 0
	for done := false; !done; {
		it := k.next(t, "anna")
		if it == nil {
			t.Fatal("nothing to take")
		}
		if n := k.rowsOf(t)["items"]; n > 1 && n <= items {
			between++
		}
		if _, err := k.ReleaseItem(reviewer(t, "anna"), &reviewv1.ReleaseItemRequest{ItemId: it.GetItemId(), LeaseId: it.GetLease().GetLeaseId()}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-applied:
			if done = true; err != nil {
				t.Fatal(err)
			}
		default:
		}
	}
	if between == 0 {
		t.Error("an item was handed out before all were there, or after, and never between")
	}
	if n := k.rowsOf(t)["items"]; n != items+1 {
		t.Errorf("there are %d items, want %d", n, items+1)
	}
}
