package serving_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/fault"
	"github.com/switchyard-ai/switchyard/internal/serving"
)

// serve runs a table until stop is called, at the latest when the test ends.
func serve(tb testing.TB, client modelsv1.ModelServiceClient, cache string, options ...serving.Option) (table *serving.Table, stop func()) {
	tb.Helper()
	table = serving.New(client, cache, nil, options...)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := table.Run(ctx); err != nil {
			tb.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	tb.Cleanup(stop)
	select {
	case <-table.Synced():
	case <-time.After(30 * time.Second):
		tb.Fatal("not synced")
	}
	return table, stop
}

// until waits for a condition.
func until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("gave up waiting until %s", what)
		}
	}
}

// answers says whether the artifact answers under the name.
func answers(table *serving.Table, name string, artifact []byte) bool {
	l, err := table.Acquire(keyOf(name))
	if err != nil {
		return false
	}
	defer l.Release()
	return l.Ref.GetDigest() == digest(artifact)
}

func model(i int) []byte { return fmt.Appendf(nil, "model %d", i) }

// TestSwapUnderLoadLosesNoCall swaps a hundred times while callers predict: no call fails, no model is used after its end, and all but the
// last are closed.
func TestSwapUnderLoadLosesNoCall(t *testing.T) {
	t.Parallel()
	const swaps, callers = 100, 4
	r, client := newRegistry(t)
	z := &zoo{}
	r.deploy("support", model(0))
	table, stop := serve(t, client, t.TempDir(), serving.WithOpen(z.open))
	var done atomic.Bool
	var calls atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			p := make([]float32, 2)
			for !done.Load() {
				l, err := table.Acquire(keyOf("support"))
				if err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				if l.Predictor.Info().Digest != l.Ref.GetDigest() {
					t.Error("model and its name do not belong together")
				}
				if err := l.Predictor.Predict(engine.Input{Text: "x"}, p); err != nil {
					t.Errorf("predict: %v", err)
				}
				l.Release()
				calls.Add(1)
				runtime.Gosched() // callers that never wait would starve the swaps on two cores
			}
		})
	}
	for i := 1; i <= swaps; i++ {
		r.deploy("support", model(i))
		until(t, "the new model answers", func() bool { return answers(table, "support", model(i)) })
	}
	done.Store(true)
	wg.Wait()
	if opened, closed := z.opened.Load(), z.closed.Load(); opened != swaps+1 || closed != swaps {
		t.Errorf("opened %d models, closed %d", opened, closed)
	}
	stop()
	if opened, closed := z.opened.Load(), z.closed.Load(); opened != closed {
		t.Errorf("after the end: opened %d models, closed %d", opened, closed)
	}
	t.Logf("%d calls during %d swaps", calls.Load(), swaps)
}

func TestRunningCallKeepsItsModel(t *testing.T) {
	t.Parallel()
	r, client := newRegistry(t)
	z := &zoo{}
	r.deploy("support", model(1))
	table, stop := serve(t, client, t.TempDir(), serving.WithOpen(z.open))
	l, err := table.Acquire(keyOf("support"))
	if err != nil {
		t.Fatal(err)
	}
	r.deploy("support", model(2))
	until(t, "the second model answers", func() bool { return answers(table, "support", model(2)) })
	stop()
	if err := l.Predictor.Predict(engine.Input{}, make([]float32, 2)); err != nil || l.Ref.GetDigest() != digest(model(1)) {
		t.Errorf("a running call: %v, model %v", err, l.Ref)
	}
	if z.closed.Load() != 1 {
		t.Errorf("%d models are closed, want the second only", z.closed.Load())
	}
	l.Release()
	if z.closed.Load() != 2 {
		t.Error("the first model is still open after its last call")
	}
	l.Release() // once too often
	if z.closed.Load() != 2 {
		t.Error("a second Release closed a model twice")
	}
}

