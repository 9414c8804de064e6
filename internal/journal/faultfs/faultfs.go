// Package faultfs is a journal's file system that fails on command: full disk, input/output errors, short writes, slow or failing fsyncs.
// A failed fsync drops what was not yet durable, as Linux does, so that code which merely tries the fsync again loses data here as well.
package faultfs

import (
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/switchyard-ai/switchyard/internal/journal"
)

// Op is an operation that can be made to fail.
type Op int

// The operations.
const (
	Create Op = iota
	Write
	Sync
	SyncDir
	Truncate
	Remove
)

// FS wraps the operating system's file system.
type FS struct {
	mu     sync.Mutex
	faults map[Op]Fault
	only   string // faults hit only files whose name ends so; "" hits all
	syncs  int
}

// Fault says how an operation fails.
type Fault struct {
	Err   error
	Times int           // so many times, then no more; below 0 until Clear
	After int           // let so many pass first
	Short int           // a failing write stores so many bytes first
	Delay time.Duration // takes so long; with a nil Err it is only slow
}

var _ journal.FS = (*FS)(nil)

// New returns a file system whose faults hit only files that end in suffix, such as ".seg".
func New(suffix string) *FS { return &FS{faults: map[Op]Fault{}, only: suffix} }

// Set makes an operation fail from now on.
func (f *FS) Set(op Op, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[op] = fault
}

// Clear ends all faults.
func (f *FS) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.faults)
}

// Syncs returns how many fsyncs of matching files succeeded.
func (f *FS) Syncs() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.syncs
}

// hit returns the fault of an operation on a file, if it fails now.
func (f *FS) hit(op Op, path string) (Fault, bool) {
	f.mu.Lock()
	fault, ok := f.faults[op]
	if !ok || !strings.HasSuffix(path, f.only) || fault.Times == 0 {
		f.mu.Unlock()
		return Fault{}, false
	}
	if fault.After > 0 {
		fault.After--
		f.faults[op] = fault
		f.mu.Unlock()
		return Fault{}, false
	}
	if fault.Times > 0 {
		fault.Times--
		f.faults[op] = fault
	}
	f.mu.Unlock()
	if fault.Delay > 0 {
		time.Sleep(fault.Delay)
	}
	return fault, fault.Err != nil || fault.Short > 0
}

// MkdirAll creates a directory.
func (f *FS) MkdirAll(dir string) error { return journal.OS.MkdirAll(dir) }

// ReadDir lists a directory.
func (f *FS) ReadDir(dir string) ([]string, error) { return journal.OS.ReadDir(dir) }

// Create creates a file or fails.
func (f *FS) Create(path string) (journal.File, error) {
	if fault, bad := f.hit(Create, path); bad {
		return nil, fault.Err
	}
	file, err := journal.OS.Create(path)
	return f.wrap(file, path, err)
}

// Open opens a file.
func (f *FS) Open(path string) (journal.File, error) {
	file, err := journal.OS.Open(path)
	return f.wrap(file, path, err)
}

func (f *FS) wrap(file journal.File, path string, err error) (journal.File, error) {
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, fs: f, name: filepath.Base(path)}, nil
}

// Remove deletes a file or fails.
func (f *FS) Remove(path string) error {
	if fault, bad := f.hit(Remove, path); bad {
		return fault.Err
	}
	return journal.OS.Remove(path)
}

// SyncDir syncs a directory or fails; the suffix does not matter.
func (f *FS) SyncDir(dir string) error {
	if fault, bad := f.hit(SyncDir, f.only); bad {
		return fault.Err
	}
	return journal.OS.SyncDir(dir)
}

type span struct{ from, to int64 }

type faultFile struct {
	journal.File
	fs   *FS
	name string

	mu    sync.Mutex
	dirty []span // written since the last fsync
}

func (f *faultFile) WriteAt(b []byte, off int64) (int, error) {
	fault, bad := f.fs.hit(Write, f.name)
	if bad {
		b = b[:min(fault.Short, len(b))]
	}
	n, err := f.File.WriteAt(b, off)
	f.mu.Lock()
	f.dirty = append(f.dirty, span{off, off + int64(n)})
	f.mu.Unlock()
	if bad {
		return n, fault.Err
	}
	return n, err
}

func (f *faultFile) Sync() error {
	fault, bad := f.fs.hit(Sync, f.name)
	f.mu.Lock()
	dirty := f.dirty
	f.dirty = nil
	f.mu.Unlock()
	if bad {
		// The pages are given up: what they held is not on disk and never will be, and the next fsync has nothing to complain of.
		for _, s := range dirty {
			if _, err := f.File.WriteAt(make([]byte, s.to-s.from), s.from); err != nil {
				return err
			}
		}
		return fault.Err
	}
	err := f.File.Sync()
	if err == nil && strings.HasSuffix(f.name, f.fs.only) {
		f.fs.mu.Lock()
		f.fs.syncs++
		f.fs.mu.Unlock()
	}
	return err
}

func (f *faultFile) Truncate(size int64) error {
	if fault, bad := f.fs.hit(Truncate, f.name); bad {
		return fault.Err
	}
	return f.File.Truncate(size)
}
