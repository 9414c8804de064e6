package review_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// calls makes every call of the service with ids of project p1, under a context. Those that name nothing of a project answer with what the caller's own has.
func calls(k *desk, item, lease, closedItem, gold string) map[string]func(context.Context) (proto.Message, error) {
	const support = "support"
	answer := &reviewv1.Answer{Labels: []string{"billing"}}
	return map[string]func(context.Context) (proto.Message, error){
		"LeaseItems": func(c context.Context) (proto.Message, error) {
			return k.LeaseItems(c, &reviewv1.LeaseItemsRequest{Operation: routing, Deployment: support})
		},
		"LeaseItem": func(c context.Context) (proto.Message, error) {
			return k.LeaseItem(c, &reviewv1.LeaseItemRequest{ItemId: item})
		},
		"ExtendLease": func(c context.Context) (proto.Message, error) {
			return k.ExtendLease(c, &reviewv1.ExtendLeaseRequest{ItemId: item, LeaseId: lease})
		},
		"ReleaseItem": func(c context.Context) (proto.Message, error) {
			return k.ReleaseItem(c, &reviewv1.ReleaseItemRequest{ItemId: item, LeaseId: lease})
		},
		"SubmitVerdict": func(c context.Context) (proto.Message, error) {
			return k.SubmitVerdict(c, &reviewv1.SubmitVerdictRequest{ItemId: item, LeaseId: lease, Answer: answer})
		},
		"SubmitVerdicts": func(c context.Context) (proto.Message, error) {
			return k.SubmitVerdicts(c, &reviewv1.SubmitVerdictsRequest{ItemId: item, LeaseId: lease, Answer: answer, ItemIds: []string{closedItem}})
		},
		"UndoVerdict": func(c context.Context) (proto.Message, error) {
			return k.UndoVerdict(c, &reviewv1.UndoVerdictRequest{ItemId: closedItem})
		},
		"ListItems": func(c context.Context) (proto.Message, error) { return k.ListItems(c, &reviewv1.ListItemsRequest{}) },
		"GetItem": func(c context.Context) (proto.Message, error) {
			return k.GetItem(c, &reviewv1.GetItemRequest{ItemId: item})
		},
		"ListSimilarItems": func(c context.Context) (proto.Message, error) {
			return k.ListSimilarItems(c, &reviewv1.ListSimilarItemsRequest{ItemId: item})
		},
		"ReopenItem": func(c context.Context) (proto.Message, error) {
			return k.ReopenItem(c, &reviewv1.ReopenItemRequest{ItemId: closedItem})
		},
		"WithdrawItem": func(c context.Context) (proto.Message, error) {
			return k.WithdrawItem(c, &reviewv1.WithdrawItemRequest{ItemId: item})
		},
		"PrioritiseItem": func(c context.Context) (proto.Message, error) {
			return k.PrioritiseItem(c, &reviewv1.PrioritiseItemRequest{ItemId: item, Priority: 4})
		},
		"ListQueues": func(c context.Context) (proto.Message, error) { return k.ListQueues(c, &reviewv1.ListQueuesRequest{}) },
		"GetQueue": func(c context.Context) (proto.Message, error) {
			return k.GetQueue(c, &reviewv1.GetQueueRequest{Operation: routing, Deployment: support})
		},
		"UpdateQueue": func(c context.Context) (proto.Message, error) {
			return k.UpdateQueue(c, &reviewv1.UpdateQueueRequest{Operation: routing, Deployment: support, Settings: &reviewv1.QueueSettings{}})
		},
		"SelectItems": func(c context.Context) (proto.Message, error) {
			return k.SelectItems(c, &reviewv1.SelectItemsRequest{Operation: routing, Deployment: support, Count: 1})
		},
		"GetQueueStats": func(c context.Context) (proto.Message, error) {
			return k.GetQueueStats(c, &reviewv1.GetQueueStatsRequest{Operation: routing, Deployment: support})
		},
		"GetAgreement": func(c context.Context) (proto.Message, error) {
			return k.GetAgreement(c, &reviewv1.GetAgreementRequest{Operation: routing, Deployment: support})
		},
		"WatchQueues": func(c context.Context) (proto.Message, error) {
			c, cancel := context.WithCancel(c)
			defer cancel()
			stream, err := k.WatchQueues(c, &reviewv1.WatchQueuesRequest{})
			if err != nil {
				return nil, err
			}
			return stream.Recv()
		},
		"CreateGoldItem": func(c context.Context) (proto.Message, error) {
			return k.CreateGoldItem(c, &reviewv1.CreateGoldItemRequest{GoldId: gold[:30] + "abcdef", ItemId: item, Answer: answer})
		},
		"ListGoldItems": func(c context.Context) (proto.Message, error) {
			return k.ListGoldItems(c, &reviewv1.ListGoldItemsRequest{})
		},
		"DeleteGoldItem": func(c context.Context) (proto.Message, error) {
			return k.DeleteGoldItem(c, &reviewv1.DeleteGoldItemRequest{GoldId: gold})
		},
		"ListReviewers": func(c context.Context) (proto.Message, error) {
			return k.ListReviewers(c, &reviewv1.ListReviewersRequest{})
		},
		"UpdateReviewer": func(c context.Context) (proto.Message, error) {
			return k.UpdateReviewer(c, &reviewv1.UpdateReviewerRequest{Reviewer: "key:anna", Skills: []string{"spying"}})
		},
		"SubmitFeedback": func(c context.Context) (proto.Message, error) {
			return k.SubmitFeedback(c, &reviewv1.SubmitFeedbackRequest{FeedbackId: "f1", DecisionId: item, Labels: []string{"billing"}})
		},
		"ListFeedback": func(c context.Context) (proto.Message, error) {
			return k.ListFeedback(c, &reviewv1.ListFeedbackRequest{DecisionId: item})
		},
	}
}

