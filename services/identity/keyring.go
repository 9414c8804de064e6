package identity

import (
	"context"
	"crypto/subtle"
	"sync"
	"sync/atomic"

	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// keyring is every key in memory, by id. It holds what the tables hold: changes go to the tables first, then here, before they
// are answered.
type keyring struct {
	entries sync.Map // id → *entry
}

// entry is one key and when it last called, in minutes since 1970.
type entry struct {
	key     *key // replaced with the entry, never changed
	caller  *auth.Caller
	used    *atomic.Int64 // shared by successive entries of a key
	written *atomic.Int64 // what the tables hold
}

// put makes the key known, or replaces what is known of it.
func (r *keyring) put(k *key) {
	e := &entry{
		key:    k,
		caller: &auth.Caller{Project: k.project, KeyID: k.id, KeyName: k.name, Scopes: k.scopes, Expire: k.expire},
		used:   &atomic.Int64{}, written: &atomic.Int64{},
	}
	if !k.used.IsZero() {
		e.used.Store(k.used.Unix() / 60)
		e.written.Store(k.used.Unix() / 60)
	}
	if old := r.get(k.id); old != nil {
		e.used, e.written = old.used, old.written
	}
	r.entries.Store(k.id, e)
}

func (r *keyring) get(id string) *entry {
	if e, ok := r.entries.Load(id); ok {
		return e.(*entry)
	}
	return nil
}

func (r *keyring) remove(id string) { r.entries.Delete(id) }

// removeOthers forgets the keys of a project that are not among those to keep.
func (r *keyring) removeOthers(project string, keep map[string]*key) {
	r.entries.Range(func(id, e any) bool {
		if e.(*entry).key.project == project && keep[id.(string)] == nil {
			r.entries.Delete(id)
		}
		return true
	})
}

// takeUsed returns the keys that called since it was asked last, with the minute.
func (r *keyring) takeUsed() map[string]int64 {
	out := map[string]int64{}
	r.entries.Range(func(id, e any) bool {
		if minute := e.(*entry).used.Load(); minute > e.(*entry).written.Swap(minute) {
			out[id.(string)] = minute
		}
		return true
	})
	return out
}

// giveBack makes takeUsed return the keys once more.
func (r *keyring) giveBack(used map[string]int64) {
	for id := range used {
		if e := r.get(id); e != nil {
			e.written.Store(0)
		}
	}
}

// Authenticate returns the caller behind an API key. It asks no database. It fails with KEY_INVALID, and only for the true owner of a
// key with KEY_REVOKED or KEY_EXPIRED: whoever guesses ids learns nothing.
func (s *Service) Authenticate(_ context.Context, secret string) (*auth.Caller, error) {
	id, hash, err := auth.ParseKey(secret)
	if err != nil {
		return nil, err
	}
	e := s.known.get(id)
	if e == nil || subtle.ConstantTimeCompare(hash[:], e.key.hash[:]) != 1 {
		return nil, fault.KeyInvalid()
	}
	if !e.key.revoked.IsZero() {
		return nil, fault.KeyRevoked(id)
	}
	now := s.now()
	if !e.key.valid(now) {
		return nil, fault.KeyExpired(id, e.key.expire)
	}
	if minute := now.Unix() / 60; e.used.Load() < minute { // a write a minute, not one a call
		e.used.Store(minute)
	}
	return e.caller, nil
}
