package decision

import commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"

// NeedsPerson says whether an encoded record is of a decision that a person has to look at, without decoding it: most need nobody. What is damaged needs somebody who
// says so.
func NeedsPerson(record []byte) bool {
	outcome, reason, audited, seen := commonv1.Outcome(0), commonv1.DecisionReason(0), false, false
	each(record, func(field int, value []byte, _ uint64) {
		if field != recordDecision {
			return
		}
		seen = true
		each(value, func(field int, value []byte, number uint64) {
			switch field {
			case decisionOutcome:
				outcome = commonv1.Outcome(number)
			case decisionReason:
				reason = commonv1.DecisionReason(number)
			case decisionAudit:
				each(value, func(field int, _ []byte, number uint64) { audited = audited || field == auditSelected && number != 0 })
			}
		})
	})
	if !seen {
		return true
	}
	return reason != commonv1.DecisionReason_DECISION_REASON_SHADOW && (outcome != commonv1.Outcome_OUTCOME_AUTOMATED || audited)
}
