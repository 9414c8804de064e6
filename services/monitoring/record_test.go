package monitoring

import (
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
)

func TestTheFieldsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		message proto.Message
		fields  map[protoreflect.Name]int
	}{
		{&commonv1.DecisionRecord{}, map[protoreflect.Name]int{"decision": recordDecision}},
		{&commonv1.Decision{}, map[protoreflect.Name]int{
			"decision_id": decisionID, "project": decisionProject, "operation": decisionOperation, "deployment": decisionDeployment, "time": decisionTime,
			"outcome": decisionOutcome, "reason": decisionReason, "model": decisionModel, "certificate_id": decisionCertificate, "audit": decisionAudit,
			"uncertified": decisionUncertified,
		}},
		{&timestamppb.Timestamp{}, map[protoreflect.Name]int{"seconds": timestampSeconds, "nanos": timestampNanos}},
		{&commonv1.ModelRef{}, map[protoreflect.Name]int{"digest": modelDigest}},
		{&commonv1.Audit{}, map[protoreflect.Name]int{"selected": auditSelected, "probability": auditProbability}},
	} {
		for name, want := range m.fields {
			if f := m.message.ProtoReflect().Descriptor().Fields().ByName(name); f == nil || int(f.Number()) != want {
				t.Errorf("%T has no field %s with number %d", m.message, name, want)
			}
		}
	}
}

func FuzzReadRecord(f *testing.F) {
	seed, err := proto.Marshal(&commonv1.DecisionRecord{Decision: &commonv1.Decision{
		DecisionId: "0197A", Project: "p1", Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Time: timestamppb.Now(),
		Outcome: commonv1.Outcome_OUTCOME_AUTOMATED, Audit: &commonv1.Audit{Selected: true, Probability: 0.05}, Model: &commonv1.ModelRef{Digest: "sha256:x"},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte("\x0a\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := readRecord(data)
		r := &commonv1.DecisionRecord{}
		if proto.Unmarshal(data, r) != nil || !ok {
			return // what one of both refuses need not be equal
		}
		d := r.GetDecision()
		if got.project != d.GetProject() || got.deployment != d.GetDeployment() || got.certificate != d.GetCertificateId() || got.uncertified != d.GetUncertified() {
			t.Fatalf("%+v, want %v", got, d)
		}
	})
}

func TestAWindowTellsWhatIsNew(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	w, seen := &window{}, map[uint64]bool{}
	top := uint64(0)
	for range 200_000 {
		var seq uint64
		switch {
		case rng.IntN(2) == 0 || top == 0:
			seq = top + 1 + uint64(rng.IntN(3))
		case rng.IntN(20_000) == 0:
			seq = top + windowSize + uint64(rng.IntN(windowSize))
		default:
			seq = top - min(top-1, uint64(rng.IntN(2*windowSize)))
		}
		want := !seen[seq] && seq+windowSize > top
		if got := w.add(seq); got != want {
			t.Fatalf("place %d with %d at the top: new is %v, want %v", seq, top, got, want)
		}
		seen[seq], top = true, max(top, seq)
	}
}
