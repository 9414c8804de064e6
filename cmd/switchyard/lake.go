package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/internal/app"
	"github.com/switchyard-ai/switchyard/internal/config"
	"github.com/switchyard-ai/switchyard/internal/lake"
)

// lakeFlags say which lake a command reads. It needs no server, and does not mind one.
type lakeFlags struct {
	dataDir    string
	configFile string
	url        string
	endpoint   string
	region     string
	project    string
	from, to   string
}

func (f *lakeFlags) register(c *cobra.Command) {
	s := c.Flags()
	s.StringVar(&f.dataDir, "data-dir", "switchyard-data", "data folder whose lake is read")
	s.StringVar(&f.configFile, "config", "", "configuration file that says where the lake is")
	s.StringVar(&f.url, "lake", "", "folder of the lake, or s3://bucket/prefix (keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)")
	s.StringVar(&f.endpoint, "s3-endpoint", "", "address of the S3 server, such as http://127.0.0.1:9000 (default that of AWS)")
	s.StringVar(&f.region, "s3-region", "", "region of the bucket")
}

func (f *lakeFlags) registerFilter(c *cobra.Command) {
	c.Flags().StringVar(&f.project, "project", "", "only rows of this project")
	c.Flags().StringVar(&f.from, "from", "", "only rows from this time on: 2026-05-04 or 2026-05-04T10:00:00Z")
	c.Flags().StringVar(&f.to, "to", "", "only rows before this time")
}

// open opens the lake, and returns its store for where files are.
func (f *lakeFlags) open(c *cobra.Command) (*lake.Lake, lake.Store, error) {
	settings, err := f.settings(c)
	if err != nil {
		return nil, nil, err
	}
	if settings.Lake.URL == "" {
		if _, err := os.Stat(settings.DataDir); err != nil {
			return nil, nil, fmt.Errorf("open the lake: %w", err) // rather than to make an empty one
		}
	}
	store, err := app.OpenLakeStore(settings.DataDir, settings.Lake)
	if err != nil {
		return nil, nil, err
	}
	l, err := lake.Open(c.Context(), store, settings.Lake, nil)
	return l, store, err
}

// settings returns the configuration with what the flags say.
func (f *lakeFlags) settings(c *cobra.Command) (app.Config, error) {
	settings := app.Default()
	if _, err := config.Load(f.configFile, os.Environ(), &settings); err != nil {
		return settings, err
	}
	if f.configFile == "" || c.Flags().Changed("data-dir") {
		settings.DataDir = f.dataDir
	}
	if f.url != "" {
		settings.Lake.URL = f.url
	}
	if f.endpoint != "" {
		settings.Lake.S3.Endpoint = f.endpoint
	}
	if f.region != "" {
		settings.Lake.S3.Region = f.region
	}
	return settings, settings.Lake.Validate()
}

func (f *lakeFlags) filter() (filter lake.Filter, err error) {
	filter.Project = f.project
	if filter.From, err = timeFlag("from", f.from); err == nil {
		filter.To, err = timeFlag("to", f.to)
	}
	return filter, err
}

func timeFlag(name, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--%s %q is neither a day (2026-05-04) nor a time (2026-05-04T10:00:00Z)", name, value)
}

func newLake() *cobra.Command {
	c := &cobra.Command{
		Use:   "lake",
		Short: "List, print, export and verify what the lake holds",
		Long: `List, print, export and verify what the lake holds: decisions, verdicts, feedback and deployments as Parquet files.
It needs no server; one may run. Other tools read the files as they are, see docs/guide/lake.md.`,
	}
	c.AddCommand(newLakeLs(), newLakeCat(), newLakeExport(), newLakeVerify())
	return c
}

func tableArg(args []string, fallback string) (string, error) {
	if len(args) == 0 {
		return fallback, nil
	}
	for _, t := range lake.Tables {
		if t == args[0] {
			return t, nil
		}
	}
	return "", usagef("there is no table %q; there are %v", args[0], lake.Tables)
}

