package events

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"

	"github.com/switchyard-ai/switchyard/internal/db"
)

// vault encrypts the secrets of webhooks in the tables: who has a copy of the database cannot sign. Without a key they are stored as they are.
type vault struct{ sealer cipher.AEAD }

// newVault returns the vault of a key of 32 bytes.
func newVault(key []byte) (vault, error) {
	if len(key) == 0 {
		return vault{}, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return vault{}, fmt.Errorf("key of the secrets: %w", err)
	}
	sealer, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return vault{}, fmt.Errorf("key of the secrets: %w", err)
	}
	return vault{sealer}, nil
}

// seal returns what is stored of the secret of a webhook; its id is bound to it, so that no row can borrow another's.
func (v vault) seal(id string, secret []byte) []byte {
	if v.sealer == nil {
		return secret
	}
	return v.sealer.Seal(nil, nil, secret, []byte(id)) //nolint:gosec // NewGCMWithRandomNonce makes the nonce
}

// open returns the secret. One that was stored before there was a key has exactly secretBytes, which a sealed one never has.
func (v vault) open(id string, stored []byte) ([]byte, error) {
	if len(stored) == secretBytes || len(stored) == 0 {
		return stored, nil
	}
	if v.sealer == nil {
		return nil, errors.New("the secrets of webhooks are encrypted, and there is no key")
	}
	secret, err := v.sealer.Open(nil, nil, stored, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("the secret of webhook %s was encrypted with another key: %w", id, err)
	}
	return secret, nil
}

// sealAll encrypts the secrets that are stored as they are, and fails when one was encrypted with another key: rather at the start than at every delivery.
func (s *Service) sealAll(ctx context.Context) error {
	return s.db.Tx(ctx, func(tx *db.Tx) error {
		var all []*webhook
		err := tx.Each(`SELECT `+webhookColumns+` FROM webhooks`, nil, func(scan func(...any) error) error {
			w, err := scanWebhook(scan)
			all = append(all, w)
			return err
		})
		if err != nil {
			return err
		}
		for _, w := range all {
			changed := false
			for _, stored := range []*[]byte{&w.secret, &w.old} {
				if _, err := s.vault.open(w.id, *stored); err != nil {
					return err
				}
				if len(*stored) == secretBytes && s.vault.sealer != nil {
					*stored, changed = s.vault.seal(w.id, *stored), true
				}
			}
			if !changed {
				continue
			}
			if err := putWebhook(tx, w); err != nil {
				return err
			}
		}
		return nil
	})
}
