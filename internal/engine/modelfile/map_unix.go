//go:build unix

package modelfile

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/switchyard-ai/switchyard/internal/engine"
)

func openBytes(path string) ([]byte, func() error, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() // the mapping outlives the descriptor
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	switch size := info.Size(); {
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("not a regular file: %w", engine.ErrFormat)
	case size > MaxSize:
		return nil, nil, fmt.Errorf("file has %d bytes, limit %d: %w", size, MaxSize, engine.ErrFormat)
	case size == 0:
		return nil, nil, fmt.Errorf("file is empty: %w", engine.ErrFormat)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return readAll(path) // some network file systems cannot map
	}
	return b, func() error { return unix.Munmap(b) }, nil
}
