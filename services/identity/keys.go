package identity

import (
	"context"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	commonv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/common/v1"
	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	"github.com/switchyard-ai/switchyard/internal/answer"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// maxGrace is how long an old key may stay valid after its rotation.
const maxGrace = 90 * 24 * time.Hour

// CreateKey makes a key of the caller's project.
func (s *Service) CreateKey(ctx context.Context, req *identityv1.CreateKeyRequest) (*identityv1.CreateKeyResponse, error) {
	c, err := member(ctx)
	if err != nil {
		return nil, err
	}
	if n := utf8.RuneCountInString(req.GetName()); n < 1 || n > 100 {
		return nil, fault.InvalidField("name", "must have 1 to 100 characters")
	}
	scopes, err := checkScopes(c, req.GetScopes())
	if err != nil {
		return nil, err
	}
	var expire time.Time
	if req.GetLifetime() != nil {
		lifetime := req.GetLifetime().AsDuration()
		if lifetime < time.Second {
			return nil, fault.InvalidField("lifetime", "must be at least 1 second")
		}
		expire = s.now().UTC().Add(lifetime)
	}
	k, secret, err := s.newKey(c.Project, req.GetName(), scopes, expire)
	if err != nil {
		return nil, err
	}
	res := &identityv1.CreateKeyResponse{Key: k.message(), Secret: secret}
	if err := s.insert(ctx, k, nil, func() proto.Message { return res }); err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "key created", "project", k.project, "key", k.id, "by", c.KeyID)
	return res, nil
}

// insert stores a key within the project's quota, after before has changed what else must change in the same transaction, and makes
// it known, together with the key that before returns. It keeps the answer with the key: a secret that was made and not told would be nobody's.
func (s *Service) insert(ctx context.Context, k *key, before func(tx *db.Tx) (*key, error), response func() proto.Message) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	var forgotten []string
	var changed *key
	err := s.store.db.Tx(ctx, func(tx *db.Tx) (err error) {
		if before != nil {
			if changed, err = before(tx); err != nil {
				return err
			}
		}
		n, err := s.store.countValid(tx, k.project, k.created)
		if err != nil {
			return err
		}
		if n >= s.config.MaxValidKeys {
			return fault.QuotaExceeded("valid keys", int64(s.config.MaxValidKeys))
		}
		if forgotten, err = s.store.forget(tx, k.project, k.created, s.config.MaxInvalidKeys); err != nil {
			return err
		}
		if err := s.store.addKey(tx, k); err != nil {
			return err
		}
		if response != nil {
			if err := answer.Keep(ctx, tx, response()); err != nil {
				return err
			}
		}
		return tx.Changed(topic, k.project)
	})
	if err != nil {
		return err
	}
	s.known.put(k)
	if changed != nil {
		s.known.put(changed)
	}
	for _, id := range forgotten {
		s.known.remove(id)
	}
	return nil
}

// RotateKey makes a successor with the name, scopes and lifetime of a key, and ends the old one after the grace period.
func (s *Service) RotateKey(ctx context.Context, req *identityv1.RotateKeyRequest) (*identityv1.RotateKeyResponse, error) {
	c, err := member(ctx)
	if err != nil {
		return nil, err
	}
	grace := req.GetGrace().AsDuration()
	if grace < 0 || grace > maxGrace {
		return nil, fault.InvalidField("grace", "must be 0 to 90 days")
	}
	next, secret, err := s.newKey(c.Project, "", nil, time.Time{})
	if err != nil {
		return nil, err
	}
	err = s.insert(ctx, next, func(tx *db.Tx) (*key, error) {
		old, err := s.store.key(tx, c.Project, req.GetKeyId())
		if err != nil {
			return nil, err
		}
		if old == nil {
			return nil, fault.NotFound("API key", req.GetKeyId())
		}
		if err := holdsAll(c, old.scopes); err != nil {
			return nil, err
		}
		if !old.valid(next.created) {
			return nil, fault.InvalidField("key_id", "key %s is no longer valid; create a new one", old.id)
		}
		next.name, next.scopes = old.name, old.scopes
		if !old.expire.IsZero() { // a key for a month is followed by a key for a month
			next.expire = next.created.Add(old.expire.Sub(old.created))
		}
		if end := next.created.Add(grace); old.expire.IsZero() || end.Before(old.expire) {
			old.expire = end
		}
		return old, s.store.setExpire(tx, old.id, old.expire)
	}, func() proto.Message { return &identityv1.RotateKeyResponse{Key: next.message(), Secret: secret} })
	if err != nil {
		return nil, err
	}
	s.log.InfoContext(ctx, "key rotated", "project", c.Project, "key", req.GetKeyId(), "successor", next.id, "by", c.KeyID)
	return &identityv1.RotateKeyResponse{Key: next.message(), Secret: secret}, nil
}

