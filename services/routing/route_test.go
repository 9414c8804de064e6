package routing_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/decision/decisiontest"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/services/routing"
)

func model() *decisiontest.Model {
	return &decisiontest.Model{
		ModelInfo: engine.Info{
			Kind: engine.KindTextLinear, Task: engine.Multiclass, OutOfScope: 3, Digest: "sha256:model",
			Labels: []string{"hardware", "access", "billing", "oos"},
		},
		Words: map[string][]float32{
			"laptop":   {0.9, 0.05, 0.03, 0.02},
			"password": {0.3, 0.5, 0.15, 0.05},
			"pizza":    {0.1, 0.1, 0.1, 0.7},
		},
		Default: []float32{0.25, 0.25, 0.25, 0.25},
	}
}

func support() *decisiontest.Deployment {
	return &decisiontest.Deployment{Name: "support", Model: model(), Thresholds: map[string]float64{"": 0.8}}
}

func start(tb testing.TB, recorder decision.Recorder, ds ...*decisiontest.Deployment) routingv1.RoutingServiceClient {
	tb.Helper()
	source := decisiontest.Source{}
	for _, d := range ds {
		source[d.Name] = d
	}
	s := routing.New(routing.Deps{Maker: decision.New(decision.Deps{Recorder: recorder}), Source: source})
	return routingv1.NewRoutingServiceClient(decisiontest.Dial(tb, s.Register))
}

