package training_test

import (
	"strings"
	"testing"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	trainingv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/training/v1"
	"github.com/switchyard-ai/switchyard/internal/testkit"
)

// halts stops what the deployment automates: as somebody, or, when a project is named, as the product does.
func (s *system) halts(project string) time.Time {
	s.t.Helper()
	r, err := s.models.HaltAutomation(s.t.Context(), &modelsv1.HaltAutomationRequest{Project: project, Operation: routing, Deployment: "support", Reason: "audits show an error above 5 %"})
	if err != nil {
		s.t.Fatal(err)
	}
	return r.GetDeployment().GetHalts()[0].GetTime().AsTime()
}

// TestAStopStartsARunAndIsNoCertificateToReach stops a certified deployment by hand: the run begins at once, learns from all that is known, and the version that answers is compared as one that automates nothing.
func TestAStopStartsARunAndIsNoCertificateToReach(t *testing.T) {
	t.Parallel()
	s := start(t)
	testkit.Deploy(t, s.conn, "support", testkit.Support, true)
	s.route(tickets(60, 1))
	s.add("other", lines(tickets(1200, 2)))
	spec := onDataset("other", 0)
	spec.Gates = &trainingv1.GatePolicy{AllowRemovedLabels: true}
	if _, err := s.put(&trainingv1.Schedule{Name: "halt", Spec: spec, OnHalt: true}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	if n := len(s.runsOf()); n != 0 {
		t.Fatalf("%d runs although everything is certified", n)
	}
	s.halts("")
	run := s.startedBy("halt")
	if run.GetCause() != "halt halt" {
		t.Errorf("run %v", run)
	}
	for _, g := range run.GetGates() {
		if g.GetGate() == "certificate" && !g.GetPassed() {
			t.Errorf("a version that is stopped sets the measure: %s", g.GetStatement())
		}
	}
	if len(run.GetGates()) == 0 {
		t.Errorf("nothing was judged: %v", run)
	}
}

// TestAfterABrokenPromiseOnlyWhatCameSinceTeaches stops as the product does: the schedule waits for labels of decisions since then, and learns from them alone.
func TestAfterABrokenPromiseOnlyWhatCameSinceTeaches(t *testing.T) {
	trains(t)
	t.Parallel()
	s := start(t)
	testkit.Deploy(t, s.conn, "support", testkit.Support, true)
	s.route(tickets(50, 1))
	if _, err := s.put(&trainingv1.Schedule{Name: "loop", Spec: building("support"), NewLabels: 90, OnHalt: true}); err != nil {
		t.Fatal(err)
	}
	at := s.halts("default")
	time.Sleep(1500 * time.Millisecond)
	if r := s.runsOf(); len(r) != 0 {
		t.Fatalf("a run began although nothing is labelled since: %v", r)
	}
	s.route(tickets(100, 3))
	run := s.startedBy("loop")
	if run.GetCause() != "halt loop" || !strings.HasPrefix(run.GetDataset().GetName(), "support") {
		t.Errorf("run %v", run)
	}
	if from := run.GetSpec().GetBuild().GetQuery().GetFrom().AsTime(); !from.Equal(at) {
		t.Errorf("learns from %v on, the promise was broken at %v", from, at)
	}
	d, err := s.datasets.GetDataset(t.Context(), &trainingv1.GetDatasetRequest{Name: run.GetDataset().GetName(), Version: run.GetDataset().GetVersion()})
	if err != nil || d.GetDataset().GetRows() > 100 {
		t.Errorf("%v rows: %v", d.GetDataset().GetRows(), err)
	}
}
