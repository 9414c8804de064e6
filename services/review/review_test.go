package review_test

import (
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/services/review"
)

func TestVerdictCountsWhenTheUndoWindowHasPassed(t *testing.T) {
	t.Parallel()
	k := start(t)
	id := k.apply(t, k.ticket("my screen is black"))[0]
	it := k.next(t, "anna")
	if it.GetItemId() != id || it.GetInput().GetText() != "my screen is black" || it.GetLabels()[0].GetLabel() != "hardware" {
		t.Fatalf("leased %v", it)
	}
	k.pass(t, 10*time.Second)
	answered := k.say(t, "anna", it, "billing")
	if answered.GetUndoUntil().AsTime() != k.time().Add(30*time.Second) {
		t.Errorf("can be taken back until %v", answered.GetUndoUntil().AsTime())
	}
	if n := len(k.emitted(review.VerdictEvents)); n != 0 {
		t.Errorf("%d verdicts were sent before their window passed", n)
	}
	k.pass(t, 30*time.Second)
	events := k.emitted(review.VerdictEvents)
	if len(events) != 1 {
		t.Fatalf("%d verdicts were sent, want 1", len(events))
	}
	v := events[0].Message.(*reviewv1.Verdict)
	if !v.GetFinal() || v.GetAgrees() || v.GetDecisionId() != id || v.GetReviewer() != "key:anna" || v.GetAnswer().GetLabels()[0] != "billing" ||
		v.GetAnswer().GetTimeSpent().AsDuration() != 10*time.Second || v.GetSubjectId() != "customer 7" {
		t.Errorf("verdict is %v", v)
	}
	got := k.get(t, id)
	if got.GetItem().GetState() != reviewv1.ItemState_ITEM_STATE_CLOSED || !proto.Equal(got.GetItem().GetVerdict(), v) {
		t.Errorf("item is %v", got.GetItem())
	}
}

func TestVerdictCanBeTakenBackByItsAuthorOnly(t *testing.T) {
	t.Parallel()
	k := start(t)
	id := k.apply(t, k.ticket("my screen is black"))[0]
	k.say(t, "anna", k.next(t, "anna"), "billing")
	_, err := k.UndoVerdict(reviewer(t, "ben"), &reviewv1.UndoVerdictRequest{ItemId: id})
	wantReason(t, err, "LEASE_LOST")
	undone, err := k.UndoVerdict(reviewer(t, "anna"), &reviewv1.UndoVerdictRequest{ItemId: id})
	if err != nil {
		t.Fatal(err)
	}
	k.pass(t, 31*time.Second)
	if n := len(k.emitted(review.VerdictEvents)); n != 0 {
		t.Fatalf("%d verdicts were sent that had been taken back", n)
	}
	k.say(t, "anna", undone.GetItem(), "hardware")
	k.pass(t, 31*time.Second)
	_, err = k.UndoVerdict(reviewer(t, "anna"), &reviewv1.UndoVerdictRequest{ItemId: id})
	wantReason(t, err, "ITEM_CLOSED")
	if got := k.get(t, id); got.GetItem().GetVerdict().GetAnswer().GetLabels()[0] != "hardware" || len(got.GetVerdicts()) != 1 {
		t.Errorf("verdicts are %v", got.GetVerdicts())
	}
}

