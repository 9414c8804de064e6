// Package app composes the product: which services run in this process, in what order they start, and how they are
// connected. It is the only package that knows them all.
package app

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/switchyard-ai/switchyard/gateway"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/inbox"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/internal/mesh"
	"github.com/switchyard-ai/switchyard/internal/telemetry"
	"github.com/switchyard-ai/switchyard/services/events"
	"github.com/switchyard-ai/switchyard/services/jobs"
	"github.com/switchyard-ai/switchyard/services/models"
	"github.com/switchyard-ai/switchyard/services/monitoring"
	"github.com/switchyard-ai/switchyard/services/review"
	"github.com/switchyard-ai/switchyard/services/training"
)

// Targets are the parts that a process can run.
var Targets = []string{"moderation", "routing", "classification", "decisions", "review", "models", "monitoring", "jobs", "training", "events", "identity", "gateway"}

// Config is the whole configuration. Every section belongs to the package that it configures.
type Config struct {
	// DataDir is the folder of everything that is kept: tables, artifacts, journal, events.
	DataDir string `yaml:"data_dir"`
	// Target lists the parts that run in this process; empty or "all" for all of them.
	Target []string `yaml:"target"`
	// HTTP is the address of the REST gateway, such as "127.0.0.1:8080"; empty: none. Beyond loopback TLS is required.
	HTTP string `yaml:"http"`
	// HTTPTLS secures the REST gateway.
	HTTPTLS mesh.TLSFiles `yaml:"http_tls"`
	// Peers are the addresses of the parts that run elsewhere, by name: models: unix:/run/models.sock, identity: 10.0.0.5:9090.
	Peers map[string]string `yaml:"peers"`
	// PeerTLS secures the connections to peers.
	PeerTLS mesh.TLSFiles `yaml:"peer_tls"`
	// WebhookKeyFile holds the key, 32 bytes, that the secrets of webhooks are encrypted with in the tables; it is made when it does not exist. Processes that share the tables
	// share it. Default webhooks.key in the data folder.
	WebhookKeyFile string `yaml:"webhook_key_file"`
	// PeerKeyFile holds the API key, with the scope platform:serve, that this process follows the registry of a peer with.
	PeerKeyFile string `yaml:"peer_key_file"`
	// DevKeyFile is where a development key is written before the server is ready; empty: it is printed once instead.
	DevKeyFile string `yaml:"dev_key_file"`
	// Starter deploys the starter models when the registry is empty.
	Starter bool `yaml:"starter"`
	// GRPC is the gRPC server.
	GRPC mesh.Config `yaml:"grpc"`
	// Gateway is the REST gateway.
	Gateway gateway.Config `yaml:"gateway"`
	// DB is where the tables are: SQLite in the data folder, or Postgres.
	DB db.Config `yaml:"db"`
	// Models are the limits of the registry.
	Models models.Config `yaml:"models"`
	// Review is how long the review queue keeps what is done.
	Review review.Config `yaml:"review"`
	// Monitoring is what is assumed of reviewers until it is measured.
	Monitoring monitoring.Config `yaml:"monitoring"`
	// Jobs are the limits of task queues and of jobs of many decisions.
	Jobs jobs.Config `yaml:"jobs"`
	// Training are the limits of data sets and of runs.
	Training training.Config `yaml:"training"`
	// Journal is where decisions are recorded.
	Journal journal.Config `yaml:"journal"`
	// Bus is where events go.
	Bus bus.Config `yaml:"bus"`
	// Lake is where decisions, verdicts, feedback and deployments are kept for good.
	Lake lake.Config `yaml:"lake"`
	// Verify says when everything that is recorded is verified.
	Verify ledger.Config `yaml:"verify"`
	// Events are the limits of subscriptions and webhooks.
	Events events.Config `yaml:"events"`
	// Inbox is how long the ids of events are remembered, so that their effects happen once.
	Inbox inbox.Config `yaml:"inbox"`
	// Telemetry is logs, metrics and traces.
	Telemetry telemetry.Config `yaml:"telemetry"`
}

