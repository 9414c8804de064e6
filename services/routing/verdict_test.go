package routing

import (
	"slices"
	"testing"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/engine"
)

// promise certifies sides; the score passes when it is at least the threshold.
type promise map[string]float64

func (p promise) Judge(side string, score float64) decision.Verdict {
	t, ok := p[side]
	return decision.Judge(score, decision.Threshold{At: t, Certificate: side, Certified: ok}, false)
}

func TestChoose(t *testing.T) {
	t.Parallel()
	info := &engine.Info{Task: engine.Multiclass, OutOfScope: 2, Labels: []string{"a", "b", "oos", "c", "d"}}
	for name, c := range map[string]struct {
		p            []float32
		queue        string
		outcome      commonv1.Outcome
		reason       commonv1.DecisionReason
		outOfScope   bool
		alternatives []int
	}{
		"certified":             {[]float32{0.75, 0.125, 0, 0.0625, 0.0625}, "a", commonv1.Outcome_OUTCOME_AUTOMATED, commonv1.DecisionReason_DECISION_REASON_CERTIFIED, false, []int{0, 1, 3}},
		"at the threshold":      {[]float32{0.5, 0.25, 0.25, 0, 0}, "a", commonv1.Outcome_OUTCOME_AUTOMATED, commonv1.DecisionReason_DECISION_REASON_CERTIFIED, false, []int{0, 1, 3}},
		"below":                 {[]float32{0.375, 0.25, 0.25, 0.125, 0}, "a", commonv1.Outcome_OUTCOME_REVIEW, commonv1.DecisionReason_DECISION_REASON_BELOW_THRESHOLD, false, []int{0, 1, 3}},
		"queue without promise": {[]float32{0, 0.875, 0.125, 0, 0}, "b", commonv1.Outcome_OUTCOME_REVIEW, commonv1.DecisionReason_DECISION_REASON_NOT_CERTIFIED, false, []int{1, 0, 3}},
		"out of scope":          {[]float32{0.125, 0.125, 0.75, 0, 0}, "", commonv1.Outcome_OUTCOME_REVIEW, commonv1.DecisionReason_DECISION_REASON_OUT_OF_SCOPE, true, []int{0, 1, 3}},
	} {
		got := choose(info, c.p, promise{"a": 0.5})
		if got.queue != c.queue || got.Outcome != c.outcome || got.Reason != c.reason || got.outOfScope != c.outOfScope ||
			!slices.Equal(got.alternatives[:got.ranked], c.alternatives) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
