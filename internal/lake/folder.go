package lake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/switchyard-ai/switchyard/internal/writeback"
)

// Folder keeps objects as files. Several processes may share one folder.
type Folder struct {
	root *os.Root
	dir  string
	next atomic.Uint64
}

var _ Store = (*Folder)(nil)

const (
	tempDir = "_tmp"
	// abandoned is the age at which a temporary file cannot belong to a running write any more.
	abandoned = time.Hour
)

// OpenFolder opens a folder, makes it when it does not exist, and removes what interrupted writes left behind.
func OpenFolder(dir string) (*Folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, tempDir), 0o700); err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open lake: %w", err)
	}
	f := &Folder{root: root, dir: dir}
	if err := f.sweep(); err != nil {
		return nil, errors.Join(fmt.Errorf("open lake: %w", err), root.Close())
	}
	return f, nil
}

// Close releases the folder.
func (f *Folder) Close() error { return f.root.Close() }

// URL returns the file's path.
func (f *Folder) URL(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// Create writes a temporary file, syncs it, and links it under its name, which fails when there is one; then the folders are synced.
func (f *Folder) Create(_ context.Context, name string, data []byte) (err error) {
	if _, err := f.root.Lstat(name); err == nil {
		return fmt.Errorf("create %s: %w", name, ErrExists)
	}
	temp := path.Join(tempDir, strconv.Itoa(os.Getpid())+"-"+strconv.FormatInt(time.Now().UnixNano(), 36)+"-"+strconv.FormatUint(f.next.Add(1), 36))
	if err := f.write(temp, data); err != nil {
		return fmt.Errorf("create %s: %w", name, errors.Join(err, ignoreMissing(f.root.Remove(temp))))
	}
	defer func() { err = errors.Join(err, ignoreMissing(f.root.Remove(temp))) }()
	made, err := f.mkdirs(path.Dir(name))
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	if err := f.root.Link(temp, name); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = ErrExists
		}
		return fmt.Errorf("create %s: %w", name, err)
	}
	for _, dir := range append(made, path.Dir(name)) {
		if err := f.sync(dir); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	return nil
}

func (f *Folder) write(name string, data []byte) error {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err = writeback.Write(file, data); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// mkdirs makes a folder and those above it, and returns the parents of those that it made.
func (f *Folder) mkdirs(dir string) (parents []string, err error) {
	if dir == "." {
		return nil, nil
	}
	if _, err := f.root.Stat(dir); err == nil {
		return nil, nil
	}
	if parents, err = f.mkdirs(path.Dir(dir)); err != nil {
		return nil, err
	}
	if err := f.root.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return append(parents, path.Dir(dir)), nil
}

func (f *Folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read returns the file's content.
func (f *Folder) Read(_ context.Context, name string) ([]byte, error) {
	data, err := f.root.ReadFile(name)
	return data, reading(name, err)
}

// ReadAt reads a part of the file.
func (f *Folder) ReadAt(_ context.Context, name string, p []byte, offset int64) error {
	file, err := f.root.Open(name)
	if err != nil {
		return reading(name, err)
	}
	_, err = file.ReadAt(p, offset)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return reading(name, errors.Join(err, file.Close()))
}

// List walks the folder.
func (f *Folder) List(ctx context.Context, prefix string, fn func(Object) error) error {
	start := strings.TrimSuffix(prefix, "/")
	if start == "" {
		start = "."
	}
	err := fs.WalkDir(f.root.FS(), start, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // nothing there, or removed meanwhile
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir() && name == tempDir:
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return fn(Object{Name: name, Size: info.Size(), Modified: info.ModTime()})
	})
	if err != nil {
		return fmt.Errorf("list %q: %w", prefix, err)
	}
	return nil
}

// Delete removes the file. Folders that become empty stay.
func (f *Folder) Delete(_ context.Context, name string) error {
	if err := ignoreMissing(f.root.Remove(name)); err != nil {
		return fmt.Errorf("delete %s: %w", name, err)
	}
	return nil
}

// sweep removes temporary files that nobody writes any more.
func (f *Folder) sweep() error {
	entries, err := fs.ReadDir(f.root.FS(), tempDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > abandoned {
			if err := ignoreMissing(f.root.Remove(path.Join(tempDir, e.Name()))); err != nil {
				return err
			}
		}
	}
	return nil
}

func reading(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read %s: %w", name, ErrNotFound)
	}
	return fmt.Errorf("read %s: %w", name, err)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
