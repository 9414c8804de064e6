package modelfile_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/engine/modelfile"
)

// BenchmarkOpen opens a file of 5 MiB, all checksums included.
func BenchmarkOpen(b *testing.B) {
	file, err := modelfile.Encode(header(), modelfile.Section{Name: "weights", Data: bytes.Repeat([]byte("weights!"), 5<<17)})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "m")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		f, err := modelfile.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
