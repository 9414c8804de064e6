package contract

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	routingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/routing/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

const routingOp = commonv1.Operation_OPERATION_ROUTING

var inquiries = []string{"laptop screen broken, please replace it", "invoice charged twice, refund please", "password reset, account locked", "printer tax permission fan"}

func route(ctx context.Context, conn grpc.ClientConnInterface, text, customer string) (*commonv1.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second) // what is tested is not how fast a busy machine's disk is
	defer cancel()
	r, err := routingv1.NewRoutingServiceClient(conn).RouteInquiry(ctx, &routingv1.RouteInquiryRequest{Deployment: "support", Body: text, CustomerId: customer})
	return r.GetDecision(), err
}

// deploymentOf waits until a deployment is as is wanted.
func deploymentOf(t *testing.T, conn grpc.ClientConnInterface, what string, is func(*modelsv1.Deployment) bool) *modelsv1.Deployment {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r, err := modelsv1.NewModelServiceClient(conn).GetDeployment(t.Context(), &modelsv1.GetDeploymentRequest{Operation: routingOp, Deployment: "support"})
		if err != nil {
			t.Fatal(err)
		}
		if is(r.GetDeployment()) {
			return r.GetDeployment()
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not after 20 s: %v", what, r.GetDeployment())
		}
	}
}

