package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const sessionKeyBytes = 32

// sessionKey returns the key that seals the console's sessions. It is made once and kept beside the data, so that a restart signs nobody out; gateways that share their reviewers share
// the file.
func (a *App) sessionKey() ([]byte, error) {
	path := filepath.Join(a.config.DataDir, "console.key")
	key, err := os.ReadFile(path)
	if err == nil {
		if len(key) != sessionKeyBytes {
			return nil, fmt.Errorf("%s has %d bytes, want %d; delete it to have a new one made, which signs everybody out", path, len(key), sessionKeyBytes)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the session key of the console: %w", err)
	}
	key = make([]byte, sessionKeyBytes)
	_, _ = rand.Read(key) // never fails
	if err := os.WriteFile(path, key, 0o600); err != nil {
		return nil, fmt.Errorf("keep the session key of the console: %w", err)
	}
	return key, nil
}
