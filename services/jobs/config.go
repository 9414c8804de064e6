package jobs

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the limits of queues and of jobs.
type Config struct {
	// Tasks are the limits of queues.
	Tasks TaskConfig `yaml:"tasks"`
	// Batches are the limits of jobs of many decisions.
	Batches JobConfig `yaml:"batches"`
}

// Default returns the limits that hold when nothing is configured.
func Default() Config { return Config{Tasks: DefaultTasks(), Batches: DefaultJobs()} }

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if err := c.Tasks.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("tasks: %w", err))
	}
	if err := c.Batches.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("batches: %w", err))
	}
	return errors.Join(errs...)
}

// TaskConfig holds the limits of queues.
type TaskConfig struct {
	// MaxTasks is how many tasks of a queue may be not done, dead ones included, 1 to 100,000,000.
	MaxTasks int64 `yaml:"max_tasks"`
	// MaxQueues is how many queues a project may have, 1 to 100,000.
	MaxQueues int64 `yaml:"max_queues"`
	// PollInterval is how often a waiting pull looks for what another process has published, 10 milliseconds to 1 minute. What this process
	// publishes and what becomes due by itself wakes it at once.
	PollInterval time.Duration `yaml:"poll_interval"`
	// SweepInterval is how often ended tasks are forgotten whose time has come, 1 second to 1 hour.
	SweepInterval time.Duration `yaml:"sweep_interval"`
}

// DefaultTasks returns the limits that hold when nothing is configured.
func DefaultTasks() TaskConfig {
	return TaskConfig{MaxTasks: 1_000_000, MaxQueues: 1000, PollInterval: time.Second, SweepInterval: time.Minute}
}

// Validate reports everything that is wrong with the configuration.
func (c TaskConfig) Validate() error {
	var errs []error
	if c.MaxTasks < 1 || c.MaxTasks > 100_000_000 {
		errs = append(errs, fmt.Errorf("max_tasks: is %d, must be 1 to 100000000", c.MaxTasks))
	}
	if c.MaxQueues < 1 || c.MaxQueues > 100_000 {
		errs = append(errs, fmt.Errorf("max_queues: is %d, must be 1 to 100000", c.MaxQueues))
	}
	if c.PollInterval < 10*time.Millisecond || c.PollInterval > time.Minute {
		errs = append(errs, fmt.Errorf("poll_interval: is %s, must be 10ms to 1m", c.PollInterval))
	}
	if c.SweepInterval < time.Second || c.SweepInterval > time.Hour {
		errs = append(errs, fmt.Errorf("sweep_interval: is %s, must be 1s to 1h", c.SweepInterval))
	}
	return errors.Join(errs...)
}
