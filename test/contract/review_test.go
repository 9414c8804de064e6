package contract

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// undecided makes a decision that is left to a person and waits until it is a review item. It returns the decision's id.
func undecided(t testing.TB, conn grpc.ClientConnInterface, text, contentID string) string {
	t.Helper()
	id := ""
	// The deployment may still be on its way to another process, and the bus may still be starting.
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := error(nil)
		if id == "" {
			var r *moderationv1.ModerateTextResponse
			r, err = moderationv1.NewModerationServiceClient(conn).ModerateText(t.Context(), &moderationv1.ModerateTextRequest{
				Deployment: "uncertified", Text: text, ContentId: contentID,
			})
			id = r.GetDecision().GetDecisionId()
			if err == nil && r.GetDecision().GetOutcome() != commonv1.Outcome_OUTCOME_REVIEW {
				t.Fatalf("outcome is %v", r.GetDecision().GetOutcome())
			}
		}
		if id != "" {
			if _, err = reviewv1.NewReviewServiceClient(conn).GetItem(t.Context(), &reviewv1.GetItemRequest{ItemId: id}); err == nil {
				return id
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("decision %q is no review item after 20 s: %v", id, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestDecisionReachesAPersonAndTheVerdictReachesTheBus(t *testing.T) {
	t.Parallel()
	var data string
	s := testkit.Start(t, func(c *app.Config) { data = c.DataDir })
	conn := s.Dial(s.Key)
	const spam = "win a free prize now, click the link to claim your cash"
	testkit.Deploy(t, conn, "uncertified", testkit.Comments, false)
	testkit.Deploy(t, conn, "comments", testkit.Comments, true)
	review := reviewv1.NewReviewServiceClient(conn)
	const op = commonv1.Operation_OPERATION_MODERATION
	_, err := review.UpdateQueue(t.Context(), &reviewv1.UpdateQueueRequest{
		Operation: op, Deployment: "uncertified", Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := undecided(t, conn, "win a free prize now", "post-7")
	metrics := get(t, "http://"+s.Addresses.HTTP+"/metrics")
	for _, line := range []string{`switchyard_review_items\{.*state="open".*switchyard_deployment="uncertified".*\} 1`, `switchyard_review_oldest_seconds\{.*\} [0-9.e-]+`} {
		if !regexp.MustCompile(line).MatchString(metrics) {
			t.Errorf("metrics lack %s", line)
		}
	}
	taken, err := review.LeaseItems(t.Context(), &reviewv1.LeaseItemsRequest{Reviewer: "anna@example.com", Operation: op, Deployment: "uncertified"})
	if err != nil || len(taken.GetItems()) != 1 {
		t.Fatalf("lease: %v %v", err, taken)
	}
	it := taken.GetItems()[0]
	if it.GetItemId() != id || it.GetInput().GetText() != "win a free prize now" || it.GetContentId() != "post-7" || it.GetModel() != "uncertified" {
		t.Errorf("leased %v", it)
	}
	verdict, err := review.SubmitVerdict(t.Context(), &reviewv1.SubmitVerdictRequest{
		ItemId: id, Reviewer: "anna@example.com", LeaseId: it.GetLease().GetLeaseId(),
		Answer: &reviewv1.Answer{Action: moderationv1.Action_ACTION_REMOVE, Labels: []string{"spam"}, Reason: "advert"},
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = review.SubmitFeedback(t.Context(), &reviewv1.SubmitFeedbackRequest{FeedbackId: "f1", DecisionId: id, Action: moderationv1.Action_ACTION_ALLOW, Source: "appeal"})
	if err != nil {
		t.Fatal(err)
	}
	automated, err := moderationv1.NewModerationServiceClient(conn).ModerateText(t.Context(), &moderationv1.ModerateTextRequest{Deployment: "comments", Text: spam})
	if err != nil || automated.GetDecision().GetOutcome() != commonv1.Outcome_OUTCOME_AUTOMATED {
		t.Fatalf("automated: %v %v", err, automated)
	}
	// It is no item, but known.
	late, err := review.SubmitFeedback(t.Context(), &reviewv1.SubmitFeedbackRequest{
		FeedbackId: "f2", DecisionId: automated.GetDecision().GetDecisionId(), Action: moderationv1.Action_ACTION_ALLOW,
	})
	if err != nil || late.GetFeedback().GetDeployment() != "comments" || late.GetFeedback().GetAgrees() {
		t.Errorf("feedback on an automated decision: %v %v", err, late)
	}
	s.Stop()
	got := onTheBus(t, data, 2)
	var sent reviewv1.Verdict
	if err := proto.Unmarshal(got["switchyard.default.verdicts"], &sent); err != nil {
		t.Fatal(err)
	}
	if sent.GetVerdictId() != verdict.GetVerdict().GetVerdictId() || !sent.GetFinal() || sent.GetReviewer() != "anna@example.com" || !sent.GetAgrees() {
		t.Errorf("on the bus is %v", &sent)
	}
	var feedback reviewv1.Feedback
	if err := proto.Unmarshal(got["switchyard.default.feedback"], &feedback); err != nil || feedback.GetDecisionId() != id || feedback.GetAgrees() {
		t.Errorf("on the bus is %v %v", err, &feedback)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", url, res.Status, err)
	}
	return string(body)
}

// onTheBus returns what a stopped system has left on its bus beside decisions, by subject. What it had not sent yet it sends after its next start.
func onTheBus(t *testing.T, data string, want int) map[string][]byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	b, err := bus.New(filepath.Join(data, "events"), bus.Default(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	got := map[string][]byte{}
	err = b.Read(ctx, bus.Position{}, []string{"switchyard.*.verdicts", "switchyard.*.feedback"}, func(d bus.Delivery) error {
		if got[d.Subject] == nil { // the first of each
			got[d.Subject] = d.Data
		}
		return nil
	})
	if err != nil || len(got) != want {
		t.Fatalf("%d messages on the bus, want %d (%v)", len(got), want, err)
	}
	return got
}