// Default returns the configuration that holds when nothing is said: everything in one process, on loopback, data in ./switchyard-data.
func Default() Config {
	c := Config{
		DataDir:    "switchyard-data",
		HTTP:       "127.0.0.1:8080",
		Starter:    true,
		GRPC:       mesh.Default(),
		Gateway:    gateway.Default(),
		DB:         db.Default(""),
		Models:     models.Default(),
		Review:     review.Default(),
		Monitoring: monitoring.Default(),
		Jobs:       jobs.Default(),
		Training:   training.Default(),
		Journal:    journal.Default(),
		Bus:        bus.Default(),
		Lake:       lake.Default(),
		Verify:     ledger.Default(),
		Events:     events.Default(),
		Inbox:      inbox.Default(),
		Telemetry:  telemetry.Default(),
	}
	c.GRPC.Address = "127.0.0.1:9090"
	return c
}

// Fill completes what follows from other settings. Filling twice changes nothing: the socket "none" stays until the process listens.
func (c *Config) Fill() {
	if c.GRPC.Socket == "" && c.DataDir != "" {
		c.GRPC.Socket = filepath.Join(c.DataDir, "switchyard.sock")
	}
	if c.DB.Path == "" && c.DataDir != "" {
		c.DB.Path = filepath.Join(c.DataDir, "switchyard.db")
	}
	if len(c.Target) == 0 || slices.Equal(c.Target, []string{"all"}) {
		c.Target = slices.Clone(Targets)
	}
}

// Validate returns everything that is wrong with a filled configuration.
func (c *Config) Validate() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("data_dir is empty"))
	}
	for _, t := range c.Target {
		if !slices.Contains(Targets, t) {
			errs = append(errs, fmt.Errorf("target %q does not exist; there are %s", t, strings.Join(Targets, ", ")))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Peers)) {
		if !slices.Contains(Targets, name) {
			errs = append(errs, fmt.Errorf("peers: %q does not exist; there are %s", name, strings.Join(Targets, ", ")))
		}
	}
	for _, name := range c.missingPeers() {
		errs = append(errs, fmt.Errorf("peers: %s runs neither here (target) nor at an address in peers", name))
	}
	if c.HTTP != "" && c.runs("gateway") {
		// The same rule as for gRPC: nothing listens beyond loopback without TLS.
		listen := mesh.Default()
		listen.Address, listen.TLS = c.HTTP, c.HTTPTLS
		if err := listen.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("http: %w", err))
		}
	}
	for section, v := range map[string]interface{ Validate() error }{
		"grpc": c.GRPC, "gateway": c.Gateway, "db": c.DB, "models": c.Models, "review": c.Review, "monitoring": c.Monitoring, "jobs": c.Jobs, "training": c.Training, "journal": c.Journal, "bus": c.Bus, "lake": c.Lake,
		"verify": c.Verify, "events": c.Events, "inbox": c.Inbox, "telemetry": c.Telemetry,
	} {
		if err := v.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", section, err))
		}
	}
	return errors.Join(errs...)
}

// runs says whether a part runs in this process.
func (c *Config) runs(target string) bool { return slices.Contains(c.Target, target) }

// knows says whether a part runs here or at a peer.
func (c *Config) knows(target string) bool { return c.runs(target) || c.Peers[target] != "" }

// decides says whether an operation runs in this process.
func (c *Config) decides() bool {
	return c.runs("moderation") || c.runs("routing") || c.runs("classification")
}

// missingPeers returns the parts that something here needs and nobody serves.
func (c *Config) missingPeers() []string {
	need := map[string]bool{"identity": true}
	if c.decides() || c.runs("review") || c.runs("monitoring") {
		need["models"] = true
	}
	if c.runs("gateway") {
		for _, t := range Targets {
			need[t] = t != "gateway"
		}
	}
	var missing []string
	for _, t := range Targets {
		if need[t] && !c.runs(t) && c.Peers[t] == "" {
			missing = append(missing, t)
		}
	}
	return missing
}
