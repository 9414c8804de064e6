package models

import (
	"errors"
	"fmt"
)

// Config holds the limits of the registry. They apply to each project.
type Config struct {
	// MaxArtifactBytes is the largest size of a model file, 1 KiB to 1 GiB.
	MaxArtifactBytes int64 `yaml:"max_artifact_bytes"`
	// MaxModels is how many models a project may have.
	MaxModels int `yaml:"max_models"`
	// MaxVersions is how many versions a model may have.
	MaxVersions int `yaml:"max_versions"`
	// MaxDeployments is how many deployments a project may have.
	MaxDeployments int `yaml:"max_deployments"`
	// MaxUploads is how many artifacts may be received at once, over all projects; further ones wait.
	MaxUploads int `yaml:"max_uploads"`
}

// Default returns the limits that hold when nothing is configured.
func Default() Config {
	return Config{MaxArtifactBytes: 1 << 30, MaxModels: 1000, MaxVersions: 10_000, MaxDeployments: 1000, MaxUploads: 4}
}

// Validate reports everything that is wrong with the configuration.
func (c Config) Validate() error {
	var errs []error
	if c.MaxArtifactBytes < 1<<10 || c.MaxArtifactBytes > 1<<30 {
		errs = append(errs, fmt.Errorf("max_artifact_bytes: is %d, must be 1024 to 1073741824", c.MaxArtifactBytes))
	}
	for _, f := range []struct {
		name  string
		value int
	}{
		{"max_models", c.MaxModels},
		{"max_versions", c.MaxVersions},
		{"max_deployments", c.MaxDeployments},
		{"max_uploads", c.MaxUploads},
	} {
		if f.value < 1 || f.value > 1_000_000 {
			errs = append(errs, fmt.Errorf("%s: is %d, must be 1 to 1000000", f.name, f.value))
		}
	}
	return errors.Join(errs...)
}