// TestAVersionGoesFromShadowOverAShareToAll follows one version on its way, as an application sees it.
func TestAVersionGoesFromShadowOverAShareToAll(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	conn := s.Dial(s.Key)
	registry := modelsv1.NewModelServiceClient(conn)
	first := testkit.Deploy(t, conn, "support", testkit.Support, true).GetChampion()
	second := testkit.Register(t, conn, "support", testkit.SupportAnew, true)
	start := &modelsv1.StartChallengerRequest{Operation: routingOp, Deployment: "support", Model: "support", Version: second.GetVersion()}
	if _, err := registry.StartChallenger(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	const calls = 300
	for i := range calls {
		d, err := route(t.Context(), conn, inquiries[i%4], strconv.Itoa(i))
		if err != nil || d.GetModel().GetDigest() != first.GetDigest() || d.GetVariant() != commonv1.Variant_VARIANT_CHAMPION {
			t.Fatalf("in shadow the champion answers: %v, %v", d.GetModel(), err)
		}
	}
	ask := &modelsv1.GetComparisonRequest{Operation: routingOp, Deployment: "support", Model: "support", Version: second.GetVersion()}
	var seen *modelsv1.Comparison
	for end := time.Now().Add(20 * time.Second); seen.GetCompared()+seen.GetDropped() < calls; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("compared %d, dropped %d of %d", seen.GetCompared(), seen.GetDropped(), calls)
		}
		r, err := registry.GetComparison(t.Context(), ask)
		if err == nil {
			seen = r.GetComparison()
		}
	}
	if seen.GetCompared() < calls*9/10 || seen.GetSameLabels() == 0 || seen.GetChampion().GetDecisions() != seen.GetCompared() || seen.GetChallenger().GetErrors() != 0 || seen.GetChallenger().GetAutomated() == 0 {
		t.Errorf("comparison %v", seen)
	}

	start.Mode, start.Share = modelsv1.ChallengerMode_CHALLENGER_MODE_CANARY, 0.3
	if _, err := registry.StartChallenger(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	took := map[string]string{}
	share := 0
	for i := range 2 * calls {
		customer := strconv.Itoa(i % calls)
		d, err := route(t.Context(), conn, inquiries[i%4], customer)
		if err != nil {
			t.Fatal(err)
		}
		if before, known := took[customer]; known && before != d.GetModel().GetDigest() {
			t.Fatalf("customer %s was answered by two versions", customer)
		}
		took[customer] = d.GetModel().GetDigest()
		if d.GetModel().GetDigest() == second.GetDigest() {
			share++
			if d.GetVariant() != commonv1.Variant_VARIANT_CHALLENGER || d.GetOutcome() == commonv1.Outcome_OUTCOME_AUTOMATED && d.GetCertificateId() == "" {
				t.Errorf("the challenger's answer: %v", d)
			}
		}
	}
	if share < 2*calls/5 || share > 2*calls*2/5 { // 30 % of 300 customers, five standard deviations
		t.Errorf("the canary answered %d of %d", share, 2*calls)
	}
	start.Share = 0.6
	if _, err := registry.StartChallenger(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	for customer, digest := range took {
		d, err := route(t.Context(), conn, inquiries[0], customer)
		if err != nil || digest == second.GetDigest() && d.GetModel().GetDigest() != digest {
			t.Fatalf("a growing share lost customer %s: %v", customer, err)
		}
	}
	if _, err := registry.Promote(t.Context(), &modelsv1.PromoteRequest{Operation: routingOp, Deployment: "support", Model: "support", Version: second.GetVersion(), Reason: "as good"}); err != nil {
		t.Fatal(err)
	}
	// The new champion shows itself beside the one before.
	for i := range calls {
		d, err := route(t.Context(), conn, inquiries[i%4], strconv.Itoa(i))
		if err != nil || d.GetModel().GetDigest() != second.GetDigest() || d.GetVariant() != commonv1.Variant_VARIANT_CHAMPION {
			t.Fatalf("after the promotion: %v, %v", d, err)
		}
	}
	deploymentOf(t, conn, "probation ends", func(d *modelsv1.Deployment) bool {
		return d.GetProbation() == nil && d.GetChampion().GetVersion() == second.GetVersion()
	})
}

// TestSwapsUnderLoadFailNoCall swaps the live version back and forth under 64 callers.
func TestSwapsUnderLoadFailNoCall(t *testing.T) {
	t.Parallel()
	s := testkit.Start(t)
	conn := s.Dial(s.Key)
	registry := modelsv1.NewModelServiceClient(conn)
	testkit.Deploy(t, conn, "support", testkit.Support, true)
	second := testkit.Register(t, conn, "support", testkit.SupportAnew, true)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var wg sync.WaitGroup
	var failed, calls atomic.Int64
	var current atomic.Value // digest of the last answer
	current.Store("")
	for i := range 64 {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				d, err := route(ctx, conn, inquiries[n%4], strconv.Itoa(i))
				if ctx.Err() != nil {
					return
				}
				if calls.Add(1); err != nil {
					failed.Add(1)
					t.Errorf("call failed during a swap: %v", err)
					return
				}
				current.Store(d.GetModel().GetDigest())
			}
		})
	}
	var back []time.Duration
	for range 5 {
		time.Sleep(100 * time.Millisecond)
		d, err := registry.Deploy(ctx, &modelsv1.DeployRequest{Operation: routingOp, Deployment: "support", Model: "support", Version: second.GetVersion()})
		if err != nil {
			t.Fatal(err)
		}
		if d.GetDeployment().GetPrevious().GetVersion() != 1 {
			t.Fatalf("the version before is not kept open: %v", d.GetDeployment().GetPrevious())
		}
		time.Sleep(100 * time.Millisecond)
		begin := time.Now()
		if _, err := registry.Rollback(ctx, &modelsv1.RollbackRequest{Operation: routingOp, Deployment: "support", Reason: "a test"}); err != nil {
			t.Fatal(err)
		}
		for current.Load() == second.GetDigest() && time.Since(begin) < 10*time.Second {
			time.Sleep(time.Millisecond)
		}
		back = append(back, time.Since(begin))
	}
	stop()
	wg.Wait()
	if failed.Load() > 0 || calls.Load() < 1000 {
		t.Errorf("%d of %d calls failed", failed.Load(), calls.Load())
	}
	slices.Sort(back)
	t.Logf("%d calls, none failed; the version before answered again after %v in the median, %v at most", calls.Load(), back[len(back)/2], back[len(back)-1])
	if back[len(back)/2] > time.Second {
		t.Errorf("a rollback took %v in the median", back[len(back)/2])
	}
}
