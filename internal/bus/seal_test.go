package bus_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/bus"
)

// stopped is the folder of an embedded server that took some messages and was stopped in order.
func stopped(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "events")
	for range 2 { // the second time most files have not changed since the first
		b, err := bus.New(dir, bus.Default(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		if problems, err := bus.VerifySealed(dir); err != nil || len(problems) > 0 {
			t.Errorf("while it runs: %v, %v", problems, err)
		}
		if err := b.PublishBatch(t.Context(), []bus.Msg{{Subject: "switchyard.p.x", ID: fmt.Sprint(time.Now().UnixNano()), Data: make([]byte, 1000)}}); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEveryFileThatChangesWhileTheServerIsStoppedIsNamed(t *testing.T) {
	t.Parallel()
	dir := stopped(t)
	if problems, err := bus.VerifySealed(dir); err != nil || len(problems) > 0 {
		t.Fatalf("untouched: %v, %v", problems, err)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Dir(path) == dir {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			return err
		}
		files++
		info, err := d.Info()
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 4
		write := func() {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			_ = os.Chtimes(path, info.ModTime(), info.ModTime()) // a disk that forgets tells nobody
		}
		write()
		problems, err := bus.VerifySealed(dir)
		if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Error(), d.Name()) {
			t.Errorf("%s: %v, %v", path, problems, err)
		}
		data[len(data)/2] ^= 4
		write()
		return nil
	})
	if err != nil || files < 4 {
		t.Fatalf("%d files, %v", files, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "jetstream", "more"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if problems, err := bus.VerifySealed(dir); err != nil || len(problems) != 1 {
		t.Errorf("a file more: %v, %v", problems, err)
	}
}
