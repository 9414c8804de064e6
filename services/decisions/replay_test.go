package decisions_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	classificationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/classification/v1"
	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	decisionsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/decisions/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	moderationv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/moderation/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// traffic decides about random inputs and remembers the ids.
type traffic struct {
	moderation moderationv1.ModerationServiceClient
	routing    routingv1.RoutingServiceClient
	classes    classificationv1.ClassificationServiceClient
	random     *rand.Rand
	mu         sync.Mutex
	ids        []string
}

func newTraffic(conn grpc.ClientConnInterface) *traffic {
	return &traffic{
		moderation: moderationv1.NewModerationServiceClient(conn), routing: routingv1.NewRoutingServiceClient(conn),
		classes: classificationv1.NewClassificationServiceClient(conn), random: rand.New(rand.NewPCG(1, 2)),
	}
}

var replayWords = strings.Fields("laptop screen invoice refund password login win prize click article garden book crypto the and \u00e4rger na\u00efve damn")

func (f *traffic) sentence() string {
	words := make([]string, 1+f.random.IntN(12))
	for i := range words {
		words[i] = replayWords[f.random.IntN(len(replayWords))]
	}
	return strings.Join(words, []string{" ", "  ", "\r\n"}[f.random.IntN(3)])
}

// one decides once, by any of the operations.
func (f *traffic) one(ctx context.Context) (d *commonv1.Decision, err error) {
	switch text := f.sentence(); f.random.IntN(4) {
	case 0:
		r, e := f.moderation.ModerateText(ctx, &moderationv1.ModerateTextRequest{Deployment: "comments", Title: []string{"", "win a prize"}[f.random.IntN(2)], Text: text, Locale: "de"})
		d, err = r.GetDecision(), e
	case 1:
		r, e := f.routing.RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: "support", Subject: "urgent", Body: text, Channel: "mail"})
		d, err = r.GetDecision(), e
	case 2:
		r, e := f.routing.RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: "support", Body: text})
		d, err = r.GetDecision(), e
	default:
		r, e := f.classes.ClassifyRecord(ctx, &classificationv1.ClassifyRecordRequest{Deployment: "expenses", Record: map[string]*commonv1.FieldValue{
			"amount":   {Value: &commonv1.FieldValue_Number{Number: f.random.Float64() * 900}},
			"merchant": {Value: &commonv1.FieldValue_Text{Text: []string{"hotel", "cafe", "unknown"}[f.random.IntN(3)]}},
			"weekend":  {Value: &commonv1.FieldValue_Boolean{Boolean: f.random.IntN(2) == 0}},
		}})
		d, err = r.GetDecision(), e
	}
	if err == nil {
		f.mu.Lock()
		f.ids = append(f.ids, d.GetDecisionId())
		f.mu.Unlock()
	}
	return d, err
}

// changer changes deployments and rules at random.
type changer struct {
	models   modelsv1.ModelServiceClient
	rules    moderationv1.ModerationServiceClient
	random   *rand.Rand
	versions map[string]int32
	rule     string
}

