package identity

import (
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/identity/v1"
	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// wildcard is the scope that covers everything in a key's own project.
const wildcard = "*"

// key is an API key as it is stored: without its secret.
type key struct {
	id, project, name string
	scopes            []string
	hash              [32]byte // SHA-256 of the whole key
	created           time.Time
	expire            time.Time // zero for never
	revoked           time.Time // zero when it was not
	used              time.Time // to the minute; zero for never
}

// valid says whether the key may call at that time.
func (k *key) valid(now time.Time) bool {
	return k.revoked.IsZero() && (k.expire.IsZero() || now.Before(k.expire))
}

func (k *key) message() *identityv1.Key {
	return &identityv1.Key{
		KeyId: k.id, Project: k.project, Name: k.name, Scopes: k.scopes, CreateTime: timestamp(k.created),
		ExpireTime: timestamp(k.expire), RevokeTime: timestamp(k.revoked), LastUsedTime: timestamp(k.used),
	}
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// checkScopes checks that the scopes exist and that the caller holds them all: nobody gives what they do not have. It returns them
// sorted, each once.
func checkScopes(c *auth.Caller, scopes []string) ([]string, error) {
	if len(scopes) == 0 {
		return nil, fault.InvalidField("scopes", "must name at least one scope")
	}
	for _, s := range scopes {
		if s != wildcard && !slices.Contains(auth.Scopes, s) {
			return nil, fault.InvalidField("scopes", "%q is not a scope", s)
		}
	}
	if err := holdsAll(c, scopes); err != nil {
		return nil, err
	}
	scopes = slices.Clone(scopes)
	slices.Sort(scopes)
	return slices.Compact(scopes), nil
}

func holdsAll(c *auth.Caller, scopes []string) error {
	for _, s := range scopes {
		if !c.Has(s) {
			return fault.ScopeMissing(s)
		}
	}
	return nil
}
