package decisions

import (
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

func TestOneBitOfDifferenceIsNamed(t *testing.T) {
	t.Parallel()
	was := &commonv1.DecisionRecord{
		Decision: &commonv1.Decision{
			Outcome: commonv1.Outcome_OUTCOME_AUTOMATED, ChosenLabels: []string{"a"}, Model: &commonv1.ModelRef{Name: "m", Version: 1, Digest: "sha256:1"},
			Labels: []*commonv1.LabelProbability{{Label: "a", Probability: float64(float32(0.9))}, {Label: "b", Probability: float64(float32(0.1))}},
			Audit:  &commonv1.Audit{Probability: 0.05}, PolicyDigest: "sha256:2", CertificateId: "c",
		},
		InputSha256: make([]byte, 32), Probabilities: []float32{0.9, 0.1}, RuleIds: []string{"r"}, Action: 1,
	}
	if all, n := compare(was, proto.CloneOf(was)); len(all) > 0 || n != 2 {
		t.Errorf("the same: %v, %d labels", all, n)
	}
	for field, change := range map[string]func(*commonv1.DecisionRecord){
		"decision.labels[1]":         func(r *commonv1.DecisionRecord) { p := &r.Decision.Labels[1].Probability; *p = math.Nextafter(*p, 1) },
		"decision.labels[0]":         func(r *commonv1.DecisionRecord) { r.Decision.Labels[0].Label = "b" },
		"decision.labels":            func(r *commonv1.DecisionRecord) { r.Decision.Labels = r.Decision.Labels[:1] },
		"probabilities[0]":           func(r *commonv1.DecisionRecord) { p := &r.Probabilities[0]; *p = math.Nextafter32(*p, 1) },
		"probabilities":              func(r *commonv1.DecisionRecord) { r.Probabilities = nil },
		"decision.outcome":           func(r *commonv1.DecisionRecord) { r.Decision.Outcome = commonv1.Outcome_OUTCOME_REVIEW },
		"decision.reason":            func(r *commonv1.DecisionRecord) { r.Decision.Reason = commonv1.DecisionReason_DECISION_REASON_RULE },
		"decision.chosen_labels":     func(r *commonv1.DecisionRecord) { r.Decision.ChosenLabels = []string{"a", "b"} },
		"decision.model":             func(r *commonv1.DecisionRecord) { r.Decision.Model.Digest = "sha256:9" },
		"decision.certificate_id":    func(r *commonv1.DecisionRecord) { r.Decision.CertificateId = "" },
		"decision.policy_digest":     func(r *commonv1.DecisionRecord) { r.Decision.PolicyDigest = "" },
		"decision.uncertified":       func(r *commonv1.DecisionRecord) { r.Decision.Uncertified = true },
		"decision.audit.probability": func(r *commonv1.DecisionRecord) { r.Decision.Audit.Probability = 0.06 },
		"input_sha256":               func(r *commonv1.DecisionRecord) { r.InputSha256[31] = 1 },
		"rule_ids":                   func(r *commonv1.DecisionRecord) { r.RuleIds = nil },
		"action":                     func(r *commonv1.DecisionRecord) { r.Action = 2 },
	} {
		is := proto.CloneOf(was)
		change(is)
		if all, _ := compare(was, is); len(all) != 1 || all[0].GetField() != field || all[0].GetRecorded() == all[0].GetReplayed() {
			t.Errorf("%s: %v", field, all)
		}
	}
}
