package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/config"
	"github.com/switchyard-ai/switchyard/internal/cores"
)

// defaultConfigFile is read when it exists and no other is named.
const defaultConfigFile = "switchyard.yaml"

// configFlags name the configuration and override single settings of it.
type configFlags struct {
	file       string
	dataDir    string
	grpc       string
	http       string
	socket     string
	devKeyFile string
	target     []string
	noStarter  bool
}

func (f *configFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.file, "config", "", "configuration file (default $SWITCHYARD_CONFIG, else ./"+defaultConfigFile+" if there is one)")
	s.StringVar(&f.dataDir, "data-dir", "", "folder of everything that is kept (default switchyard-data)")
	s.StringVar(&f.grpc, "grpc", "", "address for gRPC (default 127.0.0.1:9090; port 0 takes a free one, none turns it off)")
	s.StringVar(&f.http, "http", "", "address for REST (default 127.0.0.1:8080; port 0 takes a free one, none turns it off)")
	s.StringVar(&f.socket, "socket", "", "unix socket for gRPC (default switchyard.sock in the data folder, none turns it off)")
	s.StringVar(&f.devKeyFile, "dev-key-file", "", "write a development key to this file instead of printing it")
	s.StringSliceVar(&f.target, "target", nil, "parts that run in this process: moderation, routing, classification, decisions, review, models, monitoring, jobs, events, identity, gateway (default all)")
	s.BoolVar(&f.noStarter, "no-starter", false, "do not deploy starter models when the registry is empty")
}

// load returns the configuration: defaults, then the file, then the environment, then the flags.
func (f *configFlags) load(c *cobra.Command) (app.Config, error) {
	cfg := app.Default()
	path := f.file
	if path == "" {
		path = os.Getenv("SWITCHYARD_CONFIG")
	}
	if path == "" {
		if _, err := os.Stat(defaultConfigFile); err == nil {
			path = defaultConfigFile
		} else if !errors.Is(err, fs.ErrNotExist) {
			return cfg, err
		}
	}
	warnings, err := config.Load(path, os.Environ(), &cfg)
	for _, w := range warnings {
		fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
	}
	if err != nil {
		return cfg, err
	}
	for _, o := range []struct {
		flag string
		to   *string
	}{
		{f.dataDir, &cfg.DataDir},
		{f.grpc, &cfg.GRPC.Address},
		{f.http, &cfg.HTTP},
		{f.socket, &cfg.GRPC.Socket},
		{f.devKeyFile, &cfg.DevKeyFile},
	} {
		if o.flag != "" {
			*o.to = o.flag
		}
	}
	if cfg.GRPC.Address == "none" {
		cfg.GRPC.Address = ""
	}
	if cfg.HTTP == "none" {
		cfg.HTTP = ""
	}
	if len(f.target) > 0 {
		cfg.Target = f.target
	}
	if f.noStarter {
		cfg.Starter = false
	}
	cfg.Fill()
	return cfg, nil
}

func newServe() *cobra.Command {
	var f configFlags
	c := &cobra.Command{
		Use:   "serve",
		Short: "Start the server",
		Long: `Start the server: all parts in one process, or some of them with --target and the others at the
addresses that the configuration names as peers. It runs until it is told to stop (SIGTERM, Ctrl-C),
answers the calls in flight, and loses nothing that it has acknowledged.

Without any configuration it keeps its data in ./switchyard-data and listens on this machine only.`,
		Example: `  switchyard serve
  switchyard serve --data-dir /var/lib/switchyard --config /etc/switchyard.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.load(c)
			if err != nil {
				return err
			}
			a, err := app.Start(c.Context(), cfg, app.Options{Version: version, Log: c.ErrOrStderr()})
			if err != nil {
				return err
			}
			cores.Spare()
			collectLess(c.Context())
			announce(c, a, cfg)
			settled := time.AfterFunc(settleTime, settle)
			defer settled.Stop()
			err = a.Run(c.Context())
			return errors.Join(err, a.Close())
		},
	}
	f.register(c)
	return c
}

// settleTime is after how long a start has left behind what nothing needs any more; the system gets it back.
const settleTime = 2 * time.Second

// announce tells a person where the server listens and, at the first start, the key.
func announce(c *cobra.Command, a *app.App, cfg app.Config) {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Switchyard %s\n", version)
	at := a.Addresses()
	scheme := "http"
	if cfg.HTTPTLS.CertFile != "" {
		scheme = "https"
	}
	if at.HTTP != "" {
		fmt.Fprintf(w, "  REST    %s://%s   (reference: %s://%s/docs)\n", scheme, at.HTTP, scheme, at.HTTP)
	}
	if at.GRPC != "" {
		fmt.Fprintf(w, "  gRPC    %s\n", at.GRPC)
	}
	if at.Socket != "" {
		fmt.Fprintf(w, "  socket  unix:%s\n", at.Socket)
	}
	fmt.Fprintf(w, "  data    %s\n", cfg.DataDir)
	switch {
	case a.DevKey != "":
		fmt.Fprintf(w, "  key     %s   (development key of project default; shown this once)\n", a.DevKey)
	case cfg.DevKeyFile != "":
		fmt.Fprintf(w, "  key     in %s\n", cfg.DevKeyFile)
	}
	fmt.Fprintln(w, "ready")
}

func newCheckConfig() *cobra.Command {
	var f configFlags
	var show bool
	c := &cobra.Command{
		Use:   "check-config",
		Short: "Say what is wrong with the configuration, without starting anything",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := f.load(c)
			if err != nil {
				return err
			}
			if err := cfg.Validate(); err != nil {
				return err
			}
			if show {
				return showConfig(c, &cfg)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "the configuration is valid")
			return err
		},
	}
	f.register(c)
	c.Flags().BoolVar(&show, "show", false, "print every setting with its value and the variable that overrides it")
	return c
}

func showConfig(c *cobra.Command, cfg *app.Config) error {
	var rows [][]string
	for _, field := range config.Fields(cfg) {
		rows = append(rows, []string{field.Path, shown(fmt.Sprint(field.Value.Interface())), field.Env})
	}
	return table(c.OutOrStdout(), []string{"SETTING", "VALUE", "VARIABLE"}, rows)
}

// secrets are where URLs hold passwords: before the host, in any of several, and in parameters. What is no proper URL is cut too much
// rather than too little.
var secrets = []*regexp.Regexp{
	regexp.MustCompile(`(://[^:/?#@]*:).*(@)`),
	regexp.MustCompile(`((?:^|[?&])(?:ssl)?password=)[^&]*()`),
}

// shown returns a setting as it may be printed: without the passwords of URLs.
func shown(value string) string {
	if !strings.Contains(value, "://") {
		return value
	}
	for _, secret := range secrets {
		value = secret.ReplaceAllString(value, "${1}xxxxx${2}")
	}
	return value
}
