package models_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
)

// watch opens a watch and reads up to synced; it returns the deployments that existed.
func (r *registry) watch(t *testing.T, ctx context.Context, all bool) (modelsv1.ModelService_WatchDeploymentsClient, []*modelsv1.Deployment) {
	t.Helper()
	stream, err := r.WatchDeployments(ctx, &modelsv1.WatchDeploymentsRequest{AllProjects: all})
	if err != nil {
		t.Fatal(err)
	}
	var out []*modelsv1.Deployment
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetSynced() {
			return stream, out
		}
		out = append(out, m.GetDeployment())
	}
}

func TestWatchSendsWhatIsThenWhatChanges(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	acme, umbrella := as(deadline(t), "acme"), as(deadline(t), "umbrella")
	for _, ctx := range []context.Context{acme, umbrella} {
		r.mustRegister(t, ctx, "m", routing, "one")
		r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "first", Model: "m"})
	}
	own, ownBefore := r.watch(t, acme, false)
	all, allBefore := r.watch(t, as(deadline(t), "acme", "platform:serve"), true)
	if len(ownBefore) != 1 || len(allBefore) != 2 {
		t.Fatalf("before: own %v, all %v", ownBefore, allBefore)
	}
	r.mustDeploy(t, umbrella, &modelsv1.DeployRequest{Operation: routing, Deployment: "second", Model: "m"})
	want := r.mustDeploy(t, acme, &modelsv1.DeployRequest{Operation: routing, Deployment: "second", Model: "m"})
	m, err := own.Recv()
	if err != nil || m.GetDeployment().GetProject() != "acme" || m.GetDeployment().GetName() != want.GetName() {
		t.Errorf("own watch got %v, %v", m, err)
	}
	seen := map[string]bool{}
	for range 2 {
		m, err := all.Recv()
		if err != nil {
			t.Fatal(err)
		}
		seen[m.GetDeployment().GetProject()] = true
	}
	if !seen["acme"] || !seen["umbrella"] {
		t.Errorf("watch of all projects saw %v", seen)
	}

	stream, err := r.WatchDeployments(acme, &modelsv1.WatchDeploymentsRequest{AllProjects: true})
	if err == nil {
		_, err = stream.Recv()
	}
	wantReason(t, "all projects without the scope", err, "SCOPE_MISSING")

	r.service.Close()
	_, err = own.Recv()
	wantReason(t, "watch of a closing service", err, "SHUTTING_DOWN")
}

func TestSlowWatcherHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	// Labels make the message large enough that a few of them fill every buffer between here and there.
	var labels []string
	for i := range 1000 {
		labels = append(labels, fmt.Sprintf("label-%d-%0200d", i, i))
	}
	b := artifact("one", labels...)
	if _, err := r.register(ctx, spec("m", routing, b), b); err != nil {
		t.Fatal(err)
	}
	stream, _ := r.watch(t, ctx, false)
	const changes = 30
	begin := time.Now()
	for i := range changes { // nobody reads meanwhile
		r.mustDeploy(t, ctx, &modelsv1.DeployRequest{
			Operation: routing, Deployment: "d", Model: "m", Policy: &modelsv1.Policy{ReviewSeconds: float64(i + 1)},
		})
	}
	t.Logf("%d changes in %s", changes, time.Since(begin))
	received := 0
	for last := int64(0); last < changes; {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if m.GetDeployment().GetRevision() <= last {
			t.Fatalf("revision %d came after %d", m.GetDeployment().GetRevision(), last)
		}
		last, received = m.GetDeployment().GetRevision(), received+1
	}
	if received == changes {
		t.Error("every change was kept for a watcher that did not read")
	}
}