func (c *changer) change(ctx context.Context) error {
	names := []string{"support", "comments", "expenses"}
	ops := []commonv1.Operation{commonv1.Operation_OPERATION_ROUTING, commonv1.Operation_OPERATION_MODERATION, commonv1.Operation_OPERATION_CLASSIFICATION}
	i := c.random.IntN(3)
	var err error
	switch c.random.IntN(7) {
	case 0, 1:
		_, err = c.models.Deploy(ctx, &modelsv1.DeployRequest{Operation: ops[i], Deployment: names[i], Model: names[i], Version: 1 + c.random.Int32N(c.versions[names[i]])})
	case 2:
		_, err = c.models.UpdatePolicy(ctx, &modelsv1.UpdatePolicyRequest{Operation: ops[i], Deployment: names[i], Policy: &modelsv1.Policy{
			MaxError: []float64{0.02, 0.05, 0.2}[c.random.IntN(3)], AuditRate: 0.3, Uncertified: modelsv1.Uncertified(1 + c.random.IntN(2)),
		}})
	case 4:
		_, err = c.models.StartChallenger(ctx, &modelsv1.StartChallengerRequest{
			Operation: ops[i], Deployment: names[i], Model: names[i], Version: 1 + c.random.Int32N(c.versions[names[i]]),
			Mode: modelsv1.ChallengerMode_CHALLENGER_MODE_CANARY, Share: 0.3, SkipShadow: "at random",
		})
		if f := fault.FromStatus(status.Convert(err)); err != nil && (f.ReasonName() == "INVALID_ARGUMENT" || f.ReasonName() == "PROMOTION_REFUSED") {
			err = nil // it is the champion, or there is none
		}
	case 5:
		var d *modelsv1.GetDeploymentResponse
		if d, err = c.models.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: ops[i], Deployment: names[i]}); err == nil && len(d.GetDeployment().GetChallengers()) > 0 {
			v := d.GetDeployment().GetChallengers()[0].GetVersion()
			_, err = c.models.Promote(ctx, &modelsv1.PromoteRequest{Operation: ops[i], Deployment: names[i], Model: v.GetModel(), Version: v.GetVersion(), Reason: "at random", SkipComparison: true})
		}
	case 3:
		_, err = c.models.Rollback(ctx, &modelsv1.RollbackRequest{Operation: ops[i], Deployment: names[i], Reason: "at random"})
		if f := fault.FromStatus(status.Convert(err)); err != nil && f.ReasonName() == "REVISION_NOT_FOUND" {
			err = nil // it is at its first state
		}
	default:
		err = c.changeRule(ctx)
	}
	return err
}

func (c *changer) changeRule(ctx context.Context) error {
	if c.rule != "" {
		_, err := c.rules.DeleteRule(ctx, &moderationv1.DeleteRuleRequest{RuleId: c.rule})
		c.rule = ""
		return err
	}
	r, err := c.rules.CreateRule(ctx, &moderationv1.CreateRuleRequest{Kind: moderationv1.RuleKind(1 + c.random.IntN(3)), Pattern: replayWords[c.random.IntN(len(replayWords))]})
	c.rule = r.GetRule().GetRuleId()
	return err
}

func newChanger(t *testing.T, conn grpc.ClientConnInterface) *changer {
	t.Helper()
	c := &changer{models: modelsv1.NewModelServiceClient(conn), rules: moderationv1.NewModerationServiceClient(conn), random: rand.New(rand.NewPCG(3, 4)), versions: map[string]int32{}}
	for name, all := range map[string][]func() (*testkit.Trained, error){
		"support": {testkit.SupportAnew, testkit.Support}, "comments": {testkit.CommentsAnew, testkit.Comments}, "expenses": {testkit.Expenses},
	} {
		for _, model := range all {
			testkit.Register(t, conn, name, model, false)
			testkit.Deploy(t, conn, name, model, true)
			c.versions[name] += 2
		}
	}
	return c
}

