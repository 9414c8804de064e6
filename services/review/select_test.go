package review_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// backlog lets n items wait, every fourth of which the model is unsure about.
func (k *desk) backlog(tb testing.TB, n int) []string {
	tb.Helper()
	var records []*commonv1.DecisionRecord
	for i := range n {
		if i%4 == 0 {
			records = append(records, k.ticket(at(i), "billing", 0.42, "access", 0.4, "hardware", 0.18))
		} else {
			records = append(records, k.ticket(at(i), "hardware", 0.95, "billing", 0.03, "access", 0.02))
		}
	}
	return k.apply(tb, records...)
}

func (k *desk) choose(tb testing.TB, count int32, seed uint64) *reviewv1.SelectItemsResponse {
	tb.Helper()
	r, err := k.SelectItems(lead(tb), &reviewv1.SelectItemsRequest{Operation: routing, Deployment: "support", Count: count, Seed: seed})
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestWhatTeachesMostComesFirst(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.settings(t, &reviewv1.QueueSettings{UncertaintyWeight: proto.Float64(0), HarmWeight: proto.Float64(0), UndoWindow: durationpb.New(0)}) // by age alone
	ids := k.backlog(t, 120)
	unsure := map[string]bool{}
	for i, id := range ids {
		unsure[id] = i%4 == 0
	}
	r := k.choose(t, 20, 7)
	if len(r.GetChosen()) != 20 || r.GetCandidates() != 120 || r.GetSeed() != 7 || r.GetSelectionId() == "" {
		t.Fatalf("chosen: %v", r)
	}
	chosen, hard, sum := map[string]float64{}, 0, 0.0
	for _, it := range r.GetChosen() {
		chosen[it.GetItemId()] = it.GetProbability()
		sum += 1 / it.GetProbability()
		if unsure[it.GetItemId()] {
			hard++
		}
		if it.GetProbability() < r.GetLeast() || it.GetProbability() > 1 || it.GetAgain() {
			t.Errorf("chosen with %v", it)
		}
	}
	if hard < 14 || len(chosen) != 20 || r.GetLeast() <= 0 {
		t.Errorf("%d of 20 are among the 30 that the model is unsure about; the least probability is %v", hard, r.GetLeast())
	}
	for range 20 {
		it := k.next(t, "anna")
		if _, ok := chosen[it.GetItemId()]; !ok || it.GetPriority() != 8 {
			t.Fatalf("item %v came before those that were chosen", it)
		}
		k.say(t, "anna", it, "billing")
		if h := k.get(t, it.GetItemId()).GetHistory(); h[0].GetKind() != reviewv1.HistoryKind_HISTORY_KIND_SELECTED || h[0].GetReviewer() != "key:lead" {
			t.Errorf("its history begins with %v", h[0])
		}
	}
	late := k.next(t, "anna")
	if _, ok := chosen[late.GetItemId()]; ok {
		t.Fatal("more items come first than were chosen")
	}
	k.say(t, "anna", late, "billing")
	k.pass(t, time.Second)
	seen := 0
	for _, e := range k.emitted("verdicts") {
		v := e.Message.(*reviewv1.Verdict)
		p, ok := chosen[v.GetItemId()]
		s := v.GetSelection()
		if s.GetSelectionId() != r.GetSelectionId() || s.GetChosen() != ok || s.GetLeast() != r.GetLeast() || ok && s.GetProbability() != p || s.GetProbability() <= 0 {
			t.Errorf("verdict on %s has %v, chosen with %v", v.GetItemId(), s, p)
		}
		seen++
	}
	if seen != 21 {
		t.Errorf("%d verdicts, want 21", seen)
	}
}

func TestAnItemTakesPartOnce(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.backlog(t, 40)
	first := k.choose(t, 10, 1)
	second := k.choose(t, 10, 1)
	if second.GetCandidates() != 30 || second.GetLeast() != 0 {
		t.Errorf("the second choice was among %d, the least probability %v; want 30 that took part before", second.GetCandidates(), second.GetLeast())
	}
	chosen := map[string]bool{}
	for _, it := range first.GetChosen() {
		chosen[it.GetItemId()] = true
	}
	for _, it := range second.GetChosen() {
		if chosen[it.GetItemId()] || !it.GetAgain() {
			t.Errorf("chosen again: %v", it)
		}
	}
	audited := k.ticket("an audit")
	audited.Decision.Outcome, audited.Decision.Audit = commonv1.Outcome_OUTCOME_AUTOMATED, &commonv1.Audit{Selected: true, Probability: 0.05}
	k.apply(t, audited) // takes no part
	fresh := k.backlog(t, 8)
	third := k.choose(t, 28, 1) // all that are left
	if third.GetCandidates() != 28 || third.GetLeast() != 1 || len(third.GetChosen()) != 28 {
		t.Errorf("all that are left: %d of %d, least %v", len(third.GetChosen()), third.GetCandidates(), third.GetLeast())
	}
	news := map[string]bool{}
	for _, id := range fresh {
		news[id] = true
	}
	for _, it := range third.GetChosen() {
		if it.GetAgain() == news[it.GetItemId()] {
			t.Errorf("item %v, new: %v", it, news[it.GetItemId()])
		}
	}
	_, err := k.SelectItems(lead(t), &reviewv1.SelectItemsRequest{Operation: moderation, Deployment: "comments", Count: 1})
	wantReason(t, err, "NOT_FOUND")
}
