package jobs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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
	// InputURL is where files with items may be, which JobSpec.input names: the path of a folder, or s3://bucket/prefix with the access of lake.s3; empty for none. A project reads
	// what is below its own name.
	InputURL string `yaml:"input_url"`
	// FrameItems is how many items are decided in one call, 1 to 1,000. Whoever calls meanwhile waits for at most such a call.
	FrameItems int `yaml:"frame_items"`
	// Slice is how long a job runs before another has its turn, 10 milliseconds to 1 minute.
	Slice time.Duration `yaml:"slice"`
	// Share is which part of the time jobs decide while others wait for answers, above 0 to 1; without others they decide all the time. When answers take longer
	// than without jobs, the part becomes smaller by itself, down to LeastShare.
	Share float64 `yaml:"share"`
	// LeastShare is which part of the time jobs decide at least, above 0 to Share: so much of its time a job gets however long others wait.
	LeastShare float64 `yaml:"least_share"`
	// MaxRunning is how many jobs of a project take turns; the others wait until one of these ends or is paused. 1 to 10,000.
	MaxRunning int `yaml:"max_running"`
	// Projects are limits of single projects, by name.
	Projects map[string]ProjectConfig `yaml:"projects"`
	// Keep is how long a job that ended is kept, 1 hour to 10 years.
	Keep time.Duration `yaml:"keep"`
}

// ProjectConfig holds what is different for the jobs of one project.
type ProjectConfig struct {
	// Share is which part of the time the project's jobs decide at most, also while nobody waits, above 0 to 1; 0 for no limit of its own.
	Share float64 `yaml:"share"`
	// MaxRunning is how many of the project's jobs take turns, 1 to 10,000; 0 for what holds for all.
	MaxRunning int `yaml:"max_running"`
}

// running returns how many jobs of a project take turns.
func (c *JobConfig) running(project string) int {
	if n := c.Projects[project].MaxRunning; n > 0 {
		return n
	}
	return max(1, c.MaxRunning)
}

// DefaultJobs returns the limits that hold when nothing is configured.
func DefaultJobs() JobConfig {
	return JobConfig{
		MaxItems: 1_000_000, MaxJobs: 1000, MaxInputBytes: 8 << 30, FrameItems: 500, Slice: 2 * time.Second, Share: 0.7, LeastShare: 0.4, MaxRunning: 4, Keep: 30 * 24 * time.Hour,
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
	check("least_share", c.LeastShare, "above 0", c.Share, c.LeastShare > 0 && c.LeastShare <= c.Share)
	check("max_running", c.MaxRunning, 1, 10_000, c.MaxRunning >= 1 && c.MaxRunning <= 10_000)
	for _, name := range slices.Sorted(maps.Keys(c.Projects)) {
		p := c.Projects[name]
		check("projects: "+name+": share", p.Share, 0, 1, p.Share >= 0 && p.Share <= 1)
		check("projects: "+name+": max_running", p.MaxRunning, 0, 10_000, p.MaxRunning >= 0 && p.MaxRunning <= 10_000)
	}
	check("keep", c.Keep, time.Hour, "10 years", c.Keep >= time.Hour && c.Keep <= 10*366*24*time.Hour)
	return errors.Join(errs...)
}