// free are the methods that name nothing of a project.
var free = map[string]bool{
	"LeaseItems": true, "ListItems": true, "ListQueues": true, "WatchQueues": true, "ListGoldItems": true, "ListReviewers": true, "UpdateReviewer": true,
}

func TestIdsOfAnotherProjectAreNotFoundAndChangeNothing(t *testing.T) {
	t.Parallel()
	k := start(t)
	gold := newGold(t, k, "cannot sign in").GetGoldId()
	closed := k.apply(t, k.ticket("first"))[0]
	k.say(t, "anna", k.next(t, "anna"), "billing")
	k.pass(t, time.Minute)
	item := k.apply(t, k.ticket("second"))[0]
	lease := k.next(t, "anna").GetLease().GetLeaseId()
	before := snapshot(t, k)
	all := calls(k, item, lease, closed, gold)
	methods := reviewv1.File_switchyard_review_v1_review_service_proto.Services().Get(0).Methods()
	for i := range methods.Len() {
		name := string(methods.Get(i).Name())
		call := all[name]
		if call == nil {
			t.Errorf("%s is not called here", name)
			continue
		}
		// The other project has a key and a person of the same names.
		answer, err := call(as(t.Context(), "p2", "anna", "*"))
		if !free[name] {
			t.Log(name)
			wantReason(t, err, "NOT_FOUND")
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, secret := range []string{"first", "second", "sign in", "support", item, closed} {
			if text := prototext.Format(answer); strings.Contains(text, secret) {
				t.Errorf("%s shows %q of another project: %s", name, secret, text)
			}
		}
	}
	if after := snapshot(t, k); before != after {
		t.Errorf("another project changed\n%s\nto\n%s", before, after)
	}
	// The same calls reach what they name from within the project: the ids are right.
	for _, name := range []string{"GetItem", "ExtendLease", "ReopenItem", "GetQueue", "DeleteGoldItem", "SubmitFeedback"} {
		if _, err := all[name](as(t.Context(), "p1", "anna", "*")); err != nil {
			t.Errorf("%s within the project: %v", name, err)
		}
	}
}

// snapshot is everything that somebody who leads sees of project p1.
func snapshot(t *testing.T, k *desk) string {
	t.Helper()
	items, err := k.ListItems(lead(t), &reviewv1.ListItemsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	queues, err := k.ListQueues(lead(t), &reviewv1.ListQueuesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	people, err := k.ListReviewers(lead(t), &reviewv1.ListReviewersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	gold, err := k.ListGoldItems(lead(t), &reviewv1.ListGoldItemsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	// Marshal, not Format: its text varies by design.
	var out strings.Builder
	for _, m := range []proto.Message{items, queues, people, gold} {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%q\n", b)
	}
	return out.String()
}

func TestCallsWithoutAKeyAreRefused(t *testing.T) {
	t.Parallel()
	k := start(t)
	for name, call := range calls(k, "x", "x", "x", "0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42") {
		_, err := call(t.Context())
		t.Log(name)
		wantReason(t, err, "KEY_MISSING")
	}
}
