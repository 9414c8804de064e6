package review_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/services/review"
)

func TestNoItemIsLeasedTwiceAtATime(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.settings(t, &reviewv1.QueueSettings{UndoWindow: durationpb.New(0), SecondOpinionShare: 0.3})
	const items, people = 150, 8
	var records []*commonv1.DecisionRecord
	for i := range items {
		records = append(records, k.ticket(at(i)))
	}
	k.apply(t, records...)
	var mu sync.Mutex
	holder := map[string]string{}
	judged := map[string]map[string]int{} // item, person, verdicts
	var group sync.WaitGroup
	for p := range people {
		name := fmt.Sprint("person", p)
		random := rand.New(rand.NewPCG(uint64(p), 1))
		group.Go(func() {
			for idle := 0; idle < 20; {
				r, err := k.LeaseItems(reviewer(t, name), &reviewv1.LeaseItemsRequest{MaxItems: int32(1 + random.IntN(4)), Lease: durationpb.New(12 * time.Hour)})
				if err != nil {
					t.Errorf("%s leases: %v", name, err)
					return
				}
				if len(r.GetItems()) == 0 {
					idle++
					continue
				}
				idle = 0
				for _, it := range r.GetItems() {
					mu.Lock()
					if other := holder[it.GetItemId()]; other != "" {
						t.Errorf("%s gets %s, which %s has", name, it.GetItemId(), other)
					}
					holder[it.GetItemId()] = name
					mu.Unlock()
				}
				for _, it := range r.GetItems() {
					// Whoever takes it next may be faster than this goroutine: it is free from the moment of the call.
					mu.Lock()
					holder[it.GetItemId()] = ""
					mu.Unlock()
					if random.IntN(5) == 0 {
						_, err = k.ReleaseItem(reviewer(t, name), &reviewv1.ReleaseItemRequest{ItemId: it.GetItemId(), LeaseId: it.GetLease().GetLeaseId()})
					} else {
						_, err = k.SubmitVerdict(reviewer(t, name), &reviewv1.SubmitVerdictRequest{
							ItemId: it.GetItemId(), LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{"billing"}},
						})
						mu.Lock()
						if judged[it.GetItemId()] == nil {
							judged[it.GetItemId()] = map[string]int{}
						}
						judged[it.GetItemId()][name]++
						mu.Unlock()
					}
					if err != nil {
						t.Errorf("%s ends %s: %v", name, it.GetItemId(), err)
					}
				}
			}
		})
	}
	group.Wait()
	for id, by := range judged {
		for name, n := range by {
			if n > 1 {
				t.Errorf("%s judged %s %d times", name, id, n)
			}
		}
	}
	q, err := k.GetQueue(lead(t), &reviewv1.GetQueueRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	if c := q.GetQueue().GetCounts(); c.GetClosed() != items || c.GetOpen()+c.GetLeased()+c.GetDecided() != 0 {
		t.Errorf("counts are %v, want %d closed", c, items)
	}
	final := 0
	for range k.emitted(review.VerdictEvents) {
		final++
	}
	if want := len(flatten(judged)); final != want {
		t.Errorf("%d verdicts were sent, %d acknowledged", final, want)
	}
}

func flatten(judged map[string]map[string]int) (out []string) {
	for id, by := range judged {
		for name := range by {
			out = append(out, id+name)
		}
	}
	return out
}

func TestLeaseEndsUnlessItIsProlonged(t *testing.T) {
	t.Parallel()
	k := start(t)
	id := k.apply(t, k.ticket("one"))[0]
	it := k.next(t, "anna")
	extend := func(lease string) error {
		_, err := k.ExtendLease(reviewer(t, "anna"), &reviewv1.ExtendLeaseRequest{ItemId: id, LeaseId: lease})
		return err
	}
	k.pass(t, 4*time.Minute)
	if err := extend(it.GetLease().GetLeaseId()); err != nil {
		t.Fatal(err)
	}
	k.pass(t, 4*time.Minute)
	if other := k.next(t, "ben"); other != nil {
		t.Fatal("ben gets an item whose lease was prolonged")
	}
	k.pass(t, 2*time.Minute)
	wantReason(t, extend(it.GetLease().GetLeaseId()), "LEASE_LOST")
	if other := k.next(t, "ben"); other.GetItemId() != id {
		t.Fatal("ben does not get an item whose lease ended")
	}
	_, err := k.ReleaseItem(reviewer(t, "anna"), &reviewv1.ReleaseItemRequest{ItemId: id, LeaseId: it.GetLease().GetLeaseId()})
	wantReason(t, err, "LEASE_LOST")
	_, err = k.LeaseItem(reviewer(t, "anna"), &reviewv1.LeaseItemRequest{ItemId: id})
	wantReason(t, err, "LEASE_LOST")
}

