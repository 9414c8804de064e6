package models_test

import (
	"testing"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
)

// TestWatchSeesWhatAnotherProcessDeploys runs two registries on the same data, as two processes do.
func TestWatchSeesWhatAnotherProcessDeploys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	here, there := start(t, dir), start(t, dir)
	ctx := as(deadline(t), "acme")
	stream, before := here.watch(t, ctx, false)
	if len(before) != 0 {
		t.Fatalf("before: %v", before)
	}
	there.mustRegister(t, ctx, "m", routing, "one")
	want := there.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "first", Model: "m"})
	m, err := stream.Recv()
	if err != nil || m.GetDeployment().GetName() != "first" || m.GetDeployment().GetRevision() != want.GetRevision() {
		t.Fatalf("watch got %v, %v", m, err)
	}
	here.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "second", Model: "m"})
	there.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "third", Model: "m"})
	var got []string
	for range 2 { // each once, although the project is read again for the third
		if m, err = stream.Recv(); err != nil {
			t.Fatal(err)
		}
		got = append(got, m.GetDeployment().GetName())
	}
	if got[0] != "second" || got[1] != "third" {
		t.Errorf("then the watch got %v", got)
	}
}
