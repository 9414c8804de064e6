package decisions_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
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
