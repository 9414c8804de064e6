package identity

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the limits of projects and keys.
type Config struct {
	// MaxValidKeys is how many valid keys a project may have, 1 to 100,000.
	MaxValidKeys int `yaml:"max_valid_keys"`
	// MaxInvalidKeys is how many revoked and expired keys of a project are remembered; of more the oldest are forgotten. 0 to 1,000,000.
	MaxInvalidKeys int `yaml:"max_invalid_keys"`
	// MaxProjects is how many projects there may be, 1 to 1,000,000.
	MaxProjects int `yaml:"max_projects"`
	// LastUsedInterval is how often the last use of keys is written down, 1 second to 1 hour.
	LastUsedInterval time.Duration `yaml:"last_used_interval"`
}

// Default returns the limits that hold when nothing is configured.
func Default() Config {
	return Config{MaxValidKeys: 1000, MaxInvalidKeys: 10_000, MaxProjects: 10_000, LastUsedInterval: time.Minute}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		name               string
		value, least, most int
	}{
		{"max_valid_keys", c.MaxValidKeys, 1, 100_000},
		{"max_invalid_keys", c.MaxInvalidKeys, 0, 1_000_000},
		{"max_projects", c.MaxProjects, 1, 1_000_000},
	} {
		if f.value < f.least || f.value > f.most {
			errs = append(errs, fmt.Errorf("%s: is %d, must be %d to %d", f.name, f.value, f.least, f.most))
		}
	}
	if c.LastUsedInterval < time.Second || c.LastUsedInterval > time.Hour {
		errs = append(errs, fmt.Errorf("last_used_interval: is %s, must be 1s to 1h", c.LastUsedInterval))
	}
	return errors.Join(errs...)
}