func newLakeLs() *cobra.Command {
	var f lakeFlags
	var paths, asJSON bool
	c := &cobra.Command{
		Use:   "ls [table]",
		Short: "List the files that count",
		Long:  "List the files that count at this moment: a folder also holds files that a compaction has replaced a moment ago.",
		Example: `  switchyard lake ls decisions --project default
  switchyard lake ls decisions --paths`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := tableArg(args, "")
			if err != nil {
				return err
			}
			filter, err := f.filter()
			if err != nil {
				return err
			}
			l, store, err := f.open(c)
			if err != nil {
				return err
			}
			return listFiles(c.OutOrStdout(), l.State(), store, l.State().Select(name, filter), paths, asJSON)
		},
	}
	f.register(c)
	f.registerFilter(c)
	c.Flags().BoolVar(&paths, "paths", false, "print nothing but where the files are, one a line")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return c
}

func listFiles(w io.Writer, s *lake.State, store lake.Store, files []*lake.File, paths, asJSON bool) error {
	var rows [][]string
	bytes, total := int64(0), int64(0)
	for _, x := range files {
		bytes, total = bytes+x.Bytes, total+x.Rows
		switch {
		case paths:
			fmt.Fprintln(w, store.URL(x.Path))
		case asJSON:
			fmt.Fprintf(w, `{"path":%q,"project":%q,"table":%q,"date":%q,"rows":%d,"bytes":%d,"sha256":%q}`+"\n", store.URL(x.Path), x.Project, x.Table, x.Date, x.Rows, x.Bytes, x.SHA256)
		default:
			rows = append(rows, []string{x.Project, x.Table, x.Date, strconv.FormatInt(x.Rows, 10), strconv.FormatInt(x.Bytes, 10), x.Path[len(x.Path)-len("0000000000000000.parquet"):]})
		}
	}
	if paths || asJSON {
		return nil
	}
	if err := table(w, []string{"PROJECT", "TABLE", "DATE", "ROWS", "BYTES", "FILE"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d files, %d rows, %d bytes; manifest entry %d, stream up to %d\n", len(files), total, bytes, s.Number, s.Watermark)
	return err
}

func newLakeCat() *cobra.Command {
	var f lakeFlags
	limit := int64(0)
	c := &cobra.Command{
		Use:     "cat [table]",
		Short:   "Print rows as JSON, one a line",
		Example: "  switchyard lake cat decisions --project default --from 2026-05-04 --limit 10",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return f.write(c, args, "jsonl", limit, c.OutOrStdout())
		},
	}
	f.register(c)
	f.registerFilter(c)
	c.Flags().Int64Var(&limit, "limit", 0, "print at most so many rows; 0 for all")
	return c
}

func newLakeExport() *cobra.Command {
	var f lakeFlags
	var format, output string
	c := &cobra.Command{
		Use:   "export [table]",
		Short: "Write rows into one JSONL, CSV or Parquet file",
		Example: `  switchyard lake export decisions --output decisions.csv
  switchyard lake export verdicts --project default --from 2026-05-01 --output verdicts.parquet`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if format == "" {
				format = formatOf(output)
			}
			file, err := os.OpenFile(output, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
			if err != nil {
				return err
			}
			err = f.write(c, args, format, 0, file)
			if closed := file.Close(); err == nil {
				err = closed
			}
			return err
		},
	}
	f.register(c)
	f.registerFilter(c)
	c.Flags().StringVarP(&output, "output", "o", "", "file to write")
	c.Flags().StringVar(&format, "format", "", "jsonl, csv or parquet (default: by the file's name)")
	_ = c.MarkFlagRequired("output")
	return c
}

func newLakeVerify() *cobra.Command {
	var f lakeFlags
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read every byte and name what is damaged or missing",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, store, err := f.open(c)
			if _, damaged := errors.AsType[*lake.DamageError](err); err != nil && !damaged {
				return err
			}
			objects := 0
			problems, err := lake.VerifyStore(c.Context(), store, func(string) { objects++ })
			if err != nil {
				return err
			}
			for _, p := range problems {
				fmt.Fprintln(c.OutOrStdout(), p)
			}
			if len(problems) > 0 {
				return fmt.Errorf("%d problems in %d objects", len(problems), objects)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d objects are as they were written\n", objects)
			return err
		},
	}
	f.register(c)
	return c
}
