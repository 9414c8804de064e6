package mesh

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

const (
	// peerTTL is how long a peer's word about a key is believed; a revoked key works elsewhere for that long at most.
	peerTTL = 2 * time.Second
	// peerKeys bounds the cache. Keys that no server issued do not get into it unless their checksum is right.
	peerKeys = 10_000
	// peerTimeout bounds one question, whatever deadline the call has that needs the answer: others wait for it too.
	peerTimeout = 2 * time.Second
)

// PeerAuthenticator knows keys by asking the identity service of another process, with the key itself as the credential.
type PeerAuthenticator struct {
	client identityv1.IdentityServiceClient
	now    func() time.Time
	flight singleflight.Group
	mu     sync.RWMutex
	cache  map[[32]byte]verdict // by the key's SHA-256: no key stays in memory
}

type verdict struct {
	caller *auth.Caller
	err    error
	until  time.Time
}

var _ auth.Authenticator = (*PeerAuthenticator)(nil)

// NewPeerAuthenticator returns an authenticator that asks over conn, which must not forward keys of its own accord for calls that
// bring one; connections of Dial do not.
func NewPeerAuthenticator(conn grpc.ClientConnInterface) *PeerAuthenticator {
	return &PeerAuthenticator{
		client: identityv1.NewIdentityServiceClient(conn), now: time.Now, cache: map[[32]byte]verdict{},
	}
}

// Authenticate implements auth.Authenticator. Answers, also refusals, are kept for two seconds; failures to get one are not.
func (p *PeerAuthenticator) Authenticate(ctx context.Context, key string) (*auth.Caller, error) {
	id, hash, err := auth.ParseKey(key)
	if err != nil {
		return nil, err //nolint:wrapcheck // a fault already
	}
	now := p.now()
	p.mu.RLock()
	v, ok := p.cache[hash]
	p.mu.RUnlock()
	if !ok || !now.Before(v.until) {
		if v, err = p.ask(ctx, key, hash); err != nil {
			return nil, err
		}
	}
	if v.err != nil {
		return nil, v.err
	}
	if e := v.caller.Expire; !e.IsZero() && !p.now().Before(e) {
		return nil, fault.KeyExpired(id, e)
	}
	return v.caller, nil
}

// ask asks once for all calls that wait for the same key.
func (p *PeerAuthenticator) ask(ctx context.Context, key string, hash [32]byte) (verdict, error) {
	answer := p.flight.DoChan(string(hash[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), peerTimeout)
		defer cancel()
		return p.fetch(ctx, key, hash)
	})
	select {
	case r := <-answer:
		v, _ := r.Val.(verdict)
		return v, r.Err
	case <-ctx.Done():
		return verdict{}, fault.From(ctx.Err())
	}
}

func (p *PeerAuthenticator) fetch(ctx context.Context, key string, hash [32]byte) (verdict, error) {
	md := metadata.Pairs(headerAuthorization, "Bearer "+key)
	answer, err := p.client.GetCaller(metadata.NewOutgoingContext(ctx, md), &identityv1.GetCallerRequest{})
	v := verdict{until: p.now().Add(peerTTL)}
	switch {
	case err == nil && answer.GetKey().GetProject() != "":
		v.caller = callerOf(answer.GetKey())
	case err == nil:
		return verdict{}, fault.Unavailable("identity").Cause(errors.New("identity answered without a key"))
	case fault.From(err).Code() == codes.Unauthenticated:
		v.err = fault.From(err)
	default:
		return verdict{}, fault.Unavailable("identity").Cause(err)
	}
	p.remember(hash, v)
	return v, nil
}

func (p *PeerAuthenticator) remember(hash [sha256.Size]byte, v verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.cache) >= peerKeys {
		now, looked := p.now(), 0
		for k, old := range p.cache { // in random order: expired ones of a sample go, and one in any case
			if looked == 0 || !now.Before(old.until) {
				delete(p.cache, k)
			}
			if looked++; looked == 32 {
				break
			}
		}
	}
	p.cache[hash] = v
}

func callerOf(k *identityv1.Key) *auth.Caller {
	c := &auth.Caller{Project: k.GetProject(), KeyID: k.GetKeyId(), KeyName: k.GetName(), Scopes: k.GetScopes()}
	if t := k.GetExpireTime(); t != nil {
		c.Expire = t.AsTime()
	}
	return c
}
