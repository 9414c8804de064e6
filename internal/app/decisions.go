package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	reviewv1 "github.com/switchyard-ai/switchyard/gen/go/switchyard/review/v1"
	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/lake"
	"github.com/switchyard-ai/switchyard/internal/ledger"
	"github.com/switchyard-ai/switchyard/services/decisions"
)

// startReading starts the service that reads decisions back.
func (a *App) startReading(ctx context.Context) error {
	if !a.config.runs("decisions") {
		return nil
	}
	store, err := OpenLakeStore(a.config.DataDir, a.config.Lake)
	if err != nil {
		return err
	}
	if folder, ok := store.(*lake.Folder); ok {
		a.closers = append(a.closers, folder.Close)
	}
	a.background.Go(func() error { a.openLake(ctx, store); return nil })
	inLake := ledger.Lake{Open: a.lake.Load}
	deps := decisions.Deps{Records: a.records(), Verdicts: inLake, List: inLake, Erasers: a.erasers()}
	if a.config.knows("review") {
		conn, err := a.Conn("review")
		if err != nil {
			return err
		}
		deps.Reviews = reviewv1.NewReviewServiceClient(conn)
	}
	if a.config.knows("models") {
		if deps.Replayer, err = a.newReplayer(); err != nil {
			return err
		}
	}
	decisions.New(deps).Register(a.server)
	return nil
}

// records are the places where this process finds recorded decisions.
func (a *App) records() ledger.Place {
	var places ledger.Places
	if a.journal != nil {
		places = append(places, ledger.Journal{Journal: a.journal})
	}
	places = append(places, ledger.Stream{Bus: a.bus})
	if !a.config.runs("decisions") {
		return places // the lake is opened where decisions are read
	}
	inLake := ledger.Lake{Open: a.lake.Load}
	places = append(places, inLake)
	return ledger.OldestFirst{Places: places, Lake: inLake}
}

// OpenLakeStore opens where the lake is. It asks no server.
func OpenLakeStore(dataDir string, c lake.Config) (lake.Store, error) {
	switch {
	case c.URL == "":
		return lake.OpenFolder(filepath.Join(dataDir, "lake"))
	case strings.HasPrefix(c.URL, "s3://"):
		return lake.OpenS3(c.URL, c.S3)
	case strings.Contains(c.URL, "://"):
		return nil, fmt.Errorf("lake.url %q is neither a folder nor s3://bucket/prefix", c.URL)
	}
	return lake.OpenFolder(c.URL)
}

// retryLake is how often a lake is tried that cannot be reached.
const retryLake = 2 * time.Second

// openLake opens the lake and keeps it in order. A bucket that is away holds up nothing: the stream keeps what comes.
func (a *App) openLake(ctx context.Context, store lake.Store) {
	if l := a.reachLake(ctx, store); l != nil {
		a.keepLake(ctx, l)
	}
}

// reachLake opens the lake; nil when the context ends first.
func (a *App) reachLake(ctx context.Context, store lake.Store) *lake.Lake {
	for logged := false; ; logged = true {
		l, err := lake.Open(ctx, store, a.config.Lake, a.log)
		if err == nil {
			a.lake.Store(l)
			return l
		}
		if !logged && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "the lake cannot be opened", "at", store.URL(""), "error", err, "next_attempt_in", retryLake)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryLake):
		}
	}
}

const (
	compactEvery = 30 * time.Second
	// While more than manyRows come in between two looks, as those of a large job, files are not merged: whoever waits needs the processors more, and merging takes the memory of several files. They are
	// after compactLatest at the latest, since every reader opens each of them.
	manyRows      = 10_000
	compactLatest = 10 * time.Minute
	retainEvery   = time.Hour
	// sweepEvery is how often what nobody refers to is deleted, and how old that has to be: far more than any writer takes to commit.
	sweepEvery = 24 * time.Hour
)

// keepLake compacts, retains and sweeps until the context ends.
func (a *App) keepLake(ctx context.Context, l *lake.Lake) {
	var retained, swept time.Time
	merged, rows := time.Now(), l.State().Rows
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(compactEvery):
		}
		report := func(what string, err error) {
			if err != nil && ctx.Err() == nil {
				a.log.WarnContext(ctx, "the lake was not "+what, "error", err)
			}
		}
		before := rows
		if rows = l.State().Rows; rows-before < manyRows || time.Since(merged) > compactLatest {
			n, err := l.Compact(ctx)
			for n > 0 && err == nil && ctx.Err() == nil {
				n, err = l.Compact(ctx)
			}
			report("compacted", err)
			merged = time.Now()
		}
		report("purged", l.Purge(ctx))
		if time.Since(retained) > retainEvery {
			_, err := l.Retain(ctx, time.Now())
			report("cleared of old days", err)
			retained = time.Now()
		}
		if time.Since(swept) > sweepEvery {
			report("swept", l.Sweep(ctx, sweepEvery))
			swept = time.Now()
		}
	}
}

// feedLake carries the event stream into the lake.
func (a *App) feedLake(ctx context.Context) error {
	if !a.config.runs("decisions") {
		return nil
	}
	a.background.Go(func() error {
		for a.lake.Load() == nil {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(50 * time.Millisecond):
			}
		}
		s := ledger.Sink{Log: eventLog{a.bus}, Lake: a.lake.Load(), Flush: a.config.Lake.Flush, Slog: a.log, Busy: a.pace.Busy}
		return s.Run(ctx)
	})
	return nil
}

// eventLog is the bus as a sink reads it.
type eventLog struct{ *bus.Bus }

// Identity is when the stream was made.
func (e eventLog) Identity(ctx context.Context) (string, error) {
	s, err := e.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return "", fmt.Errorf("look at the stream: %w", err)
	}
	return s.CachedInfo().Created.UTC().Format(time.RFC3339Nano), nil
}

// Message reads one message.
func (e eventLog) Message(ctx context.Context, seq uint64) (subject string, data []byte, ok bool, err error) {
	s, err := e.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return "", nil, false, err
	}
	m, err := s.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", nil, false, nil
	}
	if err != nil {
		return "", nil, false, err
	}
	return m.Subject, m.Data, true, nil
}

// Overwrite removes one message for good.
func (e eventLog) Overwrite(ctx context.Context, seq uint64) error {
	s, err := e.JetStream().Stream(ctx, bus.Stream)
	if err != nil {
		return err
	}
	defer e.Forget(seq)
	return s.SecureDeleteMsg(ctx, seq)
}

// lakePointer is the lake, nil until it is reached.
type lakePointer = atomic.Pointer[lake.Lake]
