//go:build !unix

package journal

import "os"

// lockFile only creates the file: on this system nothing keeps a second process away.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
}

func unlockFile(f *os.File) error { return f.Close() }

// mapFile returns plain memory: on this system losses of asynchronous entries are not counted across a crash.
func mapFile(_ *os.File, size int) ([]byte, error) { return make([]byte, size), nil }

func unmapFile([]byte) error { return nil }
