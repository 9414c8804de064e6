package models_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	modelsv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/models/v1"
	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/db/dbtest"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
	"github.com/switchyard-ai/switchyard/internal/serving"
	"github.com/switchyard-ai/switchyard/services/models"
)

// TestKilledRegistryKeepsWhatItAcknowledged kills a process that registers and deploys, and looks at what is left.
func TestKilledRegistryKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildRegisters$", "-test.count=1")
	cmd.Env = append(dbtest.Child(t, filepath.Join(dir, "switchyard.db")), "MODELS_TEST_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged, b := int64(0), make([]byte, 1)
	for acknowledged < 20 {
		if _, err := out.Read(b); err != nil {
			t.Fatal(err)
		}
		if b[0] == '+' {
			acknowledged++
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	r := start(t, dir)
	ctx := as(deadline(t), "acme")
	d, err := r.GetDeployment(ctx, &modelsv1.GetDeploymentRequest{Operation: routing, Deployment: "support"})
	if err != nil || d.GetDeployment().GetRevision() < acknowledged {
		t.Fatalf("deployment is %v, %v; %d revisions were acknowledged", d, err, acknowledged)
	}
	list, err := r.ListVersions(ctx, &modelsv1.ListVersionsRequest{Model: "support"})
	if err != nil || int64(len(list.GetVersions())) < acknowledged {
		t.Fatalf("%d versions, %v; %d were acknowledged", len(list.GetVersions()), err, acknowledged)
	}
	for _, v := range list.GetVersions() {
		b, err := r.download(t, "acme", &modelsv1.DownloadArtifactRequest{Model: "support", Version: v.GetVersion()})
		if err != nil || digest(b) != v.GetDigest() {
			t.Errorf("artifact of version %d: %v", v.GetVersion(), err)
		}
	}
}

// TestChildRegisters is the child process of TestKilledRegistryKeepsWhatItAcknowledged.
func TestChildRegisters(t *testing.T) {
	dir := os.Getenv("MODELS_TEST_CHILD")
	if dir == "" {
		t.Skip("only runs as a child process")
	}
	r, ctx := start(t, dir), as(context.Background(), "acme")
	for i := range 10_000 {
		r.mustRegister(t, ctx, "support", routing, fmt.Sprint(i))
		r.mustDeploy(t, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: "support", Model: "support"})
		_, _ = os.Stdout.WriteString("+")
	}
}

// realModels returns n text models of 77 labels that differ in their notes only.
func realModels(tb testing.TB, n int) [][]byte {
	tb.Helper()
	var labels []string
	var rows []text.Row
	for i := range 77 {
		labels = append(labels, fmt.Sprintf("label %d", i))
		rows = append(rows, text.Row{Text: fmt.Sprintf("question number %d about thing %d", i, i*i), Labels: []int32{int32(i)}})
	}
	s := text.DefaultSettings()
	s.MaxEpochs = 1
	m, err := text.Train(tb.Context(), rows, nil, labels, -1, s, nil)
	if err != nil {
		tb.Fatal(err)
	}
	var out [][]byte
	for i := range n {
		b, err := m.Encode(map[string]string{"number": fmt.Sprint(i)})
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// open opens the registry on the data in dir, without a server, and returns what closes it.
func open(tb testing.TB, dir string) (closing func()) {
	tb.Helper()
	d, err := db.Open(tb.Context(), dbtest.Config(tb, filepath.Join(dir, "switchyard.db")))
	if err != nil {
		tb.Fatal(err)
	}
	blobs, err := blob.Open(filepath.Join(dir, "artifacts"), 1<<30)
	if err != nil {
		tb.Fatal(err)
	}
	s := models.New(models.Deps{DB: d, Blobs: blobs, Open: load.Open})
	if err := s.Start(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return func() { _, _ = blobs.Close(), d.Close() }
}

// BenchmarkOpenRegistry measures opening database, artifacts and registry, new and existing.
func BenchmarkOpenRegistry(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		dir := b.TempDir()
		for i := 0; b.Loop(); i++ {
			closing := open(b, filepath.Join(dir, fmt.Sprint(i)))
			b.StopTimer()
			closing()
			b.StartTimer()
		}
	})
	b.Run("existing", func(b *testing.B) {
		dir := b.TempDir()
		for b.Loop() {
			closing := open(b, dir)
			b.StopTimer()
			closing()
			b.StartTimer()
		}
	})
}

// BenchmarkServeTenModels measures from Run to Synced with ten real models of 77 labels in the artifact folder.
func BenchmarkServeTenModels(b *testing.B) {
	r := start(b, b.TempDir(), func(*models.Config) {})
	ctx := as(b.Context(), "acme")
	size := 0
	for i, m := range realModels(b, 10) {
		name := fmt.Sprint("m", i)
		if err := r.upload(ctx, spec(name, routing, m), m); err != nil {
			b.Fatal(err)
		}
		r.mustDeploy(b, ctx, &modelsv1.DeployRequest{Operation: routing, Deployment: name, Model: name})
		size = len(m)
	}
	for b.Loop() {
		table := serving.New(r, filepath.Join(r.dir, "artifacts"), nil)
		ctx, cancel := context.WithCancel(as(b.Context(), "acme", "platform:serve"))
		ended := make(chan error, 1)
		go func() { ended <- table.Run(ctx) }()
		<-table.Synced()
		b.StopTimer()
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(size), "bytes/model")
}
