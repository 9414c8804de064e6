package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// keyBytes is the size of every key that this process makes for itself.
const keyBytes = 32

// sessionKey returns the key that seals the console's sessions. It is made once and kept beside the data, so that a restart signs nobody out; gateways that share their reviewers share
// the file.
func (a *App) sessionKey() ([]byte, error) {
	return keptKey(filepath.Join(a.config.DataDir, "console.key"), "delete it to have a new one made, which signs everybody out")
}

// webhookKey returns the key that encrypts the secrets of webhooks in the tables. Processes that share the tables share the file; without it the secrets are lost.
func (a *App) webhookKey() ([]byte, error) {
	path := a.config.WebhookKeyFile
	if path == "" {
		path = filepath.Join(a.config.DataDir, "webhooks.key")
	}
	return keptKey(path, "restore it from the backup")
}

// keptKey reads a key from its file, or makes both.
func keptKey(path, otherwise string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if err == nil {
		if len(key) != keyBytes {
			return nil, fmt.Errorf("%s has %d bytes, want %d; %s", path, len(key), keyBytes, otherwise)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read a key: %w", err)
	}
	key = make([]byte, keyBytes)
	_, _ = rand.Read(key) // never fails
	if err := writeKey(path, key); err != nil {
		return nil, fmt.Errorf("keep the key %s: %w", path, err)
	}
	return key, nil
}

// writeKey brings a key to disk before anything is encrypted with it: all of it under its name, or nothing.
func writeKey(path string, key []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(key)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