func TestWrongVerdictsAreRefusedWithTypedErrors(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.apply(t, k.ticket("my screen is black"))
	it := k.next(t, "anna")
	try := func(name, lease string, a *reviewv1.Answer) error {
		_, err := k.SubmitVerdict(reviewer(t, name), &reviewv1.SubmitVerdictRequest{ItemId: it.GetItemId(), LeaseId: lease, Answer: a})
		return err
	}
	mine, good := it.GetLease().GetLeaseId(), &reviewv1.Answer{Labels: []string{"billing"}}
	wantReason(t, try("ben", mine, good), "LEASE_LOST")
	wantReason(t, try("anna", "another", good), "LEASE_LOST")
	wantReason(t, try("anna", mine, &reviewv1.Answer{Labels: []string{"hardwear"}}), "LABEL_UNKNOWN")
	wantReason(t, try("anna", mine, &reviewv1.Answer{Labels: []string{"billing", "access"}}), "INVALID_ARGUMENT")
	wantReason(t, try("anna", mine, &reviewv1.Answer{}), "INVALID_ARGUMENT")
	wantReason(t, try("anna", mine, &reviewv1.Answer{NotSure: true, Labels: []string{"billing"}}), "INVALID_ARGUMENT")
	wantReason(t, try("anna", mine, &reviewv1.Answer{Labels: []string{"billing"}, Action: moderationv1.Action_ACTION_ALLOW}), "INVALID_ARGUMENT")
	k.pass(t, 5*time.Minute)
	wantReason(t, try("anna", mine, good), "LEASE_LOST")
	it = k.next(t, "ben")
	k.say(t, "ben", it, "billing")
	wantReason(t, try("anna", mine, good), "ITEM_CLOSED")
	k.pass(t, time.Minute)
	wantReason(t, try("anna", mine, good), "ITEM_CLOSED")
}

func TestRepeatedVerdictIsTheSameVerdict(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.apply(t, k.ticket("my screen is black"))
	it := k.next(t, "anna")
	first := k.say(t, "anna", it, "billing")
	if again := k.say(t, "anna", it, "billing"); !proto.Equal(first, again) {
		t.Errorf("repeated within the window: %v, first %v", again, first)
	}
	k.pass(t, time.Minute)
	if again := k.say(t, "anna", it, "billing"); again.GetVerdict().GetVerdictId() != first.GetVerdict().GetVerdictId() {
		t.Errorf("repeated afterwards: %v, first %v", again, first)
	}
	if n := len(k.emitted(review.VerdictEvents)); n != 1 {
		t.Errorf("%d verdicts were sent, want 1", n)
	}
}

func TestOnlyWhatNeedsAPersonBecomesAnItemAndOnlyOnce(t *testing.T) {
	t.Parallel()
	k := start(t)
	automated, audit, shadow := k.ticket("automated"), k.ticket("audit"), k.ticket("shadow")
	automated.Decision.Outcome = commonv1.Outcome_OUTCOME_AUTOMATED
	audit.Decision.Outcome, audit.Decision.Audit.Selected = commonv1.Outcome_OUTCOME_AUTOMATED, true
	shadow.Decision.Reason = commonv1.DecisionReason_DECISION_REASON_SHADOW
	records := []*commonv1.DecisionRecord{automated, audit, shadow, proto.CloneOf(audit)}
	again := []*commonv1.DecisionRecord{proto.CloneOf(automated), proto.CloneOf(audit), proto.CloneOf(shadow)}
	k.apply(t, records...)
	it := k.next(t, "anna")
	if it.GetItemId() != audit.GetDecision().GetDecisionId() || it.GetKind() != reviewv1.ItemKind_ITEM_KIND_AUDIT || k.next(t, "anna") != nil {
		t.Fatalf("leased %v, want the audit alone", it)
	}
	k.say(t, "anna", it, "hardware")
	k.pass(t, 20*24*time.Hour)
	before := k.get(t, it.GetItemId())
	k.apply(t, again...)
	if after := k.get(t, it.GetItemId()); !proto.Equal(before, after) || k.next(t, "ben") != nil {
		t.Errorf("redelivery weeks later changed the item to %v", after)
	}
}

