package decisions_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

// judge answers an item as soon as it can be leased.
func judge(t *testing.T, conn grpc.ClientConnInterface, id string) {
	t.Helper()
	client := reviewv1.NewReviewServiceClient(conn)
	until(t, "the item is answered", func() bool {
		it, err := client.LeaseItem(t.Context(), &reviewv1.LeaseItemRequest{ItemId: id, Reviewer: "ann"})
		if err != nil {
			return false
		}
		_, err = client.SubmitVerdict(t.Context(), &reviewv1.SubmitVerdictRequest{
			ItemId: id, Reviewer: "ann", LeaseId: it.GetItem().GetLease().GetLeaseId(), Answer: &reviewv1.Answer{Labels: []string{"billing"}, Note: "called back"},
		})
		return err == nil
	})
}

// TestADecisionSaysWhatPeopleSaidOfItAlsoWhenItsItemIsRetired reads a decision before, between and after: with the verdict of the queue, and with that of the lake.
func TestADecisionSaysWhatPeopleSaidOfItAlsoWhenItsItemIsRetired(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/data"
	options := func(c *app.Config) {
		c.DataDir, c.DevKeyFile, c.Lake.Flush, c.Review.Retention = dir, dir+".key", 100*time.Millisecond, map[string]time.Duration{"*": 24 * time.Hour}
	}
	s := testkit.Start(t, options)
	conn := s.Dial(s.Key)
	testkit.Deploy(t, conn, "support", testkit.Support, false)
	reviews := reviewv1.NewReviewServiceClient(conn)
	_, err := reviews.UpdateQueue(t.Context(), &reviewv1.UpdateQueueRequest{
		Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Settings: &reviewv1.QueueSettings{UndoWindow: durationpb.New(0)},
	})
	if err != nil {
		t.Fatal(err)
	}
	made, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: "paid twice", CustomerId: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	id := made.GetDecision().GetDecisionId()
	read := func(conn grpc.ClientConnInterface) *decisionsv1.DecisionReview {
		t.Helper()
		r, err := decisionsv1.NewDecisionServiceClient(conn).GetDecision(t.Context(), &decisionsv1.GetDecisionRequest{DecisionId: id})
		if err != nil || r.GetRecord().GetDecision().GetDecisionId() != id {
			t.Fatalf("read %v: %v", r, err)
		}
		return r.GetReview()
	}
	judge(t, conn, id)
	_, err = reviews.SubmitFeedback(t.Context(), &reviewv1.SubmitFeedbackRequest{FeedbackId: "f", DecisionId: id, Labels: []string{"billing"}})
	if err != nil {
		t.Fatal(err)
	}
	before := read(conn)
	if v := before.GetVerdicts(); before.GetItem().GetState() != reviewv1.ItemState_ITEM_STATE_CLOSED || len(v) != 1 || v[0].GetAnswer().GetNote() != "called back" || len(before.GetFeedback()) != 1 {
		t.Errorf("of the item that was closed it says %v", before)
	}
	key, err := identityv1.NewIdentityServiceClient(conn).CreateKey(t.Context(), &identityv1.CreateKeyRequest{Name: "reads", Scopes: []string{"decisions:read"}})
	if err != nil {
		t.Fatal(err)
	}
	if r := read(s.Dial(key.GetSecret())); r != nil {
		t.Errorf("a key without review:read is told %v", r)
	}
	s.Stop()

	path := filepath.Join(dir, "switchyard.db")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the tables are not in the folder")
	}
	change := func(query string, args ...any) {
		t.Helper()
		d, err := db.Open(t.Context(), db.Default(path))
		if err != nil {
			t.Fatal(err)
		}
		err = d.Tx(t.Context(), func(tx *db.Tx) error { _, err := tx.Exec(query, args...); return err })
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	closed := db.Micros(before.GetItem().GetCloseTime().AsTime())
	change(`UPDATE review_items SET closed = ?`, closed-(25*time.Hour).Microseconds())
	s = testkit.Start(t, options)
	until(t, "the item is retired", func() bool {
		return read(s.Dial(s.Key)).GetItem().GetState() == reviewv1.ItemState_ITEM_STATE_RETIRED
	})
	s.Stop()
	change(`UPDATE review_retired SET closed = ?`, closed) // it was not closed before it was judged
	s = testkit.Start(t, options)
	var after *decisionsv1.DecisionReview
	until(t, "the lake tells the verdict", func() bool {
		after = read(s.Dial(s.Key))
		return len(after.GetVerdicts()) > 0 && !after.GetIncomplete()
	})
	was, is := before.GetVerdicts()[0], after.GetVerdicts()[0]
	if is.GetVerdictId() != was.GetVerdictId() || is.GetReviewer() != "ann" || is.GetAnswer().GetNote() != "called back" || is.GetAnswer().GetLabels()[0] != "billing" || !is.GetFinal() ||
		!is.GetSubmitTime().AsTime().Equal(was.GetSubmitTime().AsTime().Truncate(time.Microsecond)) {
		t.Errorf("the lake says %v, the queue said %v", is, was)
	}
	if it := after.GetItem(); it.GetRetireTime() == nil || it.GetInput() != nil || it.GetDeployment() != "support" {
		t.Errorf("the retired item is %v", it)
	}
}
