package decision

import (
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
)

// Verdict says whether an answer may be acted on, and why.
type Verdict struct {
	Outcome       commonv1.Outcome
	Reason        commonv1.DecisionReason
	Stage         commonv1.Stage
	CertificateID string // set only when Reason is CERTIFIED
	Uncertified   bool   // automated although nothing is certified, because the policy says so
}

// Threshold is what a deployment promises about one side.
type Threshold struct {
	At          float64 // scores at or above it are automated
	Certificate string  // id
	Certified   bool    // false: nothing is promised, At means nothing
	Halted      bool    // automation was stopped, whatever is certified
}

// Judge compares the score of a model's answer with the threshold of its side. automate is the policy's consent to act without a
// certificate; where a certificate exists, it alone decides. What would be
// automated is not while a halt stands.
func Judge(score float64, t Threshold, automate bool) Verdict {
	v := Verdict{Outcome: commonv1.Outcome_OUTCOME_REVIEW, Stage: commonv1.Stage_STAGE_MODEL}
	switch {
	case t.Halted && (t.Certified && score >= t.At || !t.Certified && automate): // it would have been automated
		v.Reason = commonv1.DecisionReason_DECISION_REASON_HALTED
	case t.Certified && score >= t.At:
		v.Outcome, v.Reason, v.CertificateID = commonv1.Outcome_OUTCOME_AUTOMATED, commonv1.DecisionReason_DECISION_REASON_CERTIFIED, t.Certificate
	case t.Certified:
		v.Reason = commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD
	case automate:
		v.Outcome, v.Reason, v.Uncertified = commonv1.Outcome_OUTCOME_AUTOMATED, commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED, true
	default:
		v.Reason = commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED
	}
	return v
}

// OutOfScope is the verdict on an input that most probably has none of the labels: nobody could act on it, whatever the score.
func OutOfScope() Verdict {
	return Verdict{
		Outcome: commonv1.Outcome_OUTCOME_REVIEW, Stage: commonv1.Stage_STAGE_MODEL,
		Reason: commonv1.DecisionReason_DECISION_REASON_OUT_OF_SCOPE,
	}
}

// ByRule is the verdict of a project's rule: automated when the rule acts, a review when it asks for a person.
func ByRule(acts bool) Verdict {
	v := Verdict{
		Outcome: commonv1.Outcome_OUTCOME_REVIEW, Stage: commonv1.Stage_STAGE_RULES,
		Reason: commonv1.DecisionReason_DECISION_REASON_RULE,
	}
	if acts {
		v.Outcome = commonv1.Outcome_OUTCOME_AUTOMATED
	}
	return v
}

// Judge compares a score with what the deployment promises about that side.
func (t *Target) Judge(side string, score float64) Verdict {
	at, certificate, ok := t.Threshold(side)
	return Judge(score, Threshold{At: at, Certificate: certificate, Certified: ok, Halted: halted(t.Deployment, side)}, t.automates())
}

// halted says whether automation of a side was stopped: the side's own, or that of all that has no certificate of its own.
func halted(d *modelsv1.Deployment, side string) bool {
	all := false
	for _, h := range d.GetHalts() {
		if h.GetSide() == side {
			return true
		}
		all = all || h.GetSide() == ""
	}
	if !all {
		return false
	}
	for _, c := range d.GetCertificates() {
		if c.GetSide() == side {
			return false
		}
	}
	return true
}