func TestRouteInquirySendsToTheQueueAndRecordsInTheJournal(t *testing.T) {
	t.Parallel()
	j, err := journal.Open(t.TempDir(), journal.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	d := support()
	client := start(t, decision.NewJournalRecorder(j, journal.Default()), d)
	res, err := client.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{
		Deployment: "support", Subject: "laptop broken", Body: "It does not start, this is urgent. Please help me with it.",
		CustomerId: "c7", InquiryId: "i9", Attributes: map[string]*commonv1.FieldValue{"vip": {Value: &commonv1.FieldValue_Boolean{Boolean: true}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	dec := res.GetDecision()
	if res.GetQueue() != "hardware" || dec.GetOutcome() != commonv1.Outcome_OUTCOME_AUTOMATED || dec.GetReason() != commonv1.DecisionReason_DECISION_REASON_CERTIFIED ||
		dec.GetCertificateId() != "cert-" || dec.GetModel().GetDigest() != "sha256:model" || res.GetOutOfScope() {
		t.Errorf("answer: %v", res)
	}
	if len(res.GetAlternatives()) != 3 || res.GetAlternatives()[1].GetQueue() != "access" {
		t.Errorf("alternatives: %v", res.GetAlternatives())
	}
	if res.GetPriority() != routingv1.Priority_PRIORITY_URGENT || res.GetLanguage().GetCode() != "en" {
		t.Errorf("priority %v, language %v", res.GetPriority(), res.GetLanguage())
	}
	if d.Open() != 0 {
		t.Errorf("deployment acquired %d times more than released", d.Open())
	}

	var entry journal.Entry
	if err := j.Read(t.Context(), 1, func(e journal.Entry) error { entry = e; entry.Data = append([]byte(nil), e.Data...); return nil }); err != nil {
		t.Fatal(err)
	}
	if entry.Subject != "switchyard.acme.decisions" || entry.ID != dec.GetDecisionId() {
		t.Errorf("entry %s %s", entry.Subject, entry.ID)
	}
	var record commonv1.DecisionRecord
	if err := proto.Unmarshal(entry.Data, &record); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(record.GetDecision(), dec) {
		t.Errorf("recorded %v, answered %v", record.GetDecision(), dec)
	}
	if record.GetCaller() != "key1" || record.GetSubjectId() != "c7" || record.GetContentId() != "i9" || record.GetRequestId() != "req-1" ||
		record.GetIdempotencyKey() != "idem-1" || record.GetTraceparent() == "" || len(record.GetInputSha256()) != 32 ||
		record.GetAction() != int32(routingv1.Priority_PRIORITY_URGENT) || record.GetInput().GetTitle() != "laptop broken" {
		t.Errorf("record: %v", &record)
	}
}

func TestOutOfScopeIsAnAnswerAndNotAGuess(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{}, support())
	res, err := client.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: "a pizza please"})
	if err != nil {
		t.Fatal(err)
	}
	if !res.GetOutOfScope() || res.GetQueue() != "" || res.GetDecision().GetReason() != commonv1.DecisionReason_DECISION_REASON_OUT_OF_SCOPE {
		t.Errorf("answer: %v", res)
	}
	if len(res.GetAlternatives()) != 3 || res.GetDecision().GetLabels()[0].GetLabel() != "oos" {
		t.Errorf("alternatives %v, labels %v", res.GetAlternatives(), res.GetDecision().GetLabels())
	}
}

func TestUnaryErrorsHaveReasons(t *testing.T) {
	t.Parallel()
	empty := &decisiontest.Deployment{Name: "empty"}
	records := &decisiontest.Deployment{Name: "records", Model: &decisiontest.Model{ModelInfo: engine.Info{Columns: []engine.Column{{Name: "a"}}, Labels: []string{"x"}}}}
	client := start(t, &decisiontest.Recorder{}, support(), empty, records)
	for name, c := range map[string]struct {
		req  *routingv1.RouteInquiryRequest
		want commonv1.ErrorReason
	}{
		"unknown deployment": {&routingv1.RouteInquiryRequest{Deployment: "nope", Body: "x"}, commonv1.ErrorReason_ERROR_REASON_DEPLOYMENT_NOT_FOUND},
		"no model":           {&routingv1.RouteInquiryRequest{Deployment: "empty", Body: "x"}, commonv1.ErrorReason_ERROR_REASON_MODEL_NOT_DEPLOYED},
		"a record model":     {&routingv1.RouteInquiryRequest{Deployment: "records", Body: "x"}, commonv1.ErrorReason_ERROR_REASON_INPUT_MISMATCH},
		"white space":        {&routingv1.RouteInquiryRequest{Deployment: "support", Body: " \n\t"}, commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT},
		"long subject":       {&routingv1.RouteInquiryRequest{Deployment: "support", Subject: strings.Repeat("é", 1001)}, commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT},
	} {
		_, err := client.RouteInquiry(t.Context(), c.req)
		if got := decisiontest.Reason(err); got != c.want {
			t.Errorf("%s: %v (%v), want %v", name, got, err, c.want)
		}
	}
}

func TestBatchAnswersInOrderAndReportsBadItemsInPlace(t *testing.T) {
	t.Parallel()
	recorder := &decisiontest.Recorder{}
	client := start(t, recorder, support())
	req := &routingv1.BatchRouteInquiryRequest{Deployment: "support"}
	for i := range 1000 {
		body := "my password"
		if i%2 == 0 {
			body = "my laptop"
		}
		if i == 500 {
			body = " "
		}
		req.Items = append(req.Items, &routingv1.InquiryItem{Body: body})
	}
	res, err := client.BatchRouteInquiry(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range res.GetResults() {
		want := "access"
		if i%2 == 0 {
			want = "hardware"
		}
		if i == 500 {
			if r.GetError().GetReason() != "INVALID_ARGUMENT" || r.GetError().GetField() != "body" || r.GetDecision() != nil {
				t.Errorf("item 500: %v", r)
			}
		} else if r.GetQueue() != want || r.GetError() != nil {
			t.Fatalf("item %d: %v", i, r)
		}
	}
	if batches, _ := recorder.Batches(); batches != 1 || len(recorder.Records()) != 999 {
		t.Errorf("%d records in %d batches, want 999 in 1", len(recorder.Records()), batches)
	}
	req.Items = append(req.Items, &routingv1.InquiryItem{Body: "one too many"})
	if _, err := client.BatchRouteInquiry(t.Context(), req); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT {
		t.Errorf("1001 items: %v", err)
	}
}

func TestNothingIsAnsweredThatIsNotRecorded(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{Fail: fault.StorageFull(5)}, support())
	if _, err := client.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: "x"}); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL {
		t.Errorf("unary: %v", err)
	}
	if _, err := client.BatchRouteInquiry(t.Context(), &routingv1.BatchRouteInquiryRequest{Deployment: "support", Items: []*routingv1.InquiryItem{{Body: "x"}}}); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL {
		t.Errorf("batch: %v", err)
	}
	stream, err := client.StreamRouteInquiry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&routingv1.StreamRouteInquiryRequest{Deployment: "support", Item: &routingv1.InquiryItem{Body: "x"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); decisiontest.Reason(err) != commonv1.ErrorReason_ERROR_REASON_STORAGE_FULL {
		t.Errorf("stream: %v", err)
	}
}

