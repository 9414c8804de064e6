package console

import (
	"context"
	"slices"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/internal/chart"
)

// shownSides bounds the sides that are drawn: a policy may limit a thousand labels.
const shownSides = 8

// promiseView is the live promise of a deployment, ready to be shown.
type promiseView struct {
	*monitoringv1.Promise
	Shown []sideView
	More  int // sides that are not shown
}

// sideView is one certificate with what audits show of it.
type sideView struct {
	*monitoringv1.SidePromise
	Plot chart.Chart
}

// Stopped says whether automation is stopped for the side.
func (s sideView) Stopped() bool {
	return s.GetState() == monitoringv1.AutomationState_AUTOMATION_STATE_STOPPED
}

var automationStates = map[monitoringv1.AutomationState]string{
	monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING:    "automating",
	monitoringv1.AutomationState_AUTOMATION_STATE_STOPPED:       "stopped",
	monitoringv1.AutomationState_AUTOMATION_STATE_NOT_CERTIFIED: "not certified: people decide",
	monitoringv1.AutomationState_AUTOMATION_STATE_UNCERTIFIED:   "automating without a promise",
}

func viewPromise(p *monitoringv1.Promise, points []*monitoringv1.PromisePoint) *promiseView {
	v := &promiseView{Promise: p}
	sides := p.GetSides()
	// What is stopped comes first, then what was audited most.
	sides = slices.Clone(sides)
	slices.SortStableFunc(sides, func(a, b *monitoringv1.SidePromise) int {
		stopped := func(s *monitoringv1.SidePromise) int64 {
			if s.GetStopTime() != nil {
				return 1
			}
			return 0
		}
		if d := stopped(b) - stopped(a); d != 0 {
			return int(d)
		}
		return int(min(1, max(-1, b.GetAudits()-a.GetAudits())))
	})
	for i, s := range sides {
		if i == shownSides {
			v.More = len(sides) - i
			break
		}
		side := sideView{SidePromise: s}
		var own []chart.LivePoint
		for _, at := range points {
			if at.GetSide() == s.GetSide() {
				own = append(own, chart.LivePoint{
					Time: at.GetTime().AsTime(), Value: at.GetLiveError(), Lower: at.GetLower(), Upper: at.GetUpper(), Limit: at.GetMaxError(), Count: at.GetAudits(), Series: at.GetSeries(),
				})
			}
		}
		side.Plot = chart.Live(own)
		v.Shown = append(v.Shown, side)
	}
	return v
}

// unseen says why a promise is not shown; the page works without it.
func unseen(err error) string {
	switch f := asFault(err); f.ReasonName() {
	case "SCOPE_MISSING":
		return "The live error is not shown: your key lacks the scope " + f.Metadata("scope") + "."
	case "DEPLOYMENT_NOT_FOUND", "NOT_FOUND":
		return "" // it is so new that nothing watches it yet
	}
	return "The live error is not shown: the service that watches it cannot be reached at the moment."
}

// promises returns what is known of all deployments, by name.
func (c *Console) promises(ctx context.Context) (map[deploymentRef]*promiseView, string) {
	res, err := c.monitoring.ListPromises(ctx, &monitoringv1.ListPromisesRequest{Page: &commonv1.PageRequest{Size: maxDeployments}})
	if err != nil {
		return nil, unseen(err)
	}
	out := map[deploymentRef]*promiseView{}
	for _, p := range res.GetPromises() {
		out[deploymentRef{p.GetOperation(), p.GetDeployment()}] = viewPromise(p, nil)
	}
	return out, ""
}

// promise returns what is known of one deployment, with its history.
func (c *Console) promise(ctx context.Context, ref deploymentRef) (*promiseView, string) {
	res, err := c.monitoring.GetPromise(ctx, &monitoringv1.GetPromiseRequest{Operation: ref.Operation, Deployment: ref.Name})
	if err != nil {
		return nil, unseen(err)
	}
	past, err := c.monitoring.GetPromiseHistory(ctx, &monitoringv1.GetPromiseHistoryRequest{Operation: ref.Operation, Deployment: ref.Name})
	if err != nil {
		return viewPromise(res.GetPromise(), nil), unseen(err)
	}
	return viewPromise(res.GetPromise(), past.GetPoints()), ""
}
