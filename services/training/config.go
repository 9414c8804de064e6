package training

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the limits of training.
type Config struct {
	// MaxRows is how many rows a data set may have, 100 to 5,000,000. A data set that is trained on is held in memory.
	MaxRows int `yaml:"max_rows"`
	// MaxImportBytes is the size of the largest file that is imported, 1 KiB to 16 GiB.
	MaxImportBytes int64 `yaml:"max_import_bytes"`
	// MaxDatasets is how many versions of data sets a project may have, 1 to 100,000.
	MaxDatasets int64 `yaml:"max_datasets"`
	// MaxOpenRuns is how many runs of a project may be open, 1 to 1,000.
	MaxOpenRuns int64 `yaml:"max_open_runs"`
	// Execution says who inspects, searches, trains and evaluates: "in-process" (this server), "external" (worker processes alone, see "switchyard worker"), or "both": this server does what no
	// worker takes within a second. The other steps are always the server's. Default in-process.
	Execution string `yaml:"execution"`
	// MaxDeliveries is how many workers may be lost in a step, one after the other, until the run fails, 1 to 100. Default 3.
	MaxDeliveries int64 `yaml:"max_deliveries"`
	// Workers is how many runs this process carries out at once, 0 to 64; 0 leaves them to other processes.
	Workers int `yaml:"workers"`
	// Lease is how long a run waits for a worker, of this process or another, that was killed, 1 second to 10 minutes.
	Lease time.Duration `yaml:"lease"`
	// PollInterval is how often runs that another process has started, and schedules, are looked for, 10 milliseconds to 1 minute.
	PollInterval time.Duration `yaml:"poll_interval"`
}

// Who carries out the steps that worker processes can do.
const (
	InProcess = "in-process"
	External  = "external"
	Both      = "both"
)

// external says whether worker processes may carry out steps, here whether this process may.
func (c Config) external() bool { return c.Execution == External || c.Execution == Both }
func (c Config) here() bool     { return c.Execution != External }

// Default returns the limits that hold when nothing is configured.
func Default() Config {
	return Config{
		MaxRows: 500_000, MaxImportBytes: 1 << 30, MaxDatasets: 1000, MaxOpenRuns: 20, Execution: InProcess, MaxDeliveries: 3, Workers: 1, Lease: 15 * time.Second, PollInterval: time.Second,
	}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.MaxRows >= 100 && c.MaxRows <= 5_000_000, "max_rows: is %d, must be 100 to 5000000", c.MaxRows)
	check(c.MaxImportBytes >= 1<<10 && c.MaxImportBytes <= 16<<30, "max_import_bytes: is %d, must be 1024 to 17179869184", c.MaxImportBytes)
	check(c.MaxDatasets >= 1 && c.MaxDatasets <= 100_000, "max_datasets: is %d, must be 1 to 100000", c.MaxDatasets)
	check(c.MaxOpenRuns >= 1 && c.MaxOpenRuns <= 1000, "max_open_runs: is %d, must be 1 to 1000", c.MaxOpenRuns)
	check(c.Execution == InProcess || c.Execution == External || c.Execution == Both, "execution: is %q, must be %q, %q or %q", c.Execution, InProcess, External, Both)
	check(c.MaxDeliveries >= 1 && c.MaxDeliveries <= 100, "max_deliveries: is %d, must be 1 to 100", c.MaxDeliveries)
	check(c.Workers >= 0 && c.Workers <= 64, "workers: is %d, must be 0 to 64", c.Workers)
	check(c.Lease >= time.Second && c.Lease <= 10*time.Minute, "lease: is %s, must be 1s to 10m", c.Lease)
	check(c.PollInterval >= 10*time.Millisecond && c.PollInterval <= time.Minute, "poll_interval: is %s, must be 10ms to 1m", c.PollInterval)
	return errors.Join(errs...)
}
