package contract

import (
	"testing"

	"google.golang.org/grpc"

	eventsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/events/v1"
)

// webhook makes a webhook that nothing is sent to, and returns its id.
func webhook(t *testing.T, admin grpc.ClientConnInterface) string {
	t.Helper()
	res, err := eventsv1.NewWebhookServiceClient(admin).CreateWebhook(t.Context(), &eventsv1.CreateWebhookRequest{
		Spec: &eventsv1.WebhookSpec{Url: "https://hooks.invalid/", Filter: &eventsv1.EventFilter{Kinds: []string{"nothing"}}},
	})
	if err != nil {
		t.Fatalf("create webhook: %v", err)
	}
	return res.GetWebhook().GetWebhookId()
}
