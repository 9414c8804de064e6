package contract

import (
	"slices"
	"testing"
	"time"

	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// BenchmarkDecisionToQueue measures from the answer to an undecided text until it is a review item.
func BenchmarkDecisionToQueue(b *testing.B) {
	s := testkit.Start(b)
	conn := s.Dial(s.Key)
	testkit.Deploy(b, conn, "uncertified", testkit.Comments, false)
	moderation, review := moderationv1.NewModerationServiceClient(conn), reviewv1.NewReviewServiceClient(conn)
	undecided(b, conn, "first", "1") // the bus has started
	var took []time.Duration
	for b.Loop() {
		r, err := moderation.ModerateText(b.Context(), &moderationv1.ModerateTextRequest{Deployment: "uncertified", Text: "win a free prize"})
		if err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		for {
			if _, err := review.GetItem(b.Context(), &reviewv1.GetItemRequest{ItemId: r.GetDecision().GetDecisionId()}); err == nil {
				break
			}
			if time.Since(begin) > 10*time.Second {
				b.Fatal("not in the queue after 10 s")
			}
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
}
