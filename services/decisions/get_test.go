package decisions_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

func TestADecisionCanBeReadAsSoonAsItsAnswerWasGiven(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	conn := s.Dial(s.Key)
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	read := func(d *commonv1.Decision) {
		t.Helper()
		r, err := decisionsv1.NewDecisionServiceClient(conn).GetDecision(t.Context(), &decisionsv1.GetDecisionRequest{DecisionId: d.GetDecisionId()})
		if err != nil {
			t.Fatalf("read %s: %v", d.GetDecisionId(), err)
		}
		if diff := cmp.Diff(d, r.GetRecord().GetDecision(), protocmp.Transform()); diff != "" {
			t.Errorf("the record is not what was answered:\n%s", diff)
		}
	}
	var all []*commonv1.Decision
	for range 100 {
		r, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: "my laptop screen stays black"})
		if err != nil {
			t.Fatal(err)
		}
		read(r.GetDecision())
		all = append(all, r.GetDecision())
	}
	start := time.Now()
	for _, d := range all {
		read(d) // most are in the stream by now
	}
	t.Logf("%v a read", time.Since(start)/time.Duration(len(all)))
}

func TestDecisionsAreListedAndAPersonIsErased(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t, func(c *app.Config) { c.Lake.Flush = 100 * time.Millisecond })
	conn := s.Dial(s.Key)
	client := decisionsv1.NewDecisionServiceClient(conn)
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	var ids []string
	for i := range 30 {
		r, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{
			Deployment: "support", Body: "my laptop screen stays black", CustomerId: []string{"ann", "bob"}[i%2],
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.GetDecision().GetDecisionId())
	}
	slices.Reverse(ids)
	list := func(req *decisionsv1.ListDecisionsRequest) (got []string) {
		t.Helper()
		req.Page = &commonv1.PageRequest{Size: 7}
		for {
			r, err := client.ListDecisions(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range r.GetRecords() {
				got = append(got, r.GetDecision().GetDecisionId())
			}
			if req.Page.Token = r.GetPage().GetNextToken(); req.Page.Token == "" {
				return got
			}
		}
	}
	deadline := time.Now().Add(30 * time.Second)
	for len(list(&decisionsv1.ListDecisionsRequest{})) < len(ids) && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	if got := list(&decisionsv1.ListDecisionsRequest{Deployment: "support"}); !slices.Equal(got, ids) {
		t.Fatalf("listed are %v, want %v", got, ids)
	}
	erased, err := client.EraseSubject(t.Context(), &decisionsv1.EraseSubjectRequest{SubjectId: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, p := range erased.GetPlaces() {
		got[p.GetPlace()] = p.GetRecords()
	}
	if got["lake/decisions"] != 15 || got["stream"] != 15 {
		t.Errorf("erased were %v, want 15 decisions in lake and stream", got)
	}
	if len(erased.GetModelDigests()) != 1 {
		t.Errorf("models that decided: %v", erased.GetModelDigests())
	}
	for i, id := range ids {
		r, err := client.GetDecision(t.Context(), &decisionsv1.GetDecisionRequest{DecisionId: id})
		if err != nil {
			t.Fatal(err)
		}
		gone := i%2 == 1
		if r := r.GetRecord(); (r.GetSubjectId() == "") != gone || (r.GetInput().GetText() == "") != gone || (len(r.GetInputSha256()) == 0) != gone || r.GetDecision().GetReason() == 0 {
			t.Errorf("decision %d after the erasure: %v", i, r)
		}
	}
}
