package review

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// DefaultRetention is how long closed items stay where nothing else is said.
const DefaultRetention = 400 * 24 * time.Hour

// leastRetention is how long closed items stay at least: kept answers to calls about them are forgotten before.
const leastRetention = 24 * time.Hour

// Config says how long the queue keeps what is done.
type Config struct {
	// Retention is how long closed and withdrawn items stay in the queue's tables with their verdicts, histories and feedback, by project; "*" is for all others. At least 24 h; 0
	// keeps them for ever. Default: 400 days. The lake and the event stream have rules of their own.
	Retention map[string]time.Duration `yaml:"retention"`
}

// Default keeps closed items for 400 days.
func Default() Config { return Config{} }

// Validate returns all that is wrong with the configuration, joined.
func (c Config) Validate() error {
	var errs []error
	for _, project := range slices.Sorted(maps.Keys(c.Retention)) {
		if d := c.Retention[project]; d != 0 && d < leastRetention {
			errs = append(errs, fmt.Errorf("retention of %s is %v, at least 24h, or 0 for ever", project, d))
		}
	}
	return errors.Join(errs...)
}

// keep returns how long a project's closed items stay; 0 for ever.
func (c Config) keep(project string) time.Duration {
	for _, name := range []string{project, "*"} {
		if d, ok := c.Retention[name]; ok {
			return d
		}
	}
	return DefaultRetention
}
