package review_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/services/review"
)

// newGold makes a test item with the answer "access".
func newGold(t *testing.T, k *desk, text string) *reviewv1.GoldItem {
	t.Helper()
	id := k.apply(t, k.ticket(text))[0]
	r, err := k.CreateGoldItem(lead(t), &reviewv1.CreateGoldItemRequest{
		GoldId: "0190c6f2-3f7e-7cc1-9a51-" + at(len(text))[:12], ItemId: id, Answer: &reviewv1.Answer{Labels: []string{"access"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.WithdrawItem(lead(t), &reviewv1.WithdrawItemRequest{ItemId: id}); err != nil {
		t.Fatal(err)
	}
	return r.GetGold()
}

func TestTestItemsAreMixedInAndLookLikeAnyOther(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.settings(t, &reviewv1.QueueSettings{GoldShare: 0.1})
	gold := newGold(t, k, "cannot sign in")
	ordinary := k.apply(t, k.ticket("black screen"))[0]
	k.draw = 0.05 // below the share
	copied := k.next(t, "anna")
	if copied.GetInput().GetText() != "cannot sign in" || copied.GetItemId() == gold.GetSourceItemId() {
		t.Fatalf("leased %v, want a copy of the test item", copied)
	}
	if it := k.next(t, "anna"); it.GetItemId() != ordinary {
		t.Errorf("the same test item comes again at once: %v", it)
	}
	answered := k.say(t, "anna", copied, "hardware")
	seen, err := k.GetItem(reviewer(t, "anna"), &reviewv1.GetItemRequest{ItemId: copied.GetItemId()})
	if err != nil {
		t.Fatal(err)
	}
	k.pass(t, time.Minute)
	later, err := k.GetItem(reviewer(t, "anna"), &reviewv1.GetItemRequest{ItemId: copied.GetItemId()})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []proto.Message{copied, answered, seen, later} {
		if tells(t, m) {
			t.Errorf("the reviewer can tell: %v", m)
		}
	}
	v := k.emitted(review.VerdictEvents)[0].Message.(*reviewv1.Verdict)
	if !v.GetGold() || v.GetGoldRight() || v.GetFinal() || v.GetDecisionId() != gold.GetSourceItemId() {
		t.Errorf("verdict on the test item is %v", v)
	}
	list, err := k.ListGoldItems(lead(t), &reviewv1.ListGoldItemsRequest{})
	if err != nil || len(list.GetGold()) != 1 || list.GetGold()[0].GetAnswered() != 1 || list.GetGold()[0].GetErrors() != 1 {
		t.Errorf("test items are %v %v", err, list)
	}
	q, err := k.GetQueue(lead(t), &reviewv1.GetQueueRequest{Operation: routing, Deployment: "support"})
	if err != nil || q.GetQueue().GetCounts().GetClosed() != 0 {
		t.Errorf("copies of test items are counted: %v", q)
	}
	if _, err := k.DeleteGoldItem(lead(t), &reviewv1.DeleteGoldItemRequest{GoldId: gold.GetGoldId()}); err != nil {
		t.Fatal(err)
	}
	k.apply(t, k.ticket("blue screen"))
	if it := k.next(t, "ben"); it.GetInput().GetText() != "blue screen" {
		t.Errorf("a deleted test item is mixed in: %v", it)
	}
}

// tells says whether anything in a message says that an item is a test item.
func tells(t *testing.T, m proto.Message) bool {
	t.Helper()
	data, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	var found func(any) bool
	found = func(v any) bool {
		switch v := v.(type) {
		case map[string]any:
			if v["itemId"] != nil && v["decisionId"] != nil && v["itemId"] != v["decisionId"] || v["gold"] != nil || v["goldRight"] != nil || v["role"] == "VERDICT_ROLE_GOLD" {
				return true
			}
			for _, member := range v {
				if found(member) {
					return true
				}
			}
		case []any:
			return slices.ContainsFunc(v, found)
		}
		return false
	}
	return found(v)
}

func TestErrorRatesComeFromTestItemsAndSecondOpinions(t *testing.T) {
	t.Parallel()
	k := start(t)
	newGold(t, k, "cannot sign in")
	newGold(t, k, "cannot sign in there")
	k.settings(t, &reviewv1.QueueSettings{SecondOpinionShare: 1, GoldShare: 0.1})
	// cleo is often wrong: she calls every third item hardware.
	for i := range 30 {
		k.apply(t, k.ticket(at(i)))
		for _, name := range []string{"anna", "cleo"} {
			label := "billing"
			if name == "cleo" && i%3 == 0 {
				label = "hardware"
			}
			k.say(t, name, k.next(t, name), label)
			k.pass(t, time.Minute)
		}
		if it := k.next(t, "ben"); it != nil {
			k.say(t, "ben", it, "billing")
			k.pass(t, time.Minute)
		}
	}
	k.apply(t, k.ticket("last"))
	k.mu.Lock()
	k.draw = 0
	k.mu.Unlock()
	for range 2 {
		k.say(t, "cleo", k.next(t, "cleo"), "hardware")
		k.say(t, "anna", k.next(t, "anna"), "access")
	}
	k.pass(t, time.Minute)
	r, err := k.GetAgreement(lead(t), &reviewv1.GetAgreementRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	if r.GetItems() != 30 || len(r.GetPairs()) != 1 || fmt.Sprintf("%.3f", r.GetPairs()[0].GetAgreement()) != "0.667" || !r.GetAlphaDefined() {
		t.Errorf("agreement is %v", r)
	}
	rates := map[string]*reviewv1.ReviewerQuality{}
	for _, q := range r.GetReviewers() {
		rates[q.GetReviewer()] = q
	}
	if a, c := rates["key:anna"], rates["key:cleo"]; a.GetGoldErrors() != 0 || c.GetGoldErrors() != 2 || a.GetErrorRate() > c.GetErrorRate() || c.GetErrorRate() < 0.2 || !c.GetEstimated() {
		t.Errorf("rates are %v", r.GetReviewers())
	}
	stats, err := k.GetQueueStats(lead(t), &reviewv1.GetQueueStatsRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	if stats.GetSecondOpinions() != 30 || stats.GetDisagreements() != 10 || stats.GetItemsClosed() != 30 || stats.GetVerdicts() != 30+30+10+4 {
		t.Errorf("figures are %v", stats)
	}
	people, err := k.ListReviewers(lead(t), &reviewv1.ListReviewersRequest{})
	if err != nil || len(people.GetReviewers()) != 3 || people.GetReviewers()[2].GetVerdicts() != 32 || people.GetReviewers()[2].GetGoldErrors() != 2 {
		t.Errorf("reviewers are %v %v", err, people)
	}
}

func TestWhoSettlesADisagreementTellsWhoErred(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.settings(t, &reviewv1.QueueSettings{SecondOpinionShare: 1})
	// cleo takes billing for hardware as often as hardware for billing, so that their two answers alone do not tell who of them errs.
	truth := []string{"billing", "hardware"}
	for i := range 36 {
		k.apply(t, k.ticket(at(i)))
		for _, name := range []string{"anna", "cleo"} {
			label := truth[i%2]
			if name == "cleo" && i%3 == 0 {
				label = truth[1-i%2]
			}
			k.say(t, name, k.next(t, name), label)
			k.pass(t, time.Minute)
		}
		if it := k.next(t, "ben"); it != nil {
			k.say(t, "ben", it, truth[i%2])
			k.pass(t, time.Minute)
		}
	}
	r, err := k.GetAgreement(lead(t), &reviewv1.GetAgreementRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	// ben's answers were not independent: they are no part of the agreement, and nothing is said of him.
	if len(r.GetReviewers()) != 2 || len(r.GetPairs()) != 1 || r.GetItems() != 36 {
		t.Errorf("agreement is %v", r)
	}
	for _, q := range r.GetReviewers() {
		want := map[string]float64{"key:anna": 0, "key:cleo": 1.0 / 3}[q.GetReviewer()]
		if q.GetItems() != 36 || math.Abs(q.GetErrorRate()-want) > 0.03 {
			t.Errorf("%s errs in %.3f of %d, want %.3f", q.GetReviewer(), q.GetErrorRate(), q.GetItems(), want)
		}
	}
}
