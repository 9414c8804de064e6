package monitoring_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/services/monitoring"
)

// BenchmarkApply counts decisions in batches of 1,000, one in twenty drawn for an audit, as the bus brings them under load.
func BenchmarkApply(b *testing.B) {
	w := start(b)
	w.deploy(b, support(1, "c1"))
	const size = 1000
	var labels []*commonv1.LabelProbability
	for i := range 20 {
		labels = append(labels, &commonv1.LabelProbability{Label: fmt.Sprint("label ", i), Probability: 0.05})
	}
	seq, took := uint64(0), time.Duration(0)
	for b.Loop() {
		events := make([]monitoring.Event, size)
		for i := range events {
			seq++
			events[i] = monitoring.Event{Kind: monitoring.DecisionEvents, ID: fmt.Sprint("d|", seq), Seq: seq, Data: encode(&commonv1.DecisionRecord{
				Decision: &commonv1.Decision{
					DecisionId: fmt.Sprintf("%032d", seq), Project: "p1", Operation: routing, Deployment: "support", Time: timestamppb.Now(), Labels: labels,
					Outcome: commonv1.Outcome_OUTCOME_AUTOMATED, Reason: commonv1.DecisionReason_DECISION_REASON_CERTIFIED, CertificateId: "c1",
					Audit: &commonv1.Audit{Selected: i%20 == 0, Probability: 0.05},
				},
				Input: &commonv1.RecordedInput{Text: "my laptop screen stays black since this morning"},
			})}
		}
		begin := time.Now()
		w.apply(b, events...)
		took += time.Since(begin)
	}
	b.ReportMetric(float64(took.Microseconds())/float64(seq), "µs/decision")
}
