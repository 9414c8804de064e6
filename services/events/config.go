package events

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/switchyard-ai/switchyard/services/events/egress"
)

// Config holds the limits of the service.
type Config struct {
	// MaxSubscriptions is how many streams of events a project may have open at a time, 1 to 10000; default 100.
	MaxSubscriptions int `yaml:"max_subscriptions"`
	// Webhooks is how events are sent to receivers.
	Webhooks Webhooks `yaml:"webhooks"`
}

// Webhooks is how events are sent to receivers.
type Webhooks struct {
	// MaxPerProject is how many webhooks a project may have, 1 to 1000; default 50.
	MaxPerProject int `yaml:"max_per_project"`
	// AllowHTTP lets receivers be called without TLS. Default false.
	AllowHTTP bool `yaml:"allow_http"`
	// AllowNetworks are networks (CIDR) that receivers may be in although they are not public. Default none.
	AllowNetworks []string `yaml:"allow_networks"`
	// Timeout bounds one attempt, from the resolution of the name to the end of the answer. From 1 s to 60 s; default 15 s.
	Timeout time.Duration `yaml:"timeout"`
	// Concurrency is how many events are on their way to one receiver at a time, 1 to 100; default 8.
	Concurrency int `yaml:"concurrency"`
	// TotalConcurrency is the same for all receivers together, 1 to 10000; default 64.
	TotalConcurrency int `yaml:"total_concurrency"`
	// MaxBacklog is how many events may wait for one receiver; further ones are dead at once. From 100; default 100000.
	MaxBacklog int `yaml:"max_backlog"`
	// SuspendAfter is how long every attempt may fail until a webhook is suspended. From 1 h; default 120 h (5 days).
	SuspendAfter time.Duration `yaml:"suspend_after"`
}

// Default returns the limits that are right for most.
func Default() Config {
	return Config{MaxSubscriptions: 100, Webhooks: Webhooks{
		MaxPerProject: 50, Timeout: 15 * time.Second, Concurrency: 8, TotalConcurrency: 64, MaxBacklog: 100_000, SuspendAfter: 5 * 24 * time.Hour,
	}}
}

// Validate returns all that is wrong with the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	between := func(name string, n, low, high int) {
		if n < low || n > high {
			errs = append(errs, fmt.Errorf("%s is %d, from %d to %d", name, n, low, high))
		}
	}
	w := c.Webhooks
	between("max_subscriptions", c.MaxSubscriptions, 1, 10_000)
	between("webhooks.max_per_project", w.MaxPerProject, 1, 1000)
	between("webhooks.concurrency", w.Concurrency, 1, 100)
	between("webhooks.total_concurrency", w.TotalConcurrency, 1, 10_000)
	between("webhooks.max_backlog", w.MaxBacklog, 100, 100_000_000)
	if w.Timeout < time.Second || w.Timeout > time.Minute {
		errs = append(errs, fmt.Errorf("webhooks.timeout is %v, from 1s to 1m", w.Timeout))
	}
	if w.SuspendAfter < time.Hour {
		errs = append(errs, fmt.Errorf("webhooks.suspend_after is %v, at least 1h", w.SuspendAfter))
	}
	if _, err := w.policy(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// policy says what may be called.
func (w Webhooks) policy() (egress.Policy, error) {
	p := egress.Policy{AllowHTTP: w.AllowHTTP}
	for _, s := range w.AllowNetworks {
		n, err := netip.ParsePrefix(s)
		if err != nil {
			return p, fmt.Errorf("webhooks.allow_networks: %q is not a network such as 10.1.0.0/16", s)
		}
		p.Allow = append(p.Allow, n.Masked())
	}
	return p, nil
}
