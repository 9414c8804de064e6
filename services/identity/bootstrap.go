package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/db"
)

// DefaultProject is the project that a new installation begins with.
const DefaultProject = "default"

// developmentScopes is everything: in the own project, and over all of them.
var developmentScopes = []string{wildcard, "platform:admin", "platform:serve", "platform:train"}

// Bootstrap makes the default project and a development key when there is no project yet. The key is returned this one time; created is false,
// and the key empty, when the installation has been in use.
func (s *Service) Bootstrap(ctx context.Context) (devKey string, created bool, err error) {
	k, secret, err := s.newKey(DefaultProject, "development", developmentScopes, time.Time{})
	if err != nil {
		return "", false, fmt.Errorf("bootstrap: %w", err)
	}
	err = s.store.db.View(ctx, func(tx *db.Tx) error {
		n, err := s.store.countProjects(tx)
		created = n == 0
		return err
	})
	if err != nil || !created {
		return "", false, err
	}
	err = s.store.db.Tx(ctx, func(tx *db.Tx) error {
		n, err := s.store.countProjects(tx)
		if err != nil {
			return err
		}
		if created = n == 0; !created { // another process was faster
			return nil
		}
		if err := s.store.addProject(tx, DefaultProject, k.created); err != nil {
			return err
		}
		if err := s.store.addKey(tx, k); err != nil {
			return err
		}
		return tx.Changed(topic, DefaultProject)
	})
	if err != nil || !created {
		return "", false, err
	}
	s.known.put(k)
	return secret, true, nil
}

// NewDevelopmentKey makes one more development key of the default project, for an operator who has the data folder but no longer the
// key: whoever may write the database needs no permission of its own.
func (s *Service) NewDevelopmentKey(ctx context.Context) (string, error) {
	k, secret, err := s.newKey(DefaultProject, "development", developmentScopes, time.Time{})
	if err != nil {
		return "", err
	}
	return secret, s.insert(ctx, k, nil, nil)
}

// newKey makes a key that is not stored yet.
func (s *Service) newKey(project, name string, scopes []string, expire time.Time) (*key, string, error) {
	secret, id, hash, err := auth.NewKey()
	if err != nil {
		return nil, "", err
	}
	return &key{
		id: id, project: project, name: name, scopes: scopes, hash: hash,
		created: s.now().UTC().Truncate(time.Microsecond), expire: expire.Truncate(time.Microsecond),
	}, secret, nil
}
