package journal

import (
	"bytes"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// picture is the content of a journal's directory: file names and what is in them.
type picture map[string][]byte

// segments returns the names of the segment files, oldest first.
func (p picture) segments() (names []string) {
	for name := range p {
		if strings.HasSuffix(name, segmentSuffix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// with returns a picture in which one file is different, or absent when b is nil.
func (p picture) with(name string, b []byte) picture {
	q := maps.Clone(p)
	if b == nil {
		delete(q, name)
	} else {
		q[name] = b
	}
	return q
}

// memFS is a file system in memory that begins with a picture. It makes it cheap to open a journal in many thousand states.
type memFS struct {
	mu    sync.Mutex
	files picture
}

func (p picture) fs() *memFS {
	m := &memFS{files: picture{}}
	for name, b := range p {
		m.files[name] = bytes.Clone(b)
	}
	return m
}

// take returns the present content.
func (m *memFS) take() picture {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files.fs().files
}

func (m *memFS) MkdirAll(string) error { return nil }
func (m *memFS) SyncDir(string) error  { return nil }

func (m *memFS) ReadDir(string) (names []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name := range m.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (m *memFS) Create(path string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := filepath.Base(path)
	if _, ok := m.files[name]; ok {
		return nil, fs.ErrExist
	}
	m.files[name] = nil
	return &memFile{m, name}, nil
}

func (m *memFS) Open(path string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := filepath.Base(path)
	if _, ok := m.files[name]; !ok {
		return nil, fs.ErrNotExist
	}
	return &memFile{m, name}, nil
}

func (m *memFS) Remove(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, filepath.Base(path))
	return nil
}

type memFile struct {
	fs   *memFS
	name string
}

func (f *memFile) Close() error { return nil }
func (f *memFile) Sync() error  { return nil }

func (f *memFile) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.fs.files[f.name])), nil
}

func (f *memFile) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.grow(size)
	f.fs.files[f.name] = f.fs.files[f.name][:size]
	return nil
}

func (f *memFile) grow(size int64) {
	if b := f.fs.files[f.name]; int64(len(b)) < size {
		f.fs.files[f.name] = append(b, make([]byte, size-int64(len(b)))...)
	}
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return bytes.NewReader(f.fs.files[f.name]).ReadAt(b, off)
}

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.grow(off + int64(len(b)))
	return copy(f.fs.files[f.name][off:], b), nil
}

// inspect opens what a file system holds, verifies it and returns its entries. The error is that of opening, verifying or reading. dir is for the lock alone.
func inspect(t testing.TB, dir string, m *memFS) ([]Entry, error) {
	t.Helper()
	j, err := Open(dir, small(), WithFS(m))
	if err != nil {
		return nil, err
	}
	defer j.Close()
	if err := j.Verify(t.Context()); err != nil {
		return nil, err
	}
	var all []Entry
	err = j.Read(t.Context(), 0, func(e Entry) error { all = append(all, e); return nil })
	return all, err
}

// write makes a journal of segments of about that size, all of it acknowledged, and returns its picture.
func write(t testing.TB, dir string, n int, segmentBytes int64) picture {
	t.Helper()
	m := picture{}.fs()
	j, err := Open(dir, small(), WithFS(m))
	if err != nil {
		t.Fatal(err)
	}
	j.mu.Lock()
	j.cfg.SegmentBytes = segmentBytes // smaller than a configuration may ask for
	j.mu.Unlock()
	mustAppend(t, j, 0, n)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return m.take()
}
