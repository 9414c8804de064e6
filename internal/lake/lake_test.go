package lake_test

import (
	"path/filepath"
	"testing"

	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/lake/laketest"
)

// folders opens stores in folders of one test.
func folders(t *testing.T) laketest.Open {
	t.Helper()
	root := t.TempDir()
	return func(t *testing.T, name string) lake.Store {
		t.Helper()
		f, err := lake.OpenFolder(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	open := folders(t)
	t.Run("Store", func(t *testing.T) { laketest.RunStore(t, open) })
	t.Run("Lake", func(t *testing.T) { laketest.RunLake(t, open) })
}

func TestS3(t *testing.T) {
	t.Parallel()
	s3 := laketest.StartS3(t)
	open := func(t *testing.T, name string) lake.Store { t.Helper(); return s3.Store(name) }
	t.Run("Store", func(t *testing.T) { laketest.RunStore(t, open) })
	t.Run("Lake", func(t *testing.T) { laketest.RunLake(t, open) })
}
