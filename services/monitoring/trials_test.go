package monitoring_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	monitoringv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/monitoring/v1"
	"github.com/switchyard-ai/switchyard/services/monitoring"
)

// ReportTraffic remembers what it was told of each pair of versions.
func (r *registry) ReportTraffic(_ context.Context, req *modelsv1.ReportTrafficRequest, _ ...grpc.CallOption) (*modelsv1.ReportTrafficResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return nil, r.fail
	}
	for _, c := range req.GetComparisons() {
		if r.told == nil {
			r.told = map[string]*modelsv1.Comparison{}
		}
		r.told[c.GetChampionDigest()+" "+c.GetChallengerDigest()] = proto.CloneOf(c)
	}
	return &modelsv1.ReportTrafficResponse{}, nil
}

// canary lets version 2 answer a share beside version 1, by a certificate of its own.
func (w *watchtower) canary(share float64, certificate string, began time.Time) *modelsv1.Deployment {
	d := support(1, "c1")
	d.UpdateTime = timestamppb.New(w.now())
	other := support(2, certificate)
	d.Challengers = []*modelsv1.Challenger{{Version: other.GetChampion(), Share: share, Certificates: other.GetCertificates(), StartTime: timestamppb.New(began)}}
	return d
}

// auditVersion applies n audits of what a version decided, of which wrong disagree, spread evenly.
func (w *watchtower) auditVersion(tb testing.TB, prefix string, version int, certificate string, propensity float64, n, wrong int) {
	tb.Helper()
	var events []monitoring.Event
	for i := range n {
		d, v := w.audited(fmt.Sprintf("%s-%d", prefix, i), certificate, propensity, (i+1)*wrong/n == i*wrong/n)
		record := &commonv1.DecisionRecord{}
		if err := proto.Unmarshal(d.Data, record); err != nil {
			tb.Fatal(err)
		}
		record.Decision.Model = &commonv1.ModelRef{Name: "support", Version: int32(version), Digest: fmt.Sprintf("sha256:v%d", version)}
		d.Data = encode(record)
		if i%2 == 0 {
			d, v = v, d // either may come first
		}
		events = append(events, d, v)
	}
	w.apply(tb, events...)
}

func (r *registry) comparison(pair string) *modelsv1.Comparison {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[pair]
}

// toldOf waits until the registry was told of so many audits of both versions.
func (w *watchtower) toldOf(tb testing.TB, champion, challenger int64) *modelsv1.Comparison {
	tb.Helper()
	count := func(a *modelsv1.Arm) (n int64) {
		for _, c := range a.GetAudits() {
			n += c.GetAudits()
		}
		return n
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c := w.registry.comparison("sha256:v1 sha256:v2")
		if count(c.GetChampion()) == champion && count(c.GetChallenger()) == challenger {
			return c
		}
		if time.Now().After(end) {
			tb.Fatalf("waited in vain for %d and %d audits: %v", champion, challenger, c)
		}
	}
}

func TestAuditsCountForTheVersionThatDecided(t *testing.T) {
	t.Parallel()
	dir, r := t.TempDir(), newRegistry()
	w := open(t, dir, r)
	w.deploy(t, support(1, "c1"))
	w.auditVersion(t, "before", 1, "c1", 0.1, 50, 0)
	w.clock.Add(int64(time.Minute))
	began := w.now()
	w.deploy(t, w.canary(0.2, "c2", began))
	w.auditVersion(t, "champion", 1, "c1", 0.1, 60, 3)
	w.auditVersion(t, "challenger", 2, "c2", 0.1, 20, 2)
	w.auditVersion(t, "more", 2, "c2", 0.5, 10, 1)
	w.auditVersion(t, "gone", 3, "c3", 0.1, 10, 10) // of a version that is neither
	c := w.toldOf(t, 60, 30)
	if !c.GetTrialTime().AsTime().Equal(began.Truncate(time.Microsecond)) || c.GetProject() != "p1" || c.GetDeployment() != "support" || c.GetOperation() != routing {
		t.Errorf("told of %v", c)
	}
	if a := c.GetChampion().GetAudits(); len(a) != 1 || a[0].GetWrong() != 3 {
		t.Errorf("champion: %v", a)
	}
	if a := c.GetChallenger().GetAudits(); len(a) != 2 || a[0].GetPropensity() != 0.1 || a[0].GetWrong() != 2 || a[1].GetPropensity() != 0.5 || a[1].GetAudits() != 10 {
		t.Errorf("challenger: %v", a)
	}
	if s := w.promise(t).GetSides()[0]; s.GetAudits() != 110 {
		t.Errorf("the champion's promise counts %d audits", s.GetAudits())
	}
	w.auditVersion(t, "challenger", 2, "c2", 0.1, 20, 2) // delivered again
	w.service.Close()
	again := open(t, dir, r)
	again.seq = 10_000
	again.clock.Store(w.clock.Load())
	again.auditVersion(t, "later", 1, "c1", 0.1, 5, 0)
	again.toldOf(t, 65, 30)
	// Another trial of the same versions begins at zero; what was decided in the first one does not count for it.
	late, verdict := again.audited("late", "c1", 0.1, false)
	again.apply(t, late)
	drawn, judged := again.audited("judged-after-the-end", "c1", 0.1, true)
	again.apply(t, drawn)
	again.clock.Add(int64(time.Minute))
	ended := support(1, "c1")
	ended.UpdateTime = timestamppb.New(again.now())
	again.deploy(t, ended)
	again.apply(t, judged)
	again.auditVersion(t, "after-the-end", 1, "c1", 0.1, 5, 0)
	again.toldOf(t, 66, 30)
	again.deploy(t, again.canary(0.2, "c4", again.now()))
	again.apply(t, verdict)
	again.auditVersion(t, "anew", 2, "c4", 0.1, 4, 0)
	again.toldOf(t, 0, 4)
}

