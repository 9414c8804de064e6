package models_test

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/serving"
)

// serve follows the registry with an artifact folder of its own, as a second process does, until the test ends.
func serve(t *testing.T, r *registry, cache string) *serving.Table {
	t.Helper()
	table := serving.New(r, cache, nil, serving.WithOpen(openStub))
	ctx, cancel := context.WithCancel(as(t.Context(), "platform", "platform:serve"))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := table.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	select {
	case <-table.Synced():
	case <-time.After(30 * time.Second):
		t.Fatal("not synced")
	}
	return table
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("gave up waiting until %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestDeployedVersionIsServed(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{true, false} {
		dir := t.TempDir()
		r := start(t, dir)
		ctx := as(deadline(t), "acme")
		first := r.mustRegister(t, ctx, "support", routing, "one")
		r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support"})

		cache := filepath.Join(dir, "artifacts")
		if !shared {
			cache = t.TempDir()
		}
		table := serve(t, r, cache)
		key := serving.Key{Project: "acme", Operation: routing, Name: "support"}
		live, err := table.Acquire(key)
		if err != nil {
			t.Fatal(err)
		}
		if live.Ref.GetDigest() != first.GetDigest() || live.Predictor.Info().Digest != first.GetDigest() {
			t.Errorf("serves %v, want %v", live.Ref, first)
		}
		if _, id, ok := live.Threshold("a"); !ok || id == "" {
			t.Error("no certified threshold")
		}
		live.Release()

		second := r.mustRegister(t, ctx, "support", routing, "two")
		r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support", Version: 2})
		until(t, "the second version answers", func() bool {
			live, err := table.Acquire(key)
			if err != nil {
				t.Fatal(err)
			}
			defer live.Release()
			return live.Ref.GetDigest() == second.GetDigest()
		})

		_, err = table.Acquire(serving.Key{Project: "other", Operation: routing, Name: "support"})
		if err == nil {
			t.Error("another project acquired the deployment")
		}
	}
}

func TestModerationByRulesAloneIsServed(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	d := r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: moderation, Deployment: "comments"})
	if d.GetChampion() != nil || d.GetRevision() != 1 {
		t.Errorf("got %v", d)
	}
	live, err := serve(t, r, t.TempDir()).Acquire(serving.Key{Project: "acme", Operation: moderation, Name: "comments"})
	if err != nil {
		t.Fatal(err)
	}
	defer live.Release()
	if live.Predictor != nil || live.Ref != nil {
		t.Error("a deployment without a model has one")
	}
	_, err = r.Deploy(ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support"})
	wantReason(t, "routing without a model", err, "INVALID_ARGUMENT")
}

func TestRealModelIsCheckedRegisteredAndServed(t *testing.T) {
	t.Parallel()
	r := start(t, t.TempDir())
	ctx := as(deadline(t), "acme")
	b := realModels(t, 1)[0]
	broken := bytes.Clone(b)
	broken[len(b)/2] ^= 1 // the digest that is announced is that of the damaged bytes: only the loader can notice
	err := r.upload(ctx, spec("support", routing, broken), broken)
	wantReason(t, "damaged model", err, "ARTIFACT_INVALID")
	if err == nil || strings.Contains(err.Error(), r.dir) || !strings.Contains(err.Error(), "does not match") {
		t.Errorf("message of the refusal: %v", err)
	}
	if err := r.upload(ctx, spec("support", routing, b), b); err != nil {
		t.Fatal(err)
	}
	d := r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support"})
	if d.GetChampion().GetKind() != "text-linear" || len(d.GetChampion().GetLabels()) != 77 {
		t.Errorf("champion is %v", d.GetChampion())
	}
	live, err := serve(t, r, t.TempDir()).Acquire(serving.Key{Project: "acme", Operation: routing, Name: "support"})
	if err != nil {
		t.Fatal(err)
	}
	defer live.Release()
	p := make([]float32, 77)
	if err := live.Predictor.Predict(engine.Input{Text: "question number 7 about thing 49"}, p); err != nil || p[0] == 0 {
		t.Errorf("prediction %v, %v", p[:3], err)
	}
}