func TestNotSureGoesOnToAnotherPersonAndIsEscalatedInTheEnd(t *testing.T) {
	t.Parallel()
	k := start(t)
	id := k.apply(t, k.ticket("what is this"))[0]
	for _, name := range []string{"anna", "ben"} {
		k.say(t, name, k.next(t, name))
		k.pass(t, time.Minute)
		if it := k.next(t, name); it != nil {
			t.Errorf("%s gets the item again: %v", name, it)
		}
	}
	if it := k.get(t, id).GetItem(); !it.GetEscalated() || it.GetState() != reviewv1.ItemState_ITEM_STATE_OPEN {
		t.Errorf("after two who could not say: %v", it)
	}
	k.say(t, "cleo", k.next(t, "cleo"), "access")
	k.pass(t, time.Minute)
	if v := k.get(t, id).GetItem().GetVerdict(); v.GetReviewer() != "key:cleo" || !v.GetFinal() {
		t.Errorf("verdict is %v", v)
	}
}

func TestTwoPeopleJudgeBlindlyAndAThirdDecidesWhenTheyDiffer(t *testing.T) {
	t.Parallel()
	k := start(t)
	k.apply(t, k.ticket("makes the queue"))
	k.say(t, "anna", k.next(t, "anna"), "hardware")
	k.settings(t, &reviewv1.QueueSettings{SecondOpinionShare: 1})
	id := k.apply(t, k.ticket("hard to say"))[0]
	k.say(t, "anna", k.next(t, "anna"), "hardware")
	k.pass(t, time.Minute)
	if it := k.next(t, "anna"); it != nil {
		t.Fatalf("anna is asked for a second opinion on her own verdict: %v", it)
	}
	second := k.next(t, "ben")
	seen, err := k.GetItem(reviewer(t, "ben"), &reviewv1.GetItemRequest{ItemId: id})
	if err != nil {
		t.Fatal(err)
	}
	if second.GetVerdict() != nil || len(second.GetOpinions()) > 0 || len(seen.GetVerdicts()) > 0 {
		t.Errorf("ben sees the first opinion: %v", seen)
	}
	k.say(t, "ben", second, "billing")
	k.pass(t, time.Minute)
	third := k.next(t, "cleo")
	if len(third.GetOpinions()) != 2 {
		t.Errorf("the third person sees %d opinions, want 2", len(third.GetOpinions()))
	}
	k.say(t, "cleo", third, "billing")
	k.pass(t, time.Minute)
	got := k.get(t, id)
	if len(got.GetVerdicts()) != 3 || got.GetItem().GetVerdict().GetRole() != reviewv1.VerdictRole_VERDICT_ROLE_ADJUDICATION {
		t.Errorf("verdicts are %v", got.GetVerdicts())
	}
	for i, blind := range []bool{true, true, false} {
		if v := got.GetVerdicts()[i]; v.GetBlind() != blind || v.GetFinal() == blind {
			t.Errorf("verdict %d is %v", i, v)
		}
	}
}

func TestReopenedItemGoesToSomebodyElseAndMayOverturn(t *testing.T) {
	t.Parallel()
	k := start(t)
	id := k.apply(t, k.comment("buy now"))[0]
	answer := func(name string, action moderationv1.Action) {
		it := k.next(t, name)
		_, err := k.SubmitVerdict(reviewer(t, name), &reviewv1.SubmitVerdictRequest{
			ItemId: it.GetItemId(), LeaseId: it.GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Action: action, Reason: "advert"},
		})
		if err != nil {
			t.Fatal(err)
		}
		k.pass(t, time.Minute)
	}
	answer("anna", moderationv1.Action_ACTION_REMOVE)
	if _, err := k.ReopenItem(lead(t), &reviewv1.ReopenItemRequest{ItemId: id, Reason: "appeal", Note: "I sell nothing"}); err != nil {
		t.Fatal(err)
	}
	if it := k.next(t, "anna"); it != nil {
		t.Fatalf("anna judges her own verdict: %v", it)
	}
	answer("ben", moderationv1.Action_ACTION_ALLOW)
	got := k.get(t, id)
	if v := got.GetItem().GetVerdict(); !v.GetOverturns() || !v.GetFinal() || v.GetRound() != 1 || v.GetRole() != reviewv1.VerdictRole_VERDICT_ROLE_APPEAL {
		t.Errorf("verdict is %v", v)
	}
	if n := len(k.emitted(review.ItemEvents)); n != 1 {
		t.Errorf("%d item events, want 1 for the reopening", n)
	}
	_, err := k.WithdrawItem(lead(t), &reviewv1.WithdrawItemRequest{ItemId: id})
	wantReason(t, err, "ITEM_CLOSED")
}