func TestAResumedTrialGoesOnCountingWithoutThePause(t *testing.T) {
	t.Parallel()
	w := start(t)
	began := w.now()
	w.deploy(t, w.canary(0.2, "c2", began))
	w.auditVersion(t, "champion", 1, "c1", 0.1, 60, 3)
	w.auditVersion(t, "challenger", 2, "c2", 0.1, 20, 2)
	drawn, judged := w.audited("judged-after-the-pause", "c1", 0.1, true)
	w.apply(t, drawn)
	w.clock.Add(int64(time.Minute))
	ended := support(1, "c1")
	ended.UpdateTime = timestamppb.New(w.now())
	w.deploy(t, ended)
	w.clock.Add(int64(time.Minute))
	meanwhile, late := w.audited("decided-in-the-pause", "c1", 0.1, true)
	w.apply(t, meanwhile)
	w.auditVersion(t, "pause", 1, "c1", 0.1, 40, 0) // only the champion answered
	w.clock.Add(int64(time.Minute))
	w.deploy(t, w.canary(0.2, "c2", began))
	w.apply(t, judged)
	w.apply(t, late)
	w.auditVersion(t, "after", 1, "c1", 0.1, 10, 0)
	w.auditVersion(t, "after-too", 2, "c2", 0.1, 5, 0)
	w.toldOf(t, 71, 25)
}

func TestAVersionOnTrialThatBreaksItsPromiseIsTakenOff(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.deploy(t, w.canary(0, "c2", w.now()))
	w.auditVersion(t, "shadow", 2, "c2", 0.1, 200, 80) // it answered a share once: in shadow it harms nobody
	time.Sleep(50 * time.Millisecond)
	if w.registry.halts != 0 {
		t.Fatal("a shadow was taken off")
	}
	w.deploy(t, w.canary(0.2, "c2", w.now()))
	stopped := func() *modelsv1.Deployment {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if d := w.registry.get("support"); len(d.GetChallengers()) == 0 || time.Now().After(end) {
				return d
			}
		}
	}
	d := stopped()
	if len(d.GetChallengers()) != 0 || len(d.GetHalts()) != 0 || !strings.HasPrefix(w.registry.reason, "guardrail guarantee: audits show an error above 5 % (95 %)") {
		t.Fatalf("what was known of it before did not take it off: %v, %q", d, w.registry.reason)
	}
	// A version that nobody knew of is taken off by its audits, and the champion's are none of its.
	w.deploy(t, func() *modelsv1.Deployment {
		d := w.canary(0.2, "c9", w.now())
		d.Challengers[0].Version.Digest = "sha256:v9"
		return d
	}())
	w.auditVersion(t, "champion", 1, "c1", 0.1, 300, 6)
	w.auditVersion(t, "nine", 9, "c9", 0.1, 60, 2)
	if d := w.registry.get("support"); len(d.GetChallengers()) != 1 {
		t.Fatalf("taken off for 2 of 60: %q", w.registry.reason)
	}
	w.auditVersion(t, "nine-bad", 9, "c9", 0.1, 100, 50)
	if d := stopped(); len(d.GetChallengers()) != 0 || len(d.GetHalts()) != 0 {
		t.Errorf("not taken off: %v", d)
	}
	if p := w.until(t, "the champion goes on", func(p *monitoringv1.Promise) bool { return p.GetRevision() >= w.registry.get("support").GetRevision() }); p.GetSides()[0].GetState() != monitoringv1.AutomationState_AUTOMATION_STATE_AUTOMATING {
		t.Errorf("the champion: %v", p)
	}
}
