package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/internal/app"
)

func newLedger() *cobra.Command {
	c := &cobra.Command{Use: "ledger", Short: "Verify what was recorded"}
	c.AddCommand(newLedgerVerify())
	return c
}

// units are what the checks count.
var units = map[string]string{
	"database": "pages", "deployments": "entries and versions", "artifacts": "files", "review": "rows", "outbox": "events to go to the stream",
}

func newLedgerVerify() *cobra.Command {
	var f lakeFlags
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read journal, stream, lake, tables and model files, and name what is damaged or missing",
		Long: `Read every byte of the journal, the event stream, the lake, the database and the model files, and hold them against each other: damaged records and pages, broken
chains of hashes (journal, deployments), gaps, decisions without a record, decisions for people without an item, items without a decision, verdicts without an item. The server of the
data folder must be stopped; a running one verifies itself by schedule (see "verify" in the configuration).`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			settings, err := f.settings(c)
			if err != nil {
				return err
			}
			if _, err := os.Stat(filepath.Join(settings.DataDir, "journal")); err != nil {
				return fmt.Errorf("open the data folder: %w", err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), 12*time.Hour)
			defer cancel()
			start := time.Now()
			r, err := app.VerifyLedger(ctx, settings)
			for _, p := range r.Problems {
				fmt.Fprintln(c.OutOrStdout(), p)
			}
			if err != nil {
				return err
			}
			rows := [][]string{
				{"journal", fmt.Sprint(r.Entries, " entries"), fmt.Sprint(r.Waiting, " to go to the stream")},
				{"stream", fmt.Sprint(r.Messages, " messages")},
				{"lake", fmt.Sprint(r.Objects, " objects"), fmt.Sprint(r.Rows, " decisions")},
				{"items", fmt.Sprint(r.Items, " items held against decisions")},
			}
			for _, name := range slices.Sorted(maps.Keys(r.Looked)) {
				rows = append(rows, []string{name, fmt.Sprint(r.Looked[name], " ", units[name])})
			}
			rows = append(rows, [][]string{
				{"time", time.Since(start).Round(time.Millisecond).String()},
			}...)
			if err := table(c.OutOrStdout(), nil, rows); err != nil {
				return err
			}
			if n := len(r.Problems); n > 0 {
				return fmt.Errorf("%d problems", n)
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "everything is as it was written")
			return err
		},
	}
	f.register(c)
	return c
}
