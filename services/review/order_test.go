package review_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// expected is the order of a queue written down as its documentation says it, at a given time, without any of the service's code.
func expected(s *reviewv1.QueueSettings, items []*commonv1.DecisionRecord, priorities map[string]int, now time.Time) []string {
	weight := func(r *commonv1.DecisionRecord) float64 {
		d := r.GetDecision()
		harm, entropy := 0.0, 0.0
		for _, l := range d.GetLabels() {
			h := s.GetLabelHarm()[l.GetLabel()]
			if h == 0 {
				h = 1
			}
			harm += h * l.GetProbability()
			entropy -= l.GetProbability() * math.Log2(l.GetProbability())
		}
		uncertainty := max(entropy/math.Log2(float64(len(d.GetLabels()))), 1.0/64)
		age := now.Sub(d.GetTime().AsTime())
		return math.Pow(harm, s.GetHarmWeight()) * math.Pow(uncertainty, s.GetUncertaintyWeight()) *
			math.Exp2(s.GetPriorityWeight()*float64(priorities[d.GetDecisionId()])) * math.Exp2(age.Hours()/s.GetAgeDoubling().AsDuration().Hours())
	}
	overdue := func(r *commonv1.DecisionRecord) bool {
		return s.GetDueAfter() != nil && !r.GetDecision().GetTime().AsTime().Add(s.GetDueAfter().AsDuration()).After(now)
	}
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b *commonv1.DecisionRecord) int {
		switch {
		case overdue(a) && overdue(b):
			return a.GetDecision().GetTime().AsTime().Compare(b.GetDecision().GetTime().AsTime())
		case overdue(a):
			return -1
		case overdue(b):
			return 1
		case weight(a) > weight(b):
			return -1
		}
		return 1
	})
	ids := make([]string, len(sorted))
	for i, r := range sorted {
		ids[i] = r.GetDecision().GetDecisionId()
	}
	return ids
}

func TestItemsComeByHarmUncertaintyPriorityAndAgeAtAnyTime(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			k := start(t)
			k.apply(t, k.ticket("makes the queue"))
			k.say(t, "anna", k.next(t, "anna"), "access")
			k.pass(t, time.Hour)
			s := &reviewv1.QueueSettings{
				HarmWeight: new(2 * r.Float64()), UncertaintyWeight: new(2 * r.Float64()), PriorityWeight: new(4 * r.Float64()),
				AgeDoubling: durationpb.New(time.Duration(1+r.IntN(20)) * time.Hour), LabelHarm: map[string]float64{"billing": 1 + 9*r.Float64(), "access": 0.1},
			}
			if seed%2 == 0 {
				s.DueAfter = durationpb.New(30 * time.Hour)
			}
			late := r.IntN(2) == 0
			if !late {
				k.settings(t, s)
			}
			var records []*commonv1.DecisionRecord
			priorities := map[string]int{}
			for i := range 60 {
				p := 0.34 + 0.6*r.Float64()
				rec := k.ticket(at(i), "billing", p, "hardware", 0.6*(1-p), "access", 0.4*(1-p))
				rec.Decision.Time = timestamppb.New(k.time().Add(-time.Duration(r.Int64N(int64(40 * time.Hour)))))
				rec.Action = int32(1 + r.IntN(4))
				priorities[rec.GetDecision().GetDecisionId()] = int(rec.GetAction()) - 2
				records = append(records, rec)
			}
			var copies []*commonv1.DecisionRecord
			for _, rec := range records {
				copies = append(copies, proto.CloneOf(rec))
			}
			k.apply(t, copies...)
			if late { // items that wait are ranked by the new settings too
				k.settings(t, s)
			}
			k.pass(t, time.Duration(r.Int64N(int64(20*time.Hour))))
			want := expected(s, records, priorities, k.time())
			var got []string
			for len(got) < len(records) {
				items, err := k.LeaseItems(reviewer(t, "anna"), &reviewv1.LeaseItemsRequest{MaxItems: int32(1 + r.IntN(7)), Lease: durationpb.New(time.Hour)})
				if err != nil || len(items.GetItems()) == 0 {
					t.Fatalf("lease after %d items: %v", len(got), err)
				}
				for _, it := range items.GetItems() {
					got = append(got, it.GetItemId())
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("order is\n%v, want\n%v", got, want)
			}
		})
	}
}

func TestReviewersGetOnlyWhatTheyCanJudge(t *testing.T) {
	t.Parallel()
	k := start(t)
	_, err := k.UpdateReviewer(lead(t), &reviewv1.UpdateReviewerRequest{Reviewer: "key:anna", Skills: []string{"lang:de", "accounts"}})
	if err != nil {
		t.Fatal(err)
	}
	k.settings(t, &reviewv1.QueueSettings{LabelSkills: map[string]string{"billing": "accounts"}, LocaleSkills: true})
	german := k.ticket("Rechnung falsch", "billing", 0.9, "access", 0.1)
	german.Input.Locale = "de-AT"
	ids := k.apply(t, german, k.ticket("black screen", "hardware", 0.9, "access", 0.1))
	if it := k.next(t, "ben"); it.GetItemId() != ids[1] {
		t.Errorf("ben gets %v, want the item that needs no skill", it)
	}
	if it := k.next(t, "ben"); it != nil {
		t.Errorf("ben gets %v, which needs skills", it)
	}
	only := func(skills ...string) int {
		r, err := k.LeaseItems(reviewer(t, "anna"), &reviewv1.LeaseItemsRequest{Skills: skills})
		if err != nil {
			t.Fatal(err)
		}
		return len(r.GetItems())
	}
	if n := only("accounts"); n != 0 {
		t.Error("anna gets a German item although she asked for accounts only")
	}
	if n := only("accounts", "lang:de", "law"); n != 1 {
		t.Error("anna does not get the item that needs both her skills")
	}
}

func TestPriorityAndOverdueItemsComeFirst(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.settings(t, &reviewv1.QueueSettings{DueAfter: durationpb.New(time.Hour)})
	ids := k.apply(t, k.ticket("one"), k.ticket("two"), k.ticket("three"))
	if _, err := k.PrioritiseItem(lead(t), &reviewv1.PrioritiseItemRequest{ItemId: ids[2], Priority: 2}); err != nil {
		t.Fatal(err)
	}
	if it := k.next(t, "anna"); it.GetItemId() != ids[2] || it.GetPriority() != 2 {
		t.Errorf("first is %v, want the one with priority", it)
	}
	k.pass(t, 59*time.Minute)
	fresh := k.apply(t, k.ticket("four"))
	if _, err := k.PrioritiseItem(lead(t), &reviewv1.PrioritiseItemRequest{ItemId: fresh[0], Priority: 4}); err != nil {
		t.Fatal(err)
	}
	k.pass(t, time.Minute)
	if it := k.next(t, "ben"); it.GetItemId() != ids[0] || !it.GetEscalated() {
		t.Errorf("first is %v, want the overdue one", it)
	}
	q, err := k.GetQueue(lead(t), &reviewv1.GetQueueRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	if n := q.GetQueue().GetCounts().GetEscalated(); n != 3 {
		t.Errorf("%d items are escalated, want 3", n)
	}
}
