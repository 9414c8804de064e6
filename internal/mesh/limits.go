package mesh

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"

	"github.com/switchyard-ai/switchyard/internal/fault"
)

// Limits bound what one project may ask of one server. The product's calls to itself are not limited.
type Limits struct {
	// PerSecond is how many calls a project may begin per second in the long run; messages of a stream count too and are slowed
	// down, never refused. 0 means no limit.
	PerSecond float64 `yaml:"per_second"`
	// Burst is how many calls may begin at once after a pause.
	Burst int `yaml:"burst"`
	// InFlight is how many calls a project may have unanswered at any time, streams included. 0 means no limit.
	InFlight int `yaml:"in_flight"`
}

// maxTenants bounds the memory of the limits: about 200 bytes a project.
const maxTenants = 10_000

// concurrencyWait is what a caller is told to wait when it has too many calls in flight: about the time of a slow answer.
const concurrencyWait = 100 * time.Millisecond

type tenant struct {
	bucket   *rate.Limiter
	inFlight atomic.Int64
}

// tenants holds the state of the projects that called lately.
type tenants struct {
	limits Limits
	mu     sync.RWMutex
	all    map[string]*tenant
}

func newTenants(l Limits) *tenants { return &tenants{limits: l, all: map[string]*tenant{}} }

func (t *tenants) get(project string) *tenant {
	t.mu.RLock()
	p := t.all[project]
	t.mu.RUnlock()
	if p != nil {
		return p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p = t.all[project]; p != nil {
		return p
	}
	if len(t.all) >= maxTenants {
		t.evict()
	}
	limit := rate.Limit(t.limits.PerSecond)
	if t.limits.PerSecond == 0 {
		limit = rate.Inf
	}
	p = &tenant{bucket: rate.NewLimiter(limit, t.limits.Burst)}
	t.all[project] = p
	return p
}

// evict drops projects at rest. Go's map order makes it a random choice; a project that returns starts with a full bucket.
func (t *tenants) evict() {
	looked := 0
	for name, p := range t.all {
		if p.inFlight.Load() == 0 {
			delete(t.all, name)
		}
		if looked++; looked == 64 {
			return
		}
	}
}

func (p *tenant) wait() time.Duration {
	r := p.bucket.Reserve()
	defer r.Cancel()
	return r.Delay()
}

// limiting refuses what exceeds the limits of the caller's project.
func limiting(l Limits) Middleware {
	all := newTenants(l)
	return Middleware{Name: "limits", Wrap: func(m *Method, next Handler) Handler {
		if m.Open || l.PerSecond == 0 && l.InFlight == 0 {
			return next
		}
		return func(ctx context.Context, c *Call) error {
			if c.Caller.System {
				return next(ctx, c)
			}
			p := all.get(c.Caller.Project)
			if n := p.inFlight.Add(1); l.InFlight > 0 && n > int64(l.InFlight) {
				p.inFlight.Add(-1)
				return fault.ConcurrencyLimited(c.Caller.Project, l.InFlight, l.InFlight, concurrencyWait)
			}
			defer p.inFlight.Add(-1)
			if !p.bucket.Allow() {
				return fault.RateLimited(c.Caller.Project, l.PerSecond, p.wait())
			}
			if m.ClientStreams {
				c.stream = &paced{ServerStream: c.stream, bucket: p.bucket}
			}
			return next(ctx, c)
		}
	}}
}

// paced takes each message of a stream at the project's rate: the first came with the call.
type paced struct {
	grpc.ServerStream
	bucket *rate.Limiter
	begun  bool
}

// RecvMsg implements grpc.ServerStream.
func (s *paced) RecvMsg(m any) error {
	if s.begun {
		if err := s.bucket.Wait(s.Context()); err != nil {
			return fault.DeadlineExceeded().Cause(err) // or cancelled: nobody hears the difference any more
		}
	}
	s.begun = true
	return s.ServerStream.RecvMsg(m) //nolint:wrapcheck // io.EOF must stay
}
