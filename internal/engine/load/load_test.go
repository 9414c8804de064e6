package load_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine"
	"github.com/switchyard-ai/switchyard/internal/engine/load"
	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
	"github.com/switchyard-ai/switchyard/internal/engine/text"
)

func model(tb testing.TB, labels, buckets int) []byte {
	tb.Helper()
	var rows []text.Row
	var names []string
	for l := range labels {
		name := "label " + string(rune('a'+l%26)) + string(rune('a'+l/26))
		names = append(names, name)
		rows = append(rows, text.Row{Text: name + " text", Labels: []int32{int32(l)}})
	}
	s := text.DefaultSettings()
	s.Buckets, s.MaxEpochs = buckets, 3
	m, err := text.Train(context.Background(), rows, nil, names, -1, s, nil)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := m.Encode(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestOpenReturnsThePredictorOfTheKind(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m")
	if err := os.WriteFile(path, model(t, 3, 1<<12), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := load.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, ok := p.(*text.Predictor); !ok || len(p.Info().Labels) != 3 {
		t.Errorf("%T, %+v", p, p.Info())
	}
	if err := p.Predict(engine.Input{Text: "label aa"}, make([]float32, 3)); err != nil {
		t.Error(err)
	}
}

func TestFilesThatAreNoModelsAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := model(t, 3, 1<<12)
	cut := good[:len(good)-100]
	if _, err := load.Open(filepath.Join(dir, "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if _, err := load.Open(dir); err == nil {
		t.Error("a folder was opened")
	}
	for name, b := range map[string][]byte{"empty": nil, "text": []byte("hello"), "cut": cut} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := load.Open(path); !errors.Is(err, engine.ErrFormat) || p != nil {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
	for _, kind := range []engine.Kind{engine.KindTextLinear, engine.KindRecordLinear, engine.KindRecordTrees} {
		b, err := modelfile.Encode(modelfile.Header{Kind: kind, Task: engine.Multiclass, Labels: []string{"a", "b"}, OutOfScope: -1})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := load.Parse(b); !errors.Is(err, engine.ErrFormat) || p != nil {
			t.Errorf("%s without sections: %v, %v", kind, p, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(model(f, 2, 1<<12))
	f.Add([]byte("\x89SWYM\r\n\x1a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := load.Parse(b); err != nil && (!errors.Is(err, engine.ErrFormat) || p != nil) {
			t.Fatalf("%v, %v", p, err)
		}
	})
}

// BenchmarkOpenTenModels opens ten models of 77 labels (5 MiB each), checksums included. Figure: at most 200 ms for all.
func BenchmarkOpenTenModels(b *testing.B) {
	dir := b.TempDir()
	var paths []string
	for i := range 10 {
		path := filepath.Join(dir, string(rune('a'+i)))
		if err := os.WriteFile(path, model(b, 77, 1<<16), 0o600); err != nil {
			b.Fatal(err)
		}
		paths = append(paths, path)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for range b.N {
		var open []engine.Predictor
		for _, path := range paths {
			p, err := load.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			open = append(open, p)
		}
		for _, p := range open {
			if err := p.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/10/1024, "heap-KiB/model")
}
