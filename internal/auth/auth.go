// Package auth says who is calling: a project, known by one of its API keys, and the scopes that the key holds. It does no
// I/O: where keys are kept is the identity service's matter, and which scope a method needs is the contract's.
package auth

import (
	"context"
	"slices"
	"strings"
	"time"
)

// Scopes lists every scope that a key can hold, beside "*".
var Scopes = []string{
	"moderation:decide", "moderation:read", "moderation:write",
	"routing:decide",
	"classification:decide",
	"decisions:read", "decisions:erase",
	"jobs:submit", "jobs:read", "jobs:work",
	"review:read", "review:work", "review:write",
	"feedback:write",
	"events:read", "events:write",
	"models:read", "models:write",
	"training:read", "training:write", "training:work",
	"monitoring:read",
	"identity:read", "identity:write",
	"platform:admin", "platform:serve", "platform:train",
}

const (
	wildcard       = "*"
	platformPrefix = "platform:"
)

// beyond names the scopes that allow in every project what another scope allows in the key's own. How far such a call reaches is the service's matter: it asks for the wider scope.
var beyond = map[string]string{"training:work": "platform:train"}

// Caller is who calls. It is shared between calls and must not be changed.
type Caller struct {
	// Project is the tenant; everything that the call touches belongs to it.
	Project string
	// KeyID is the public part of the API key, for logs and records.
	KeyID string
	// KeyName is what people call the key.
	KeyName string
	// Scopes is what the key may do.
	Scopes []string
	// System marks a call of the product to itself, such as serving watching deployments. It holds every scope, and is set only
	// for in-process calls: no key and no header can set it.
	System bool
	// Expire is when the key stops being valid; zero for never.
	Expire time.Time
}

// Has reports whether the caller holds the scope. "*" covers all scopes but those of the platform, which cross projects; "platform:train"
// covers "training:work". A nil caller holds none.
func (c *Caller) Has(scope string) bool {
	if c == nil || scope == "" {
		return false
	}
	if c.System || slices.Contains(c.Scopes, scope) {
		return true
	}
	if wider := beyond[scope]; wider != "" && slices.Contains(c.Scopes, wider) {
		return true
	}
	return !strings.HasPrefix(scope, platformPrefix) && slices.Contains(c.Scopes, wildcard)
}

// System returns the caller that stands for the product itself.
func System() *Caller { return &Caller{Project: "", KeyID: "system", KeyName: "system", System: true} }

// Authenticator finds the caller behind an API key. It fails with the faults KEY_INVALID, KEY_EXPIRED and KEY_REVOKED, or with
// DEPENDENCY_UNAVAILABLE when it cannot know.
type Authenticator interface {
	Authenticate(ctx context.Context, key string) (*Caller, error)
}

type callerKey struct{}

// WithCaller returns a context that carries the caller.
func WithCaller(ctx context.Context, c *Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// FromContext returns the caller, nil when there is none. Handlers behind the chain of internal/mesh always have one.
func FromContext(ctx context.Context) *Caller {
	c, _ := ctx.Value(callerKey{}).(*Caller)
	return c
}
