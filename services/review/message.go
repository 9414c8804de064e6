package review

import (
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// message returns an item as a person may see it. Verdicts of others stay hidden until it is closed, and what is a test item always, except
// from those who lead.
func (s *Service) message(tx *db.Tx, it *item, p person) (*reviewv1.ReviewItem, error) {
	r, err := findRecord(tx, it.project, it.id)
	if err != nil {
		return nil, err
	}
	d := r.GetDecision()
	m := &reviewv1.ReviewItem{
		ItemId: it.id, Operation: it.operation, Deployment: it.deployment, State: it.state, Kind: it.kind, Escalated: it.escalated,
		DecideTime: timestamp(it.decided), CreateTime: timestamp(it.created), CloseTime: timestamp(it.closed), Priority: int32(it.priority), Skills: it.skills,
		Outcome: d.GetOutcome(), Reason: d.GetReason(), Labels: d.GetLabels(), SuggestedLabels: d.GetChosenLabels(), RuleIds: r.GetRuleIds(),
		Input: r.GetInput(), InputRetention: r.GetInputRetention(), ContentId: it.content, Model: d.GetModel().GetName(),
		ModelVersion: d.GetModel().GetVersion(), Uncertainty: it.uncertainty, Harm: it.harm, Round: int32(it.round), Gold: it.gold != "" && p.leads,
	}
	if it.gold != "" && it.state == withdrawn && !p.leads {
		m.State, m.CloseTime = open, nil // what becomes of any other item that is given back
	}
	if it.due != never {
		m.DueTime = timestamp(it.due)
	}
	if it.operation == commonv1.Operation_OPERATION_MODERATION {
		m.SuggestedAction = moderationv1.Action(r.GetAction())
	}
	if it.state == leased {
		m.Lease = &reviewv1.Lease{Reviewer: it.person, LeaseTime: timestamp(it.leaseFrom), ExpireTime: timestamp(it.leaseUntil)}
		if it.leaseKey == p.key && it.person == p.name {
			m.Lease.LeaseId = it.lease
		}
	}
	if it.state == decided {
		m.UndoUntil = timestamp(it.undoUntil)
	}
	if it.verdict != "" && (p.leads || it.state == closed || it.state == decided && it.person == p.name) {
		if m.Verdict, err = findVerdict(tx, it.project, it.verdict); err != nil {
			return nil, err
		}
		hideGold(m.Verdict, p)
	}
	if it.live() && it.role == reviewv1.VerdictRole_VERDICT_ROLE_ADJUDICATION && (p.leads || !slices.Contains(it.seen, p.name)) {
		if m.Opinions, err = opinionsOf(tx, it); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// hideGold takes out of a verdict what would tell reviewers that they were tested.
func hideGold(v *reviewv1.Verdict, p person) {
	if v.GetGold() && !p.leads {
		v.Gold, v.GoldRight, v.DecisionId, v.Role = false, false, v.GetItemId(), reviewv1.VerdictRole_VERDICT_ROLE_FIRST
	}
}

// opinionsOf returns the answers that differ, without their authors.
func opinionsOf(tx *db.Tx, it *item) ([]*reviewv1.Opinion, error) {
	verdicts, err := verdictsOf(tx, it)
	if err != nil {
		return nil, err
	}
	var out []*reviewv1.Opinion
	for _, v := range verdicts {
		if a := v.GetAnswer(); v.GetRound() == int32(it.round) && !a.GetNotSure() && v.GetRole() != reviewv1.VerdictRole_VERDICT_ROLE_ADJUDICATION {
			out = append(out, &reviewv1.Opinion{Labels: a.GetLabels(), Action: a.GetAction(), Reason: a.GetReason(), Note: a.GetNote()})
		}
	}
	return out, nil
}

func timestamp(micros int64) *timestamppb.Timestamp {
	if micros == 0 {
		return nil
	}
	return timestamppb.New(db.Time(micros))
}
