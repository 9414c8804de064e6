package app

import (
	"context"
	"path/filepath"

	"github.com/switchyard-ai/switchyard/internal/bus"
	"github.com/switchyard-ai/switchyard/internal/decision"
	"github.com/switchyard-ai/switchyard/internal/inbox"
	"github.com/switchyard-ai/switchyard/internal/outbox"
	"github.com/switchyard-ai/switchyard/internal/relay"
)

// usesBus says whether something here has events to carry or to read: all but a gateway and the keys.
func (c *Config) usesBus() bool {
	for _, t := range c.Target {
		if t != "gateway" && t != "identity" {
			return true
		}
	}
	return false
}

// makeBus makes the bus and the tables of events, so that services can be given both. The bus is started last, by startRelay: nobody waits for it.
func (a *App) makeBus(ctx context.Context) (err error) {
	if !a.config.usesBus() {
		return nil
	}
	if a.bus, err = bus.New(filepath.Join(a.config.DataDir, "events"), a.config.Bus, a.log); err != nil {
		return err
	}
	if err := outbox.Migrate(ctx, a.db); err != nil {
		return err
	}
	if err := inbox.Migrate(ctx, a.db); err != nil {
		return err
	}
	a.background.Go(func() error { return inbox.Prune(ctx, a.db, a.config.Inbox, a.log) })
	return nil
}

// startRelay starts the bus and what carries events to it: the relay of the journal, and that of the tables. What the bus does not take yet stays where it is.
func (a *App) startRelay(ctx context.Context) error {
	if a.bus == nil {
		return nil
	}
	if err := a.bus.Start(ctx); err != nil {
		return err
	}
	a.closers = append(a.closers, a.bus.Close)
	relaying, stop := context.WithCancel(context.WithoutCancel(ctx))
	a.stopRelay = stop
	a.outbox = outbox.New(a.db, a.bus, a.log)
	a.background.Go(func() error { return a.outbox.Run(relaying) })
	if a.journal != nil {
		a.relay = relay.New(a.journal, a.bus, a.log, relay.WithHeader(decision.EventHeader))
		a.background.Go(func() error { return a.relay.Run(relaying) })
	}
	return nil
}

// lag says whether events wait to be carried.
func (a *App) lag() bool {
	if a.relay != nil && a.relay.Stats().Lag > 0 {
		return true
	}
	n, _, err := a.outbox.Lag(context.Background())
	return err == nil && n > 0
}