func TestAutomatedDecisionsCanBeAppealedAndGetFeedback(t *testing.T) {
	t.Parallel()
	k := start(t)
	r := k.ticket("one")
	r.Decision.Outcome = commonv1.Outcome_OUTCOME_AUTOMATED
	id := r.GetDecision().GetDecisionId()
	k.others = map[string]*commonv1.DecisionRecord{id: r}
	if _, err := k.GetItem(lead(t), &reviewv1.GetItemRequest{ItemId: id}); err == nil {
		t.Fatal("it is an item already")
	}
	f, err := k.SubmitFeedback(lead(t), &reviewv1.SubmitFeedbackRequest{FeedbackId: "f", DecisionId: id, Labels: []string{"billing"}})
	if err != nil || f.GetFeedback().GetDeployment() != "support" || f.GetFeedback().GetAgrees() {
		t.Errorf("feedback is %v %v", err, f)
	}
	_, err = k.SubmitFeedback(lead(t), &reviewv1.SubmitFeedbackRequest{FeedbackId: "g", DecisionId: id, Labels: []string{"biling"}})
	wantReason(t, err, "LABEL_UNKNOWN")
	opened, err := k.ReopenItem(lead(t), &reviewv1.ReopenItemRequest{ItemId: id, Reason: "appeal"})
	if err != nil || opened.GetItem().GetKind() != reviewv1.ItemKind_ITEM_KIND_APPEAL {
		t.Fatalf("reopened: %v %v", err, opened)
	}
	k.say(t, "anna", k.next(t, "anna"), "billing")
	k.pass(t, time.Minute)
	if v := k.get(t, id).GetItem().GetVerdict(); !v.GetOverturns() || !v.GetFinal() || v.GetAgrees() {
		t.Errorf("verdict is %v", v)
	}
	_, err = k.ReopenItem(as(t.Context(), "p2", "lead", "*"), &reviewv1.ReopenItemRequest{ItemId: id})
	wantReason(t, err, "NOT_FOUND")
}

func TestErrorOfAutomationIsEstimatedFromAuditsByTheirProbability(t *testing.T) {
	t.Parallel()
	k := start(t)
	// Four audits drawn with probability 0.5, one of them wrong; one drawn with 0.1, wrong: (2 + 10) of (8 + 10).
	for i := range 5 {
		r := k.ticket(at(i))
		r.Decision.Outcome, r.Decision.Audit = commonv1.Outcome_OUTCOME_AUTOMATED, &commonv1.Audit{Selected: true, Probability: 0.5}
		label := "hardware"
		if i == 4 {
			r.Decision.Audit.Probability = 0.1
		}
		if i >= 3 {
			label = "billing"
		}
		k.apply(t, r)
		it := k.next(t, "anna")
		k.pass(t, time.Duration(10*(i+1))*time.Second)
		k.say(t, "anna", it, label)
		k.pass(t, time.Minute)
	}
	s, err := k.GetQueueStats(lead(t), &reviewv1.GetQueueStatsRequest{Operation: routing, Deployment: "support"})
	if err != nil {
		t.Fatal(err)
	}
	if s.GetAudits() != 5 || s.GetAuditErrors() != 2 || math.Abs(s.GetAuditErrorRate()-12.0/18) > 1e-9 || s.GetSuggestionAccepted() != 3 {
		t.Errorf("figures are %v", s)
	}
	if s.GetTimeSpent().AsDuration() != 150*time.Second || s.GetTimeSpentMedian().AsDuration() != 30*time.Second || s.GetWaitMedian().AsDuration() != 30*time.Second || s.GetWaitP90().AsDuration() != 50*time.Second {
		t.Errorf("times are %v", s)
	}
}
