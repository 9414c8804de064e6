package lake_test

import (
	"fmt"
	"path/filepath"
	"sync"
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

func TestAListOfManyObjectsIsWhole(t *testing.T) {
	t.Parallel()
	s := laketest.StartS3(t).Store("many")
	const n = 1100 // a list answers with a thousand at most
	var wg sync.WaitGroup
	for w := range 10 {
		wg.Go(func() {
			for i := w; i < n; i += 10 {
				if err := s.Create(t.Context(), fmt.Sprintf("a/%04d+x=1", i), []byte("x")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	if err := s.List(t.Context(), "a/", func(o lake.Object) error { seen[o.Name] = true; return nil }); err != nil || len(seen) != n {
		t.Errorf("%d objects of %d are listed: %v", len(seen), n, err)
	}
}
