package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/switchyard-ai/switchyard/internal/blob"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/db"
	"github.com/switchyard-ai/switchyard/internal/inbox"
	"github.com/switchyard-ai/switchyard/internal/journal"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/internal/outbox"
	"github.com/switchyard-ai/switchyard/services/models"
	"github.com/switchyard-ai/switchyard/services/review"
)

// VerifyLedger reads everything that the server of a data folder recorded. That server must be stopped. The report is never nil.
func VerifyLedger(ctx context.Context, c Config) (_ *ledger.Report, err error) {
	c.Fill()
	v, report := ledger.Verifier{}, &ledger.Report{Looked: map[string]int64{}}
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
	events := filepath.Join(c.DataDir, "events")
	if c.Bus.URL == "" {
		changed, err := bus.VerifySealed(events) // before the server mends what it can
		if damage = append(damage, changed...); err != nil {
			return report, err
		}
	}
	b, err := bus.New(events, c.Bus, slog.New(slog.DiscardHandler))
	if err != nil {
		return report, err
	}
	if err := b.Start(ctx); err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := b.WaitReady(ctx); err != nil {
		return &ledger.Report{Problems: damage, Looked: map[string]int64{}}, err
	}
	v.Stream = eventLog{b}
	tables, err := openVerified(ctx, c)
	switch {
	case tables == nil && err != nil:
		damage = append(damage, fmt.Errorf("database: %w", err))
	case tables != nil:
		defer func() { err = errors.Join(err, tables.Close()) }()
		v.Reviews = reviewTables{review.Tables{DB: tables}, b}
		v.Checks = checks(tables, filepath.Join(c.DataDir, "artifacts"), func() bool { return false })
	}
	report, err = v.Verify(ctx)
	report.Problems = append(damage, report.Problems...)
	return report, err
}

// openVerified opens the tables, nil where there are none: nothing is made where nothing was.
func openVerified(ctx context.Context, c Config) (*db.DB, error) {
	if c.DB.URL == "" {
		if _, err := os.Stat(c.DB.Path); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
	}
	return db.Open(ctx, c.DB)
}

// checks are what services and tables add to a verification. up says whether the bus takes events.
func checks(d *db.DB, artifacts string, up func() bool) []ledger.Check {
	return []ledger.Check{
		{Name: "database", Run: d.Verify},
		{Name: "deployments", Run: func(ctx context.Context) ([]error, int64, error) { return models.Verify(ctx, d) }},
		{Name: "artifacts", Run: func(ctx context.Context) ([]error, int64, error) { return verifyArtifacts(ctx, d, artifacts) }},
		{Name: "review", Run: review.Tables{DB: d}.Verify},
		{Name: "outbox", Run: func(ctx context.Context) ([]error, int64, error) { return outbox.Verify(ctx, d, up()) }},
	}
}

// verifyArtifacts reads every artifact that a version names.
func verifyArtifacts(ctx context.Context, d *db.DB, dir string) (problems []error, looked int64, err error) {
	digests, err := models.Artifacts(ctx, d)
	if err != nil || len(digests) == 0 {
		return nil, 0, err
	}
	store, err := blob.Open(dir, 1<<62)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for _, digest := range digests {
		if err := ctx.Err(); err != nil {
			return problems, looked, err
		}
		looked++
		r, _, err := store.Open(digest)
		if err != nil {
			problems = append(problems, fmt.Errorf("artifacts: %s: %w", digest, err))
			continue
		}
		sum := sha256.New()
		_, err = io.Copy(sum, r)
		if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); err == nil && got != digest {
			err = fmt.Errorf("its content has the digest %s", got)
		}
		if err = errors.Join(err, r.Close()); err != nil {
			problems = append(problems, fmt.Errorf("artifacts: %s: %w", digest, err))
		}
	}
	return problems, looked, nil
}

// reviewTables are the review queue as a verification looks at it.
type reviewTables struct {
	review.Tables
	bus *bus.Bus
}

var _ ledger.Reviews = reviewTables{}

// Applied returns up to which message of the stream everything is in the queue: its place, which is kept beside its tables, or what its consumer has acknowledged.
func (r reviewTables) Applied(ctx context.Context) (uint64, error) {
	if ok, err := r.DB.HasTable(ctx, "inbox_places"); err != nil {
		return 0, err
	} else if ok {
		stream, err := (eventLog{r.bus}).Identity(ctx)
		if err != nil {
			return 0, err
		}
		if seq, known, err := inbox.Place(ctx, r.DB, reviewConsumer, stream); err != nil || known {
			return seq, err
		}
	}
	seq, _, err := acknowledged(ctx, r.bus, reviewConsumer)
	return seq, err
}
