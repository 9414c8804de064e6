package blob_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchyard-ai/switchyard/internal/blob"
)

func open(tb testing.TB, dir string) *blob.Store {
	tb.Helper()
	s, err := blob.Open(dir, 1<<20)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func store(s *blob.Store, name string, b []byte) error {
	w, err := s.Create(name)
	if err != nil {
		return err
	}
	defer w.Discard()
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.Commit()
}

// files returns the regular files below dir.
func files(tb testing.TB, dir string) (out []string) {
	tb.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestStoredArtifactSurvivesReopening(t *testing.T) {
	t.Parallel()
	dir, b := t.TempDir(), []byte("weights")
	if err := store(open(t, dir), digest(b), b); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	if err := store(s, digest(b), b); err != nil {
		t.Fatalf("storing it again: %v", err)
	}
	r, size, err := s.Open(digest(b))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, b) || size != int64(len(b)) {
		t.Fatalf("read %q, size %d, %v", got, size, err)
	}
	path, err := s.Path(digest(b))
	if err != nil || !strings.HasPrefix(path, dir) {
		t.Fatalf("path %q, %v", path, err)
	}
	if n := len(files(t, dir)); n != 1 {
		t.Fatalf("%d files for one artifact", n)
	}
}

func TestWrongContentIsNeverStored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	if err := store(s, digest([]byte("good")), []byte("evil")); !errors.Is(err, blob.ErrMismatch) {
		t.Errorf("wrong digest: %v", err)
	}
	if err := store(s, digest(nil), make([]byte, 1<<20+1)); !errors.Is(err, blob.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := s.Path(digest([]byte("good"))); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("path of what was refused: %v", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files left: %v", left)
	}
}

func TestNamesAreNeverPaths(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	good := digest([]byte("x"))
	for _, name := range []string{
		"", "sha256:", good[7:], "sha256:../../etc/passwd", "sha256:" + strings.Repeat("../", 21) + "x",
		strings.ToUpper(good), "sha256:" + strings.ToUpper(good[7:]), good + "/..", good + "00", "md5:" + good[7:], good[:70] + "\x00",
	} {
		_, err := s.Path(name)
		_, createErr := s.Create(name)
		_, _, openErr := s.Open(name)
		if !errors.Is(err, blob.ErrDigest) || !errors.Is(createErr, blob.ErrDigest) || !errors.Is(openErr, blob.ErrDigest) {
			t.Errorf("%q: %v, %v, %v", name, err, createErr, openErr)
		}
	}
}

func TestLinkInTheStoreIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir, name := t.TempDir(), digest([]byte("x"))
	s := open(t, dir)
	place := filepath.Join(dir, "sha256", name[7:9])
	if err := os.Mkdir(place, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(place, name[9:])); err != nil {
		t.Skip(err)
	}
	if path, err := s.Path(name); err == nil {
		t.Errorf("link was accepted: %s", path)
	}
}

func TestInterruptedUploadsAreSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	for _, age := range []time.Duration{0, 2 * time.Hour} {
		w, err := s.Create(digest([]byte("x")))
		if err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(w.Path(), when, when); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir)
	if left := files(t, dir); len(left) != 1 { // the young one may belong to another process
		t.Errorf("%d temporary files left, want 1", len(left))
	}
}

func TestConcurrentUploadsOfOneArtifact(t *testing.T) {
	t.Parallel()
	dir, b := t.TempDir(), bytes.Repeat([]byte("w"), 1<<16)
	s := open(t, dir)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := store(s, digest(b), b); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(files(t, dir)); n != 1 {
		t.Errorf("%d files", n)
	}
}
