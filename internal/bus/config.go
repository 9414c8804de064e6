package bus

import (
	"errors"
	"fmt"
	"time"
)

// Config says which JetStream carries the events and how much it keeps.
type Config struct {
	// URL of a NATS cluster, several separated by commas. Empty, the default, runs a server inside this process, without a listening port.
	URL string `yaml:"url"`
	// CredentialsFile holds the NATS credentials (JWT and seed) for the cluster. Default none.
	CredentialsFile string `yaml:"credentials_file"`
	// CAFile holds the PEM certificates that the cluster's certificate must descend from. Default: those of the system.
	CAFile string `yaml:"ca_file"`
	// Replicas of the stream: 1 for the embedded server, 3 or 5 for a cluster. Default 1.
	Replicas int `yaml:"replicas"`
	// MaxBytes limits the stream on disk; beyond it the oldest events go, whether or not a sink has read them. From 1 MiB; default 8 GiB.
	MaxBytes int64 `yaml:"max_bytes"`
	// MaxAge limits how long events are kept. Default 0: as long as MaxBytes allows.
	MaxAge time.Duration `yaml:"max_age"`
	// Duplicates is how long a message id is remembered: repeating it within that time stores nothing. The server keeps up to three times 230 bytes per id in memory, which all of them together make
	// the collector of memory look at again and again. For a cluster it should be longer than a publish that is not acknowledged takes until it was repeated twice, see ack_timeout; with the embedded
	// server what was not acknowledged is looked for before it is repeated. From 1 s; default 0: 1 s for the embedded server, 30 s for a cluster.
	Duplicates time.Duration `yaml:"duplicates"`
	// MessageBytes limits one message, headers included. From 1 KiB to 64 MiB; default 2 MiB.
	MessageBytes int32 `yaml:"message_bytes"`
	// MaxInflight limits the messages that are published one by one and not yet acknowledged. From 1; default 256.
	MaxInflight int `yaml:"max_inflight"`
	// AckTimeout is how long an acknowledgement may take. From 100 ms; default 10 s.
	AckTimeout time.Duration `yaml:"ack_timeout"`
	// ProbeInterval is how often the watchdog looks at the server by itself, besides after every failed publish. From 10 ms; default 2 s.
	ProbeInterval time.Duration `yaml:"probe_interval"`
}

// Default returns the configuration of an embedded server.
func Default() Config {
	return Config{
		Replicas: 1, MaxBytes: 8 << 30, MessageBytes: 2 << 20, MaxInflight: 256,
		AckTimeout: 10 * time.Second, ProbeInterval: 2 * time.Second,
	}
}

// duplicates returns how long ids are remembered.
func (c Config) duplicates() time.Duration {
	switch {
	case c.Duplicates > 0:
		return c.Duplicates
	case c.URL == "":
		return time.Second
	}
	return 30 * time.Second
}

// Validate returns all that is wrong with the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.Replicas == 1 || c.Replicas == 3 || c.Replicas == 5, "replicas is %d, 1, 3 or 5", c.Replicas)
	check(c.URL != "" || c.Replicas == 1, "replicas is %d, an embedded server keeps 1", c.Replicas)
	check(c.URL != "" || c.CredentialsFile == "" && c.CAFile == "", "credentials_file and ca_file need a url")
	check(c.MaxBytes >= 1<<20, "max_bytes is %d, at least 1048576", c.MaxBytes)
	check(c.MaxAge >= 0, "max_age is %v, at least 0", c.MaxAge)
	check(c.Duplicates == 0 || c.Duplicates >= time.Second, "duplicates is %v, 0 or at least 1s", c.Duplicates)
	check(c.MaxAge == 0 || c.MaxAge >= c.duplicates(), "max_age is %v, at least duplicates (%v)", c.MaxAge, c.duplicates())
	check(c.MessageBytes >= 1<<10 && c.MessageBytes <= 64<<20, "message_bytes is %d, from 1024 to 67108864", c.MessageBytes)
	check(c.MaxInflight >= 1, "max_inflight is %d, at least 1", c.MaxInflight)
	check(c.AckTimeout >= 100*time.Millisecond, "ack_timeout is %v, at least 100ms", c.AckTimeout)
	check(c.ProbeInterval >= 10*time.Millisecond, "probe_interval is %v, at least 10ms", c.ProbeInterval)
	return errors.Join(errs...)
}