func TestLeaseBelongsToKeyAndPersonTogether(t *testing.T) {
	t.Parallel()
	k := start(t)
	id := k.apply(t, k.ticket("one"))[0]
	shared, other := as(t.Context(), "p1", "console", "review:work"), as(t.Context(), "p1", "script", "review:work")
	r, err := k.LeaseItems(shared, &reviewv1.LeaseItemsRequest{Reviewer: "anna"})
	if err != nil || len(r.GetItems()) != 1 {
		t.Fatalf("lease: %v", err)
	}
	lease := r.GetItems()[0].GetLease().GetLeaseId()
	for name, call := range map[string]func() error{
		"another person with the same key": func() error {
			_, err := k.ExtendLease(shared, &reviewv1.ExtendLeaseRequest{ItemId: id, LeaseId: lease, Reviewer: "ben"})
			return err
		},
		"the same name with another key": func() error {
			_, err := k.ExtendLease(other, &reviewv1.ExtendLeaseRequest{ItemId: id, LeaseId: lease, Reviewer: "anna"})
			return err
		},
	} {
		t.Log(name)
		wantReason(t, call(), "LEASE_LOST")
	}
}

func TestWaitingLeaseGetsWhatArrives(t *testing.T) {
	t.Parallel()
	k := start(t)
	got := make(chan *reviewv1.LeaseItemsResponse)
	go func() {
		r, err := k.LeaseItems(reviewer(t, "anna"), &reviewv1.LeaseItemsRequest{Wait: durationpb.New(20 * time.Second)})
		if err != nil {
			t.Errorf("lease: %v", err)
		}
		got <- r
	}()
	select {
	case r := <-got:
		t.Fatalf("did not wait: %v", r)
	case <-time.After(50 * time.Millisecond):
	}
	begin := time.Now()
	id := k.apply(t, k.ticket("one"))[0]
	if r := <-got; len(r.GetItems()) != 1 || r.GetItems()[0].GetItemId() != id {
		t.Errorf("got %v", r)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	begin = time.Now()
	r, err := k.LeaseItems(reviewer(t, "anna"), &reviewv1.LeaseItemsRequest{Wait: durationpb.New(100 * time.Millisecond)})
	if took := time.Since(begin); err != nil || len(r.GetItems()) > 0 || took < 100*time.Millisecond {
		t.Errorf("after %v: %v %v", took, err, r)
	}
}

func TestWatchSendsWhatChangesAndEndsWithTheService(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.apply(t, k.ticket("one"))
	ctx, cancel := context.WithTimeout(reviewer(t, "anna"), 20*time.Second)
	defer cancel()
	stream, err := k.WatchQueues(ctx, &reviewv1.WatchQueuesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	recv := func() *reviewv1.WatchQueuesResponse {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := recv(); m.GetQueue().GetCounts().GetOpen() != 1 {
		t.Errorf("first is %v", m)
	}
	if m := recv(); !m.GetSynced() {
		t.Errorf("second is %v, want synced", m)
	}
	k.apply(t, k.ticket("two"), k.ticket("three"))
	if m := recv(); m.GetQueue().GetCounts().GetOpen() != 3 {
		t.Errorf("after two more: %v", m)
	}
	k.next(t, "anna")
	if m := recv(); m.GetQueue().GetCounts().GetLeased() != 1 {
		t.Errorf("after a lease: %v", m)
	}
	k.service.Close()
	_, err = stream.Recv()
	wantReason(t, err, "SHUTTING_DOWN")
}
