package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchyard-ai/switchyard/internal/app"
)

func newLedger() *cobra.Command {
	c := &cobra.Command{Use: "ledger", Short: "Verify what was recorded"}
	c.AddCommand(newLedgerVerify())
	return c
}

func newLedgerVerify() *cobra.Command {
	var f lakeFlags
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read journal, stream and lake, and name what is damaged or missing",
		Long: `Read every byte of the journal, the event stream and the lake, and hold them against each other: damaged records, broken chains,
gaps, decisions without a record. The server of the data folder must be stopped; "switchyard lake verify" does not need that.`,
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
				{"time", time.Since(start).Round(time.Millisecond).String()},
			}
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
