package decision_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	"github.com/switchyard-ai/switchyard/internal/cloudevent"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/journal"
)

func TestARecordTravelsWithItsAttributes(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	data, err := proto.Marshal(&commonv1.DecisionRecord{
		Decision: &commonv1.Decision{
			DecisionId: "id", Project: "acme", Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Time: timestamppb.New(at),
			Labels: []*commonv1.LabelProbability{{Label: "a", Probability: 0.5}}, PolicyDigest: "x", Outcome: commonv1.Outcome_OUTCOME_REVIEW,
		},
		Caller: "k", Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Probabilities: []float32{0.5, 0.5},
	})
	if err != nil {
		t.Fatal(err)
	}
	entry := journal.Entry{Subject: "switchyard.acme.decisions", ID: "id", Data: data}
	e := cloudevent.Parse(entry.Subject, entry.ID, decision.EventHeader(entry), time.Now())
	want := cloudevent.Attributes{
		Type: "switchyard.decision.made", Time: at, Subject: "id", Schema: "switchyard.common.v1.DecisionRecord", ContentType: cloudevent.Protobuf,
		Operation: "routing", Deployment: "support", Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	}
	if e.Attributes != want {
		t.Fatalf("got  %+v\nwant %+v", e.Attributes, want)
	}
	for n := range data { // a damaged record has headers too, and nothing panics
		entry.Data = data[:n]
		if h := decision.EventHeader(entry); h["ce-id"][0] != "id" {
			t.Fatal(h)
		}
	}
}

func BenchmarkEventHeader(b *testing.B) {
	r := &commonv1.DecisionRecord{Decision: &commonv1.Decision{Operation: 2, Deployment: "support", Time: timestamppb.Now()}, Probabilities: make([]float32, 77)}
	data, err := proto.Marshal(r)
	if err != nil {
		b.Fatal(err)
	}
	entry := journal.Entry{Subject: "switchyard.acme.decisions", ID: "0190c6f2-3f7e-7cc1-9a51-1c6a5d5b7a42", Data: data}
	b.ReportAllocs()
	for b.Loop() {
		decision.EventHeader(entry)
	}
}

func TestWhatNeedsAPersonIsSeenWithoutDecoding(t *testing.T) {
	t.Parallel()
	for outcome := range commonv1.Outcome_name {
		for reason := range commonv1.DecisionReason_name {
			for _, audit := range []*commonv1.Audit{nil, {Probability: 0.5}, {Selected: true, Probability: 0.5}} {
				r := &commonv1.DecisionRecord{Caller: "k", Decision: &commonv1.Decision{
					DecisionId: "id", Outcome: commonv1.Outcome(outcome), Reason: commonv1.DecisionReason(reason), Audit: audit,
				}}
				data, err := proto.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				want := r.GetDecision().GetReason() != commonv1.DecisionReason_DECISION_REASON_SHADOW &&
					(r.GetDecision().GetOutcome() != commonv1.Outcome_OUTCOME_AUTOMATED || audit.GetSelected())
				if got := decision.NeedsPerson(data); got != want {
					t.Errorf("%v: %v", r, got)
				}
			}
		}
	}
	if !decision.NeedsPerson([]byte{0xff}) {
		t.Error("damage goes unnoticed")
	}
}
