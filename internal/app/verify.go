package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/ledger"
)

// VerifyLedger reads everything that the server of a data folder recorded. That server must be stopped. The report is never nil.
func VerifyLedger(ctx context.Context, c Config) (_ *ledger.Report, err error) {
	v, report := ledger.Verifier{}, &ledger.Report{}
	var damage []error
	v.Journal, err = journal.Open(filepath.Join(c.DataDir, "journal"), c.Journal)
	if d, ok := errors.AsType[*journal.DamageError](err); ok {
		damage = append(damage, fmt.Errorf("journal: %w", d)) // it does not open, but everything else can be looked at
	} else if err != nil {
		return report, err
	} else {
		defer func() { err = errors.Join(err, v.Journal.Close()) }()
	}
	store, err := OpenLakeStore(c.DataDir, c.Lake)
	if err != nil {
		return report, err
	}
	v.Lake, err = lake.Open(ctx, store, c.Lake, nil)
	if _, ok := errors.AsType[*lake.DamageError](err); ok {
		// It cannot be compared with the stream, but all of its damage can be named.
		problems, err := lake.VerifyStore(ctx, store, nil)
		if err != nil {
			return report, err
		}
		for _, p := range problems {
			damage = append(damage, fmt.Errorf("lake: %w", p))
		}
	} else if err != nil {
		return report, err
	}
	b, err := bus.New(filepath.Join(c.DataDir, "events"), c.Bus, slog.New(slog.DiscardHandler))
	if err != nil {
		return report, err
	}
	if err := b.Start(ctx); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := b.WaitReady(ctx); err != nil {
		return report, err
	}
	v.Stream = eventLog{b}
	report, err = v.Verify(ctx)
	report.Problems = append(damage, report.Problems...)
	return report, err
}
