package testkit_test

import (
	"fmt"
	"testing"

	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

func TestWhatWasDeployedAnswersTheNextCall(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	conn := s.Dial(s.Key)
	client := routingv1.NewRoutingServiceClient(conn)
	for i := range 30 {
		name := fmt.Sprintf("support-%d", i)
		testkit.Deploy(t, conn, name, testkit.Support, true)
		if _, err := client.RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: name, Body: "my laptop screen stays black"}); err != nil {
			t.Fatalf("call after deployment %d: %v", i, err)
		}
	}
}
