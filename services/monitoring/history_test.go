package monitoring_test

import (
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

func (w *watchtower) history(t *testing.T, from *timestamppb.Timestamp) []*monitoringv1.PromisePoint {
	t.Helper()
	res, err := w.GetPromiseHistory(as(t.Context(), "p1"), &monitoringv1.GetPromiseHistoryRequest{Operation: routing, Deployment: "support", From: from})
	if err != nil {
		t.Fatal(err)
	}
	return res.GetPoints()
}

func TestTheLiveErrorIsRememberedOverTime(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	if points := w.history(t, nil); len(points) != 0 {
		t.Errorf("points before any audit: %v", points)
	}
	begin := w.now()
	for i, wrong := range []int{2, 2, 2, 2} {
		w.clock.Add(int64(time.Hour))
		w.audit(t, string(rune('a'+i)), "c1", 50, wrong)
	}
	points := w.history(t, nil)
	last := points[len(points)-1]
	promise := w.promise(t).GetSides()[0]
	if last.GetAudits() != 200 || last.GetLiveError() != promise.GetLiveError() || last.GetLower() != promise.GetLiveErrorLower() || last.GetUpper() != promise.GetLiveErrorUpper() || last.GetMaxError() != 0.05 {
		t.Errorf("the newest point %v is not the promise %v", last, promise)
	}
	for i := 1; i < len(points); i++ {
		if points[i].GetTime().AsTime().Before(points[i-1].GetTime().AsTime()) || points[i].GetSeries() != points[0].GetSeries() || points[i].GetAudits() <= points[i-1].GetAudits() {
			t.Errorf("points are not in order: %v, %v", points[i-1], points[i])
		}
	}
	if first := points[0]; first.GetUpper()-first.GetLower() <= last.GetUpper()-last.GetLower() {
		t.Errorf("more audits did not narrow the interval: %v, %v", first, last)
	}
	if late := w.history(t, timestamppb.New(begin.Add(3*time.Hour))); len(late) == 0 || len(late) >= len(points) {
		t.Errorf("%d of %d points are from the last hours", len(late), len(points))
	}
	// Another version begins a series of its own; what was stays.
	w.clock.Add(int64(time.Hour))
	w.deploy(t, support(2, "c2"))
	w.audit(t, "z", "c2", 10, 0)
	after := w.history(t, nil)
	if newest := after[len(after)-1]; len(after) <= len(points) || newest.GetSeries() == last.GetSeries() || newest.GetAudits() != 10 {
		t.Errorf("after another version: %d points, the newest %v", len(after), newest)
	}
	// Audits that are counted later, under the old certificate, do not change what is promised now.
	w.audit(t, "late", "c1", 5, 0)
	if got := w.history(t, nil); got[len(got)-1].GetAudits() != 10 {
		t.Errorf("audits of the version before stand in the history of the new one: %v", got[len(got)-1])
	}
}

func TestAHistoryIsThinnedOutAndOnlyOnesOwn(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, support(1, "c1"))
	for i := range 60 {
		w.clock.Add(int64(time.Minute))
		w.audit(t, string(rune('a'+i/26))+string(rune('a'+i%26)), "c1", 20, 0)
	}
	points := w.history(t, nil)
	if len(points) > 60 || len(points) < 20 || points[len(points)-1].GetAudits() != 1200 {
		t.Errorf("%d points of 60 batches, the newest %v", len(points), points[len(points)-1])
	}
	_, err := w.GetPromiseHistory(as(t.Context(), "p2"), &monitoringv1.GetPromiseHistoryRequest{Operation: routing, Deployment: "support"})
	if got := fault.FromStatus(status.Convert(err)).ReasonName(); got != "DEPLOYMENT_NOT_FOUND" {
		t.Errorf("another project's history: %v", err)
	}
}