func TestNewModelIsWarmBeforeItAnswers(t *testing.T) {
	t.Parallel()
	r, client := newRegistry(t)
	r.deploy("support", model(1))
	table, _ := serve(t, client, t.TempDir(), serving.WithOpen((&zoo{}).open))
	l, err := table.Acquire(keyOf("support"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	if l.Predictor.(*stub).predicted.Load() == 0 {
		t.Error("no prediction before the first call")
	}
}

func TestPolicyChangeKeepsTheModelOpen(t *testing.T) {
	t.Parallel()
	r, client := newRegistry(t)
	z := &zoo{}
	r.deploy("support", model(1))
	r.deploy("sales", model(1)) // the same version for two deployments
	table, _ := serve(t, client, t.TempDir(), serving.WithOpen(z.open))
	r.deploy("support", model(1), func(d *modelsv1.Deployment) {
		d.Certificates = []*modelsv1.Certificate{{CertificateId: "c", Certified: true, Threshold: 0.8}}
	})
	until(t, "the certificate is there", func() bool {
		l, err := table.Acquire(keyOf("support"))
		if err != nil {
			return false
		}
		defer l.Release()
		threshold, id, ok := l.Threshold("a")
		return ok && threshold == 0.8 && id == "c"
	})
	if z.opened.Load() != 1 || z.closed.Load() != 0 {
		t.Errorf("opened %d times, closed %d times", z.opened.Load(), z.closed.Load())
	}
}

func TestThresholdOfTheSideComesFirst(t *testing.T) {
	t.Parallel()
	r, client := newRegistry(t)
	r.deploy("support", model(1), func(d *modelsv1.Deployment) {
		d.Certificates = []*modelsv1.Certificate{
			{CertificateId: "all", Certified: true, Threshold: 0.7},
			{CertificateId: "strict", Side: "strict", Certified: true, Threshold: 0.9},
			{CertificateId: "failed", Side: "failed"},
		}
	})
	r.deploy("plain", model(1))
	table, _ := serve(t, client, t.TempDir(), serving.WithOpen((&zoo{}).open))
	for _, test := range []struct {
		deployment, side string
		threshold        float64
		id               string
		ok               bool
	}{
		{"support", "other", 0.7, "all", true},
		{"support", "strict", 0.9, "strict", true},
		{"support", "failed", 0, "", false},
		{"plain", "other", 0, "", false},
	} {
		l, err := table.Acquire(keyOf(test.deployment))
		if err != nil {
			t.Fatal(err)
		}
		if threshold, id, ok := l.Threshold(test.side); threshold != test.threshold || id != test.id || ok != test.ok {
			t.Errorf("%s %q: %v %q %v", test.deployment, test.side, threshold, id, ok)
		}
		l.Release()
	}
}

func TestVersionThatDoesNotLoadLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	r, client := newRegistry(t)
	r.deploy("support", model(1))
	r.deploy("fresh", []byte("no model"))
	table, _ := serve(t, client, t.TempDir(), serving.WithOpen((&zoo{}).open))
	_, err := table.Acquire(keyOf("fresh"))
	if got := fault.From(err).ReasonName(); got != "MODEL_NOT_DEPLOYED" {
		t.Errorf("first version does not load: %s", got)
	}
	_, err = table.Acquire(keyOf("nobody"))
	if got := fault.From(err).ReasonName(); got != "DEPLOYMENT_NOT_FOUND" {
		t.Errorf("no deployment: %s", got)
	}
	r.deploy("support", []byte("not a model either"))
	r.deploy("fresh", model(2)) // arrives after the change before it
	until(t, "the later change is there", func() bool { return answers(table, "fresh", model(2)) })
	if !answers(table, "support", model(1)) {
		t.Error("the old version went with the broken one")
	}
}

func TestFailedDownloadIsTriedAgain(t *testing.T) {
	t.Parallel()
	r, client := newRegistry(t)
	r.refuse.Store(true)
	r.deploy("support", model(1))
	table, _ := serve(t, client, t.TempDir(), serving.WithOpen((&zoo{}).open))
	if answers(table, "support", model(1)) {
		t.Fatal("answers without an artifact")
	}
	r.refuse.Store(false)
	until(t, "the artifact has come", func() bool { return answers(table, "support", model(1)) })
}

func TestTableOutlivesTheRegistry(t *testing.T) {
	t.Parallel()
	r, client := newRegistry(t)
	z := &zoo{}
	r.deploy("support", model(1))
	r.deploy("old", model(2))
	table, _ := serve(t, client, t.TempDir(), serving.WithOpen(z.open))
	r.remove("old")
	r.breakWatches()
	if !answers(table, "support", model(1)) {
		t.Error("a broken watch took the models away")
	}
	until(t, "the new watch has told what is gone", func() bool { return table.Len() == 1 })
	if z.opened.Load() != 2 || z.closed.Load() != 1 {
		t.Errorf("opened %d, closed %d: what did not change must stay open", z.opened.Load(), z.closed.Load())
	}
	r.deploy("support", model(3))
	until(t, "the new watch brings changes", func() bool { return answers(table, "support", model(3)) })
}

func TestNothingIsKnownBeforeTheFirstSync(t *testing.T) {
	t.Parallel()
	_, client := newRegistry(t)
	table := serving.New(client, t.TempDir(), nil)
	_, err := table.Acquire(keyOf("support"))
	if got := fault.From(err).ReasonName(); got != "DEPENDENCY_UNAVAILABLE" {
		t.Errorf("got %s", got)
	}
}

func TestArtifactIsDownloadedOnce(t *testing.T) {
	t.Parallel()
	r, client := newRegistry(t)
	r.deploy("support", model(1))
	cache := t.TempDir()
	for range 2 {
		table, stop := serve(t, client, cache, serving.WithOpen((&zoo{}).open))
		if !answers(table, "support", model(1)) {
			t.Error("does not answer")
		}
		stop()
	}
	if n := r.downloads.Load(); n != 1 {
		t.Errorf("downloaded %d times", n)
	}
}

// large returns a stub of 5 MB.
func large(i int) []byte {
	return append(model(i), strings.Repeat("x", 5<<20)...)
}

// BenchmarkStart measures from Run to Synced with ten models of 5 MB in the folder of artifacts. Opening reads and hashes each file, as the
// loader of real models does.
func BenchmarkStart(b *testing.B) {
	r, client := newRegistry(b)
	cache := b.TempDir()
	blobs, err := blob.Open(cache, 1<<30)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 10 {
		m := large(i)
		r.deploy(fmt.Sprint("d", i), m, func(d *modelsv1.Deployment) { d.Champion.Model = fmt.Sprint(i) })
		w, err := blobs.Create(digest(m))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(m); err != nil {
			b.Fatal(err)
		}
		if err := w.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		_, stop := serve(b, client, cache, serving.WithOpen((&zoo{}).open))
		b.StopTimer()
		stop()
		b.StartTimer()
	}
}

func BenchmarkAcquire(b *testing.B) {
	r, client := newRegistry(b)
	r.deploy("support", model(1))
	table, _ := serve(b, client, b.TempDir(), serving.WithOpen((&zoo{}).open))
	key := keyOf("support")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l, err := table.Acquire(key)
			if err != nil {
				b.Error(err)
				return
			}
			l.Release()
		}
	})
}

func TestUnusableFolderIsAnError(t *testing.T) {
	t.Parallel()
	_, client := newRegistry(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := serving.New(client, file, nil).Run(t.Context()); err == nil {
		t.Error("ran without a folder")
	}
}
