package contract

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// TestACallThatWasCutOffIsAnsweredAsItsRecordSays loses the kept answers of calls, as a crash between the record of a decision and the answer does, lets other versions and rules answer, and
// repeats the calls: at once, and after a restart.
func TestACallThatWasCutOffIsAnsweredAsItsRecordSays(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/data"
	options := func(c *app.Config) { c.DataDir, c.DevKeyFile, c.Lake.Flush = dir, dir+".key", 100*time.Millisecond }
	s := testkit.Start(t, options)
	if _, err := os.Stat(filepath.Join(dir, "switchyard.db")); err != nil {
		t.Skip("the tables are not in the folder")
	}
	conn := s.Dial(s.Key)
	for name, model := range map[string]func() (*testkit.Trained, error){"support": testkit.Support, "comments": testkit.Comments, "topics": testkit.Topics, "expenses": testkit.Expenses} {
		testkit.Deploy(t, conn, name, model, true)
	}
	rule, err := moderationv1.NewModerationServiceClient(conn).CreateRule(t.Context(), &moderationv1.CreateRuleRequest{Kind: moderationv1.RuleKind_RULE_KIND_DENY, Pattern: "casino"})
	if err != nil {
		t.Fatal(err)
	}
	calls := callsOfAll()
	first := map[string]proto.Message{}
	for name, call := range calls {
		if first[name], err = call(keyed(t, name), conn); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for name, model := range map[string]func() (*testkit.Trained, error){"support": testkit.SupportAnew, "comments": testkit.CommentsAnew, "topics": testkit.Topics, "expenses": testkit.Expenses} {
		testkit.Deploy(t, conn, name, model, false)
	}
	if _, err := moderationv1.NewModerationServiceClient(conn).DeleteRule(t.Context(), &moderationv1.DeleteRuleRequest{RuleId: rule.GetRule().GetRuleId()}); err != nil {
		t.Fatal(err)
	}
	repeat := func(when string, conn grpc.ClientConnInterface) {
		t.Helper()
		for name, call := range calls {
			got, err := call(keyed(t, name), conn)
			if err != nil {
				t.Errorf("%s, %s: %v", name, when, err)
			} else if diff := cmp.Diff(first[name], got, protocmp.Transform()); diff != "" {
				t.Errorf("%s, %s, is answered otherwise than it was recorded:\n%s", name, when, diff)
			}
			fresh, err := call(keyed(t, "fresh-"+name+"-"+strings.ReplaceAll(when, " ", "-")), conn)
			if err != nil {
				t.Errorf("%s, a new call: %v", name, err)
			} else if v := versions(fresh); v == versions(first[name]) {
				t.Errorf("%s: a new call is answered by version %q too: this proves nothing", name, v)
			}
		}
	}
	lose := func() {
		t.Helper()
		d, err := db.Open(t.Context(), db.Default(filepath.Join(dir, "switchyard.db")))
		if err != nil {
			t.Fatal(err)
		}
		err = d.Tx(t.Context(), func(tx *db.Tx) error {
			n, err := tx.Exec(`UPDATE idempotency_keys SET answer = NULL WHERE sent NOT LIKE 'fresh%'`)
			if int(n) != len(calls) {
				t.Errorf("%d answers are lost, of %d", n, len(calls))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	lose()
	repeat("while the server lives", conn)
	s.Stop()
	lose()
	s = testkit.Start(t, options)
	conn = s.Dial(s.Key)
	repeat("after a restart", conn)

	// Nothing was recorded twice.
	seen := map[string]int{}
	for deadline := time.Now().Add(20 * time.Second); len(seen) < 1 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		r, err := decisionsv1.NewDecisionServiceClient(conn).ListDecisions(t.Context(), &decisionsv1.ListDecisionsRequest{Page: &commonv1.PageRequest{Size: 500}})
		if err != nil {
			continue
		}
		for _, rec := range r.GetRecords() {
			seen[rec.GetDecision().GetDecisionId()]++
		}
	}
	for id, n := range seen {
		if n > 1 {
			t.Errorf("decision %s is recorded %d times", id, n)
		}
	}
}

// versions names the versions that an answer's decisions come from.
func versions(m proto.Message) string {
	type decided interface{ GetDecision() *commonv1.Decision }
	var all []string
	add := func(d decided) {
		all = append(all, fmt.Sprint(d.GetDecision().GetModel().GetVersion()))
	}
	switch m := m.(type) {
	case decided:
		add(m)
	case *routingv1.BatchRouteInquiryResponse:
		for _, r := range m.GetResults() {
			add(r)
		}
	case *moderationv1.BatchModerateTextResponse:
		for _, r := range m.GetResults() {
			add(r)
		}
	case *classificationv1.BatchClassifyTextResponse:
		for _, r := range m.GetResults() {
			add(r)
		}
	case *classificationv1.BatchClassifyRecordResponse:
		for _, r := range m.GetResults() {
			add(r)
		}
	}
	return strings.Join(all, " ")
}

// callsOfAll are calls of every method that decides.
func callsOfAll() map[string]func(context.Context, grpc.ClientConnInterface) (proto.Message, error) {
	expense := map[string]*commonv1.FieldValue{"amount": {Value: &commonv1.FieldValue_Number{Number: 120}}, "merchant": {Value: &commonv1.FieldValue_Text{Text: "hotel"}}, "weekend": {Value: &commonv1.FieldValue_Boolean{Boolean: true}}}
	five := int32(5)
	return map[string]func(context.Context, grpc.ClientConnInterface) (proto.Message, error){
		"route": func(ctx context.Context, c grpc.ClientConnInterface) (proto.Message, error) {
			return routingv1.NewRoutingServiceClient(c).RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: "support", Subject: "urgent", Body: "my invoice shows a refund and the login is locked", CustomerId: "ann"})
		},
		"route-batch": func(ctx context.Context, c grpc.ClientConnInterface) (proto.Message, error) {
			return routingv1.NewRoutingServiceClient(c).BatchRouteInquiry(ctx, &routingv1.BatchRouteInquiryRequest{Deployment: "support", Items: []*routingv1.InquiryItem{
				{Body: "my laptop screen stays black"}, {}, {Body: "charged twice by credit card"}, {Body: "the password is denied", CustomerId: "bob"},
			}})
		},
		"moderate": func(ctx context.Context, c grpc.ClientConnInterface) (proto.Message, error) {
			return moderationv1.NewModerationServiceClient(c).ModerateText(ctx, &moderationv1.ModerateTextRequest{Deployment: "comments", Text: "thank you, win a free prize in the garden", MaxEvidence: &five})
		},
		"moderate-by-rule": func(ctx context.Context, c grpc.ClientConnInterface) (proto.Message, error) {
			return moderationv1.NewModerationServiceClient(c).ModerateText(ctx, &moderationv1.ModerateTextRequest{Deployment: "comments", Text: "the casino by the garden"})
		},
		"moderate-batch": func(ctx context.Context, c grpc.ClientConnInterface) (proto.Message, error) {
			return moderationv1.NewModerationServiceClient(c).BatchModerateText(ctx, &moderationv1.BatchModerateTextRequest{Deployment: "comments", Items: []*moderationv1.TextItem{
				{Text: "cheap crypto loan offer"}, {Text: "the weather in the photo"}, {Text: strings.Repeat("casino ", 3)},
			}})
		},
		"text": func(ctx context.Context, c grpc.ClientConnInterface) (proto.Message, error) {
			return classificationv1.NewClassificationServiceClient(c).ClassifyText(ctx, &classificationv1.ClassifyTextRequest{Deployment: "topics", Text: "laptop or invoice"})
		},
		"text-batch": func(ctx context.Context, c grpc.ClientConnInterface) (proto.Message, error) {
			return classificationv1.NewClassificationServiceClient(c).BatchClassifyText(ctx, &classificationv1.BatchClassifyTextRequest{Deployment: "topics", Items: []*classificationv1.TextItem{{Text: "broken dock"}, {Text: "price of the vpn"}}})
		},
		"record": func(ctx context.Context, c grpc.ClientConnInterface) (proto.Message, error) {
			return classificationv1.NewClassificationServiceClient(c).ClassifyRecord(ctx, &classificationv1.ClassifyRecordRequest{Deployment: "expenses", Record: expense})
		},
		"record-batch": func(ctx context.Context, c grpc.ClientConnInterface) (proto.Message, error) {
			return classificationv1.NewClassificationServiceClient(c).BatchClassifyRecord(ctx, &classificationv1.BatchClassifyRecordRequest{Deployment: "expenses", Items: []*classificationv1.RecordItem{{Record: expense}, {Record: expense}}})
		},
	}
}
