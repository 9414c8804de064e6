package mesh

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/metadata"

	"github.com/switchyard-ai/switchyard/internal/auth"
	"github.com/switchyard-ai/switchyard/internal/fault"
)

// authentication finds out who calls: the system, for calls in the process that ask for it; else the owner of the key in the header
// Authorization; else, in the process only, whoever called the handler that calls now.
func authentication(a auth.Authenticator) Middleware {
	return Middleware{Name: "auth", Wrap: func(m *Method, next Handler) Handler {
		if m.Open {
			return next
		}
		return func(ctx context.Context, c *Call) error {
			caller, err := identify(ctx, c, a)
			if err != nil {
				return err
			}
			c.Caller = caller
			return next(auth.WithCaller(ctx, caller), c)
		}
	}}
}

func identify(ctx context.Context, c *Call, a auth.Authenticator) (*auth.Caller, error) {
	if c.system {
		return auth.System(), nil
	}
	values := metadata.ValueFromIncomingContext(ctx, headerAuthorization)
	if len(values) == 0 {
		if c.inherited != nil {
			return c.inherited, nil
		}
		return nil, fault.KeyMissing()
	}
	if len(values) == 1 && strings.TrimSpace(values[0]) == "" {
		return nil, fault.KeyMissing() // a variable that was not set, most often
	}
	key, ok := bearer(values)
	if !ok {
		return nil, fault.KeyInvalid()
	}
	caller, err := a.Authenticate(ctx, key)
	if err != nil {
		return nil, err //nolint:wrapcheck // a fault already
	}
	if caller == nil || caller.System {
		return nil, fault.Internal(errors.New("authenticator answered a key with the system caller or nobody"))
	}
	return caller, nil
}

func bearer(values []string) (key string, ok bool) {
	if len(values) != 1 {
		return "", false // which one is meant is not ours to guess
	}
	scheme, key, found := strings.Cut(values[0], " ")
	return key, found && key != "" && strings.EqualFold(scheme, "bearer")
}
