package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/lake/laketest"
	"github.com/switchyard-ai/switchyard/internal/ledger"
)

// log is a bus whose stream has an identity.
type log struct{ *bus.Bus }

func (log) Identity(context.Context) (string, error) { return "s", nil }

func folder(t *testing.T) lake.Store {
	t.Helper()
	f, err := lake.OpenFolder(filepath.Join(t.TempDir(), "lake"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// sink runs a sink over a store until the test or stop ends.
func sink(t *testing.T, b *bus.Bus, store lake.Store) (_ *lake.Lake, stop func()) {
	t.Helper()
	l, err := lake.Open(t.Context(), store, lake.Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := ledger.Sink{Log: log{b}, Lake: l, Flush: 100 * time.Millisecond, Slog: slog.New(slog.DiscardHandler)}
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return l, stop
}

// full is a record in which every field says something.
func full(project string, i int) *commonv1.DecisionRecord {
	id := decision.NewID()
	return &commonv1.DecisionRecord{
		Decision: &commonv1.Decision{
			DecisionId: id, Project: project, Operation: commonv1.Operation_OPERATION_MODERATION, Deployment: "comments", Time: timestamppb.Now(),
			Outcome: commonv1.Outcome_OUTCOME_AUTOMATED, Reason: commonv1.DecisionReason_DECISION_REASON_CERTIFIED,
			Labels:       []*commonv1.LabelProbability{{Label: "toxic", Probability: float64(float32(0.9321))}, {Label: "spam", Probability: float64(float32(1.25e-17))}},
			ChosenLabels: []string{"toxic", "spam"}, Stage: commonv1.Stage_STAGE_MODEL,
			Model:        &commonv1.ModelRef{Name: "comments", Version: 3, Digest: "sha256:abc"},
			PolicyDigest: "sha256:def", CertificateId: "cert", Variant: commonv1.Variant_VARIANT_CHALLENGER, Uncertified: true,
			Audit: &commonv1.Audit{Selected: true, Probability: 0.0123}, Latency: durationpb.New(123456789),
			Cost: &commonv1.Cost{TotalMicros: 7, ComputeMicros: 3, ReviewMicros: 4, Currency: "EUR", Compute: durationpb.New(98765)},
		},
		Caller: "key", Traceparent: "00-a-b-01", IdempotencyKey: "idem", SubjectId: fmt.Sprint("person-", i), InputSha256: make([]byte, 32),
		InputRetention: commonv1.InputRetention_INPUT_RETENTION_REDACTED,
		Input: &commonv1.RecordedInput{Text: "text \x00 \u00e9 \"", Title: "title", Locale: "de", Channel: "mail", Fields: map[string]*commonv1.FieldValue{
			"n": {Value: &commonv1.FieldValue_Number{Number: 0.1}}, "big": {Value: &commonv1.FieldValue_Number{Number: 1e300}},
			"t": {Value: &commonv1.FieldValue_Text{Text: "12"}}, "b": {Value: &commonv1.FieldValue_Boolean{Boolean: false}},
		}},
		RuleIds: []string{"r1", "r2"}, Action: 2, RequestId: "req", ContentId: "content",
	}
}

func message(t *testing.T, kind, project, id string, m proto.Message) bus.Msg {
	t.Helper()
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Msg{Subject: "switchyard." + project + "." + kind, ID: id, Data: data}
}

// publish puts n decisions into the stream and returns their records.
func publish(t *testing.T, b *bus.Bus, project string, n int) []*commonv1.DecisionRecord {
	t.Helper()
	var records []*commonv1.DecisionRecord
	var msgs []bus.Msg
	for i := range n {
		r := full(project, i)
		records = append(records, r)
		msgs = append(msgs, message(t, "decisions", project, r.GetDecision().GetDecisionId(), r))
	}
	if err := b.PublishBatch(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	return records
}

// waitRows waits until a lake has taken in so many rows.
func waitRows(t *testing.T, l *lake.Lake, want int64) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_ = l.Refresh(t.Context()) // a server that is away is waited for
		if got := l.State().Rows; got == want {
			return
		} else if got > want || time.Now().After(deadline) {
			t.Fatalf("the lake has %d rows, want %d", got, want)
		}
	}
}

func TestTheLakeHoldsWhatTheStreamHeld(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	l, _ := sink(t, b, folder(t))
	records := publish(t, b, "p", 100)
	verdict := &reviewv1.Verdict{VerdictId: "v", ItemId: "i", DecisionId: "d", Project: "p", SubmitTime: timestamppb.Now(), Final: true, Answer: &reviewv1.Answer{Labels: []string{"x"}, Note: "n", TimeSpent: durationpb.New(time.Second)}}
	feedback := &reviewv1.Feedback{FeedbackId: "f", DecisionId: "d", Project: "p", SubmitTime: timestamppb.Now(), Labels: []string{"y"}}
	change := &modelsv1.DeploymentChange{
		Project: "p", Sequence: 7, RecordTime: timestamppb.Now(), Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support",
		Kind: modelsv1.DeploymentChangeKind_DEPLOYMENT_CHANGE_KIND_ROLLBACK, RevisionBefore: 3, Revision: 4, RestoredRevision: 2, Model: "m", Version: 5, VersionDigest: "sha256:abc",
		PolicyDigest: "sha256:def", CertificateIds: []string{"c1", "c2"}, Actor: "key", Reason: "errors", StateSha256: []byte("s"), PreviousHash: []byte("p"), Hash: []byte("h"),
		State: &modelsv1.Deployment{Policy: &modelsv1.Policy{MaxError: 0.05}, Statement: "promised"},
	}
	err := b.PublishBatch(t.Context(), []bus.Msg{message(t, "verdicts", "p", "v", verdict), message(t, "feedback", "p", "f", feedback), message(t, "deployments", "p", "routing/support/4", change), {Subject: "switchyard.p.decisions", ID: "broken", Data: []byte("\xff")}})
	if err != nil {
		t.Fatal(err)
	}
	waitRows(t, l, 103)
	place := ledger.Lake{Open: func() *lake.Lake { return l }}
	for _, want := range records {
		k, _ := ledger.NewKey("p", want.GetDecision().GetDecisionId())
		got, err := place.Find(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Fatalf("the record comes back from the lake differently:\n%s", diff)
		}
	}
	rows := 0
	for table, check := range map[string]func(any) bool{
		lake.Verdicts: func(r any) bool {
			v := r.(*lake.Verdict)
			return v.Final && v.Labels[0] == "x" && v.Note == "n" && v.SpentNanos == 1e9
		},
		lake.FeedbackOf: func(r any) bool { f := r.(*lake.Feedback); return f.Labels[0] == "y" && f.DecisionID == "d" },
		lake.Deployments: func(r any) bool {
			want := &lake.Deployment{
				Project: "p", EventID: "routing/support/4", StreamSeq: 103, Time: change.GetRecordTime().AsTime().Truncate(time.Microsecond), Operation: "routing", Deployment: "support",
				Revision: 4, ModelName: "m", ModelVersion: 5, ModelDigest: "sha256:abc", PolicyDigest: "sha256:def", Policy: `{"maxError":0.05}`, Certificates: []string{"c1", "c2"},
				Statement: "promised", Sequence: 7, Kind: "rollback", RevisionBefore: 3, RestoredRevision: 2, Actor: "key", ReasonGiven: "errors",
				StateSHA256: []byte("s"), PreviousHash: []byte("p"), Hash: []byte("h"),
			}
			diff := cmp.Diff(want, r)
			t.Log(diff)
			return diff == ""
		},
	} {
		err := l.Each(t.Context(), table, lake.Filter{}, func(r any) error {
			rows++
			if !check(r) {
				t.Errorf("row of %s: %+v", table, r)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if rows != 3 {
		t.Errorf("%d rows of verdicts, feedback and deployments", rows)
	}
}

func TestTwoSinksAndRestartsLeaveEveryDecisionOnce(t *testing.T) {
	t.Parallel()
	twoSinks(t, folder(t), func(int) {})
}

func TestTwoSinksAndABucketThatIsAwayLeaveEveryDecisionOnce(t *testing.T) {
	t.Parallel()
	s3 := laketest.StartS3(t)
	twoSinks(t, s3.Store("x"), func(round int) {
		switch round {
		case 1, 4, 7: // in the middle of what both write
			s3.Stop()
		case 2, 5, 8:
			s3.Start()
		}
	})
}

// twoSinks lets two sinks carry one stream into one lake while one of them begins again and again; between does what else happens.
func twoSinks(t *testing.T, store lake.Store, between func(round int)) {
	t.Helper()
	b := startBus(t)
	want := map[string]bool{}
	l, _ := sink(t, b, store)
	_, stop := sink(t, b, store)
	for round := range 10 {
		for _, r := range publish(t, b, fmt.Sprint("p", round%3), 150) {
			want[r.GetDecision().GetDecisionId()] = true
		}
		between(round)
		if round%3 == 2 {
			stop()
			_, stop = sink(t, b, store)
		}
	}
	waitRows(t, l, int64(len(want)))
	got := map[string]int{}
	err := l.Each(t.Context(), lake.Decisions, lake.Filter{}, func(r any) error { got[r.(*lake.Decision).DecisionID]++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for id := range want {
		if got[id] != 1 {
			t.Errorf("decision %s is in the lake %d times", id, got[id])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d decisions, want %d", len(got), len(want))
	}
}

func TestTheLakeCatchesUpWhenTheBucketIsBack(t *testing.T) {
	s3, b := laketest.StartS3(t), startBus(t)
	l, _ := sink(t, b, s3.Store("x"))
	publish(t, b, "p", 50)
	waitRows(t, l, 50)
	s3.Stop()
	for range 5 {
		publish(t, b, "p", 100)
	}
	s3.Start()
	waitRows(t, l, 550)
}

func TestWhatTheStreamDroppedIsNoted(t *testing.T) {
	t.Parallel()
	b := startBus(t)
	publish(t, b, "p", 100)
	s, err := b.JetStream().Stream(t.Context(), bus.Stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(41)); err != nil {
		t.Fatal(err)
	}
	l, _ := sink(t, b, folder(t))
	waitRows(t, l, 60)
	if lost := l.State().Lost; len(lost) != 1 || lost[0] != (lake.Range{First: 1, Last: 40}) {
		t.Errorf("lost: %v, want 1 to 40", lost)
	}
}
