// Package blob keeps artifacts in a folder by the SHA-256 of their content. What is stored never changes: a digest names the same
// bytes for ever, so files can be mapped into memory and shared. It knows nothing of models.
//
// Layout: <root>/sha256/ab/cdef…, and <root>/tmp for what is being written. Writing is temp file, fsync, rename, fsync of the
// folder: after a crash an artifact is there completely or not at all.
package blob

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

var (
	// ErrDigest means that a digest is not "sha256:" and 64 lower-case hex digits.
	ErrDigest = errors.New("not a sha256 digest")
	// ErrMismatch means that the bytes written do not have the announced digest.
	ErrMismatch = errors.New("content does not match its digest")
	// ErrTooLarge means that more bytes were written than the store takes.
	ErrTooLarge = errors.New("artifact is too large")
	// ErrNotFound means that the store does not hold the artifact.
	ErrNotFound = errors.New("artifact is not stored")
)

const (
	prefix  = "sha256:"
	tempDir = "tmp"
	// abandoned is the age at which a temporary file cannot belong to a running upload any more.
	abandoned = time.Hour
)

// Store is a folder of artifacts. Several stores, also of several processes, may share one folder.
type Store struct {
	root  *os.Root
	dir   string
	limit int64
}

// Open opens the store in dir, makes it when it does not exist, and removes what interrupted uploads left behind. No artifact may have more than limit bytes.
func Open(dir string, limit int64) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open artifacts: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open artifacts: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open artifacts: %w", err)
	}
	s := &Store{root: root, dir: dir, limit: limit}
	if err := errors.Join(s.mkdir(tempDir), s.mkdir("sha256"), s.sweep()); err != nil {
		_ = root.Close()
		return nil, fmt.Errorf("open artifacts: %w", err)
	}
	return s, nil
}

// Close releases the folder. Paths that were handed out stay valid.
func (s *Store) Close() error { return s.root.Close() }

// Limit returns the largest size of an artifact in bytes.
func (s *Store) Limit() int64 { return s.limit }

// Path returns where the artifact lies, for opening or mapping. It fails with ErrNotFound and ErrDigest.
func (s *Store) Path(digest string) (string, error) {
	name, err := nameOf(digest)
	if err != nil {
		return "", err
	}
	info, err := s.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s: %w", digest, ErrNotFound)
	case err != nil:
		return "", fmt.Errorf("find artifact %s: %w", digest, err)
	case !info.Mode().IsRegular(): // somebody else put a link or a folder here
		return "", fmt.Errorf("find artifact %s: not a regular file", digest)
	}
	return filepath.Join(s.dir, filepath.FromSlash(name)), nil
}

// Open opens the artifact for reading and returns its size. It fails with ErrNotFound and ErrDigest.
func (s *Store) Open(digest string) (io.ReadCloser, int64, error) {
	if _, err := s.Path(digest); err != nil {
		return nil, 0, err
	}
	name, err := nameOf(digest)
	if err != nil {
		return nil, 0, err
	}
	f, err := s.root.Open(name)
	if err != nil {
		return nil, 0, fmt.Errorf("open artifact %s: %w", digest, err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, fmt.Errorf("open artifact %s: %w", digest, err)
	}
	return f, info.Size(), nil
}

// Create begins an artifact with that digest. The writer must be discarded when it is no longer needed; after Commit that does nothing.
func (s *Store) Create(digest string) (*Writer, error) {
	name, err := nameOf(digest)
	if err != nil {
		return nil, err
	}
	temp := path.Join(tempDir, name[len("sha256/ab/"):][:16]+"-"+rand.Text())
	f, err := s.root.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create artifact: %w", err)
	}
	return &Writer{store: s, digest: digest, name: name, temp: temp, file: f, hash: sha256.New()}, nil
}

// nameOf turns a digest into a path inside the store. Only hex digits get through: no digest can name another place.
func nameOf(digest string) (string, error) {
	digits, ok := strings.CutPrefix(digest, prefix)
	if raw, err := hex.DecodeString(digits); !ok || err != nil || len(raw) != sha256.Size || strings.ToLower(digits) != digits {
		return "", fmt.Errorf("%.80q: %w", digest, ErrDigest)
	}
	return "sha256/" + digits[:2] + "/" + digits[2:], nil
}

// mkdir makes a folder and its entry in the parent durable.
func (s *Store) mkdir(name string) error {
	if err := s.root.Mkdir(name, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	return s.sync(path.Dir(name))
}

// sync makes the entries of a folder durable.
func (s *Store) sync(name string) error {
	d, err := s.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Store) sweep() error {
	d, err := s.root.Open(tempDir)
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	if err := errors.Join(err, d.Close()); err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < abandoned {
			continue
		}
		if err := s.root.Remove(path.Join(tempDir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Writer takes the bytes of one artifact. It belongs to one goroutine.
type Writer struct {
	store              *Store
	digest, name, temp string
	file               *os.File
	hash               hash.Hash
	size               int64
	closed             bool
}

// Write appends to the artifact. It fails with ErrTooLarge before the store's limit is passed.
func (w *Writer) Write(p []byte) (int, error) {
	if w.size+int64(len(p)) > w.store.limit {
		return 0, fmt.Errorf("write artifact: more than %d bytes: %w", w.store.limit, ErrTooLarge)
	}
	n, err := w.file.Write(p)
	w.hash.Write(p[:n])
	w.size += int64(n)
	if err != nil {
		return n, fmt.Errorf("write artifact: %w", err)
	}
	return n, nil
}

// Size returns the number of bytes written so far.
func (w *Writer) Size() int64 { return w.size }

// Verify fails with ErrMismatch when the bytes written so far do not have the announced digest.
func (w *Writer) Verify() error {
	if got := prefix + hex.EncodeToString(w.hash.Sum(nil)); got != w.digest {
		return fmt.Errorf("announced %s, received %s: %w", w.digest, got, ErrMismatch)
	}
	return nil
}

// Path returns where the bytes lie until Commit, for a look at them before they are stored.
func (w *Writer) Path() string {
	return filepath.Join(w.store.dir, filepath.FromSlash(w.temp))
}

// Commit stores the artifact; it is durable when Commit returns. It fails with ErrMismatch. Storing what is stored already is no error.
func (w *Writer) Commit() error {
	if err := w.Verify(); err != nil {
		return err
	}
	dir := path.Dir(w.name)
	err := errors.Join(w.file.Sync(), w.file.Close())
	w.closed = true
	if err == nil {
		err = w.store.mkdir(dir)
	}
	if err == nil {
		err = w.store.root.Rename(w.temp, w.name)
	}
	if err == nil {
		err = w.store.sync(dir)
	}
	if err != nil {
		_ = w.store.root.Remove(w.temp)
		return fmt.Errorf("store artifact %s: %w", w.digest, err)
	}
	return nil
}

// Discard throws away what was written, unless it was committed.
func (w *Writer) Discard() {
	if w.closed {
		return
	}
	w.closed = true
	_ = w.file.Close()
	_ = w.store.root.Remove(w.temp)
}

// Remove deletes an artifact that nobody needs any more. Whoever has it open can read on. Removing what is not stored does nothing.
func (s *Store) Remove(digest string) error {
	name, err := nameOf(digest)
	if err != nil {
		return err
	}
	switch err := s.root.Remove(name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("remove artifact %s: %w", digest, err)
	}
	return s.sync(path.Dir(name))
}
