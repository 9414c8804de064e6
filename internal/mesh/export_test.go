package mesh

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

const routeInquiry = "/switchyard.routing.v1.RoutingService/RouteInquiry"

// BenchPrefix runs calls of RouteInquiry through the first n links of the chain and a handler that only receives.
func BenchPrefix(b *testing.B, s *Server, n int, ctx context.Context, in proto.Message) {
	m := s.Methods()[routeInquiry]
	into := in.ProtoReflect().New().Interface()
	h := compose(s.links[:n], m, func(_ context.Context, c *Call) error { return c.receive(into) })
	for b.Loop() {
		c := &Call{Method: m, InProcess: true, args: in, start: time.Now()}
		if n > 0 && n < 6 {
			c.request.Logger = s.log
		}
		if err := h(ctx, c); err != nil {
			b.Fatal(err)
		}
	}
}

// NewRequestID gives tests the ids of requests.
func NewRequestID(now time.Time) string { return newRequestID(now) }

// ServiceConfig gives tests what Dial configures.
func ServiceConfig() string { return serviceConfig() }

// SetClock replaces a peer authenticator's clock.
func (p *PeerAuthenticator) SetClock(now func() time.Time) { p.now = now }

// Cached is how many answers a peer authenticator holds.
func (p *PeerAuthenticator) Cached() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.cache)
}

// Limits of caches.
const (
	PeerKeys   = peerKeys
	MaxTenants = maxTenants
)

// TenantsAfter has n projects call once and returns how many are remembered.
func TenantsAfter(n int, name func(int) string) int {
	t := newTenants(Limits{PerSecond: 1, Burst: 1})
	for i := range n {
		t.get(name(i))
	}
	return len(t.all)
}
