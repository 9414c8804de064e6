package jobs

import (
	"errors"
	"fmt"
	"time"
)

// JobConfig holds the limits of jobs.
type JobConfig struct {
	// MaxItems is how many items a job may have, 1 to 10,000,000.
	MaxItems int64 `yaml:"max_items"`
	// MaxJobs is how many jobs a project may have, ended ones included, 1 to 100,000.
	MaxJobs int64 `yaml:"max_jobs"`
	// MaxInputBytes bounds the items of a job, 1 MiB to 1 TiB.
	MaxInputBytes int64 `yaml:"max_input_bytes"`
	// FrameItems is how many items are decided in one call, 1 to 1,000. Whoever calls meanwhile waits for at most such a call.
	FrameItems int `yaml:"frame_items"`
	// Slice is how long a job runs before another has its turn, 10 milliseconds to 1 minute.
	Slice time.Duration `yaml:"slice"`
	// Share is which part of the time jobs decide, above 0 to 1; the rest is left to whoever waits for an answer. Less of it costs the job time and
	// shortens the waits of others, which are mostly for the disk.
	Share float64 `yaml:"share"`
	// Keep is how long a job that ended is kept, 1 hour to 10 years.
	Keep time.Duration `yaml:"keep"`
}

// DefaultJobs returns the limits that hold when nothing is configured.
func DefaultJobs() JobConfig {
	return JobConfig{
		MaxItems: 1_000_000, MaxJobs: 1000, MaxInputBytes: 8 << 30, FrameItems: 250, Slice: 2 * time.Second, Share: 0.7, Keep: 30 * 24 * time.Hour,
	}
}

// Validate reports everything that is wrong with the configuration.
func (c JobConfig) Validate() error {
	var errs []error
	check := func(name string, value, least, most any, ok bool) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: is %v, must be %v to %v", name, value, least, most))
		}
	}
	check("max_items", c.MaxItems, 1, 10_000_000, c.MaxItems >= 1 && c.MaxItems <= 10_000_000)
	check("max_jobs", c.MaxJobs, 1, 100_000, c.MaxJobs >= 1 && c.MaxJobs <= 100_000)
	check("max_input_bytes", c.MaxInputBytes, 1<<20, int64(1<<40), c.MaxInputBytes >= 1<<20 && c.MaxInputBytes <= 1<<40)
	check("frame_items", c.FrameItems, 1, 1000, c.FrameItems >= 1 && c.FrameItems <= 1000)
	check("slice", c.Slice, 10*time.Millisecond, time.Minute, c.Slice >= 10*time.Millisecond && c.Slice <= time.Minute)
	check("share", c.Share, "above 0", 1, c.Share > 0 && c.Share <= 1)
	check("keep", c.Keep, time.Hour, "10 years", c.Keep >= time.Hour && c.Keep <= 10*366*24*time.Hour)
	return errors.Join(errs...)
}