// TestEveryDecisionIsRepeatedBitForBit makes 100 random deployments, rollbacks, changes of policies and of rules with traffic in between and at the same time, and repeats all
// decisions: from the stream, and again from the lake after a restart.
func TestEveryDecisionIsRepeatedBitForBit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir() + "/data"
	options := func(c *app.Config) { c.DataDir, c.DevKeyFile, c.Lake.Flush = dir, dir+".key", 100*time.Millisecond }
	s := testkit.Start(t, options)
	conn := s.Dial(s.Key)
	changes, calls := newChanger(t, conn), newTraffic(conn)
	rounds := 100
	if testing.Short() {
		rounds = 15 // the race detector makes everything ten times slower, and others wait
	}
	for range rounds {
		var wg sync.WaitGroup
		wg.Go(func() { // in between and meanwhile
			for range 4 {
				if _, err := calls.one(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
		if err := changes.change(t.Context()); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
	}
	replayAll(t, conn, calls.ids)
	if n := history(t, conn); n < rounds/4 {
		t.Errorf("only %d changes of deployments", n)
	}
	s.Stop()
	s = testkit.Start(t, options)
	conn = s.Dial(s.Key)
	inLake(t, conn, len(calls.ids))
	replayAll(t, conn, calls.ids[:rounds])
}

func replayAll(t *testing.T, conn grpc.ClientConnInterface, ids []string) {
	t.Helper()
	client := decisionsv1.NewDecisionServiceClient(conn)
	start, outcomes := time.Now(), map[string]int{}
	for _, id := range ids {
		r, err := client.ReplayDecision(t.Context(), &decisionsv1.ReplayDecisionRequest{DecisionId: id})
		if err != nil {
			t.Errorf("replay %s: %v", id, err)
			continue
		}
		if !r.GetIdentical() || len(r.GetDifferences()) > 0 {
			t.Errorf("decision %s of %v comes out differently: %v", id, r.GetRecorded().GetDecision().GetOperation(), r.GetDifferences())
		}
		want := r.GetRecorded().GetDecision()
		if got := proto.CloneOf(r.GetReplayed()); !proto.Equal(want, trim(got, len(want.GetLabels()))) {
			t.Errorf("decision %s: %v, recorded was %v", id, got, want)
		}
		outcomes[fmt.Sprint(want.GetReason(), want.GetOutcome())]++
	}
	t.Logf("%d decisions repeated, %v each: %v", len(ids), time.Since(start)/time.Duration(len(ids)), outcomes)
}

// trim leaves as many labels as a record holds.
func trim(d *commonv1.Decision, n int) *commonv1.Decision {
	d.Labels = d.GetLabels()[:min(n, len(d.GetLabels()))]
	return d
}

func history(t *testing.T, conn grpc.ClientConnInterface) (n int) {
	t.Helper()
	r, err := modelsv1.NewModelServiceClient(conn).ListDeploymentChanges(t.Context(), &modelsv1.ListDeploymentChangesRequest{Page: &commonv1.PageRequest{Size: 500}})
	if err != nil {
		t.Fatal(err)
	}
	return len(r.GetChanges())
}

// inLake waits until the lake holds so many decisions.
func inLake(t *testing.T, conn grpc.ClientConnInterface, want int) {
	t.Helper()
	client := decisionsv1.NewDecisionServiceClient(conn)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		n, page := 0, &commonv1.PageRequest{Size: 500}
		for {
			r, err := client.ListDecisions(t.Context(), &decisionsv1.ListDecisionsRequest{Page: page})
			if err != nil {
				break // the lake is not open yet
			}
			n += len(r.GetRecords())
			if page.Token = r.GetPage().GetNextToken(); page.Token == "" {
				break
			}
		}
		if n == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the lake has %d of %d decisions", n, want)
		}
	}
}

func TestWhatWasRedactedOrErasedCannotBeRepeated(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	conn := s.Dial(s.Key)
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	client := decisionsv1.NewDecisionServiceClient(conn)
	for _, c := range []struct {
		keep commonv1.InputRetention
		body string
		want string
	}{
		{commonv1.InputRetention_INPUT_RETENTION_FULL, "my laptop is broken, mail me at ann@example.com", ""},
		{commonv1.InputRetention_INPUT_RETENTION_REDACTED, "my laptop is broken, mail me at ann@example.com", "redacted"},
		{commonv1.InputRetention_INPUT_RETENTION_REDACTED, "my laptop is broken", ""},
		{commonv1.InputRetention_INPUT_RETENTION_ABSENT, "my laptop is broken", "absent"},
	} {
		_, err := modelsv1.NewModelServiceClient(conn).UpdatePolicy(t.Context(), &modelsv1.UpdatePolicyRequest{
			Operation: commonv1.Operation_OPERATION_ROUTING, Deployment: "support", Policy: &modelsv1.Policy{InputRetention: c.keep},
		})
		if err != nil {
			t.Fatal(err)
		}
		r, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(t.Context(), &routingv1.RouteInquiryRequest{Deployment: "support", Body: c.body})
		if err != nil {
			t.Fatal(err)
		}
		again, err := client.ReplayDecision(t.Context(), &decisionsv1.ReplayDecisionRequest{DecisionId: r.GetDecision().GetDecisionId()})
		f := fault.FromStatus(status.Convert(err))
		switch {
		case c.want == "" && (err != nil || !again.GetIdentical()):
			t.Errorf("%v %q: %v, %v", c.keep, c.body, again.GetDifferences(), err)
		case c.want != "" && (err == nil || f.ReasonName() != "INPUT_NOT_RECORDED" || f.Metadata("retention") != c.want):
			t.Errorf("%v %q: %v, want INPUT_NOT_RECORDED, %s", c.keep, c.body, err, c.want)
		}
	}
}
