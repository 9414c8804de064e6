package ledger

import (
	"errors"
	"fmt"
	"time"
)

// Config says when everything that is recorded is verified while the product runs.
type Config struct {
	// Every is how long after the end of a verification the next one begins, over restarts too; 1 second to 90 days, 0 for never. Default 24h. What the last stop may have left
	// half-written is looked at after every start as well.
	Every time.Duration `yaml:"every"`
	// Share is the largest share of the time that a verification works in, 0.01 to 1; the rest it waits, so that the machine is there for those that decide. Default 0.5.
	Share float64 `yaml:"share"`
}

// Default returns what holds when nothing is configured.
func Default() Config { return Config{Every: 24 * time.Hour, Share: 0.5} }

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.Every != 0 && (c.Every < time.Second || c.Every > 90*24*time.Hour) {
		errs = append(errs, fmt.Errorf("every: is %s, must be 0s or 1s to 2160h", c.Every))
	}
	if !(c.Share >= 0.01 && c.Share <= 1) {
		errs = append(errs, fmt.Errorf("share: is %v, must be 0.01 to 1", c.Share))
	}
	return errors.Join(errs...)
}

// pause is the longest time that Pace waits at once.
const pause = time.Second

// Pace returns a function for Verifier.Pace that keeps the work to the share.
func (c Config) Pace(sleep func(d time.Duration)) func() {
	begin := time.Now()
	return func() {
		if worked := time.Since(begin); c.Share < 1 {
			sleep(min(pause, time.Duration(float64(worked)*(1-c.Share)/c.Share)))
		}
		begin = time.Now()
	}
}
