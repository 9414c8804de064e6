package review_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
)

// order says what is wrong with the order of a queue at a given time, by what its documentation says and without any of the service's code; nothing when it is right.
func order(s *reviewv1.QueueSettings, items []*commonv1.DecisionRecord, priorities map[string]int, now time.Time, ids []string) string {
	records := map[string]*commonv1.DecisionRecord{}
	for _, r := range items {
		records[r.GetDecision().GetDecisionId()] = r
	}
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
	due := func(r *commonv1.DecisionRecord) time.Time {
		return r.GetDecision().GetTime().AsTime().Add(s.GetDueAfter().AsDuration())
	}
	overdue := func(r *commonv1.DecisionRecord) bool { return s.GetDueAfter() != nil && !due(r).After(now) }
	for i, id := range ids {
		a := records[id]
		if a == nil {
			return id + " came twice, or is none"
		}
		delete(records, id)
		for _, other := range ids[i+1:] {
			b := records[other]
			switch {
			case b == nil:
				return other + " came twice, or is none"
			case overdue(b) && !overdue(a), overdue(a) && overdue(b) && due(b).Before(due(a)):
				return other + " is overdue and comes after " + id
			case !overdue(a) && weight(b) > weight(a)*math.Exp2(1.0/32):
				return fmt.Sprintf("%s weighs %v and comes after %s, which weighs %v", other, weight(b), id, weight(a))
			case !overdue(a) && weight(b) > weight(a) && other < id:
				return fmt.Sprintf("%s weighs %v, is older, and comes after %s, which weighs %v", other, weight(b), id, weight(a))
			}
		}
	}
	if len(records) > 0 {
		return fmt.Sprintf("%d are missing", len(records))
	}
	return ""
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
			now := k.time()
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
			if wrong := order(s, records, priorities, now, got); wrong != "" {
				t.Error(wrong)
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