// RevokeKey makes a key invalid at once: when the call returns, this process lets no call with the key in any more. Others that share the
// database follow within their poll interval.
func (s *Service) RevokeKey(ctx context.Context, req *identityv1.RevokeKeyRequest) (*identityv1.RevokeKeyResponse, error) {
	c, err := member(ctx)
	if err != nil {
		return nil, err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	var k *key
	err = s.store.db.Tx(ctx, func(tx *db.Tx) (err error) {
		if k, err = s.store.key(tx, c.Project, req.GetKeyId()); err != nil {
			return err
		}
		if k == nil {
			return fault.NotFound("API key", req.GetKeyId())
		}
		if !k.revoked.IsZero() {
			return nil // once is enough, and the first time counts
		}
		k.revoked = s.now().UTC().Truncate(time.Microsecond)
		if err := s.store.setRevoked(tx, k.id, k.revoked); err != nil {
			return err
		}
		return tx.Changed(topic, k.project)
	})
	if err != nil {
		return nil, err
	}
	s.known.put(k)
	s.log.InfoContext(ctx, "key revoked", "project", c.Project, "key", k.id, "by", c.KeyID)
	return &identityv1.RevokeKeyResponse{Key: s.message(k)}, nil
}

// ListKeys lists the keys of the caller's project, newest first.
func (s *Service) ListKeys(ctx context.Context, req *identityv1.ListKeysRequest) (*identityv1.ListKeysResponse, error) {
	c, err := member(ctx)
	if err != nil {
		return nil, err
	}
	after, ok, err := db.ParseToken(req.GetPage().GetToken(), "keys", "", 2)
	if err != nil {
		return nil, err
	}
	created, id := int64(math.MaxInt64), ""
	if ok {
		if created, err = strconv.ParseInt(after[0], 10, 64); err != nil {
			return nil, fault.InvalidField("page.token", "is not a next_token of this list").Cause(err)
		}
		id = after[1]
	}
	var keys []*key
	var more bool
	err = s.store.db.View(ctx, func(tx *db.Tx) (err error) {
		keys, more, err = s.store.keys(tx, c.Project, created, id, db.PageSize(req.GetPage().GetSize()))
		return err
	})
	if err != nil {
		return nil, err
	}
	res := &identityv1.ListKeysResponse{Page: &commonv1.PageResponse{}}
	for _, k := range keys {
		res.Keys = append(res.Keys, s.message(k))
	}
	if more {
		last := keys[len(keys)-1]
		res.Page.NextToken = db.Token("keys", "", strconv.FormatInt(db.Micros(last.created), 10), last.id)
	}
	return res, nil
}

// message returns the key as it is sent, with a last use that may not have been written down yet.
func (s *Service) message(k *key) *identityv1.Key {
	m := k.message()
	if e := s.known.get(k.id); e != nil {
		if minute := e.used.Load(); minute > 0 {
			m.LastUsedTime = timestamp(time.Unix(60*minute, 0))
		}
	}
	return m
}