func TestStreamAnswersInOrderAndGoesOnAfterABadItem(t *testing.T) {
	t.Parallel()
	recorder := &decisiontest.Recorder{}
	other := &decisiontest.Deployment{Name: "other", Model: model()}
	client := start(t, recorder, support(), other)
	stream, err := client.StreamRouteInquiry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	go func() {
		for i := range n {
			req := &routingv1.StreamRouteInquiryRequest{Item: &routingv1.InquiryItem{Body: "my laptop"}}
			switch i {
			case 0:
				req.Deployment = "support"
			case 7:
				req.Item = nil
			case 1000:
				req.Deployment = "other"
			}
			if stream.Send(req) != nil {
				return
			}
		}
		_ = stream.CloseSend()
	}()
	for i := range n {
		res, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if res.GetIndex() != int64(i) {
			t.Fatalf("answer %d has index %d", i, res.GetIndex())
		}
		switch {
		case i == 7:
			if res.GetResult().GetError().GetReason() != "INVALID_ARGUMENT" {
				t.Errorf("item 7: %v", res)
			}
		case i >= 1000:
			if res.GetResult().GetDecision().GetDeployment() != "other" {
				t.Fatalf("item %d: %v", i, res)
			}
		case res.GetResult().GetQueue() != "hardware":
			t.Fatalf("item %d: %v", i, res)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last answer: %v", err)
	}
	if batches, _ := recorder.Batches(); len(recorder.Records()) != n-1 || batches >= n/2 {
		t.Errorf("%d records in %d batches", len(recorder.Records()), batches)
	}
	if other.Open() != 0 {
		t.Errorf("deployment still open %d times", other.Open())
	}
}

func TestStreamNeedsADeploymentFirst(t *testing.T) {
	t.Parallel()
	client := start(t, &decisiontest.Recorder{}, support())
	for deployment, want := range map[string]commonv1.ErrorReason{
		"": commonv1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, "nope": commonv1.ErrorReason_ERROR_REASON_DEPLOYMENT_NOT_FOUND,
	} {
		stream, err := client.StreamRouteInquiry(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(&routingv1.StreamRouteInquiryRequest{Deployment: deployment, Item: &routingv1.InquiryItem{Body: "x"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Recv(); decisiontest.Reason(err) != want {
			t.Errorf("deployment %q: %v", deployment, err)
		}
	}
}

func TestAsyncPolicyDoesNotWait(t *testing.T) {
	t.Parallel()
	recorder := &decisiontest.Recorder{}
	d := support()
	d.Policy = &modelsv1.Policy{Record: modelsv1.RecordMode_RECORD_MODE_ASYNC}
	client := start(t, recorder, d)
	if _, err := client.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, async := recorder.Batches(); async != 1 {
		t.Errorf("%d records came asynchronously, want 1", async)
	}
}

// discard encodes records like the journal's recorder and drops them.
type discard struct{}

func (discard) Append(context.Context, journal.Entry) (uint64, error)        { return 0, nil }
func (discard) AppendBatch(context.Context, []journal.Entry) (uint64, error) { return 0, nil }
func (discard) AppendAsync(journal.Entry) error                              { return nil }

// BenchmarkRouteInquiryHandler measures the handler without engine, transport and disk.
func BenchmarkRouteInquiryHandler(b *testing.B) {
	d := support()
	d.Policy = &modelsv1.Policy{AuditRate: 0.01, ComputeHourMicros: 50000, ReviewerHourMicros: 30e6}
	s := routing.New(routing.Deps{
		Maker:  decision.New(decision.Deps{Recorder: decision.NewJournalRecorder(discard{}, journal.Default())}),
		Source: decisiontest.Source{"support": d},
	})
	ctx := decisiontest.Context(context.Background())
	req := &routingv1.RouteInquiryRequest{Deployment: "support", Body: inquiryText}
	b.ReportAllocs()
	report := decisiontest.ReportCPU(b)
	for b.Loop() {
		if _, err := s.RouteInquiry(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
	report()
}
